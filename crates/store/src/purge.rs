//! Forgets what can hit nothing and help nobody any more, in bounded batches.

use symbolon_protocol::{Timestamp, planted};

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::revocation::APART;
use crate::spent::{DAY, day};
use crate::statement::statements;

/// Forgets up to `limit` rows of each kind at once: where nobody else works.
#[derive(Clone, Copy, Debug)]
pub struct PurgeExpired {
    /// The time.
    pub now: Timestamp,
    /// At most how many of each.
    pub limit: u32,
}

/// Forgets up to `limit` rows of one kind, so that no row is locked while
/// another kind is looked through.
#[derive(Clone, Copy, Debug)]
pub struct PurgeKind {
    /// The kind.
    pub kind: Expired,
    /// The time.
    pub now: Timestamp,
    /// At most how many.
    pub limit: u32,
}

/// A kind of what expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// Revocations.
    Revocation,
    /// Uses of single-use things.
    Spent,
    /// Families past their absolute end, which are ended: they stay a while.
    FamilyToEnd,
    /// Families that ended, with their authorities.
    Family,
    /// Sessions that ended. Those past their end go with those that are idle.
    Session,
    /// Grants that were withdrawn.
    Grant,
    /// Counters.
    Attempt,
    /// Discharges.
    Discharge,
    /// Waiting devices.
    Device,
    /// Places in status lists.
    Status,
    /// API keys that ran out, which are taken back: they stay a while.
    ApiKeyToEnd,
    /// API keys that were taken back, with their digests.
    ApiKey,
    /// Sessions of browsers.
    BrowserSession,
}

impl PurgeExpired {
    /// Every kind: what ran out is ended before what has ended goes.
    pub const KINDS: [Expired; 13] = [
        Expired::Revocation,
        Expired::Spent,
        Expired::FamilyToEnd,
        Expired::Family,
        Expired::Session,
        Expired::Grant,
        Expired::Attempt,
        Expired::Discharge,
        Expired::Device,
        Expired::Status,
        Expired::ApiKeyToEnd,
        Expired::ApiKey,
        Expired::BrowserSession,
    ];

    /// The same of one kind alone.
    pub const fn of(self, kind: Expired) -> PurgeKind {
        let Self { now, limit } = self;
        PurgeKind { kind, now, limit }
    }
}

/// How far the clocks of nodes, and what callers allow for, may be apart, and
/// how far a clock may jump ahead without anything being forgotten that it then
/// comes back to: a day and an hour.
const MARGIN: i64 = 25 * 60 * 60 * 1000;

/// How long an API key that ended is still shown.
const KEYS_SHOWN: i64 = 30 * 24 * 60 * 60 * 1000;

/// The first day of which what was used up is remembered.
pub(crate) fn first_day(now: Timestamp) -> i64 {
    let margin = if planted(15) { -DAY } else { MARGIN };
    day(Timestamp::from_millis(now.millis().saturating_sub(margin)))
}

/// How many rows were forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Revocations whose last token has expired.
    pub revocations: u64,
    /// Uses of what expired on the day before yesterday, or earlier.
    pub spent: u64,
    /// Families that ended, or were past their absolute end, a day ago.
    pub families: u64,
    /// Sessions, likewise.
    pub sessions: u64,
    /// Grants that were withdrawn a day ago.
    pub grants: u64,
    /// Counters whose window was over a day ago.
    pub attempts: u64,
    /// Discharges that nobody waited for any more a day ago.
    pub discharges: u64,
    /// Devices that stopped waiting a day ago.
    pub devices: u64,
    /// Places in status lists of tokens that expired a day ago.
    pub statuses: u64,
    /// API keys that ended, or were taken back, a month ago.
    pub api_keys: u64,
    /// Sessions of browsers that ran out a day ago.
    pub browser_sessions: u64,
}

impl Purged {
    /// All of them together. Where it is a multiple of the limit, there may be more.
    pub const fn total(&self) -> u64 {
        self.revocations
            + self.spent
            + self.families
            + self.sessions
            + self.grants
            + self.attempts
            + self.discharges
            + self.devices
            + self.statuses
            + self.api_keys
            + self.browser_sessions
    }

    const fn add(&mut self, rows: u64, of: Expired) {
        let own = match of {
            Expired::Revocation => &mut self.revocations,
            Expired::Spent => &mut self.spent,
            Expired::Family => &mut self.families,
            Expired::Session => &mut self.sessions,
            Expired::Grant => &mut self.grants,
            Expired::Attempt => &mut self.attempts,
            Expired::Discharge => &mut self.discharges,
            Expired::Device => &mut self.devices,
            Expired::Status => &mut self.statuses,
            Expired::ApiKey => &mut self.api_keys,
            Expired::BrowserSession => &mut self.browser_sessions,
            // They are still there.
            Expired::FamilyToEnd | Expired::ApiKeyToEnd => return,
        };
        *own += rows;
    }
}

statements! {
    REVOCATIONS = "DELETE FROM revocation WHERE (kind, target) IN
        (SELECT kind, target FROM revocation WHERE expires <= ?1 ORDER BY expires LIMIT ?2)";
    SPENT = "DELETE FROM spent WHERE (day, slot, kind, key) IN
        (SELECT day, slot, kind, key FROM spent WHERE day < ?1 ORDER BY day LIMIT ?2)";
    AUTHORITIES = "DELETE FROM family_authority WHERE (slot, id) IN
        (SELECT slot, id FROM family WHERE ended <= ?1 ORDER BY ended, slot, id LIMIT ?2)";
    FAMILIES = "DELETE FROM family WHERE (slot, id) IN
        (SELECT slot, id FROM family WHERE ended <= ?1 ORDER BY ended, slot, id LIMIT ?2)";
    // What ran out is ended first; the day that follows lets late comers be
    // told so.
    END_FAMILIES = "UPDATE family SET ended = absolute_ends WHERE (slot, id) IN
        (SELECT slot, id FROM family WHERE absolute_ends <= ?1 AND ended IS NULL
            ORDER BY absolute_ends, slot, id LIMIT ?2)";
    SESSIONS = "DELETE FROM session WHERE (slot, id) IN
        (SELECT slot, id FROM session WHERE ended <= ?1 ORDER BY ended, slot, id LIMIT ?2)";
    GRANTS = "DELETE FROM grants WHERE (slot, id) IN
        (SELECT slot, id FROM grants WHERE withdrawn <= ?1 ORDER BY withdrawn LIMIT ?2)";
    ATTEMPTS = "DELETE FROM attempt WHERE name IN
        (SELECT name FROM attempt WHERE ends <= ?1 ORDER BY ends LIMIT ?2)";
    DEVICES = "DELETE FROM device_authorization WHERE (slot, id) IN
        (SELECT slot, id FROM device_authorization WHERE expires <= ?1
            ORDER BY expires, slot, id LIMIT ?2)";
    STATUSES = "DELETE FROM status_entry WHERE (list, place) IN
        (SELECT list, place FROM status_entry WHERE expires <= ?1
            ORDER BY expires, list, place LIMIT ?2)";
    KEY_DIGESTS = "DELETE FROM api_key_digest WHERE (slot, id) IN
        (SELECT slot, id FROM api_key WHERE revoked <= ?1 ORDER BY revoked, slot, id LIMIT ?2)";
    API_KEYS = "DELETE FROM api_key WHERE (slot, id) IN
        (SELECT slot, id FROM api_key WHERE revoked <= ?1 ORDER BY revoked, slot, id LIMIT ?2)";
    // What ran out is taken back first; the month that follows lets whoever
    // asks see what became of it. The sign keeps an engine from taking the index
    // of what was taken back, and with it every key that lives.
    END_KEYS = "UPDATE api_key SET revoked = expires WHERE (slot, id) IN
        (SELECT slot, id FROM api_key WHERE expires <= ?1 AND +revoked IS NULL
            ORDER BY expires, slot, id LIMIT ?2)";
    BROWSER_SESSIONS = "DELETE FROM browser_session WHERE (slot, id) IN
        (SELECT slot, id FROM browser_session WHERE idle_ends <= ?1
            ORDER BY idle_ends, slot, id LIMIT ?2)";
    DISCHARGES = "DELETE FROM discharge WHERE (slot, id) IN
        (SELECT slot, id FROM discharge WHERE expires <= ?1 ORDER BY expires, slot, id LIMIT ?2)";
}

impl Act for PurgeExpired {
    type Out = Purged;
    const FREES: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Purged, Fault> {
        let mut purged = Purged::default();
        for kind in Self::KINDS {
            let rows = self.of(kind).run(tx).await?;
            purged.add(rows, kind);
        }
        Ok(purged)
    }
}

impl Act for PurgeKind {
    /// How many rows there were: where it is the limit, there may be more.
    type Out = u64;
    const FREES: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, Fault> {
        let limit = self.limit;
        let ago = |span: i64| Timestamp::from_millis(self.now.millis().saturating_sub(span));
        let before = binds![ago(DAY), limit];
        let month = binds![ago(KEYS_SHOWN), limit];
        match self.kind {
            Expired::Revocation => {
                let over = match planted(16) {
                    true => Timestamp::FAR,
                    // Whoever checks may take a token for so long after its end.
                    false => self.now - APART,
                };
                tx.run(&REVOCATIONS, binds![over, limit]).await
            }
            // Another node's clock may say an earlier day, and a caller's skew
            // adds to it: what was used is remembered until nobody can take it
            // again.
            Expired::Spent => tx.run(&SPENT, binds![first_day(self.now), limit]).await,
            Expired::FamilyToEnd => tx.run(&END_FAMILIES, before).await,
            // The same rows by the same order, the authority before the row
            // that names it.
            Expired::Family => {
                tx.run(&AUTHORITIES, before).await?;
                tx.run(&FAMILIES, before).await
            }
            Expired::Session => tx.run(&SESSIONS, before).await,
            Expired::Grant => tx.run(&GRANTS, before).await,
            Expired::Attempt => tx.run(&ATTEMPTS, before).await,
            Expired::Discharge => tx.run(&DISCHARGES, before).await,
            // A device that comes late is told that it is late, and not that
            // nobody knows it.
            Expired::Device => tx.run(&DEVICES, before).await,
            Expired::Status => tx.run(&STATUSES, before).await,
            Expired::ApiKeyToEnd => tx.run(&END_KEYS, before).await,
            Expired::ApiKey => {
                tx.run(&KEY_DIGESTS, month).await?;
                tx.run(&API_KEYS, month).await
            }
            Expired::BrowserSession => tx.run(&BROWSER_SESSIONS, before).await,
        }
    }
}
