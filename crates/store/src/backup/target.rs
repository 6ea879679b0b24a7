//! The transaction that a backup is loaded into, on either engine.

use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::Value;
#[cfg(feature = "postgres")]
use tokio_postgres::Client;

use super::BackupError;
use super::catalog::Table;
use super::file::{Cell, Reading};
use crate::act::{Act, Link, Shared, Tx, ready};
use crate::bind::binds;
use crate::dialect::Engine;
use crate::fault::Fault;
use crate::migration::{self, MIGRATIONS};
use crate::row::Row;
use crate::sqlite::file::Lock;
use crate::sqlite::{file, rows};
use crate::store::{Options, sqlite_path};

/// A store that nobody else writes to.
pub(super) struct Target {
    shared: Shared,
    /// Tables that this program makes, and that are there.
    there: Vec<String>,
    on: On,
}

enum On {
    Sqlite(Box<Connection>, Lock),
    #[cfg(feature = "postgres")]
    Postgres(Client),
}

impl Target {
    /// Begins the transaction, with the tables of `ours` locked.
    pub(super) async fn begin(options: &Options, ours: &[Table]) -> Result<Self, Fault> {
        let on = match sqlite_path(&options.url) {
            Some(path) => {
                let path = std::path::Path::new(path);
                file::create(path)?;
                let lock = Lock::take(path, Duration::ZERO)?;
                let connection = file::open_writer(path)?;
                connection.execute_batch("PRAGMA cache_size = -65536; BEGIN IMMEDIATE")?;
                On::Sqlite(Box::new(connection), lock)
            }
            #[cfg(feature = "postgres")]
            None => {
                let client = super::engine::connect(&options.url).await?;
                client
                    .batch_execute(
                        "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '5s';
                         SET LOCAL idle_in_transaction_session_timeout = 0",
                    )
                    .await?;
                On::Postgres(client)
            }
            #[cfg(not(feature = "postgres"))]
            None => return Err(crate::store::without_postgres()),
        };
        let shared = Shared {
            node: options.node,
            ..Shared::default()
        };
        let mut target = Self {
            shared,
            there: Vec::new(),
            on,
        };
        target.look(ours).await?;
        Ok(target)
    }

    /// Finds our tables among those that are there, and locks them.
    async fn look(&mut self, ours: &[Table]) -> Result<(), Fault> {
        let all = match &self.on {
            On::Sqlite(..) => "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
            #[cfg(feature = "postgres")]
            On::Postgres(_) => {
                "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()
                ORDER BY 1"
            }
        };
        let mut there = Vec::new();
        self.each(all, |row| {
            there.push(row.string(0)?);
            Ok(())
        })
        .await?;
        let is_ours =
            |name: &String| name == "migration" || ours.iter().any(|own| own.name == *name);
        there.retain(is_ours);
        if self.is_postgres() && !there.is_empty() {
            let names = there.join(", ");
            let lock = format!("LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE");
            self.batch(&lock).await?;
        }
        self.there = there;
        Ok(())
    }

    fn is_postgres(&self) -> bool {
        !matches!(self.on, On::Sqlite(..))
    }

    /// Our tables that were there when the transaction began.
    pub(super) fn tables(&self) -> Vec<String> {
        self.there.clone()
    }

    /// The first column of a query that answers numbers.
    pub(super) async fn numbers(&mut self, text: &str) -> Result<Vec<i64>, Fault> {
        let mut numbers = Vec::new();
        self.each(text, |row| {
            numbers.push(row.number(0)?);
            Ok(())
        })
        .await?;
        Ok(numbers)
    }

    async fn each(
        &mut self,
        text: &str,
        mut take: impl FnMut(Row) -> Result<(), Fault> + Send,
    ) -> Result<(), Fault> {
        match &self.on {
            On::Sqlite(connection, _) => rows(connection, text, take),
            #[cfg(feature = "postgres")]
            On::Postgres(client) => {
                for row in client.query_typed(text, &[]).await? {
                    take(Row::Postgres(row))?;
                }
                Ok(())
            }
        }
    }

    /// Statements without parameters.
    pub(super) async fn batch(&mut self, text: &str) -> Result<(), Fault> {
        match &self.on {
            On::Sqlite(connection, _) => connection.execute_batch(text)?,
            #[cfg(feature = "postgres")]
            On::Postgres(client) => client.batch_execute(text).await?,
        }
        Ok(())
    }

    /// Runs the migrations that are chosen, and enters them.
    pub(super) async fn migrate(&mut self, chosen: impl Fn(i64) -> bool) -> Result<(), Fault> {
        let engine = match self.is_postgres() {
            true => Engine::Postgres,
            false => Engine::Sqlite,
        };
        self.batch(&engine.render(migration::TABLE)).await?;
        for step in MIGRATIONS.iter().filter(|step| chosen(step.number)) {
            // The tables are ours alone: nobody waits for an index on them.
            let text = engine.render(step.text).replace(" CONCURRENTLY", "");
            self.batch(&text).await?;
            self.act(&Enter(step.number, step.name)).await?;
        }
        Ok(())
    }

    /// Takes away what a migration wrote.
    pub(super) async fn empty(&mut self, table: &Table) -> Result<(), Fault> {
        self.batch(&format!("DELETE FROM {}", table.name)).await
    }

    /// Loads the rows of a table.
    pub(super) async fn load(
        &mut self,
        table: &Table,
        reading: &mut Reading<impl std::io::BufRead>,
    ) -> Result<(), BackupError> {
        match &mut self.on {
            On::Sqlite(connection, _) => insert(connection, table, reading),
            #[cfg(feature = "postgres")]
            On::Postgres(client) => super::copy::copy(client, table, reading).await,
        }
    }

    /// Carries an act out within the transaction.
    pub(super) async fn act<A: Act>(&mut self, act: &A) -> Result<A::Out, Fault> {
        match &mut self.on {
            On::Sqlite(connection, _) => {
                let mut tx = Tx::new(Link::Sqlite(connection), &self.shared);
                ready(act.run(&mut tx))
            }
            #[cfg(feature = "postgres")]
            On::Postgres(client) => {
                let link = Link::Postgres(crate::postgres::Link::plain(client));
                act.run(&mut Tx::new(link, &self.shared)).await
            }
        }
    }

    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        let committed = self.batch("COMMIT").await;
        self.release();
        committed
    }

    /// As it was. Where that cannot be said any more, the end of the connection
    /// says it.
    pub(super) async fn roll_back(mut self) {
        let _ = self.batch("ROLLBACK").await;
        self.release();
    }

    fn release(&self) {
        if let On::Sqlite(_, lock) = &self.on {
            lock.release();
        }
    }
}

/// Enters a migration that ran.
struct Enter(i64, &'static str);

impl Act for Enter {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        tx.run(&migration::ENTER, binds![self.0, self.1]).await?;
        Ok(())
    }
}

fn insert(
    connection: &Connection,
    table: &Table,
    reading: &mut Reading<impl std::io::BufRead>,
) -> Result<(), BackupError> {
    let signs: Vec<String> = (1..=table.columns.len())
        .map(|at| format!("?{at}"))
        .collect();
    let text = format!(
        "INSERT INTO {} ({}) VALUES ({})",
        table.name,
        table.names(),
        signs.join(", ")
    );
    let mut statement = connection.prepare(&text).map_err(Fault::from)?;
    while let Some(cells) = reading.row(table)? {
        let values = cells.into_iter().map(|cell| match cell {
            Cell::Nothing => Value::Null,
            Cell::Number(number) => Value::Integer(number),
            Cell::Text(text) => Value::Text(text),
            Cell::Bytes(bytes) => Value::Blob(bytes),
        });
        let inserted = statement.execute(rusqlite::params_from_iter(values));
        inserted.map_err(Fault::from)?;
    }
    Ok(())
}
