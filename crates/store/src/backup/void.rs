//! A new epoch: what a restored store no longer vouches for.
//!
//! A backup knows nothing of what was taken back after it was made. So nothing
//! that could have been is let live: tokens and codes die by the epoch that
//! they carry, and families, sessions, grants and waiting devices end. API keys
//! stay and are disabled, until an administrator enables those that were not
//! taken back since, and trusted issuers stay and are distrusted: the key of one
//! may have been stolen since. Status lists begin anew: a verifier that asks for
//! an older one gets none, whatever tokens it was of. Messages that waited may
//! have been taken since, and contradicted: they are dead letters, for a person
//! to decide. People, clients, resources and organizations stay. Keys that make
//! tokens are replaced, because one of them may have been distrusted since.
//!
//! Spec: RFC 9700 §4.14.2

use std::time::Duration;

use serde_json::json;
use symbolon_protocol::Timestamp;

use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::fault::Fault;
use crate::key::{self, KeyState, WorkingKey};
use crate::outbox::{self, KEPT_DEAD};
use crate::statement::statements;
use crate::status_list;

/// How long the public halves of replaced signing keys are kept, for logout
/// hints alone.
pub const RENEWED_FOR: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Begins a new epoch.
#[derive(Clone, Debug)]
pub struct NewEpoch {
    /// The keys that take over, of each purpose the active one before the next.
    pub keys: Vec<WorkingKey>,
    /// The epoch is later than this one, too.
    pub later_than: i64,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

statements! {
    EPOCH = "UPDATE feed_head SET epoch = {greatest}(epoch + 1, ?1),
            configuration = {greatest}(configuration + 1, {began}), people = 0, time = {greatest}(time, ?2)
        WHERE one = 1 RETURNING epoch";
    FAMILIES = "UPDATE family SET ended = ?1 WHERE ended IS NULL";
    SESSIONS = "UPDATE session SET ended = ?1 WHERE ended IS NULL";
    GRANTS = "UPDATE grants SET withdrawn = ?1 WHERE withdrawn IS NULL";
    API_KEYS = "UPDATE api_key SET enabled = 0, updated = ?1 WHERE revoked IS NULL";
    ISSUERS = "UPDATE trusted_issuer SET trusted = 0, updated = ?1 WHERE trusted = 1";
    DEVICES = "DELETE FROM device_authorization";
    DISCHARGES = "DELETE FROM discharge";
    BROWSER_SESSIONS = "DELETE FROM browser_session";
    MESSAGES = "UPDATE outbox SET state = 2, expires = ?1, reason = 'restored' WHERE state < 2";
    SIGNING = "UPDATE working_key SET state = 'retired', sealed = ?2, retires = ?3
        WHERE purpose = ?1 AND algorithm IS NOT NULL AND state IN ('next', 'active', 'retiring')";
    WORKING = "UPDATE working_key SET state = 'distrusted', sealed = ?2, retires = ?3
        WHERE purpose = ?1 AND algorithm IS NULL AND state <> 'distrusted'";
    LAST = "SELECT COALESCE(MAX(number), 0) FROM working_key WHERE purpose = ?1";
}

impl Act for NewEpoch {
    /// The epoch.
    type Out = i64;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<i64, Fault> {
        // Counting up would give the same epoch to two restores of one backup.
        let at_least = self.now.seconds().max(self.later_than.saturating_add(1));
        let head = tx.one(&EPOCH, binds![at_least, self.now]).await?;
        let head = head.ok_or_else(|| Fault::broken("the feed has no head"))?;
        let epoch = head.number(0)?;
        for end in [&FAMILIES, &SESSIONS, &GRANTS, &API_KEYS, &ISSUERS] {
            tx.run(end, binds![self.now]).await?;
        }
        tx.run(&DEVICES, &[]).await?;
        tx.run(&DISCHARGES, &[]).await?;
        tx.run(&BROWSER_SESSIONS, &[]).await?;
        status_list::begin_epoch(tx, epoch).await?;
        tx.run(&MESSAGES, binds![self.now + KEPT_DEAD]).await?;
        outbox::bound::relieve_all(tx).await?;
        self.renew_keys(tx).await?;
        let mut event = self.audit.clone();
        event.detail["epoch"] = json!(epoch);
        audit::write(tx, &event, self.now).await?;
        Ok(epoch)
    }
}

impl NewEpoch {
    async fn renew_keys(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        const ERASED: &[u8] = &[];
        let mut purposes: Vec<&str> = self.keys.iter().map(|key| &*key.purpose).collect();
        purposes.dedup();
        for purpose in purposes {
            let binds = binds![purpose, ERASED, self.now + RENEWED_FOR];
            tx.run(&SIGNING, binds).await?;
            tx.run(&WORKING, binds).await?;
            let last = tx.one(&LAST, binds![purpose]).await?;
            let last = last.map_or(Ok(0), |row| row.number(0))?;
            let own = self.keys.iter().filter(|key| key.purpose == purpose);
            for (number, key) in (last + 1..).zip(own) {
                let is_active = key.state == KeyState::Active;
                let key = WorkingKey {
                    number,
                    activated: is_active.then_some(self.now),
                    ..key.clone()
                };
                if !key::insert(tx, &key).await? {
                    return Err(Fault::broken("a new key has the name of another"));
                }
            }
        }
        Ok(())
    }
}
