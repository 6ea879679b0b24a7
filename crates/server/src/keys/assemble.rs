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
use super::{FeedKeys, KeysError, LoadedKeys};
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
    #[cfg(feature = "saml")]
    let mut assertions = super::assertions::AssertionKeys::default();
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
            #[cfg(feature = "saml")]
            KeyPurpose::SamlDecryption if settings.saml_decryption => {
                let taken = assertions.decrypt_with(masters, row);
                taken.ok_or_else(unusable)?;
            }
            KeyPurpose::Working(_) | KeyPurpose::Feed | KeyPurpose::SamlDecryption => {}
            KeyPurpose::Signing(algorithm) => {
                if row.state == KeyState::Active {
                    let secret = masters.open(row).ok_or_else(unusable)?;
                    let key = SigningKey::from_pkcs8(algorithm, &secret).map_err(|_| unusable())?;
                    let is_off = algorithm.is_experimental() && !settings.experimental_ml_dsa;
                    keys.signing.extend((!is_off).then(|| Arc::new(key)));
                }
                #[cfg(feature = "saml")]
                if algorithm == symbolon_protocol::SigningAlgorithm::Rs256 {
                    assertions.certify(masters, row).ok_or_else(unusable)?;
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
    Ok(LoadedKeys {
        feed: feed(masters, &stored)?,
        ring: Arc::new(ring),
        own: set(&own)?,
        hints: set(&newest(&[&published[..], &kept[..]].concat()))?,
        document: document(&published).into(),
        experimental: settings
            .experimental_ml_dsa
            .then(|| document(&experimental).into()),
        #[cfg(feature = "saml")]
        assertions,
        master,
        stored,
    })
}

/// The keys of the revocation feed: a set of their own, so that nobody who
/// checks tokens by the other takes one of these.
fn feed(masters: &Masters, stored: &[WorkingKey]) -> Result<FeedKeys, KeysError> {
    let name = KeyPurpose::Feed.to_string();
    let (mut active, mut published) = (None, Vec::new());
    let own = stored.iter().filter(|row| row.purpose == name);
    for row in own.filter(|row| row.state.is_believed()) {
        let unusable = || KeysError::Unusable(row.id.clone());
        if row.state == KeyState::Active {
            let secret = masters.open(row).ok_or_else(unusable)?;
            let algorithm = KeyPurpose::Feed.signs_under().ok_or_else(unusable)?;
            let key = SigningKey::from_pkcs8(algorithm, &secret).map_err(|_| unusable())?;
            active = Some(Arc::new(key));
        }
        let public = row.public.as_deref().ok_or_else(unusable)?;
        let public: Value = serde_json::from_slice(public).map_err(|_| unusable())?;
        published.push(public);
    }
    Ok(FeedKeys {
        active: active.ok_or(KeysError::Unusable(name))?,
        document: document(&published.iter().collect::<Vec<_>>()).into(),
    })
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
