//! A snapshot that is read and a transaction that is loaded into, on either
//! engine, beside the pool and the writer: both may take as long as they need.

#[cfg(feature = "postgres")]
use futures_util::TryStreamExt;
use rusqlite::Connection;
#[cfg(feature = "postgres")]
use tokio_postgres::Client;

use crate::fault::Fault;
use crate::row::Row;
use crate::sqlite::{file, rows};
use crate::store::{Options, sqlite_path};

/// What a store holds at one instant.
pub(crate) enum Snapshot {
    Sqlite(Box<Connection>),
    #[cfg(feature = "postgres")]
    Postgres(Client),
}

impl Snapshot {
    /// Begins. On SQLite this is a reader beside the server's own: it takes no
    /// lock that the server's writer would wait for.
    pub(crate) async fn open(options: &Options) -> Result<Self, Fault> {
        let Some(path) = sqlite_path(&options.url) else {
            return Self::open_postgres(options).await;
        };
        let path = std::path::Path::new(path);
        if !path.exists() {
            let what = format!("there is no database at `{}`", path.display());
            return Err(Fault::unavailable(what));
        }
        let connection = file::open_reader(path)?;
        connection.execute_batch("BEGIN DEFERRED")?;
        Ok(Self::Sqlite(Box::new(connection)))
    }

    #[cfg(feature = "postgres")]
    async fn open_postgres(options: &Options) -> Result<Self, Fault> {
        let client = connect(&options.url).await?;
        client
            .batch_execute(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
                 SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10s';
                 SET LOCAL idle_in_transaction_session_timeout = 0",
            )
            .await?;
        Ok(Self::Postgres(client))
    }

    #[cfg(not(feature = "postgres"))]
    async fn open_postgres(_: &Options) -> Result<Self, Fault> {
        Err(crate::store::without_postgres())
    }

    pub(crate) fn engine(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => "postgres",
        }
    }

    /// The numbers of the migrations that ran; none where there is no table.
    pub(crate) async fn migrations(&mut self) -> Result<Vec<i64>, Fault> {
        let there = match self {
            Self::Sqlite(_) => "SELECT count(*) FROM sqlite_schema WHERE name = 'migration'",
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => {
                "SELECT count(*) FROM pg_tables
                WHERE schemaname = current_schema() AND tablename = 'migration'"
            }
        };
        let mut count = 0;
        let read = |row: Row| {
            count = row.number(0)?;
            Ok(())
        };
        self.each(there, read).await?;
        let mut numbers = Vec::new();
        if count > 0 {
            let read = |row: Row| {
                numbers.push(row.number(0)?);
                Ok(())
            };
            let applied = "SELECT number FROM migration ORDER BY number";
            self.each(applied, read).await?;
        }
        Ok(numbers)
    }

    /// Gives each row of a query to `take` as it arrives.
    pub(crate) async fn each(
        &mut self,
        text: &str,
        mut take: impl FnMut(Row) -> Result<(), Fault> + Send,
    ) -> Result<(), Fault> {
        match self {
            Self::Sqlite(connection) => rows(connection, text, take),
            #[cfg(feature = "postgres")]
            Self::Postgres(client) => {
                // Without a name, so that a pooler may stand between.
                let rows = client.query_typed_raw(text, none()).await?;
                let mut rows = std::pin::pin!(rows);
                while let Some(row) = rows.try_next().await? {
                    take(Row::Postgres(row))?;
                }
                Ok(())
            }
        }
    }

    pub(crate) async fn close(self) -> Result<(), Fault> {
        match self {
            Self::Sqlite(connection) => connection.execute_batch("COMMIT")?,
            #[cfg(feature = "postgres")]
            Self::Postgres(client) => client.batch_execute("COMMIT").await?,
        }
        Ok(())
    }
}

/// No parameters.
#[cfg(feature = "postgres")]
fn none() -> [(
    &'static (dyn tokio_postgres::types::ToSql + Sync),
    tokio_postgres::types::Type,
); 0] {
    []
}

/// A connection of its own; it ends with the client.
#[cfg(feature = "postgres")]
pub(crate) async fn connect(url: &str) -> Result<Client, Fault> {
    let address = crate::postgres::address::parse(url)?;
    let (client, connection) = address.config.connect(address.tls).await?;
    tokio::spawn(connection);
    Ok(client)
}
