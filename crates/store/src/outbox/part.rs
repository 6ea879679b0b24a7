//! What waits for a receiver, a part at a time: nobody who writes waits while ten
//! thousand messages go, or are held instead of sent.
//!
//! 1. The act that deletes a receiver, or changes how its stream is told, deals
//!    with the first part itself. A receiver with more is marked as gone: nothing
//!    is written for it, and nothing sent.
//! 2. Whoever carried it out deals with the rest, and so does every sweep: what
//!    an act wrote that had seen the stream as it was before is put right too.
//!
//! While both kinds wait for one receiver, the later ones keep behind the earlier.

use super::{HELD, TO_SEND};
use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::signal_stream::{self, StreamStatus};
use crate::statement::statements;

/// How many messages an act deals with itself.
const PART: u32 = 200;

/// Forgets what waits for receivers that are gone, and then them.
#[derive(Clone, Copy, Debug)]
pub struct ForgetGone {
    /// At most how many messages.
    pub limit: u32,
}

/// Finds streams for which something waits in another way than they are told.
#[derive(Clone, Copy, Debug)]
pub struct UnsettledStreams {
    /// At most how many.
    pub limit: u32,
}

/// Brings what waits for a stream to how it is told now: sent, held, or let go.
#[derive(Clone, Debug)]
pub struct SettleStream {
    /// Its id.
    pub id: String,
    /// At most how many messages.
    pub limit: u32,
}

statements! {
    FORGET = "DELETE FROM outbox WHERE number IN
        (SELECT number FROM outbox WHERE receiver = ?1 LIMIT ?2)";
    FORGET_RECEIVER = "DELETE FROM outbox_receiver WHERE receiver = ?1";
    IS_GONE = "UPDATE outbox_receiver SET is_full = 2 WHERE receiver = ?1";
    GONE = "SELECT receiver FROM outbox_receiver WHERE is_full = 2 ORDER BY receiver LIMIT 1";
    LET_GO = "DELETE FROM outbox WHERE number IN
        (SELECT number FROM outbox WHERE receiver = ?1 AND state < 2 LIMIT ?2)";
    // The oldest first, which others keep behind.
    MOVE = "UPDATE outbox SET state = ?2 WHERE number IN
        (SELECT number FROM outbox WHERE receiver = ?1 AND state = ?3 ORDER BY number LIMIT ?4)";
    UNSETTLED = "SELECT s.id FROM signal_stream s WHERE EXISTS
            (SELECT 1 FROM outbox o WHERE o.receiver = 'stream:' || s.id AND o.state =
                CASE WHEN s.status = 0 AND s.fetches = 0 THEN 1 ELSE 0 END)
        OR s.status = 2 AND EXISTS
            (SELECT 1 FROM outbox o WHERE o.receiver = 'stream:' || s.id AND o.state = 1)
        ORDER BY s.id LIMIT ?1";
}

/// Forgets a receiver, with all that waits for it where that is little.
pub(crate) async fn forget(tx: &mut Tx<'_>, receiver: &str) -> Result<(), Fault> {
    if tx.run(&FORGET, binds![receiver, PART]).await? < u64::from(PART) {
        tx.run(&FORGET_RECEIVER, binds![receiver]).await?;
    } else {
        tx.run(&IS_GONE, binds![receiver]).await?;
    }
    Ok(())
}

/// Brings a first part of what waits for a stream to how it is told now.
pub(crate) async fn settle(
    tx: &mut Tx<'_>,
    receiver: &str,
    (status, state): (StreamStatus, u8),
) -> Result<(), Fault> {
    settle_some(tx, receiver, (status, state), PART).await?;
    Ok(())
}

async fn settle_some(
    tx: &mut Tx<'_>,
    receiver: &str,
    (status, state): (StreamStatus, u8),
    limit: u32,
) -> Result<u64, Fault> {
    if status == StreamStatus::Disabled {
        return tx.run(&LET_GO, binds![receiver, limit]).await;
    }
    let other = if state == TO_SEND { HELD } else { TO_SEND };
    tx.run(&MOVE, binds![receiver, state, other, limit]).await
}

impl Act for ForgetGone {
    /// How many messages are gone; nothing where no receiver is left that is.
    type Out = Option<u64>;
    const FREES: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<u64>, Fault> {
        let Some(gone) = tx.one(&GONE, &[]).await? else {
            return Ok(None);
        };
        let receiver = gone.text(0)?;
        let rows = tx.run(&FORGET, binds![receiver, self.limit]).await?;
        if rows < u64::from(self.limit) {
            tx.run(&FORGET_RECEIVER, binds![receiver]).await?;
        }
        Ok(Some(rows))
    }
}

impl Act for UnsettledStreams {
    type Out = Vec<String>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<String>, Fault> {
        tx.all(&UNSETTLED, binds![self.limit], |row| row.string(0))
            .await
    }
}

impl Act for SettleStream {
    /// How many messages there were: where it is the limit, there may be more.
    type Out = u64;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, Fault> {
        let Some((receiver, told)) = signal_stream::how_told(tx, &self.id).await? else {
            return Ok(0);
        };
        settle_some(tx, &receiver, told, self.limit).await
    }
}
