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

/// Forgets what a receiver has taken, and reads what waits for it, oldest first.
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
    // is held, nothing is read.
    READ = "SELECT number, jti, message, attempts, created, reason FROM outbox
        WHERE receiver = ?1 AND state = 1 AND expires > ?2
            AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.receiver = ?1 AND e.state = 0)
        ORDER BY number LIMIT ?3";
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
        tx.all(&READ, binds![receiver, self.now, self.limit], read)
            .await
    }
}
