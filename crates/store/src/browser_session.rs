//! A session of the gateway: a browser holds a cookie, and this row the tokens
//! that stand behind it, sealed so that only the cookie opens them.
//!
//! States: there, or gone. Renewing its tokens is fenced: whoever renews takes
//! the next number of `fence`, and what it brings is kept only while that is
//! still the number. No clock is compared for it: whoever finds somebody else
//! at it waits by a clock of their own, and takes over the very number that
//! they saw, or nothing.
//!
//! Spec: RFC 10017 §6.1
//! Spec: OpenID Connect Back-Channel Logout 1.0 §2.7

use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_token::{Browser, Digest, Id, Slot};

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::job::{ClaimJob, Lease};
use crate::purge::BROWSER_SESSIONS;
use crate::statement::statements;

type SessionId = Id<Browser>;

/// How long a use of a session need not be written down again.
const MINUTE: Duration = Duration::from_secs(60);
/// How long a session that ran out is kept.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The job of forgetting sessions that ran out. It is one of its own: a gateway
/// that had the server's would keep the server from it.
const JOB: &str = "purge-browser-sessions";

/// A session as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserSession {
    /// Its id, in the slot of its subject.
    pub id: SessionId,
    /// The digest of what the browser holds.
    pub secret: Digest,
    /// What it holds itself, sealed.
    pub held: Vec<u8>,
    /// Which renewal that is from.
    pub generation: i64,
    /// The number of whoever renewed it last, or renews it now.
    pub fence: i64,
    /// Whether somebody renews it now.
    pub is_renewing: bool,
    /// When it was last used, to the minute.
    pub seen: Timestamp,
    /// When it ends where it is not used.
    pub idle_ends: Timestamp,
    /// When it ends in any case.
    pub absolute_ends: Timestamp,
}

/// Opens a session.
#[derive(Clone, Debug)]
pub struct OpenBrowserSession {
    /// Its id.
    pub id: SessionId,
    /// The digest of what the browser will hold.
    pub secret: Digest,
    /// The digest of whose it is.
    pub subject: Digest,
    /// The digest of the issuer's name of its own session, where it has one.
    pub issuer_session: Option<Digest>,
    /// When its person signed in, by the issuer's clock.
    pub signed_in: Timestamp,
    /// What it holds, sealed.
    pub held: Vec<u8>,
    /// When it ends where it is not used.
    pub idle_ends: Timestamp,
    /// When it ends in any case.
    pub absolute_ends: Timestamp,
    /// The session of the same browser that it takes the place of.
    pub replaces: Option<(SessionId, Digest)>,
    /// The time.
    pub now: Timestamp,
}

/// Finds a session that has not run out.
#[derive(Clone, Copy, Debug)]
pub struct FindBrowserSession {
    /// The session.
    pub id: SessionId,
    /// The time.
    pub now: Timestamp,
}

/// Writes down that a session was used, at most once a minute.
#[derive(Clone, Copy, Debug)]
pub struct TouchBrowserSession {
    /// The session.
    pub id: SessionId,
    /// The time.
    pub now: Timestamp,
    /// When it now ends where it is not used.
    pub idle_ends: Timestamp,
}

/// Takes the right to renew what a session holds.
#[derive(Clone, Copy, Debug)]
pub struct TakeRenewal {
    /// The session.
    pub id: SessionId,
    /// The number that was seen.
    pub fence: i64,
    /// Whether to take it from somebody who has been at it for too long.
    pub anyway: bool,
}

/// Keeps what a renewal brought.
#[derive(Clone, Debug)]
pub struct KeepRenewed {
    /// The session.
    pub id: SessionId,
    /// The number that was taken.
    pub fence: i64,
    /// What it now holds, sealed.
    pub held: Vec<u8>,
}

/// Lets go of the right to renew, where nothing came of it.
#[derive(Clone, Copy, Debug)]
pub struct LetGoRenewal {
    /// The session.
    pub id: SessionId,
    /// The number that was taken.
    pub fence: i64,
}

/// Ends a session.
#[derive(Clone, Copy, Debug)]
pub struct EndBrowserSession {
    /// The session.
    pub id: SessionId,
}

/// Ends what belongs to a session of the issuer.
#[derive(Clone, Copy, Debug)]
pub struct EndOfIssuerSession {
    /// The digest of its name.
    pub issuer_session: Digest,
}

/// Ends every session of a person who signed in before a time.
#[derive(Clone, Copy, Debug)]
pub struct EndBrowserSessionsOf {
    /// The slot of the person.
    pub slot: Slot,
    /// The digest of who it is.
    pub subject: Digest,
    /// The time, by the issuer's clock.
    pub before: Timestamp,
}

/// Claims the job of forgetting sessions, or claims it again.
#[derive(Clone, Copy, Debug)]
pub struct ClaimBrowserSessions {
    /// For how long, by the database's clock.
    pub span: Duration,
    /// The time as far as this gateway is sure of it.
    pub now: Timestamp,
}

/// Forgets up to `limit` sessions that ran out a day ago, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct PurgeBrowserSessions {
    /// The time.
    pub now: Timestamp,
    /// At most how many.
    pub limit: u32,
}

statements! {
    // Stores that never had a gateway have no such job.
    ENTER_JOB = "INSERT INTO job (name, holder, token, until, high_water)
        VALUES (?1, 0, 0, 0, 0) ON CONFLICT DO NOTHING";
    OPEN = "INSERT INTO browser_session (slot, id, secret, subject, issuer_session, held,
            generation, fence, renewing, created, seen, idle_ends, absolute_ends)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0, ?7, ?8, ?9, ?10)";
    REPLACE = "DELETE FROM browser_session WHERE slot = ?1 AND id = ?2 AND secret = ?3";
    FIND = "SELECT id, secret, held, generation, fence, renewing, seen, idle_ends, absolute_ends
        FROM browser_session WHERE slot = ?1 AND id = ?2 AND idle_ends > ?3";
    TOUCH = "UPDATE browser_session SET seen = ?3, idle_ends = {least}(?4, absolute_ends)
        WHERE slot = ?1 AND id = ?2 AND idle_ends > ?3 AND seen <= ?5";
    TAKE = "UPDATE browser_session SET fence = fence + 1, renewing = 1
        WHERE slot = ?1 AND id = ?2 AND fence = ?3 AND renewing <= ?4 RETURNING fence";
    KEEP = "UPDATE browser_session SET held = ?4, generation = generation + 1, renewing = 0
        WHERE slot = ?1 AND id = ?2 AND fence = ?3 AND renewing = 1";
    LET_GO = "UPDATE browser_session SET renewing = 0
        WHERE slot = ?1 AND id = ?2 AND fence = ?3";
    END = "DELETE FROM browser_session WHERE slot = ?1 AND id = ?2";
    END_OF_ISSUER = "DELETE FROM browser_session WHERE issuer_session = ?1";
    END_OF_SUBJECT = "DELETE FROM browser_session {by_subject}
        WHERE slot = ?1 AND subject = ?2 AND created < ?3";
}

impl Act for OpenBrowserSession {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if let Some((old, secret)) = &self.replaces {
            tx.run(&REPLACE, binds![old.slot(), old, secret]).await?;
        }
        let issuer_session = self.issuer_session.as_ref();
        let binds = binds![
            self.id.slot(),
            &self.id,
            &self.secret,
            &self.subject,
            issuer_session.map(|own| own.as_bytes().as_slice()),
            &self.held,
            self.signed_in,
            self.now,
            self.idle_ends.min(self.absolute_ends),
            self.absolute_ends,
        ];
        tx.run(&OPEN, binds).await?;
        Ok(())
    }
}

impl Act for FindBrowserSession {
    type Out = Option<BrowserSession>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<BrowserSession>, Fault> {
        let binds = binds![self.id.slot(), &self.id, self.now];
        let Some(row) = tx.one(&FIND, binds).await? else {
            return Ok(None);
        };
        Ok(Some(BrowserSession {
            id: row.id(0)?,
            secret: row.digest(1)?,
            held: row.bytes(2)?.to_vec(),
            generation: row.number(3)?,
            fence: row.number(4)?,
            is_renewing: row.number(5)? != 0,
            seen: row.time(6)?,
            idle_ends: row.time(7)?,
            absolute_ends: row.time(8)?,
        }))
    }
}

impl Act for TouchBrowserSession {
    type Out = ();
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let binds = binds![
            self.id.slot(),
            &self.id,
            self.now,
            self.idle_ends,
            self.now - MINUTE
        ];
        tx.run(&TOUCH, binds).await?;
        Ok(())
    }
}

impl Act for TakeRenewal {
    /// The number that was taken; nothing where somebody else was first.
    type Out = Option<i64>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<i64>, Fault> {
        let binds = binds![self.id.slot(), &self.id, self.fence, self.anyway];
        let row = tx.one(&TAKE, binds).await?;
        row.map(|row| row.number(0)).transpose()
    }
}

impl Act for KeepRenewed {
    /// Whether the number was still the last one.
    type Out = bool;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        let binds = binds![self.id.slot(), &self.id, self.fence, &self.held];
        Ok(tx.run(&KEEP, binds).await? > 0)
    }
}

impl Act for LetGoRenewal {
    type Out = ();
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let binds = binds![self.id.slot(), &self.id, self.fence];
        tx.run(&LET_GO, binds).await?;
        Ok(())
    }
}

impl Act for EndBrowserSession {
    /// Whether there was one.
    type Out = bool;
    const SINGLE: bool = true;
    const FREES: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        Ok(tx.run(&END, binds![self.id.slot(), &self.id]).await? > 0)
    }
}

impl Act for EndOfIssuerSession {
    /// How many ended.
    type Out = u64;
    const SINGLE: bool = true;
    const FREES: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, Fault> {
        tx.run(&END_OF_ISSUER, binds![&self.issuer_session]).await
    }
}

impl Act for EndBrowserSessionsOf {
    /// How many ended.
    type Out = u64;
    const SINGLE: bool = true;
    const FREES: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, Fault> {
        let binds = binds![self.slot, &self.subject, self.before];
        tx.run(&END_OF_SUBJECT, binds).await
    }
}

impl Act for ClaimBrowserSessions {
    /// The lease, unless another gateway holds the job.
    type Out = Option<Lease>;
    const FREES: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Lease>, Fault> {
        let claim = ClaimJob {
            name: JOB,
            span: self.span,
            now: self.now,
        };
        tx.run(&ENTER_JOB, binds![claim.name]).await?;
        claim.run(tx).await
    }
}

impl Act for PurgeBrowserSessions {
    /// How many were forgotten.
    type Out = u64;
    const SINGLE: bool = true;
    const FREES: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, Fault> {
        let binds = binds![self.now - DAY, self.limit];
        tx.run(&BROWSER_SESSIONS, binds).await
    }
}
