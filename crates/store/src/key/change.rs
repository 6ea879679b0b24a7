//! The ordinary steps of a key's life.

use symbolon_protocol::Timestamp;
use symbolon_token::Digest;

use super::{KeyState, WorkingKey, insert, lock};
use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::fault::Fault;
use crate::feed;
use crate::statement::statements;

/// One step of one key. The statement that takes it decides whether this node
/// is the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// Writes a new key.
    Create(WorkingKey),
    /// Asks that a `next` key be used as soon as it may.
    Ask {
        /// The key.
        id: String,
        /// When that was asked.
        at: Timestamp,
    },
    /// A `next` key makes what is new from now on.
    Activate {
        /// The key.
        id: String,
    },
    /// An `active` key makes nothing any more. The private half of a signing
    /// key is erased.
    Replace {
        /// The key.
        id: String,
        /// Until when it is believed.
        until: Option<Timestamp>,
    },
    /// A `retiring` key is published no more.
    Retire {
        /// The key.
        id: String,
        /// Until when its public half is kept.
        until: Timestamp,
    },
    /// A key that is in the last part of its life is deleted.
    Forget {
        /// The key.
        id: String,
        /// The state that it is in.
        state: KeyState,
    },
}

/// Carries out steps that belong together.
#[derive(Clone, Debug)]
pub struct ChangeKeys {
    /// The steps, the one that decides first, each with what to write down.
    pub changes: Vec<(KeyChange, AuditEvent)>,
    /// The fingerprint of the master key that new keys are sealed under.
    pub master: Digest,
    /// The time.
    pub now: Timestamp,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It was done.
    Done,
    /// Another node was first; nothing was changed.
    Before,
    /// Another master key is in use; nothing was changed.
    OtherMaster,
}

statements! {
    ASK = "UPDATE working_key SET activated = ?2
        WHERE id = ?1 AND state = 'next' AND activated IS NULL";
    ACTIVATE = "UPDATE working_key SET state = 'active', activated = ?2
        WHERE id = ?1 AND state = 'next'";
    REPLACE = "UPDATE working_key SET state = 'retiring', retires = ?2,
            sealed = CASE WHEN algorithm IS NULL THEN sealed ELSE ?3 END
        WHERE id = ?1 AND state = 'active'";
    RETIRE = "UPDATE working_key SET state = 'retired', retires = ?2, sealed = ?3
        WHERE id = ?1 AND state = 'retiring'";
    FORGET = "DELETE FROM working_key WHERE id = ?1 AND state = ?2";
}

impl ChangeKeys {
    async fn take(&self, tx: &mut Tx<'_>, change: &KeyChange) -> Result<bool, Fault> {
        const ERASED: &[u8] = &[];
        let changed = match change {
            KeyChange::Create(key) => return insert(tx, key).await,
            KeyChange::Ask { id, at } => tx.run(&ASK, binds![id, *at]).await?,
            KeyChange::Activate { id } => tx.run(&ACTIVATE, binds![id, self.now]).await?,
            KeyChange::Replace { id, until } => {
                tx.run(&REPLACE, binds![id, *until, ERASED]).await?
            }
            KeyChange::Retire { id, until } => tx.run(&RETIRE, binds![id, *until, ERASED]).await?,
            KeyChange::Forget { id, state } => tx.run(&FORGET, binds![id, state.as_str()]).await?,
        };
        Ok(changed > 0)
    }
}

impl Act for ChangeKeys {
    type Out = Changed;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Changed, Fault> {
        if !lock(tx, &self.master).await? {
            return Ok(Changed::OtherMaster);
        }
        for (at, (change, event)) in self.changes.iter().enumerate() {
            match self.take(tx, change).await? {
                true => audit::write(tx, event, self.now).await?,
                false if at == 0 => return Ok(Changed::Before),
                // The first step held the lock and won, so this is no race.
                false => return Err(Fault::broken("a key is not where its plan has it")),
            }
        }
        feed::bump_configuration(tx).await?;
        Ok(Changed::Done)
    }
}
