//! The feature level: the oldest version that may work on a database.

use crate::act::{Act, Tx};
use crate::backup::engine::Snapshot;
use crate::bind::binds;
use crate::fault::Fault;
use crate::meta::RAISE;
use crate::row::Row;
use crate::statement::statements;

use super::STEPS;

/// The name under which it is stored: eight bytes, the most significant first.
const NAME: &str = "feature-level";

statements! {
    FIND = "SELECT value FROM meta WHERE name = ?1";
}

/// Reads the feature level of a database, where this version is below it.
#[derive(Clone, Copy, Debug)]
pub struct TooHighLevel;

impl Act for TooHighLevel {
    type Out = Option<i64>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<i64>, Fault> {
        let row = tx.one(&FIND, binds![NAME]).await?;
        let level = row.map_or(Ok(0), |row| row.array(0).map(i64::from_be_bytes))?;
        Ok((level > STEPS.last()).then_some(level))
    }
}

/// Reads the level of a snapshot.
pub(crate) async fn read(snapshot: &mut Snapshot) -> Result<i64, Fault> {
    let text = format!("SELECT value FROM meta WHERE name = '{NAME}'");
    let mut level = 0;
    let take = |row: Row| {
        level = i64::from_be_bytes(row.array(0)?);
        Ok(())
    };
    snapshot.each(&text, take).await?;
    Ok(level)
}

/// Raises the level to the number of a migration that took something away.
pub(crate) async fn raise(tx: &mut Tx<'_>, number: i64) -> Result<(), Fault> {
    let value = number.to_be_bytes();
    tx.run(&RAISE, binds![NAME, value.as_slice()]).await?;
    Ok(())
}
