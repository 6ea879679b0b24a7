//! Sending: a receiver is leased by one node at a time, its messages are read in
//! order, and what became of them is written under the number of the lease.
//!
//! A lease begins and ends by the database's clock: of two nodes whose own are
//! apart, the one ahead would take the other's away while that one sends. The
//! number grows with every lease. A node that was paused beyond its lease
//! writes under an old one, which is refused, so it neither forgets nor brings
//! back what the next holder has dealt with.

use std::time::Duration;

use symbolon_protocol::Timestamp;

use super::{KEPT_DEAD, MessageId, bound, message};
use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::row::Row;
use crate::signal::Message;
use crate::statement::statements;

/// Finds receivers for whom something could be sent now and whom nobody leases.
#[derive(Clone, Debug)]
pub struct DueReceivers {
    /// The time.
    pub now: Timestamp,
    /// At most how many: in no order that says who waited longest.
    pub limit: u32,
}

/// Leases a receiver, unless somebody holds it, and reads what is to be sent:
/// of each subject the first message alone, what was never tried before the rest.
#[derive(Clone, Debug)]
pub struct LeaseReceiver {
    /// The receiver.
    pub receiver: String,
    /// The time.
    pub now: Timestamp,
    /// For how long, by the database's clock.
    pub span: Duration,
    /// At most how many messages.
    pub limit: u32,
}

/// A receiver that is leased.
#[derive(Clone, Debug, PartialEq)]
pub struct Leased {
    /// The number of the lease.
    pub fence: i64,
    /// How often in a row the receiver could not be reached.
    pub failures: u32,
    /// What is to be sent, each about another subject.
    pub messages: Vec<WaitingMessage>,
}

/// A message that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingMessage {
    /// Its place in the outbox.
    pub number: i64,
    /// Its name towards the receiver.
    pub id: MessageId,
    /// What it says.
    pub message: Message,
    /// How often it was tried, as the last one who tried has counted.
    pub attempts: u32,
    /// When what it tells of happened.
    pub created: Timestamp,
    /// Why it was not taken the last time; empty before the first.
    pub reason: String,
}

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// The receiver has it.
    Taken,
    /// It is tried again, not before a time; what follows for its subject waits.
    Later {
        /// How often it was tried: at least once, so that it comes behind what
        /// never was.
        attempts: u32,
        /// When.
        next_try: Timestamp,
        /// Why, in stable words.
        reason: &'static str,
    },
    /// The receiver will never take it.
    Never {
        /// Why, in stable words.
        reason: &'static str,
    },
}

/// How long a receiver is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// How often in a row it could not be reached.
    pub failures: u32,
    /// Not before this time.
    pub next_try: Timestamp,
}

/// Writes down what became of messages, and gives the receiver back.
#[derive(Clone, Debug)]
pub struct SettleMessages {
    /// The receiver.
    pub receiver: String,
    /// The number of the lease.
    pub fence: i64,
    /// By the message's place in the outbox.
    pub outcomes: Vec<(i64, Delivered)>,
    /// When the receiver is tried again.
    pub pause: Pause,
    /// The time.
    pub now: Timestamp,
}

/// No receiver is leased, and none left alone, for as long as this.
const FARTHEST: Duration = Duration::from_secs(60 * 60);

/// Whether a lease still held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// What became of the messages is written down.
    InTime,
    /// Somebody else has leased the receiver since. Nothing was written.
    Late,
}

statements! {
    // What is put off beyond the farthest was put off by a clock that was ahead.
    // What waits behind a message that is put off makes nobody due: its receiver
    // would be leased for nothing at each look.
    DUE = "SELECT r.receiver FROM outbox_receiver r
        WHERE r.is_full < 2 AND (r.leased_until <= {now} OR r.leased_until > {now} + ?4)
            AND (r.next_try <= ?1 OR r.next_try > ?3) AND EXISTS (SELECT 1 FROM outbox o
                WHERE o.receiver = r.receiver AND o.state = 0
                    AND (o.next_try <= ?1 OR o.next_try > ?3)
                    AND NOT EXISTS (SELECT 1 FROM outbox e
                        WHERE e.receiver = o.receiver AND e.subject = o.subject
                            AND e.number < o.number AND e.state < 2))
        ORDER BY random() LIMIT ?2";
    LEASE = "UPDATE outbox_receiver SET fence = fence + 1, leased_until = {now} + ?3
        WHERE receiver = ?1 AND is_full < 2
            AND (leased_until <= {now} OR leased_until > {now} + ?5)
            AND (next_try <= ?2 OR next_try > ?4)
        RETURNING fence, failures";
    // Behind what is still held that was there before: it is about to be sent.
    UNTRIED = "SELECT o.number, o.jti, o.message, o.attempts, o.created, o.reason FROM outbox o
        WHERE o.receiver = ?1 AND o.state = 0 AND (o.next_try <= ?2 OR o.next_try > ?4)
            AND o.attempts = 0 AND NOT EXISTS (SELECT 1 FROM outbox e
                WHERE e.receiver = o.receiver AND e.subject = o.subject
                    AND e.number < o.number AND e.state < 2)
        ORDER BY o.number LIMIT ?3";
    TRIED = "SELECT o.number, o.jti, o.message, o.attempts, o.created, o.reason FROM outbox o
        WHERE o.receiver = ?1 AND o.state = 0 AND (o.next_try <= ?2 OR o.next_try > ?4)
            AND o.attempts > 0 AND NOT EXISTS (SELECT 1 FROM outbox e
                WHERE e.receiver = o.receiver AND e.subject = o.subject
                    AND e.number < o.number AND e.state < 2)
        ORDER BY o.number LIMIT ?3";
    GIVE_BACK = "UPDATE outbox_receiver SET leased_until = 0, failures = ?3, next_try = ?4
        WHERE receiver = ?1 AND fence = ?2";
    TAKEN = "DELETE FROM outbox WHERE number = ?1 AND receiver = ?2";
    LATER = "UPDATE outbox SET attempts = ?5, next_try = ?3, reason = ?4
        WHERE number = ?1 AND receiver = ?2 AND state = 0";
    NEVER = "UPDATE outbox SET attempts = attempts + 1, state = 2, expires = ?3, reason = ?4
        WHERE number = ?1 AND receiver = ?2 AND state = 0";
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 2)
}

/// Number, name, words, attempts, age, reason: in this order.
pub(super) fn read(row: &Row) -> Result<WaitingMessage, Fault> {
    Ok(WaitingMessage {
        number: row.number(0)?,
        id: MessageId(row.array(1)?),
        message: message(row, 2)?,
        attempts: row.count(3)?,
        created: row.time(4)?,
        reason: row.string(5)?,
    })
}

impl Act for DueReceivers {
    type Out = Vec<String>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<String>, Fault> {
        let farthest = self.now + FARTHEST;
        let binds = binds![self.now, self.limit, farthest, millis(FARTHEST)];
        tx.all(&DUE, binds, |row| row.string(0)).await
    }
}

impl Act for LeaseReceiver {
    type Out = Option<Leased>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Leased>, Fault> {
        let farthest = self.now + FARTHEST;
        let binds = binds![
            &self.receiver,
            self.now,
            millis(self.span),
            farthest,
            millis(FARTHEST),
        ];
        let Some(row) = tx.one(&LEASE, binds).await? else {
            return Ok(None);
        };
        // What failed before comes last: the receiver may take all but that, and
        // whoever asks for no more after some failures would not get beyond it.
        let mut messages = Vec::new();
        for heads in [&UNTRIED, &TRIED] {
            let read_so_far = u32::try_from(messages.len()).unwrap_or(u32::MAX);
            let room = self.limit.saturating_sub(read_so_far);
            if room > 0 {
                let binds = binds![&self.receiver, self.now, room, farthest];
                messages.extend(tx.all(heads, binds, read).await?);
            }
        }
        Ok(Some(Leased {
            fence: row.number(0)?,
            failures: row.count(1)?,
            messages,
        }))
    }
}

impl Act for SettleMessages {
    type Out = Noted;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Noted, Fault> {
        let Pause { failures, next_try } = self.pause;
        let binds = binds![&self.receiver, self.fence, failures, next_try];
        if tx.run(&GIVE_BACK, binds).await? == 0 {
            return Ok(Noted::Late);
        }
        let is_news = |(_, outcome): &(i64, Delivered)| !matches!(outcome, Delivered::Later { .. });
        let makes_room = self.outcomes.iter().any(is_news);
        for (number, outcome) in &self.outcomes {
            let receiver = &self.receiver;
            match outcome {
                Delivered::Taken => tx.run(&TAKEN, binds![*number, receiver]).await?,
                Delivered::Later {
                    attempts,
                    next_try,
                    reason,
                } => {
                    let binds = binds![*number, receiver, *next_try, *reason, *attempts];
                    tx.run(&LATER, binds).await?
                }
                Delivered::Never { reason } => {
                    let until = self.now + KEPT_DEAD;
                    tx.run(&NEVER, binds![*number, receiver, until, *reason])
                        .await?
                }
            };
        }
        if makes_room {
            bound::relieve(tx, &self.receiver).await?;
        }
        Ok(Noted::InTime)
    }
}

/// Enters a receiver whom nothing was written for, so that it can be leased: a
/// source that is asked for events.
#[derive(Clone, Debug)]
pub struct EnterReceiver {
    /// The receiver.
    pub receiver: String,
}

impl Act for EnterReceiver {
    type Out = ();
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        tx.run(&super::ENTER_RECEIVER, binds![&self.receiver])
            .await?;
        Ok(())
    }
}
