//! The outbox: what others have to be told, written in the very transaction of
//! the act that it tells of, and kept until it was delivered.
//!
//! - A message belongs to one receiver and one subject. Those of one receiver
//!   and one subject are delivered in the order in which they were written; no
//!   receiver waits for another.
//! - States: to be sent, to be fetched, dead. `delivery` sends, `fetch` is
//!   asked for what is fetched, `dead_letter` shows what nobody took.
//! - A receiver has about [`MAX_WAITING`] messages at most. What comes on top is
//!   counted and let go: whoever was away for so long has to look for itself.
//!   `bound` looks after that, so that no act counts, or waits for another.
//! - What waits goes, or is held instead of sent, a part at a time: `part`.
//!
//! Spec: RFC 8935 §2
//! Spec: RFC 8936 §2

pub(crate) mod bound;
pub(crate) mod dead_letter;
pub(crate) mod delivery;
pub(crate) mod fetch;
pub(crate) mod part;

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_token::Digest;

use crate::act::Tx;
use crate::bind::binds;
use crate::fault::Fault;
use crate::row::{Row, document};
use crate::signal::Message;
use crate::statement::statements;

pub use bound::{BoundReceivers, Written};
pub use dead_letter::{
    DeadLetter, DropDeadLetter, ListDeadLetters, OutboxCounted, OutboxLine, OutboxState,
    OutboxTotals, PurgeOutbox, Retried, RetryDeadLetter, SweptOutbox,
};
pub use delivery::{
    Delivered, DueReceivers, EnterReceiver, LeaseReceiver, Leased, Noted, Pause, SettleMessages,
    WaitingMessage,
};
pub use fetch::{FetchMessages, Refusal};
pub use part::{ForgetGone, SettleStream, UnsettledStreams};

/// How many messages wait for one receiver at most, but for what is written
/// until somebody has looked: a quarter of a second.
pub const MAX_WAITING: u32 = 10_000;

/// How long a message is offered before it is a dead letter.
pub const KEPT_WAITING: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a dead letter is kept.
pub const KEPT_DEAD: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// It is sent by whichever node leases the receiver.
pub(crate) const TO_SEND: u8 = 0;
/// It waits to be fetched, or until its stream goes on. What is dead is 2.
pub(crate) const HELD: u8 = 1;

/// Names a message for as long as it is offered: the `jti` of what is sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub(crate) [u8; 16]);

impl MessageId {
    /// Reads an id back from the text that [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 32 {
            return None;
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |own: u8| match own {
                b'0'..=b'9' => Some(own - b'0'),
                b'a'..=b'f' => Some(own - b'a' + 10),
                _ => None,
            };
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({self})")
    }
}

/// A message to be written.
pub(crate) struct NewMessage<'a> {
    /// Who gets it: a word that says what sort of receiver it is, and which.
    pub(crate) receiver: String,
    /// Whose order it belongs to.
    pub(crate) subject: &'a [u8],
    /// [`TO_SEND`] or [`HELD`].
    pub(crate) state: u8,
    /// What it says.
    pub(crate) message: &'a Message,
}

statements! {
    ENTER_RECEIVER = "INSERT INTO outbox_receiver
            (receiver, fence, leased_until, next_try, failures, dropped)
        VALUES (?1, 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING";
    // One row is read, and none is locked: whoever takes something back waits
    // for nobody's backlog.
    ADD = "INSERT INTO outbox
            (receiver, subject, jti, message, state, attempts, created, next_try, expires, reason)
        SELECT ?1, ?2, ?3, ?4, ?5, 0, ?6, 0, ?7, ''
        WHERE NOT EXISTS (SELECT 1 FROM outbox_receiver WHERE receiver = ?1 AND is_full > 0)";
}

/// Writes a message into the transaction of the act that it tells of.
pub(crate) async fn add(
    tx: &mut Tx<'_>,
    new: &NewMessage<'_>,
    now: Timestamp,
) -> Result<(), Fault> {
    let jti = next_id(tx);
    let (text, expires) = (document(new.message)?, now + KEPT_WAITING);
    tx.run(&ENTER_RECEIVER, binds![&new.receiver]).await?;
    let binds = binds![
        &new.receiver,
        new.subject,
        &jti.0,
        &text,
        new.state,
        now,
        expires,
    ];
    let has_room = tx.run(&ADD, binds).await? > 0;
    tx.shared.outbox.note(&new.receiver, has_room);
    Ok(())
}

/// The process's random number and a count, hidden by a digest. A number that a
/// rolled back act took names nothing.
fn next_id(tx: &Tx<'_>) -> MessageId {
    let count = tx.shared.messages.fetch_add(1, Ordering::Relaxed);
    let mut named = b"outbox".to_vec();
    named.extend_from_slice(&tx.shared.node.to_be_bytes());
    named.extend_from_slice(&count.to_be_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&Digest::of(&named).as_bytes()[..16]);
    MessageId(id)
}

/// What is said, as it was written.
fn message(row: &Row, at: usize) -> Result<Message, Fault> {
    row.json(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_message_is_read_back_and_nothing_else_is_one() {
        let id = MessageId([0xa7; 16]);

        assert_eq!(MessageId::parse(&id.to_string()), Some(id));
        for wrong in [
            "",
            "a7",
            &"A7".repeat(16),
            &"a7".repeat(17),
            &"zz".repeat(16),
        ] {
            assert_eq!(MessageId::parse(wrong), None, "{wrong}");
        }
    }
}
