//! How many rows there are of what people ask about.

use symbolon_protocol::Timestamp;

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::row::Row;
use crate::statement::statements;

/// Counts what the status page shows.
#[derive(Clone, Copy, Debug)]
pub struct CountRows {
    /// The time.
    pub now: Timestamp,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Clients.
    pub clients: u64,
    /// Resources.
    pub resources: u64,
    /// People.
    pub people: u64,
    /// Sessions that live.
    pub sessions: u64,
    /// Grants that were not withdrawn.
    pub grants: u64,
}

statements! {
    COUNT = "SELECT (SELECT COUNT(*) FROM client), (SELECT COUNT(*) FROM resource),
        (SELECT COUNT(*) FROM person), (SELECT COUNT(*) FROM session
            WHERE ended IS NULL AND idle_ends > ?1 AND absolute_ends > ?1),
        (SELECT COUNT(*) FROM grants WHERE withdrawn IS NULL)";
}

impl Act for CountRows {
    type Out = Counted;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Counted, Fault> {
        let row = tx.one(&COUNT, binds![self.now]).await?;
        let row = row.ok_or_else(|| Fault::broken("a count came back empty"))?;
        let number = |row: &Row, at| Ok::<_, Fault>(u64::try_from(row.number(at)?).unwrap_or(0));
        Ok(Counted {
            clients: number(&row, 0)?,
            resources: number(&row, 1)?,
            people: number(&row, 2)?,
            sessions: number(&row, 3)?,
            grants: number(&row, 4)?,
        })
    }
}
