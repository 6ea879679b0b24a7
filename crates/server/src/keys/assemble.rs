//! From the stored keys to what requests work with.

use std::sync::Arc;

use serde_json::Value;
use symbolon_protocol::Timestamp;
use symbolon_store::{KeyState, WorkingKey};
use symbolon_token::jose::{KeySet, SigningKey};
use symbolon_token::keyring::{Keys, WorkingSecret};
use symbolon_token::{Keyring, MasterKey, Secret};

use super::master::Masters;
use super::policy::KeyPurpose;
use super::{KeysError, LoadedKeys};
use crate::settings::KeySettings;

/// Opens what is needed and publishes what has to be known. A key that signs
/// no more is here by its public half alone.
pub(super) fn assemble(
    masters: &Masters,
    master: MasterKey,
    stored: Vec<WorkingKey>,
    settings: &KeySettings,
) -> Result<LoadedKeys, KeysError> {
    let mut keys = Keys::default();
    let mut sets = Sets::default();
    let mut feed = FeedKeys::default();
    #[cfg(feature = "saml")]
    let mut certified = Vec::new();
    for row in &stored {
        let unusable = || KeysError::Unusable(row.id.clone());
        // A key of a purpose that this version does not know is left alone.
        let Some(purpose) = KeyPurpose::named(&row.purpose) else {
            continue;
        };
        match purpose {
            KeyPurpose::Working(purpose) if row.state.is_believed() => {
                let secret = masters.open(row).ok_or_else(unusable)?;
                let secret = working(row, &secret).ok_or_else(unusable)?;
                match row.state {
                    KeyState::Active => keys.secrets.push((purpose, secret)),
                    _ => keys.opening.push((purpose, secret)),
                }
            }
            KeyPurpose::Working(_) => {}
            KeyPurpose::Feed => feed.add(masters, row).ok_or_else(unusable)?,
            KeyPurpose::Signing(algorithm) => {
                if row.state == KeyState::Active {
                    let secret = masters.open(row).ok_or_else(unusable)?;
                    let key = SigningKey::from_pkcs8(algorithm, &secret).map_err(|_| unusable())?;
                    let is_off = algorithm.is_experimental() && !settings.experimental_ml_dsa;
                    keys.signing.extend((!is_off).then(|| Arc::new(key)));
                }
                #[cfg(feature = "saml")]
                if algorithm == symbolon_protocol::SigningAlgorithm::Rs256
                    && matches!(row.state, KeyState::Active | KeyState::Next)
                {
                    let secret = masters.open(row).ok_or_else(unusable)?;
                    let key = SigningKey::from_pkcs8(algorithm, &secret).map_err(|_| unusable())?;
                    let place = match row.state {
                        KeyState::Active => 0,
                        _ => certified.len(),
                    };
                    certified.insert(place, Arc::new(key));
                }
                sets.add(row, algorithm.is_experimental())
                    .ok_or_else(unusable)?;
            }
        }
    }
    let ring = Keyring::new(keys).map_err(|missing| KeysError::Unusable(missing.to_string()))?;
    let set = |keys: &[&Value]| {
        KeySet::parse(document(keys).as_bytes())
            .map(Arc::new)
            .map_err(|_| KeysError::Unusable("key set".to_owned()))
    };
    let published: Vec<&Value> = sets.published.iter().collect();
    let experimental: Vec<&Value> = sets.experimental.iter().collect();
    let own = [&published[..], &experimental[..]].concat();
    sets.kept
        .sort_by_key(|(created, _)| std::cmp::Reverse(*created));
    let kept = sets.kept.iter().map(|(_, key)| key).collect::<Vec<_>>();
    let feed_document = document(&feed.published.iter().collect::<Vec<_>>()).into();
    let missing = || KeysError::Unusable("feed".to_owned());
    Ok(LoadedKeys {
        feed: feed.active.ok_or_else(missing)?,
        feed_document,
        ring: Arc::new(ring),
        own: set(&own)?,
        hints: set(&newest(&[&published[..], &kept[..]].concat()))?,
        document: document(&published).into(),
        experimental: settings
            .experimental_ml_dsa
            .then(|| document(&experimental).into()),
        #[cfg(feature = "saml")]
        certified,
        master,
        stored,
    })
}

/// The keys of the revocation feed: a set of their own, so that nobody who
/// checks tokens by the other takes one of these.
#[derive(Default)]
struct FeedKeys {
    active: Option<Arc<SigningKey>>,
    published: Vec<Value>,
}

impl FeedKeys {
    fn add(&mut self, masters: &Masters, row: &WorkingKey) -> Option<()> {
        if !row.state.is_believed() {
            return Some(());
        }
        if row.state == KeyState::Active {
            let algorithm = KeyPurpose::Feed.algorithm()?;
            let key = SigningKey::from_pkcs8(algorithm, &masters.open(row)?).ok()?;
            self.active = Some(Arc::new(key));
        }
        let public = serde_json::from_slice(row.public.as_deref()?).ok()?;
        self.published.push(public);
        Some(())
    }
}

/// Public halves by who may see them.
#[derive(Default)]
struct Sets {
    published: Vec<Value>,
    experimental: Vec<Value>,
    kept: Vec<(Timestamp, Value)>,
}

impl Sets {
    fn add(&mut self, row: &WorkingKey, is_experimental: bool) -> Option<()> {
        if row.state == KeyState::Distrusted {
            return Some(());
        }
        let public = serde_json::from_slice(row.public.as_deref()?).ok()?;
        match row.state {
            KeyState::Retired => self.kept.push((row.created, public)),
            _ if is_experimental => self.experimental.push(public),
            _ => self.published.push(public),
        }
        Some(())
    }
}

/// As many as a set may have: the published ones, then the newest of those
/// that are kept.
fn newest<'a>(keys: &[&'a Value]) -> Vec<&'a Value> {
    keys.iter().copied().take(MAX_HINT_KEYS).collect()
}

const MAX_HINT_KEYS: usize = 64;

fn document(keys: &[&Value]) -> String {
    serde_json::json!({ "keys": keys }).to_string()
}

/// A working secret, whose number stands at the end of its id.
fn working(row: &WorkingKey, secret: &Secret) -> Option<WorkingSecret> {
    let (_, number) = row.id.rsplit_once(':')?;
    WorkingSecret::from_secret(number.parse().ok()?, secret)
}
