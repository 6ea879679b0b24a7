//! Encrypted tokens that the server itself can read again, so that they can be
//! introspected, taken back and shown at userinfo although their reader alone
//! has the private key.
//!
//! Nothing is stored, and the token looks like any other:
//!
//! 1. Where both parties agree upon a key, the shared secret stands sealed in
//!    the header, as the producer's name.
//! 2. Where RSA wraps the content's key, that is not random but derived from a
//!    working key of the server and what stands in the open: the header and the
//!    first half of the initialization vector, its salt. The wrapped key itself
//!    is the reader's alone; the second half of the vector is a MAC over it, by
//!    which the server sees that it was changed.
//!
//! Spec: RFC 7518 §4.6.1.2
//! Spec: RFC 5869 §2.3
//! Spec: NIST SP 800-38D §8.2.2

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use symbolon_protocol::{ContentEncryption, KeyManagement};

use super::Content;
use super::agree::{self, Purpose};
use super::content::{ContentKey, key_length};
use super::key::{EncryptionKey, Unencryptable};
use super::read::{Parts, key_by};
use crate::clock::Entropy;
use crate::keyring::{self, Keyring, WorkingSecret};
use crate::seal;
use crate::secret::wipe;

/// Labels of what is derived: these uses of the key, and no other.
const LABELS: [&[u8]; 2] = [b"symbolon jwe 1", b"symbolon jwe 2"];
/// What the seal of a shared secret is tied to.
const SHARED: &[u8] = b"symbolon jwe shared";

/// Where the key of a content comes from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// Drawn, and forgotten.
    Random,
    /// Found again by whoever has this key.
    Of(&'a WorkingSecret),
}

impl Source<'_> {
    /// Vouches in a vector for the key that RSA wrapped.
    pub(super) fn vouch(self, header: &str, wrapped: &[u8], iv: &mut [u8]) {
        if let Self::Of(secret) = self {
            let (salt, word) = iv.split_at_mut(iv.len() / 2);
            let mac = mac(secret, header, salt, wrapped);
            word.iter_mut().zip(mac).for_each(|(own, byte)| *own = byte);
        }
    }

    /// The key of a content that RSA wraps; nothing where it is to be drawn.
    pub(super) fn key(
        self,
        encryption: ContentEncryption,
        header: &str,
        iv: &[u8],
    ) -> Option<ContentKey> {
        match self {
            Self::Of(secret) => derived(secret, encryption, header, iv),
            Self::Random => None,
        }
    }

    /// What stands in the header of a shared secret.
    pub(super) fn note(self, shared: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        match self {
            Self::Of(secret) => seal::seal_bytes(secret, SHARED, shared, entropy),
            Self::Random => Vec::new(),
        }
    }
}

fn mac(secret: &WorkingSecret, header: &str, salt: &[u8], wrapped: &[u8]) -> [u8; 32] {
    secret.mac("symbolon jwe wrapped", &[header.as_bytes(), salt, wrapped])
}

/// Whether a vector vouches for a wrapped key.
fn is_vouched(secret: &WorkingSecret, parts: &Parts<'_>) -> bool {
    let iv = &parts.sealed.iv;
    let (salt, word) = iv.split_at(iv.len() / 2);
    let mac = mac(secret, parts.header, salt, &parts.wrapped);
    mac.get(..word.len())
        .is_some_and(|mac| verify_slices_are_equal(mac, word).is_ok())
}

/// The key of a content whose header and vector are these.
///
/// INVARIANT: key and vector never come twice but by a collision of 96 bits,
/// which is the bound that GCM has under one key for its own vector: where two
/// salts are the same, RSA wraps the same key to two texts, whose MACs differ.
fn derived(
    secret: &WorkingSecret,
    encryption: ContentEncryption,
    header: &str,
    iv: &[u8],
) -> Option<ContentKey> {
    let salt = iv.get(..iv.len() / 2)?;
    let visible = [header.as_bytes(), b".", salt].concat();
    let mut bytes = LABELS.map(|label| secret.derive(label, &visible)).concat();
    let key = bytes.get(..key_length(encryption));
    let key = key.and_then(|bytes| ContentKey::from_bytes(encryption, bytes));
    wipe(&mut bytes);
    key
}

impl Keyring {
    /// Encrypts content for the holder of a key, so that this installation can
    /// read it again.
    pub fn encrypt(
        &self,
        key: &EncryptionKey,
        encryption: ContentEncryption,
        content: Content<'_>,
        entropy: &dyn Entropy,
    ) -> Result<String, Unencryptable> {
        let own = self.current(keyring::Purpose::AccessToken);
        key.write(encryption, content, Source::Of(own), entropy)
    }

    /// Reads what [`Keyring::encrypt`] wrote; nothing that others wrote opens.
    pub fn decrypt(&self, text: &str) -> Option<Vec<u8>> {
        let parts = Parts::read(text).ok()?;
        let algorithm: KeyManagement = parts.text("alg")?.parse().ok()?;
        let encryption: ContentEncryption = parts.text("enc")?.parse().ok()?;
        let purpose = Purpose {
            algorithm,
            encryption,
        };
        let open = |key: ContentKey| key.open(parts.header.as_bytes(), &parts.sealed);
        if algorithm != KeyManagement::RsaOaep256 {
            return self.agreed(&parts, purpose).and_then(open);
        }
        // A token does not say which key it is; there are few.
        self.all(keyring::Purpose::AccessToken)
            .filter(|own| is_vouched(own, &parts))
            .filter_map(|own| derived(own, encryption, parts.header, &parts.sealed.iv))
            .find_map(open)
    }

    fn agreed(&self, parts: &Parts<'_>, purpose: Purpose) -> Option<ContentKey> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(parts.text("apu")?).ok()?;
        let own = self.find(keyring::Purpose::AccessToken, seal::key_number(&sealed)?)?;
        let mut shared = seal::open_bytes(own, SHARED, &sealed).ok()?;
        let agreed = agree::again(&shared, &parts.fields, purpose);
        wipe(&mut shared);
        key_by(&agreed?, &parts.wrapped, purpose)
    }
}
