//! Migrations on PostgreSQL: one transaction for each, under a lock of their own
//! table, so that two nodes that start at once run each of them once.
//!
//! An index that is made concurrently stands in no transaction. It is made on a
//! connection of its own, while the transaction that will enter it has the lock:
//!
//! 1. Only the node that has the lock makes one. The others ask for it again.
//! 2. A node that was killed may have left a server process behind that still
//!    makes it. That one has a lock on the index's table, which is waited for.
//! 3. Half of an index, which a node left that was killed, is dropped.
//! 4. It is made, and entered once it is there whole.

use deadpool_postgres::{Client, Pool};
use tokio_postgres::IsolationLevel;

use super::line::LIMITS;
use crate::act::{Link, Shared, Tx};
use crate::dialect::Engine;
use crate::fault::Fault;
use crate::migration::{self, Migration};
use crate::schema::apply::{LOCK_MS, Next, Patience};
use crate::schema::plan::{split, target};

/// How long the table of an index is waited for, in milliseconds. Nobody who
/// reads or writes stands behind that lock; a vacuum gives way within a second.
const FREE_MS: u32 = 2_000;

/// Runs what is missing of a list.
pub(crate) async fn migrate(
    client: &mut Client,
    shared: &Shared,
    next: Next,
) -> Result<Vec<Migration>, Fault> {
    make_table(client).await?;
    let (mut run, mut patience) = (Vec::new(), Patience::new());
    loop {
        match one(client, shared, &next).await {
            Ok(Some(step)) => run.push(step),
            Ok(None) => return Ok(run),
            // Somebody who is no node makes an index of the same table.
            Err(fault) if fault.is_retry() => patience.pause(fault).await?,
            Err(fault) => patience.wait(fault).await?,
        }
    }
}

/// One migration. It takes as long as its rows need; a lock it has soon or not.
async fn one(
    client: &mut Client,
    shared: &Shared,
    next: &Next,
) -> Result<Option<Migration>, Fault> {
    let pool = Client::pool(client);
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::ReadCommitted)
        .start()
        .await?;
    transaction
        .batch_execute(&format!(
            "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {LOCK_MS};
             SET LOCAL idle_in_transaction_session_timeout = 0;
             LOCK TABLE migration IN EXCLUSIVE MODE"
        ))
        .await?;
    let within = || {
        let link = super::Link::plain(transaction.client());
        Tx::new(Link::Postgres(link), shared)
    };
    let Some(step) = next.find(&mut within()).await? else {
        return Ok(None);
    };
    if step.is_concurrent() {
        // INVARIANT: this transaction has no snapshot while the index is made,
        // for which every snapshot is waited for. What was read last keeps its
        // own until something else is asked, which this is.
        transaction
            .batch_execute("SET LOCAL statement_timeout = 0")
            .await?;
        concurrently(pool, step).await?;
    } else {
        within().batch(&Engine::Postgres.render(step.text)).await?;
    }
    next.enter(&mut within(), step).await?;
    transaction.commit().await?;
    Ok(Some(*step))
}

/// Makes indexes that nobody waits for, on a connection that is closed then.
async fn concurrently(pool: Option<Pool>, step: &Migration) -> Result<(), Fault> {
    let closed = || Fault::unavailable("postgresql: the pool was closed");
    let own = Client::take(pool.ok_or_else(closed)?.get().await?);
    lift_limits(&own).await?;
    let text = Engine::Postgres.render(step.text);
    for statement in split(&text) {
        make_index(&own, &statement).await?;
    }
    Ok(())
}

/// Lets a connection take as long as it needs, where `line` told it limits: then
/// it is ours alone. One that was told none may lead to a pooler, where a
/// setting would stay with somebody else's.
async fn lift_limits(own: &tokio_postgres::Client) -> Result<(), Fault> {
    let told = LIMITS.map(|(name, value)| format!("('{name}', '{value}')"));
    let text = format!(
        "SELECT 1 FROM pg_settings WHERE source = 'session' AND (name, setting) IN ({})",
        told.join(", ")
    );
    if own.query_typed(&text, &[]).await?.len() == LIMITS.len() {
        let lifted = LIMITS.map(|(name, _)| format!("SET {name} = 0;"));
        own.batch_execute(&lifted.concat()).await?;
    }
    Ok(())
}

/// Makes an index, anew where there is half of it.
async fn make_index(own: &tokio_postgres::Client, statement: &str) -> Result<(), Fault> {
    let ((_, table), name) = (target(statement), name_of(statement));
    // One message is one transaction, so the lock is free again at its end.
    let free = format!(
        "SET LOCAL lock_timeout = {FREE_MS}; LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE"
    );
    own.batch_execute(&free).await?;
    if find_index(own, &table, name).await? == Index::Half {
        let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {name}");
        own.batch_execute(&drop).await?;
    }
    own.batch_execute(statement).await?;
    match find_index(own, &table, name).await? {
        Index::Whole => Ok(()),
        Index::Nothing | Index::Half => {
            Err(Fault::retry("postgresql: somebody else changed the index"))
        }
    }
}

/// The name of the index that a statement makes.
fn name_of(statement: &str) -> &str {
    let mut before = statement.split(" ON ");
    let made = before.next().unwrap_or_default();
    made.rsplit(' ').next().unwrap_or_default()
}

/// How far an index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Index {
    Nothing,
    /// Nobody finds anything by it.
    Half,
    Whole,
}

async fn find_index(own: &tokio_postgres::Client, table: &str, name: &str) -> Result<Index, Fault> {
    let text = format!(
        "SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = to_regclass('{table}') AND c.relname = '{name}'"
    );
    let rows = own.query_typed(&text, &[]).await?;
    let Some(row) = rows.first() else {
        return Ok(Index::Nothing);
    };
    let is_valid: bool = row.try_get(0)?;
    Ok(if is_valid { Index::Whole } else { Index::Half })
}

/// Two nodes may both find no table, and one of them is told that it exists.
async fn make_table(client: &Client) -> Result<(), Fault> {
    let text = Engine::Postgres.render(migration::TABLE);
    if client.batch_execute(&text).await.is_ok() {
        return Ok(());
    }
    Ok(client.batch_execute(&text).await?)
}

/// The numbers of what ran; none in a database without the table.
pub(crate) async fn applied(client: &Client) -> Result<Vec<i64>, Fault> {
    let rows = client
        .query_typed(migration::APPLIED.text(Engine::Postgres), &[])
        .await;
    match rows {
        Ok(rows) => Ok(rows.iter().map(|row| row.get(0)).collect()),
        Err(error) if error.code().is_some_and(|code| code.code() == "42P01") => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// About how many rows a table has: as the database counted last, or now.
pub(crate) async fn rows_of(client: &Client, table: &str) -> Result<u64, Fault> {
    let text = format!(
        "SELECT COALESCE((SELECT reltuples::bigint FROM pg_class
            WHERE oid = to_regclass('{table}')), 0)"
    );
    let rows = client.query_typed(&text, &[]).await?;
    let about: i64 = rows.first().map_or(0, |row| row.get(0));
    if about >= 0 {
        return Ok(u64::try_from(about).unwrap_or(0));
    }
    let text = format!("SELECT count(*) FROM {table}");
    let rows = client.query_typed(&text, &[]).await?;
    let count: i64 = rows.first().map_or(0, |row| row.get(0));
    Ok(u64::try_from(count).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::MIGRATIONS;
    use crate::schema::plan::Verb;

    /// Whatever is tried once more has to find what is there already.
    #[test]
    fn what_stands_in_no_transaction_is_an_index_that_may_be_there() {
        let concurrent = MIGRATIONS.iter().filter(|step| step.is_concurrent());
        for step in concurrent {
            for statement in split(&Engine::Postgres.render(step.text)) {
                let made = statement.split_once(" CONCURRENTLY IF NOT EXISTS ");
                let (_, made) = made.unwrap_or_else(|| panic!("{statement}"));
                let (verb, table) = target(&statement);
                assert_eq!(verb, Verb::CreateIndex, "{statement}");
                let wanted = format!("{} ON {table} (", name_of(&statement));
                assert!(made.starts_with(&wanted), "{statement}");
            }
        }
    }
}
