//! Dead letters: what nobody took in time, for an administrator to look at; and
//! how much waits.

use symbolon_protocol::Timestamp;

use super::{KEPT_DEAD, KEPT_WAITING, MAX_WAITING, MessageId, bound, message};
use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::fault::Fault;
use crate::row::Row;
use crate::signal::Message;
use crate::signal_stream;
use crate::signal_subject;
use crate::statement::statements;

/// A message that nobody took.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Its place in the outbox.
    pub number: i64,
    /// Its name towards the receiver.
    pub id: MessageId,
    /// Who should have had it.
    pub receiver: String,
    /// What it says.
    pub message: Message,
    /// How often it was tried.
    pub attempts: u32,
    /// When what it tells of happened.
    pub created: Timestamp,
    /// When it is forgotten.
    pub expires: Timestamp,
    /// Why it is dead.
    pub reason: String,
}

/// Lists dead letters, oldest first.
#[derive(Clone, Debug)]
pub struct ListDeadLetters {
    /// The last one that was read.
    pub after: Option<i64>,
    /// Only those of this receiver.
    pub receiver: Option<String>,
    /// At most how many.
    pub limit: u32,
}

/// Offers a dead letter again, behind all that waits already, unless its stream would
/// not be told it.
#[derive(Clone, Debug)]
pub struct RetryDeadLetter {
    /// Its place in the outbox.
    pub number: i64,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// What became of a dead letter that was to be offered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It waits.
    Waits,
    /// There is no such letter.
    Missing,
    /// Its stream asks for no such event, or tells of the person no more: they have
    /// withdrawn what they allowed, as a restore does, or are gone. It is dead still:
    /// offered, it would be let go and nobody told.
    Untold,
    /// As many messages as may wait for its receiver. It is dead still: what is
    /// new would be let go for it.
    Full,
}

/// Forgets a dead letter.
#[derive(Clone, Debug)]
pub struct DropDeadLetter {
    /// Its place in the outbox.
    pub number: i64,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Counts what waits, receiver by receiver, by their names.
#[derive(Clone, Debug)]
pub struct OutboxState {
    /// The last one that was read.
    pub after: Option<String>,
    /// At most how many receivers.
    pub limit: u32,
}

/// Counts what waits for all of them.
#[derive(Clone, Copy, Debug)]
pub struct OutboxTotals;

/// What waits for all receivers, those included that are about to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxCounted {
    /// How many messages wait.
    pub waiting: u64,
    /// When what the oldest tells of happened.
    pub oldest: Option<Timestamp>,
    /// How many dead letters there are.
    pub dead: u64,
    /// How many were let go because too many waited.
    pub dropped: u64,
}

/// What waits for one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxLine {
    /// The receiver.
    pub receiver: String,
    /// How many messages wait.
    pub waiting: u64,
    /// When what the oldest tells of happened.
    pub oldest: Option<Timestamp>,
    /// How many dead letters there are.
    pub dead: u64,
    /// How many were let go because too many waited.
    pub dropped: u64,
    /// How often in a row the receiver could not be reached.
    pub failures: u32,
    /// When it is tried again.
    pub next_try: Timestamp,
}

/// Declares dead what waited too long, and forgets what nobody will ask for.
#[derive(Clone, Copy, Debug)]
pub struct PurgeOutbox {
    /// The time.
    pub now: Timestamp,
    /// At most how many rows of each kind.
    pub limit: u32,
}

/// How many rows a sweep of the outbox dealt with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweptOutbox {
    /// Messages that waited too long: dead letters now.
    pub died: u64,
    /// Dead letters that were forgotten.
    pub forgotten: u64,
    /// Sessions of clients that nobody can end any more.
    pub sessions: u64,
}

impl SweptOutbox {
    /// The largest of them: where it is the limit, there may be more.
    pub fn most(&self) -> u64 {
        self.died.max(self.forgotten).max(self.sessions)
    }
}

statements! {
    LIST = "SELECT number, jti, receiver, message, attempts, created, expires, reason FROM outbox
        WHERE state = 2 AND number > ?1 AND (CAST(?2 AS TEXT) IS NULL OR receiver = ?2)
        ORDER BY number LIMIT ?3";
    // A new number, so that it stands behind all that waits.
    REVIVE = "INSERT INTO outbox
            (receiver, subject, jti, message, state, attempts, created, next_try, expires, reason)
        SELECT receiver, subject, ?2, message, ?3, 0, created, 0, ?4, ''
        FROM outbox WHERE number = ?1 AND state = 2";
    FIND = "SELECT receiver, jti, message, created FROM outbox
        WHERE number = ?1 AND state = 2 {for_update}";
    HAS_ROOM = "SELECT 1 WHERE (SELECT count(*) FROM (SELECT 1 AS one FROM outbox
        WHERE receiver = ?1 AND state < 2 LIMIT ?2) AS waiting) < ?2";
    UNNAME = "UPDATE outbox SET jti = ?2 WHERE number = ?1";
    FORGET_ONE = "DELETE FROM outbox WHERE number = ?1 AND state = 2";
    WAKE = "UPDATE outbox_receiver SET failures = 0, next_try = 0 WHERE receiver = ?1";
    STATE = "SELECT r.receiver,
            (SELECT count(*) FROM outbox o WHERE o.receiver = r.receiver AND o.state < 2),
            (SELECT min(o.created) FROM outbox o WHERE o.receiver = r.receiver AND o.state < 2),
            (SELECT count(*) FROM outbox o WHERE o.receiver = r.receiver AND o.state = 2),
            r.dropped, r.failures, r.next_try
        FROM outbox_receiver r WHERE r.is_full < 2 AND r.receiver > ?1
        ORDER BY r.receiver LIMIT ?2";
    TOTALS = "SELECT count(*), min(created),
            (SELECT count(*) FROM outbox WHERE state = 2),
            (SELECT CAST(COALESCE(sum(dropped), 0) AS {integer}) FROM outbox_receiver)
        FROM outbox WHERE state < 2";
    DIE = "UPDATE outbox SET state = 2, expires = ?2, reason = 'waited too long'
        WHERE number IN (SELECT number FROM outbox WHERE expires <= ?1 AND state < 2
            ORDER BY expires LIMIT ?3)";
    // Not by the index of states, which has every dead letter.
    FORGET = "DELETE FROM outbox WHERE number IN (SELECT number FROM outbox
        WHERE expires <= ?1 AND +state = 2 ORDER BY expires LIMIT ?2)";
    FORGET_SESSIONS = "DELETE FROM session_client WHERE (slot, session, client) IN
        (SELECT slot, session, client FROM session_client WHERE expires <= ?1
            ORDER BY expires LIMIT ?2)";
}

fn read(row: &Row) -> Result<DeadLetter, Fault> {
    Ok(DeadLetter {
        number: row.number(0)?,
        id: MessageId(row.array(1)?),
        receiver: row.string(2)?,
        message: message(row, 3)?,
        attempts: row.count(4)?,
        created: row.time(5)?,
        expires: row.time(6)?,
        reason: row.string(7)?,
    })
}

impl Act for ListDeadLetters {
    type Out = Vec<DeadLetter>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<DeadLetter>, Fault> {
        let after = self.after.unwrap_or(i64::MIN);
        let binds = binds![after, self.receiver.as_deref(), self.limit];
        tx.all(&LIST, binds, read).await
    }
}

impl Act for RetryDeadLetter {
    type Out = Retried;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Retried, Fault> {
        let Some(row) = tx.one(&FIND, binds![self.number]).await? else {
            return Ok(Retried::Missing);
        };
        let (receiver, jti) = (row.string(0)?, row.array::<16>(1)?);
        let (says, happened) = (message(&row, 2)?, row.time(3)?);
        if !signal_subject::is_told(tx, &receiver, &says, happened).await? {
            return Ok(Retried::Untold);
        }
        if tx
            .one(&HAS_ROOM, binds![&receiver, MAX_WAITING])
            .await?
            .is_none()
        {
            return Ok(Retried::Full);
        }
        // Its name moves on to the new row, so that a receiver which has it
        // already knows it again; two rows cannot bear it at once.
        let spare = super::next_id(tx);
        tx.run(&UNNAME, binds![self.number, &spare.0]).await?;
        let state = signal_stream::state_of_messages(tx, &receiver).await?;
        let until = self.now + KEPT_WAITING;
        let binds = binds![self.number, &jti, state, until];
        tx.run(&REVIVE, binds).await?;
        tx.run(&FORGET_ONE, binds![self.number]).await?;
        tx.run(&WAKE, binds![&receiver]).await?;
        audit::write(tx, &self.audit, self.now).await?;
        Ok(Retried::Waits)
    }
}

impl Act for DropDeadLetter {
    /// Whether there was such a letter.
    type Out = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        if tx.run(&FORGET_ONE, binds![self.number]).await? == 0 {
            return Ok(false);
        }
        audit::write(tx, &self.audit, self.now).await?;
        Ok(true)
    }
}

fn number(row: &Row, at: usize) -> Result<u64, Fault> {
    Ok(u64::try_from(row.number(at)?).unwrap_or(0))
}

impl Act for OutboxState {
    type Out = Vec<OutboxLine>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<OutboxLine>, Fault> {
        let after = self.after.as_deref().unwrap_or_default();
        tx.all(&STATE, binds![after, self.limit], |row| {
            Ok(OutboxLine {
                receiver: row.string(0)?,
                waiting: number(row, 1)?,
                oldest: row.time_or_none(2)?,
                dead: number(row, 3)?,
                dropped: number(row, 4)?,
                failures: row.count(5)?,
                next_try: row.time(6)?,
            })
        })
        .await
    }
}

impl Act for OutboxTotals {
    type Out = OutboxCounted;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<OutboxCounted, Fault> {
        let row = tx.one(&TOTALS, &[]).await?;
        let row = row.ok_or_else(|| Fault::broken("a count came back empty"))?;
        Ok(OutboxCounted {
            waiting: number(&row, 0)?,
            oldest: row.time_or_none(1)?,
            dead: number(&row, 2)?,
            dropped: number(&row, 3)?,
        })
    }
}

impl Act for PurgeOutbox {
    type Out = SweptOutbox;
    const FREES: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<SweptOutbox, Fault> {
        let (now, limit) = (self.now, self.limit);
        let forgotten = tx.run(&FORGET, binds![now, limit]).await?;
        let died = tx.run(&DIE, binds![now, now + KEPT_DEAD, limit]).await?;
        let sessions = tx.run(&FORGET_SESSIONS, binds![now, limit]).await?;
        bound::relieve_all(tx).await?;
        Ok(SweptOutbox {
            died,
            forgotten,
            sessions,
        })
    }
}
