//! What nobody used for too long: it is dead at its idle end, and its row goes a
//! day later, long before its absolute end.
//!
//! No index has the idle ends, which every refresh moves: a family's row is
//! rewritten in place. So one slot after the other is looked through.

use symbolon_protocol::Timestamp;
use symbolon_token::Slot;

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::statement::statements;

/// Ends families of a slot that nobody renewed in time, so that they are
/// forgotten as others are that ended, and forgets such sessions.
///
/// A session stays for as long as a family could still end with it, or, until its
/// absolute end, a client wants to hear of it.
#[derive(Clone, Copy, Debug)]
pub struct EndIdle {
    /// The slot.
    pub slot: Slot,
    /// The time.
    pub now: Timestamp,
    /// At most how many of each.
    pub limit: u32,
}

/// How far a clock may jump ahead, or be apart, without anything being ended
/// that lives when it returns.
const MARGIN_MS: i64 = 25 * 60 * 60 * 1000;

statements! {
    FAMILIES = "UPDATE family SET ended = idle_ends WHERE slot = ?1 AND id IN
        (SELECT i.id FROM family i WHERE i.slot = ?1 AND i.idle_ends <= ?2 AND i.ended IS NULL
            ORDER BY i.id LIMIT ?3)";
    SESSIONS = "DELETE FROM session WHERE slot = ?1 AND id IN
        (SELECT i.id FROM session i WHERE i.slot = ?1 AND i.idle_ends <= ?2 AND i.ended IS NULL
            AND NOT EXISTS (SELECT 1 FROM family_authority a
                JOIN family f ON f.slot = a.slot AND f.id = a.id
                WHERE a.slot = ?1 AND a.session_id = i.id AND f.ended IS NULL)
            AND (i.absolute_ends <= ?2 OR NOT EXISTS (SELECT 1 FROM session_client c
                WHERE c.slot = ?1 AND c.session = i.id))
            ORDER BY i.id LIMIT ?3)";
}

impl Act for EndIdle {
    /// How many rows there were, of whichever there were more.
    type Out = u64;
    const FREES: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, Fault> {
        let over = Timestamp::from_millis(self.now.millis().saturating_sub(MARGIN_MS));
        let binds = binds![self.slot, over, self.limit];
        let families = tx.run(&FAMILIES, binds).await?;
        let sessions = tx.run(&SESSIONS, binds).await?;
        Ok(families.max(sessions))
    }
}
