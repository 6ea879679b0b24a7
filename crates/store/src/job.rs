//! A job that one node does at a time: whoever holds its row until a moment of
//! the database's own clock. Every claim has a number, and what is done under
//! an older one is refused, however late its holder wakes up.

use std::time::Duration;

use symbolon_protocol::Timestamp;

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::statement::statements;

/// The job of forgetting what has expired.
pub const PURGE: &str = "purge";

/// Claims a job, or claims it again, for a span.
#[derive(Clone, Copy, Debug)]
pub struct ClaimJob {
    /// The job.
    pub name: &'static str,
    /// For how long, by the database's clock.
    pub span: Duration,
    /// The time as far as this node is sure of it.
    pub now: Timestamp,
}

/// The right to do a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    name: &'static str,
    token: i64,
    /// The time that the database and the node agree has come: the earlier of
    /// their clocks.
    pub time: Timestamp,
}

/// An act that is carried out only while a lease is the last.
#[derive(Clone, Debug)]
pub struct Under<A> {
    /// The lease.
    pub lease: Lease,
    /// The act.
    pub act: A,
}

/// Finds the latest time that the holders of a job were sure of.
#[derive(Clone, Copy, Debug)]
pub struct FindHighWater {
    /// The job.
    pub name: &'static str,
}

statements! {
    CLAIM = "UPDATE job SET holder = ?2, token = token + 1, until = {now} + ?3,
            high_water = {greatest}(high_water, {least}({now}, ?4))
        WHERE name = ?1 AND (until <= {now} OR holder = ?2)
        RETURNING token, {least}({now}, ?4)";
    // Whoever claims waits until what is done under the last claim is done.
    FENCE = "SELECT token FROM job WHERE name = ?1 AND token = ?2 {for_share}";
    HIGH_WATER = "SELECT high_water FROM job WHERE name = ?1";
}

impl Act for ClaimJob {
    /// The lease, unless another node holds the job.
    type Out = Option<Lease>;
    const SINGLE: bool = true;
    const FREES: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Lease>, Fault> {
        let node = tx.shared.node;
        let span = i64::try_from(self.span.as_millis()).unwrap_or(i64::MAX / 2);
        let binds = binds![self.name, node, span, self.now];
        let Some(row) = tx.one(&CLAIM, binds).await? else {
            return Ok(None);
        };
        Ok(Some(Lease {
            name: self.name,
            token: row.number(0)?,
            time: row.time(1)?,
        }))
    }
}

impl<A: Act> Act for Under<A> {
    /// What the act said; nothing where another claim came after the lease.
    type Out = Option<A::Out>;
    const FREES: bool = A::FREES;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<A::Out>, Fault> {
        let fence = binds![self.lease.name, self.lease.token];
        if tx.one(&FENCE, fence).await?.is_none() {
            return Ok(None);
        }
        self.act.run(tx).await.map(Some)
    }
}

impl Act for FindHighWater {
    type Out = Timestamp;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Timestamp, Fault> {
        let row = tx.one(&HIGH_WATER, binds![self.name]).await?;
        row.map_or(Ok(Timestamp::EPOCH), |row| row.time(0))
    }
}

#[cfg(feature = "postgres")]
impl Lease {
    /// The job's name and the claim's number.
    pub(crate) fn parts(&self) -> (&'static str, i64) {
        (self.name, self.token)
    }
}
