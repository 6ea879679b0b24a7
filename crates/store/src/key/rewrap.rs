//! Another master key: every key is sealed anew, all of them in one commit, so
//! that whoever is killed meanwhile has changed nothing.

use symbolon_protocol::Timestamp;
use symbolon_token::Digest;

use super::{ALL, MASTER_KEY, lock, read};
use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::fault::Fault;
use crate::feed;
use crate::statement::statements;

/// A key as it is sealed, and as it will be.
#[derive(Clone, Debug)]
pub struct Wrapped {
    /// The key.
    pub id: String,
    /// How it was sealed when it was read.
    pub before: Vec<u8>,
    /// How it is sealed under the new master key.
    pub after: Vec<u8>,
}

/// Puts a new master key in the place of the old one.
#[derive(Clone, Debug)]
pub struct RewrapKeys {
    /// Every key that holds something sealed.
    pub keys: Vec<Wrapped>,
    /// The fingerprint of the old master key.
    pub from: Digest,
    /// The fingerprint of the new one.
    pub to: Digest,
    /// The time.
    pub now: Timestamp,
    /// What to write down.
    pub audit: AuditEvent,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrapped {
    /// All keys are sealed under the new master key.
    Done,
    /// The keys, or the master key, changed since they were read; nothing was
    /// changed.
    Changed,
}

statements! {
    SEAL = "UPDATE working_key SET sealed = ?3 WHERE id = ?1 AND sealed = ?2";
    NAME = "UPDATE meta SET value = ?2 WHERE name = ?1";
}

impl Act for RewrapKeys {
    type Out = Rewrapped;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Rewrapped, Fault> {
        if !lock(tx, &self.from).await? {
            return Ok(Rewrapped::Changed);
        }
        let mut sealed = tx.all(&ALL, &[], read).await?;
        sealed.retain(|key| !key.sealed.is_empty());
        let same = |key: &super::WorkingKey| {
            let own = self.keys.iter().find(|own| own.id == key.id);
            own.is_some_and(|own| own.before == key.sealed)
        };
        if sealed.len() != self.keys.len() || !sealed.iter().all(same) {
            return Ok(Rewrapped::Changed);
        }
        for key in &self.keys {
            let binds = binds![&key.id, &key.before, &key.after];
            if tx.run(&SEAL, binds).await? == 0 {
                return Err(Fault::broken("a key changed under its lock"));
            }
        }
        tx.run(&NAME, binds![MASTER_KEY, &self.to]).await?;
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        Ok(Rewrapped::Done)
    }
}
