//! What a database looks like, as lines that can be compared.

use crate::act::{Act, Tx};
use crate::dialect::Engine;
use crate::fault::Fault;
use crate::statement::statements;

/// Reads the shape of a schema: tables, columns and indexes, in order.
#[derive(Clone, Copy, Debug)]
pub struct SchemaShape;

statements! {
    @Sqlite SHAPE = "SELECT type || ' ' || name || ' ' || COALESCE(sql, '') FROM sqlite_schema
        WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name";
    @Postgres SHAPE_PG = "SELECT 'column ' || c.relname || '.' || a.attname || ' '
                || format_type(a.atttypid, a.atttypmod)
                || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
                || a.attidentity::text || COALESCE(' ' || array_to_string(c.reloptions, ','), '')
            AS line
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        UNION ALL SELECT 'index ' || replace(pg_get_indexdef(i.indexrelid), n.nspname || '.', '')
                || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = current_schema() AND NOT c.relispartition
        ORDER BY line";
}

impl Act for SchemaShape {
    type Out = Vec<String>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<String>, Fault> {
        let statement = match tx.engine() {
            Engine::Sqlite => &SHAPE,
            Engine::Postgres => &SHAPE_PG,
        };
        tx.all(statement, &[], |row| row.string(0)).await
    }
}
