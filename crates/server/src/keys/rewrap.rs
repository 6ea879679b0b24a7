//! Another master key: opens every key with the old one and seals it under the
//! new one, in one commit.
//!
//! Whoever is killed meanwhile has changed nothing, and runs it again.

use symbolon_protocol::Timestamp;
use symbolon_store::{AllKeys, AuditEvent, RewrapKeys, Rewrapped, Store, WorkingKey, Wrapped};
use symbolon_token::{Entropy, MasterKey};

use super::{KeysError, Masters};

/// How often it begins again because a key changed meanwhile.
const MAX_ATTEMPTS: usize = 5;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// So many keys are sealed under the new master key now.
    Done(usize),
    /// They were before.
    Already,
}

/// Seals every key under the current master key.
pub async fn rewrap(
    store: &Store,
    masters: &Masters,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Outcome, KeysError> {
    let to = &masters.current;
    for _ in 0..MAX_ATTEMPTS {
        let from = masters.in_use(store).await?;
        if from.fingerprint().matches(&to.fingerprint()) {
            return Ok(Outcome::Already);
        }
        let stored = store.read(AllKeys).await?;
        let sealed = stored.iter().filter(|key| !key.sealed.is_empty());
        let keys = sealed
            .map(|key| again(masters, to, key, entropy))
            .collect::<Result<Vec<_>, _>>()?;
        let count = keys.len();
        let mut audit = AuditEvent::new("key.rewrap", "administrator");
        audit.detail = serde_json::json!({ "keys": count });
        let act = RewrapKeys {
            keys,
            from: from.fingerprint(),
            to: to.fingerprint(),
            now,
            audit,
        };
        if store.act(act).await? == Rewrapped::Done {
            return Ok(Outcome::Done(count));
        }
    }
    Err(KeysError::Unusable(
        "the keys change faster than they are wrapped".to_owned(),
    ))
}

fn again(
    masters: &Masters,
    to: &MasterKey,
    key: &WorkingKey,
    entropy: &dyn Entropy,
) -> Result<Wrapped, KeysError> {
    let unusable = || KeysError::Unusable(key.id.clone());
    let secret = masters.open(key).ok_or_else(unusable)?;
    let after = to.wrap(&key.id, &secret, entropy);
    Ok(Wrapped {
        id: key.id.clone(),
        before: key.sealed.clone(),
        after: after.map_err(|_| unusable())?,
    })
}
