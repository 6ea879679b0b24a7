//! The database's own clock, which all nodes that share it can be compared by.

use symbolon_protocol::Timestamp;

use crate::act::{Act, Tx};
use crate::dialect::Engine;
use crate::fault::Fault;
use crate::statement::statements;

/// Reads the time that the database's machine shows; `None` on an engine that
/// runs on the machine of its one node.
#[derive(Clone, Copy, Debug)]
pub struct ReadClock;

statements! {
    // Not the transaction's: that stands still.
    @Postgres CLOCK = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
}

impl Act for ReadClock {
    type Out = Option<Timestamp>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Timestamp>, Fault> {
        if tx.engine() == Engine::Sqlite {
            return Ok(None);
        }
        tx.one(&CLOCK, &[])
            .await?
            .map(|row| row.time(0))
            .transpose()
    }
}
