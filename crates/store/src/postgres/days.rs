//! What was used up lies in one table for each day on which it expires, so
//! that a whole day goes at once, and nothing has to be deleted row by row.
//!
//! Tables are made ahead of their day, empty. What belongs to a day without
//! one lies in `spent_rest`, which is purged in batches, as on SQLite.

use deadpool_postgres::{Client, Transaction};
use tokio_postgres::types::Type;

use super::Errand;
use crate::fault::Fault;
use crate::job::Lease;

/// For how many days ahead tables are made.
const AHEAD: i64 = 3;

/// Nobody waits for these locks longer than this, nor behind them.
const PATIENCE: &str = "SET LOCAL lock_timeout = 50; SET LOCAL statement_timeout = 1000;
    SET LOCAL idle_in_transaction_session_timeout = 4000";

/// Taking a table in means looking through the rest for its rows, under a
/// lock: done only while the rest is small, in bytes.
const SMALL: i64 = 4 << 20;

const HAS: &str = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'spent'::regclass";
const TODAY: &str = "SELECT floor(EXTRACT(EPOCH FROM clock_timestamp()) / 86400)::BIGINT,
    pg_relation_size('spent_rest')";
const FENCE: &str = "SELECT 1 FROM job WHERE name = $1 AND token = $2 FOR SHARE";

/// Makes the tables of the days to come that are missing. Several nodes may
/// try at once; what one of them cannot make now is made a minute later.
pub(super) struct Prepare;

/// Drops the tables of days before one; answers how many.
pub(super) struct Drop<'a> {
    pub(super) lease: &'a Lease,
    pub(super) before: i64,
}

impl Errand for Prepare {
    type Out = ();

    async fn run(&mut self, client: &mut Client) -> Result<(), Fault> {
        prepare(client).await
    }
}

impl Errand for Drop<'_> {
    type Out = u64;

    async fn run(&mut self, client: &mut Client) -> Result<u64, Fault> {
        drop_before(client, self.lease, self.before).await
    }
}

async fn prepare(client: &mut Client) -> Result<(), Fault> {
    let row = client.query_typed(TODAY, &[]).await?;
    let Some(row) = row.first() else {
        return Ok(());
    };
    let (today, rest): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if rest > SMALL {
        return Ok(());
    }
    let has = days(client).await?;
    for day in (today - 1..=today + AHEAD).filter(|day| !has.contains(day)) {
        let transaction = client.transaction().await?;
        if let Err(error) = make(&transaction, day).await {
            // Its rows lie in the rest already, somebody else has made it, or
            // a lock was not to be had.
            tracing::debug!(day, cause = %Fault::from(error), "no table of its own for what is spent");
        } else {
            transaction.commit().await?;
        }
    }
    Ok(())
}

async fn make(transaction: &Transaction<'_>, day: i64) -> Result<(), tokio_postgres::Error> {
    transaction.batch_execute(PATIENCE).await?;
    // Made apart and then taken in, which locks nobody out.
    let text = format!(
        "CREATE TABLE spent_{day} (LIKE spent INCLUDING ALL, CHECK (day = {day}));
         ALTER TABLE spent ATTACH PARTITION spent_{day} FOR VALUES IN ({day})"
    );
    transaction.batch_execute(&text).await
}

async fn drop_before(client: &mut Client, lease: &Lease, before: i64) -> Result<u64, Fault> {
    let (name, token) = lease.parts();
    let mut dropped = 0;
    let has = days(client).await?;
    for day in has.into_iter().filter(|day| *day < before) {
        let transaction = client.transaction().await?;
        transaction.batch_execute(PATIENCE).await?;
        let binds: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&name, Type::TEXT), (&token, Type::INT8)];
        if transaction.query_typed(FENCE, &binds).await?.is_empty() {
            return Ok(dropped);
        }
        let text = format!("DROP TABLE spent_{day}");
        match transaction.batch_execute(&text).await {
            Ok(()) => {
                transaction.commit().await?;
                dropped += 1;
            }
            Err(error) => {
                tracing::debug!(day, cause = %Fault::from(error), "a day of what was spent stays for now");
            }
        }
    }
    Ok(dropped)
}

/// The days that have a table of their own.
async fn days(client: &Client) -> Result<Vec<i64>, Fault> {
    let rows = client.query_typed(HAS, &[]).await?;
    let mut days = Vec::with_capacity(rows.len());
    for row in rows {
        let name: &str = row.try_get(0)?;
        let day = name.strip_prefix("spent_");
        days.extend(day.and_then(|day| day.parse::<i64>().ok()));
    }
    Ok(days)
}
