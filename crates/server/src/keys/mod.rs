//! The working keys: read at start, made where there are none yet, changed as
//! their policy says or somebody asks, and followed by every node.
//!
//! 1. `policy` says which purposes there are and how their keys live.
//! 2. `master` wraps; `fresh` draws new keys and seals them.
//! 3. `assemble` makes of the stored keys what requests work with.
//! 4. `rotate` carries out what is due, `distrust` what cannot wait, `rewrap`
//!    another master key.
//!
//! Spec: RFC 7517 §5

mod assemble;
#[cfg(feature = "saml")]
mod assertions;
mod distrust;
mod fresh;
pub(crate) mod master;
#[cfg(feature = "pkcs11")]
mod pkcs11;
pub(crate) mod policy;
mod renew;
pub(crate) mod rewrap;
pub(crate) mod rotate;
#[cfg(test)]
mod tests;
mod uri;
#[cfg(feature = "pkcs11")]
mod worker;

use std::sync::Arc;

use symbolon_protocol::Timestamp;
use symbolon_store::{AllKeys, ClaimMeta, Fault, KeyState, MASTER_KEY, Store, WorkingKey};
use symbolon_token::jose::{KeySet, SigningKey};
use symbolon_token::{Digest, Entropy, Keyring, MasterKey};

pub(crate) use self::distrust::distrust;
pub use self::master::{Masters, master_key_from_file};
use self::policy::{Ages, KeyPurpose};
pub(crate) use self::renew::renewed;
pub use self::rewrap::{Outcome as RewrapOutcome, rewrap};
pub use self::uri::{InvalidUri, TokenUri};
use crate::settings::KeySettings;

/// Why there are no keys to work with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The master key cannot be read or made.
    #[error("could not read master key from `{path}`: {cause}")]
    File {
        /// Where it should be.
        path: String,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// What was read is no master key.
    #[error("the master key is not 64 random hexadecimal digits")]
    Malformed,
    /// The token that holds the master key cannot be used.
    #[error("could not use the PKCS#11 token: {0}")]
    Token(String),
    /// The database belongs to another master key.
    #[error("this database was made with another master key; give the one it was made with")]
    WrongMasterKey,
    /// The database belongs to a master key that is not where it should be.
    #[error(
        "there is no master key at `{0}`, and this database was made with another master key than a new one; give the one it was made with"
    )]
    NoMasterKey(String),
    /// The store could not do it.
    #[error("could not load keys: {0}")]
    Store(#[from] Fault),
    /// A stored key does not open or is not a key.
    #[error("stored key `{0}` does not open")]
    Unusable(String),
    /// A key could not be made.
    #[error("could not make a key for `{0}`")]
    NotMade(String),
}

/// Everything that keys are needed for.
pub struct LoadedKeys {
    /// The ring.
    pub ring: Arc<Keyring>,
    /// The public halves of all keys whose signatures count.
    pub own: Arc<KeySet>,
    /// The same, and those that are kept to recognise old ID tokens by.
    pub hints: Arc<KeySet>,
    /// The published key set, ready to be sent.
    pub document: Arc<str>,
    /// The keys of the revocation feed.
    pub(crate) feed: FeedKeys,
    /// The set of the experiment, where it is switched on.
    pub experimental: Option<Arc<str>>,
    /// The keys of assertions.
    #[cfg(feature = "saml")]
    pub(crate) assertions: assertions::AssertionKeys,
    /// The keys as they are stored.
    pub(crate) stored: Vec<WorkingKey>,
    /// The master key that the store is sealed under.
    pub(crate) master: MasterKey,
}

/// What heads of the revocation feed are signed by.
pub(crate) struct FeedKeys {
    /// The key that signs them now.
    pub(crate) active: Arc<SigningKey>,
    /// The published keys, ready to be sent.
    pub(crate) document: Arc<str>,
}

impl std::fmt::Debug for LoadedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LoadedKeys({})", self.stored.len())
    }
}

impl LoadedKeys {
    /// The fingerprint of the master key in use.
    pub(crate) fn fingerprint(&self) -> Digest {
        self.master.fingerprint()
    }

    /// Keys that were sealed anew under a master key which this node lacks, as
    /// it could open them before: their states count, so that what is distrusted
    /// is published and used no more. Those that are new are left out where
    /// they would have to be opened.
    fn sealed_before(&self, stored: Vec<WorkingKey>) -> Vec<WorkingKey> {
        tracing::error!(
            "the keys are sealed under another master key than this node has; restart it with that one"
        );
        let known = |mut key: WorkingKey| {
            if key.sealed.is_empty() {
                return Some(key);
            }
            let own = self.stored.iter().find(|own| own.id == key.id);
            key.sealed
                .clone_from(&own.filter(|own| !own.sealed.is_empty())?.sealed);
            Some(key)
        };
        stored.into_iter().filter_map(known).collect()
    }
}

/// A key as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its name.
    pub kid: String,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it was made.
    pub created: Timestamp,
    /// When it came into use; of a `next` key, when it will, where that is known.
    pub activated: Option<Timestamp>,
    /// When its state ends.
    pub ends: Option<Timestamp>,
}

/// The keys as people see them.
pub(crate) fn rows(loaded: &LoadedKeys, ages: &Ages) -> Vec<KeyRow> {
    let row = |key: &WorkingKey| {
        let purpose = KeyPurpose::named(&key.purpose)?;
        let activated = match key.state {
            KeyState::Next => rotate::takes_over(loaded, purpose, ages),
            _ => key.activated,
        };
        Some(KeyRow {
            kid: policy::kid(key).to_owned(),
            purpose,
            state: key.state,
            created: key.created,
            activated,
            ends: key.retires,
        })
    };
    loaded.stored.iter().filter_map(row).collect()
}

/// Loads all keys, making those that are missing. Two nodes that start at once
/// on an empty database end with the same keys: the store decides whose.
pub(crate) async fn load(
    store: &Store,
    masters: &Masters,
    settings: &KeySettings,
    edge: (Timestamp, &Arc<dyn Entropy>),
) -> Result<LoadedKeys, KeysError> {
    let claim = ClaimMeta {
        name: MASTER_KEY,
        value: masters.current.fingerprint().as_bytes().to_vec(),
    };
    store.act(claim).await?;
    rotate::make_missing(store, masters, settings, edge).await?;
    read(store, masters, settings).await
}

/// Reads the keys as they are stored now.
async fn read(
    store: &Store,
    masters: &Masters,
    settings: &KeySettings,
) -> Result<LoadedKeys, KeysError> {
    let (master, stored) = stored(store, masters).await?;
    assembled(masters, master, stored, settings).await
}

/// Reads the keys again; `None` where nothing about them has changed.
pub(crate) async fn read_changed(
    store: &Store,
    masters: &Masters,
    settings: &KeySettings,
    held: &LoadedKeys,
) -> Result<Option<LoadedKeys>, KeysError> {
    let (master, stored) = match stored(store, masters).await {
        Err(KeysError::WrongMasterKey) => {
            let stored = held.sealed_before(store.read(AllKeys).await?);
            (held.master.clone(), stored)
        }
        read => read?,
    };
    let same_master = held.fingerprint().matches(&master.fingerprint());
    if held.stored == stored && same_master {
        return Ok(None);
    }
    assembled(masters, master, stored, settings).await.map(Some)
}

/// A distant master key may take a while to answer, so no request waits on
/// the thread that asks it.
async fn assembled(
    masters: &Masters,
    master: MasterKey,
    stored: Vec<WorkingKey>,
    settings: &KeySettings,
) -> Result<LoadedKeys, KeysError> {
    let (masters, settings) = (masters.clone(), *settings);
    let work = move || assemble::assemble(&masters, master, stored, &settings);
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(KeysError::Unusable("the master key".to_owned())))
}

/// The master key first: whoever replaces it meanwhile says so in the version
/// that is followed, and all of this is read again.
async fn stored(
    store: &Store,
    masters: &Masters,
) -> Result<(MasterKey, Vec<WorkingKey>), KeysError> {
    Ok((masters.in_use(store).await?, store.read(AllKeys).await?))
}
