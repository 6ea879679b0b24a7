//! The keys of assertions: those that sign them, as certificates, and those
//! that partners encrypt to.
//!
//! Spec: SAML 2.0 Metadata Interoperability §2.5
//! Spec: XML Encryption §5.5.2

use std::sync::{Arc, OnceLock};

use symbolon_protocol::{SigningAlgorithm, Timestamp};
use symbolon_store::{KeyState, WorkingKey};
use symbolon_token::Secret;
use symbolon_token::jose::SigningKey;
use symbolon_token::saml::{Certificate, DecryptionKey};

use super::master::Masters;
use super::policy::{KeyPurpose, signing_id};
use crate::failure::Broken;

/// A certificate of a key has no date by which the key ends: that is decided,
/// and may change. The end is the one that stands for none (RFC 5280 §4.1.2.5).
const BEGINS: Timestamp = Timestamp::from_seconds(1_735_689_600);
const ENDS: Timestamp = Timestamp::from_seconds(253_402_300_799);

/// What keys do for assertions.
#[derive(Default)]
pub(crate) struct AssertionKeys {
    /// Those that sign, now or next, the active one first.
    certified: Vec<SigningKey>,
    /// Those that open what partners encrypt.
    decrypting: Vec<DecryptionKey>,
    /// The same, as they are handed out: now or next, the active one first.
    encrypted_to: Vec<Secret>,
    /// Both as certificates: a signature each, and the same ones each time.
    texts: [OnceLock<Arc<str>>; 2],
}

/// A new key to which partners encrypt: its id, its private half, and no
/// public one, since that is handed out as a certificate alone.
pub(super) fn draw(purpose: KeyPurpose, number: i64) -> Option<(String, Secret, Option<Vec<u8>>)> {
    let document = super::fresh::pair(purpose, number, || DecryptionKey::generate().ok())?;
    let named = SigningKey::from_pkcs8(SigningAlgorithm::Rs256, &document).ok()?;
    Some((signing_id(purpose, named.kid()), document, None))
}

impl AssertionKeys {
    /// Takes a stored key that signs.
    pub(super) fn certify(&mut self, masters: &Masters, row: &WorkingKey) -> Option<()> {
        if !matches!(row.state, KeyState::Active | KeyState::Next) {
            return Some(());
        }
        let secret = masters.open(row)?;
        let key = SigningKey::from_pkcs8(SigningAlgorithm::Rs256, &secret).ok()?;
        let place = place(row, self.certified.len());
        self.certified.insert(place, key);
        Some(())
    }

    /// Takes a stored key that opens.
    pub(super) fn decrypt_with(&mut self, masters: &Masters, row: &WorkingKey) -> Option<()> {
        if !row.state.is_believed() {
            return Some(());
        }
        let secret = masters.open(row)?;
        self.decrypting
            .push(DecryptionKey::from_pkcs8(&secret).ok()?);
        if row.state != KeyState::Retiring {
            let place = place(row, self.encrypted_to.len());
            self.encrypted_to.insert(place, secret);
        }
        Some(())
    }

    /// The keys that open what partners encrypt.
    pub(crate) fn decrypting(&self) -> &[DecryptionKey] {
        &self.decrypting
    }

    /// The certificates of the keys that sign, in PEM.
    pub(crate) fn signing_certificates(&self, name: &str) -> Result<Arc<str>, Broken> {
        let made = |key| Certificate::self_signed(key, name, BEGINS, ENDS).ok();
        kept(&self.texts[0], self.certified.iter().map(made))
    }

    /// The certificates of the keys to which partners encrypt, in PEM; nothing
    /// where there are none.
    pub(crate) fn encryption_certificates(&self, name: &str) -> Result<Arc<str>, Broken> {
        let made = |key| Certificate::for_encryption(key, name, BEGINS, ENDS).ok();
        kept(&self.texts[1], self.encrypted_to.iter().map(made))
    }
}

/// The active key comes first.
fn place(row: &WorkingKey, last: usize) -> usize {
    match row.state {
        KeyState::Active => 0,
        _ => last,
    }
}

/// The same bytes each time and on every node.
fn kept(
    text: &OnceLock<Arc<str>>,
    all: impl Iterator<Item = Option<Certificate>>,
) -> Result<Arc<str>, Broken> {
    if let Some(text) = text.get() {
        return Ok(Arc::clone(text));
    }
    let pem = all.map(|own| own.map(|own| own.to_pem()));
    let pem: Option<String> = pem.collect();
    let pem = pem.ok_or(Broken::Impossible("a certificate for an RSA key"))?;
    Ok(Arc::clone(text.get_or_init(|| pem.into())))
}
