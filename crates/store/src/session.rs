//! A session: a person in a browser, how and when they proved it.
//!
//! Spec: OpenID Connect Core 1.0 §3.1.2.1

use symbolon_protocol::{Timestamp, planted};
use symbolon_token::{Digest, Id, Person};

use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::ending;
use crate::fault::Fault;
use crate::feed::Position;
use crate::person;
use crate::revocation::{self, Target};
use crate::row::{Row, document};
use crate::signal::{self, Signal};
use crate::statement::statements;

type SessionId = Id<symbolon_token::Session>;

/// A session as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Who it is.
    pub person: Id<Person>,
    /// The digest of what the browser holds.
    pub secret: Digest,
    /// When the person last proved who they are.
    pub authenticated: Timestamp,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used, to the minute.
    pub seen: Timestamp,
    /// When it ends where it is not used.
    pub idle_ends: Timestamp,
    /// When it ends in any case.
    pub absolute_ends: Timestamp,
    /// How strongly the person proved it.
    pub acr: String,
    /// By which means.
    pub amr: Vec<String>,
    /// The browser, in its own words.
    pub device: String,
    /// The network that it was opened from; empty where nobody wrote it down.
    pub place: String,
    /// Its place in the feed.
    pub position: Position,
    /// When it was ended, if it was.
    pub ended: Option<Timestamp>,
}

impl Session {
    /// Whether it has neither been ended nor run out.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.idle_ends && now < self.absolute_ends
    }
}

/// Opens a session.
#[derive(Clone, Debug)]
pub struct OpenSession {
    /// Its id.
    pub id: SessionId,
    /// Who it is.
    pub person: Id<Person>,
    /// The digest of what the browser will hold.
    pub secret: Digest,
    /// When the person proved who they are.
    pub authenticated: Timestamp,
    /// When it ends where it is not used.
    pub idle_ends: Timestamp,
    /// When it ends in any case.
    pub absolute_ends: Timestamp,
    /// How strongly the person proved it.
    pub acr: String,
    /// By which means.
    pub amr: Vec<String>,
    /// The browser, in its own words.
    pub device: String,
    /// The network that it is opened from.
    pub place: String,
    /// Where the feed stood when the password was read that was proved. What was
    /// taken back of the person since, another password among it, came first.
    pub seen: Position,
    /// Another session in the same browser: it ends, live, idle or over.
    pub replaces: Option<SessionId>,
    /// How many sessions of the person may live; those beyond, which were used
    /// the longest ago, end. So do those beyond [`MAX_UNENDED`], live or not.
    pub most: u32,
    /// When the last token of those that end has expired.
    pub horizon: Timestamp,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Writes down that the person of a session proved themselves again, whether or not
/// it had gone idle. The browser gets a new secret; whoever comes second with the
/// old one gets none.
#[derive(Clone, Debug)]
pub struct ReauthenticateSession {
    /// The session.
    pub id: SessionId,
    /// The digest of what the browser holds.
    pub old_secret: Digest,
    /// The digest of what it will hold.
    pub new_secret: Digest,
    /// When the person proved who they are.
    pub authenticated: Timestamp,
    /// How strongly.
    pub acr: String,
    /// By which means.
    pub amr: Vec<String>,
    /// When it goes idle from now on.
    pub idle_ends: Timestamp,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Writes down that a session was used, at most once a minute.
#[derive(Clone, Debug)]
pub struct TouchSession {
    /// The session.
    pub id: SessionId,
    /// The time.
    pub now: Timestamp,
    /// When it now ends where it is not used.
    pub idle_ends: Timestamp,
}

/// Ends a session and the families that end with it.
#[derive(Clone, Debug)]
pub struct EndSession {
    /// The session.
    pub id: SessionId,
    /// The time.
    pub now: Timestamp,
    /// When the last token of it has expired.
    pub horizon: Timestamp,
    /// What to write down.
    pub audit: AuditEvent,
}

/// What ending found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It lived, and has ended.
    Ended,
    /// There was none, or it had ended before. Nothing was written.
    Missing,
}

/// Finds a session, ended or not.
#[derive(Clone, Debug)]
pub struct FindSession {
    /// The session.
    pub id: SessionId,
}

/// Lists the sessions of a person that have not been ended.
#[derive(Clone, Debug)]
pub struct SessionsOf {
    /// The person.
    pub person: Id<Person>,
}

statements! {
    OPEN = "INSERT INTO session (slot, id, person, secret, authenticated, created, seen,
            idle_ends, absolute_ends, acr, amr, device, place, epoch, sequence)
        SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9, ?10, ?11, ?12, h.epoch, h.sequence
        FROM feed_head h WHERE h.one = 1 AND h.epoch <= ?13 AND NOT EXISTS
            (SELECT 1 FROM revocation r WHERE r.kind = 5 AND r.target = ?3
                AND (r.epoch > ?13 OR r.epoch = ?13 AND r.sequence > ?14))
        RETURNING epoch, sequence";
    REAUTHENTICATE = "UPDATE session SET secret = ?4, authenticated = ?5, acr = ?6, amr = ?7,
            seen = ?8, idle_ends = {least}(?9, absolute_ends)
        WHERE slot = ?1 AND id = ?2 AND secret = ?3 AND ended IS NULL AND absolute_ends > ?8";
    TOUCH = "UPDATE session SET seen = ?3, idle_ends = {least}(?4, absolute_ends)
        WHERE slot = ?1 AND id = ?2 AND ended IS NULL AND idle_ends > ?3 AND absolute_ends > ?3
            AND seen <= ?5";
    PERSON = "SELECT person FROM session WHERE slot = ?1 AND id = ?2 AND ended IS NULL";
    END = "UPDATE session SET ended = ?3 WHERE slot = ?1 AND id = ?2 AND ended IS NULL";
    // The new one is not among them, so one less than the most may stay.
    BEYOND = "SELECT id FROM session {by_person}
        WHERE slot = ?1 AND person = ?2 AND id <> ?3 AND ended IS NULL
            AND idle_ends > ?5 AND absolute_ends > ?5
        ORDER BY seen DESC, id LIMIT 100 OFFSET ?4";
    FIND = "SELECT id, person, secret, authenticated, created, seen, idle_ends, absolute_ends,
            acr, amr, device, epoch, sequence, ended, place
        FROM session WHERE slot = ?1 AND id = ?2";
    OF_PERSON = "SELECT id, person, secret, authenticated, created, seen, idle_ends,
            absolute_ends, acr, amr, device, epoch, sequence, ended, place
        FROM session {by_person}
        WHERE slot = ?1 AND person = ?2 AND ended IS NULL ORDER BY created, id";
}

/// How many sessions of one person there are that nobody ended: the live ones, and
/// those that went idle while something hangs on them still.
pub const MAX_UNENDED: u32 = 200;
/// How long a use of a session need not be written down again.
const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

fn read(row: &Row) -> Result<Session, Fault> {
    Ok(Session {
        id: row.id(0)?,
        person: row.id(1)?,
        secret: row.digest(2)?,
        authenticated: row.time(3)?,
        created: row.time(4)?,
        seen: row.time(5)?,
        idle_ends: row.time(6)?,
        absolute_ends: row.time(7)?,
        acr: row.string(8)?,
        amr: row.json(9)?,
        device: row.string(10)?,
        position: row.position(11)?,
        ended: row.time_or_none(13)?,
        place: row.string(14)?,
    })
}

impl Act for OpenSession {
    /// Where in the feed it was opened; nothing where something of the person was
    /// taken back since they proved themselves. Nothing was written then.
    type Out = Option<Position>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Position>, Fault> {
        // Whoever takes something of the person back holds this until its record
        // can be seen.
        person::lock(tx, &self.person).await?;
        let amr = document(&self.amr)?;
        let binds = binds![
            self.id.slot(),
            &self.id,
            &self.person,
            &self.secret,
            self.authenticated,
            self.now,
            self.idle_ends,
            self.absolute_ends,
            &self.acr,
            &amr,
            &self.device,
            &self.place,
            self.seen.epoch,
            self.seen.sequence,
        ];
        let Some(row) = tx.one(&OPEN, binds).await? else {
            return Ok(None);
        };
        let position = row.position(0)?;
        audit::write(tx, &self.audit, self.now).await?;
        // Those that went idle live no more: what hangs on them is not ended for want
        // of room, unless they are very many.
        let live = self.beyond(tx, self.most, self.now).await?;
        let any = self.beyond(tx, MAX_UNENDED, Timestamp::EPOCH).await?;
        let mut records = Vec::new();
        for old in self.replaces.iter().chain(&live).chain(&any) {
            if end(tx, old, &self.audit, self.now).await? {
                records.push((Target::Session(*old), self.horizon));
            }
        }
        if !records.is_empty() {
            revocation::record(tx, &records, self.now).await?;
        }
        Ok(Some(position))
    }
}

impl OpenSession {
    /// The other sessions of the person beyond the most of those that are over by no
    /// time before this one; those that were used the longest ago.
    async fn beyond(
        &self,
        tx: &mut Tx<'_>,
        most: u32,
        time: Timestamp,
    ) -> Result<Vec<SessionId>, Fault> {
        let (slot, stay) = (self.id.slot(), most.saturating_sub(1));
        let binds = binds![slot, &self.person, &self.id, stay, time];
        tx.all(&BEYOND, binds, |row| row.id(0)).await
    }
}

/// Ends a session that lives, and says so to whoever took part in it.
pub(crate) async fn end(
    tx: &mut Tx<'_>,
    id: &SessionId,
    audit: &AuditEvent,
    now: Timestamp,
) -> Result<bool, Fault> {
    let Some(row) = tx.one(&PERSON, binds![id.slot(), id]).await? else {
        return Ok(false);
    };
    let person = row.id(0)?;
    // As every other act on a person does: messages about one are numbered in
    // the order in which they are committed.
    person::lock(tx, &person).await?;
    if tx.run(&END, binds![id.slot(), id, now]).await? == 0 {
        return Ok(false);
    }
    signal::tell(tx, &person, &Signal::SessionEnds(*id), audit, now).await?;
    ending::families_of_session(tx, id, now).await?;
    Ok(true)
}

impl Act for ReauthenticateSession {
    /// Nothing where the session has ended or the old secret is not current.
    type Out = Option<()>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<()>, Fault> {
        let amr = document(&self.amr)?;
        let binds = binds![
            self.id.slot(),
            &self.id,
            &self.old_secret,
            &self.new_secret,
            self.authenticated,
            &self.acr,
            &amr,
            self.now,
            self.idle_ends,
        ];
        if tx.run(&REAUTHENTICATE, binds).await? == 0 {
            return Ok(None);
        }
        audit::write(tx, &self.audit, self.now).await?;
        Ok(Some(()))
    }
}

impl Act for TouchSession {
    /// Whether it was written down.
    type Out = bool;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        let (id, due) = (&self.id, self.now - MINUTE);
        let binds = binds![id.slot(), id, self.now, self.idle_ends, due];
        Ok(tx.run(&TOUCH, binds).await? > 0)
    }
}

impl Act for EndSession {
    type Out = Ended;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Ended, Fault> {
        if !end(tx, &self.id, &self.audit, self.now).await? {
            return Ok(Ended::Missing);
        }
        if !planted(23) {
            audit::write(tx, &self.audit, self.now).await?;
        }
        let record = (Target::Session(self.id), self.horizon);
        revocation::record(tx, &[record], self.now).await?;
        Ok(Ended::Ended)
    }
}

impl Act for FindSession {
    type Out = Option<Session>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Session>, Fault> {
        let row = tx.one(&FIND, binds![self.id.slot(), &self.id]).await?;
        row.as_ref().map(read).transpose()
    }
}

impl Act for SessionsOf {
    type Out = Vec<Session>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Session>, Fault> {
        tx.all(&OF_PERSON, binds![self.person.slot(), &self.person], read)
            .await
    }
}
