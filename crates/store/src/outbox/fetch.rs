//! Fetching: a receiver asks for what waits, and says what it has taken.
//!
//! Spec: RFC 8936 §2.2, §2.4

use symbolon_protocol::Timestamp;

use super::delivery::{WaitingMessage, read};
use super::{KEPT_DEAD, MessageId, bound};
use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::statement::statements;

/// A message that a receiver cannot take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The message.
    pub id: MessageId,
    /// Why, in stable words.
    pub reason: &'static str,
}

/// Forgets what a receiver has taken, and reads what waits for it, oldest first: of
/// each subject the first message alone, for what is answered has no order.
#[derive(Clone, Debug)]
pub struct FetchMessages {
    /// The receiver.
    pub receiver: String,
    /// What it has taken.
    pub taken: Vec<MessageId>,
    /// What it cannot take: dead letters from now on.
    pub refused: Vec<Refusal>,
    /// At most how many to read.
    pub limit: u32,
    /// The time.
    pub now: Timestamp,
}

statements! {
    FORGET = "DELETE FROM outbox WHERE receiver = ?1 AND jti = ?2 AND state = 1";
    REFUSE = "UPDATE outbox SET state = 2, expires = ?3, reason = ?4
        WHERE receiver = ?1 AND jti = ?2 AND state = 1";
    // What was to be sent before it was to be fetched comes first: until all of it
    // is held, nothing is read. What has waited too long is read until it is declared
    // dead, as it is sent: by a clock that is ahead, what follows would overtake it.
    READ = "SELECT o.number, o.jti, o.message, o.attempts, o.created, o.reason FROM outbox o
        WHERE o.receiver = ?1 AND o.state = 1
            AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.receiver = ?1 AND e.state = 0)
            AND NOT EXISTS (SELECT 1 FROM outbox p
                WHERE p.receiver = o.receiver AND p.subject = o.subject
                    AND p.number < o.number AND p.state < 2)
        ORDER BY o.number LIMIT ?2";
    MORE = "SELECT 1 FROM outbox WHERE receiver = ?1 AND state = 1 LIMIT 1 OFFSET ?2";
}

/// Asks whether more waits for a receiver than so many messages.
/// [`FetchMessages::more_than`] makes it.
#[derive(Clone, Debug)]
pub struct MoreMessages {
    receiver: String,
    than: u32,
}

impl FetchMessages {
    /// Asks whether more waits for a receiver than so many messages, which it was
    /// answered: what follows about the same subjects does, until they were taken.
    pub fn more_than(count: usize, receiver: String) -> MoreMessages {
        let than = u32::try_from(count).unwrap_or(u32::MAX);
        MoreMessages { receiver, than }
    }
}

impl Act for MoreMessages {
    type Out = bool;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        let row = tx.one(&MORE, binds![&self.receiver, self.than]).await?;
        Ok(row.is_some())
    }
}

impl Act for FetchMessages {
    type Out = Vec<WaitingMessage>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<WaitingMessage>, Fault> {
        let receiver = &self.receiver;
        for id in &self.taken {
            tx.run(&FORGET, binds![receiver, &id.0]).await?;
        }
        let until = self.now + KEPT_DEAD;
        for refusal in &self.refused {
            let binds = binds![receiver, &refusal.id.0, until, refusal.reason];
            tx.run(&REFUSE, binds).await?;
        }
        if !self.taken.is_empty() || !self.refused.is_empty() {
            bound::relieve(tx, receiver).await?;
        }
        tx.all(&READ, binds![receiver, self.limit], read).await
    }
}
