//! Migrations on PostgreSQL: one transaction under a lock of their own table,
//! so that two nodes that start at once run each of them once.

use deadpool_postgres::Client;

use crate::dialect::Engine;
use crate::fault::Fault;
use crate::migration::{self, MIGRATIONS, Migrated, Migration};

/// A migration takes as long as its rows need, and so does the wait for
/// another node that migrates; both end with the session at the latest.
const LIMITS: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '15min';
    SET LOCAL idle_in_transaction_session_timeout = 0";

pub(crate) async fn migrate(client: &mut Client) -> Result<Migrated, Fault> {
    make_table(client).await?;
    let transaction = client.transaction().await?;
    transaction.batch_execute(LIMITS).await?;
    transaction
        .batch_execute("LOCK TABLE migration IN EXCLUSIVE MODE")
        .await?;
    let run = pending_in(&transaction).await?;
    for step in &run {
        transaction
            .batch_execute(&Engine::Postgres.render(step.text))
            .await?;
        let statement = transaction
            .prepare(migration::ENTER.text(Engine::Postgres))
            .await?;
        transaction
            .query_raw(
                &statement,
                [
                    &step.number as &(dyn tokio_postgres::types::ToSql + Sync),
                    &step.name,
                ],
            )
            .await?;
    }
    transaction.commit().await?;
    Ok(Migrated { run })
}

/// Two nodes may both find no table, and one of them is told that it exists.
async fn make_table(client: &Client) -> Result<(), Fault> {
    let text = Engine::Postgres.render(migration::TABLE);
    if client.batch_execute(&text).await.is_ok() {
        return Ok(());
    }
    Ok(client.batch_execute(&text).await?)
}

async fn pending_in(
    transaction: &deadpool_postgres::Transaction<'_>,
) -> Result<Vec<Migration>, Fault> {
    let rows = transaction
        .query(migration::APPLIED.text(Engine::Postgres), &[])
        .await?;
    let applied: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    Ok(migration::pending(&applied))
}

/// What is missing; a database without the table lacks all.
pub(crate) async fn pending(client: &Client) -> Result<Vec<Migration>, Fault> {
    let rows = client
        .query(migration::APPLIED.text(Engine::Postgres), &[])
        .await;
    match rows {
        Ok(rows) => {
            let applied: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
            Ok(migration::pending(&applied))
        }
        Err(error) if error.code().is_some_and(|code| code.code() == "42P01") => {
            Ok(MIGRATIONS.to_vec())
        }
        Err(error) => Err(error.into()),
    }
}
