//! Which tables and columns there are after some migrations, whatever the
//! engine: read from an empty database in memory.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::dialect::Engine;
use crate::fault::Fault;
use crate::migration::MIGRATIONS;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Number,
    Text,
    Bytes,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    #[serde(rename = "table")]
    pub(crate) name: String,
    pub(crate) columns: Vec<(String, Kind)>,
}

impl Table {
    pub(crate) fn select(&self) -> String {
        format!("SELECT {} FROM {}", self.names(), self.name)
    }

    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| &**name).collect();
        names.join(", ")
    }
}

/// The tables after these migrations, by name.
pub(crate) fn tables(migrations: &[i64]) -> Result<Vec<Table>, Fault> {
    let connection = Connection::open_in_memory()?;
    for step in MIGRATIONS {
        if migrations.contains(&step.number) {
            connection.execute_batch(&Engine::Sqlite.render(step.text))?;
        }
    }
    let mut statement = connection.prepare(
        "SELECT t.name, c.name, c.type FROM sqlite_schema t, pragma_table_info(t.name) c
        WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.cid",
    )?;
    let mut rows = statement.query([])?;
    let mut all: Vec<Table> = Vec::new();
    while let Some(row) = rows.next()? {
        let (table, column, kind): (String, String, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let kind = match &*kind {
            "INTEGER" => Kind::Number,
            "TEXT" => Kind::Text,
            "BLOB" => Kind::Bytes,
            _ => return Err(Fault::broken("a column of a kind that no engine shares")),
        };
        match all.last_mut().filter(|last| last.name == table) {
            Some(last) => last.columns.push((column, kind)),
            None => all.push(Table {
                name: table,
                columns: vec![(column, kind)],
            }),
        }
    }
    Ok(all)
}

/// The first migration of these that this binary does not know.
pub(crate) fn unknown(migrations: &[i64]) -> Option<i64> {
    let is_known = |number: &i64| MIGRATIONS.iter().any(|own| own.number == *number);
    migrations.iter().copied().find(|number| !is_known(number))
}
