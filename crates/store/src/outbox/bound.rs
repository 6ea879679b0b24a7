//! The bound of an outbox: who has too many messages is marked, beside the acts
//! that write them.
//!
//! 1. Whatever is written, or let go, is noted in memory, receiver by receiver.
//! 2. A few times a second each node counts what waits for those, and marks
//!    who has too many: to them nothing is written from then on.
//! 3. Whoever takes something, or lets it become a dead letter, is looked at
//!    again, and so is everybody when the outbox is swept.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::MAX_WAITING;
use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::statement::statements;

/// What this process has written to a receiver since it looked last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The receiver.
    pub receiver: String,
    /// How many messages were let go. An act that was run twice, or rolled
    /// back, counts as well.
    pub dropped: u32,
}

/// The same while it is noted.
#[derive(Default)]
pub(crate) struct Noted(Mutex<BTreeMap<String, u32>>);

impl Noted {
    pub(crate) fn note(&self, receiver: &str, has_room: bool) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match noted.get_mut(receiver) {
            Some(dropped) => *dropped = dropped.saturating_add(u32::from(!has_room)),
            None => {
                noted.insert(receiver.to_owned(), u32::from(!has_room));
            }
        }
    }

    pub(crate) fn take(&self) -> Vec<Written> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = std::mem::take(&mut *noted).into_iter();
        let written = |(receiver, dropped)| Written { receiver, dropped };
        taken.map(written).collect()
    }
}

/// Marks those of some receivers who have too many messages, and adds up what
/// was let go.
#[derive(Clone, Debug)]
pub struct BoundReceivers {
    /// What [`crate::Store::written_receivers`] answered.
    pub written: Vec<Written>,
}

statements! {
    DROPPED = "UPDATE outbox_receiver SET dropped = dropped + ?2 WHERE receiver = ?1";
    // The count is asked row by row, so only of those that the rest lets through.
    FILL = "UPDATE outbox_receiver SET is_full = 1 WHERE receiver = ?1 AND is_full = 0
            AND (SELECT count(*) FROM (SELECT 1 AS one FROM outbox
                WHERE outbox.receiver = outbox_receiver.receiver AND outbox.state < 2
                LIMIT ?2) AS waiting) >= ?2";
    RELIEVE = "UPDATE outbox_receiver SET is_full = 0 WHERE receiver = ?1 AND is_full = 1
            AND (SELECT count(*) FROM (SELECT 1 AS one FROM outbox
                WHERE outbox.receiver = outbox_receiver.receiver AND outbox.state < 2
                LIMIT ?2) AS waiting) < ?2";
    RELIEVE_ALL = "UPDATE outbox_receiver SET is_full = 0 WHERE is_full = 1
            AND (SELECT count(*) FROM (SELECT 1 AS one FROM outbox
                WHERE outbox.receiver = outbox_receiver.receiver AND outbox.state < 2
                LIMIT ?1) AS waiting) < ?1";
}

impl Act for BoundReceivers {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        for Written { receiver, dropped } in &self.written {
            if *dropped > 0 {
                tx.run(&DROPPED, binds![receiver, *dropped]).await?;
            }
            tx.run(&FILL, binds![receiver, MAX_WAITING]).await?;
        }
        Ok(())
    }
}

/// Lets a receiver that was full have messages again, once there is room.
pub(super) async fn relieve(tx: &mut Tx<'_>, receiver: &str) -> Result<(), Fault> {
    tx.run(&RELIEVE, binds![receiver, MAX_WAITING]).await?;
    Ok(())
}

/// The same for all of them.
pub(crate) async fn relieve_all(tx: &mut Tx<'_>) -> Result<(), Fault> {
    tx.run(&RELIEVE_ALL, binds![MAX_WAITING]).await?;
    Ok(())
}
