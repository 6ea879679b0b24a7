//! Migrations on PostgreSQL: one transaction for each, under a lock of their own
//! table, so that two nodes that start at once run each of them once.
//!
//! An index that is made concurrently stands in no transaction: it is made
//! first, again where an earlier attempt left half of one, and entered then.

use deadpool_postgres::Client;

use crate::act::{Act, Link, Shared, Tx};
use crate::dialect::Engine;
use crate::fault::Fault;
use crate::migration::{self, Migration};
use crate::schema::apply::{LOCK_MS, Next, Patience};
use crate::schema::plan::split;

/// Runs what is missing of a list.
pub(crate) async fn migrate(
    client: &mut Client,
    shared: &Shared,
    next: Next,
) -> Result<Vec<Migration>, Fault> {
    make_table(client).await?;
    let (mut run, mut patience) = (Vec::new(), Patience::new());
    loop {
        let applied = applied(client).await?;
        let mut missing = next.of.iter();
        let missing = missing.find(|own| !applied.contains(&own.number));
        if let Some(step) = missing.filter(|own| own.is_concurrent()) {
            concurrently(client, step).await?;
        }
        match one(client, shared, &next).await {
            Ok(Some(step)) => run.push(step),
            Ok(None) => return Ok(run),
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
    let transaction = client.transaction().await?;
    transaction
        .batch_execute(&format!(
            "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {LOCK_MS};
             SET LOCAL idle_in_transaction_session_timeout = 0;
             LOCK TABLE migration IN EXCLUSIVE MODE"
        ))
        .await?;
    let link = Link::Postgres(super::Link::plain(transaction.client()));
    let step = next.run(&mut Tx::new(link, shared)).await?;
    transaction.commit().await?;
    Ok(step)
}

const INVALID: &str =
    "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND NOT i.indisvalid AND c.relname = ANY ($1)";

/// Makes indexes that nobody waits for.
async fn concurrently(client: &Client, step: &Migration) -> Result<(), Fault> {
    let text = Engine::Postgres.render(step.text);
    let statements: Vec<String> = split(&text).collect();
    let words = |own: &String| own.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let names: Vec<String> = statements.iter().flat_map(words).collect();
    let broken = client.query(INVALID, &[&names]).await?;
    let broken: Vec<String> = broken.iter().map(|row| row.get(0)).collect();
    for name in broken {
        let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {name}");
        alone(client, &drop).await?;
    }
    for statement in &statements {
        alone(client, statement).await?;
    }
    if client.query(INVALID, &[&names]).await?.is_empty() {
        return Ok(());
    }
    Err(Fault::unavailable(
        "postgresql: another node makes the same index",
    ))
}

/// A statement in no transaction, which takes as long as it needs: what it
/// waits for waits for nobody.
async fn alone(client: &Client, statement: &str) -> Result<(), Fault> {
    client
        .batch_execute("SET statement_timeout = 0; SET lock_timeout = 0")
        .await?;
    let outcome = client.batch_execute(statement).await;
    client
        .batch_execute("SET statement_timeout = 3000; SET lock_timeout = 3000")
        .await?;
    Ok(outcome?)
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
