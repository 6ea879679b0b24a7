//! Encrypted assertions that the server which wrote them can read again, so
//! that they can be exchanged and taken back although their reader alone has
//! the private key.
//!
//! Nothing is stored. The key of the text is not random but derived from a
//! working key of the server and a salt, which stands in the open as the `Id`
//! of the wrapped key. That one is the reader's alone; the nonce of the text is
//! a MAC over it, by which the server sees that it was changed.
//!
//! Spec: XML Encryption §3.5.1
//! Spec: RFC 5869 §2.3
//! Spec: NIST SP 800-38D §8.2.1

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::{Zeroize, Zeroizing};

use super::{Cipher, Encrypted, KeyTransport, NONCE_BYTES};
use crate::base62;
use crate::keyring::{Keyring, Purpose, WorkingSecret};

/// The label of what is derived: this use of the key, and no other.
const LABEL: &[u8] = b"symbolon saml 1";
/// Stands before the salt: an `Id` of XML begins with no digit.
const ID_PREFIX: &str = "_k";

/// What makes two keys of one text different.
pub(super) type Salt = [u8; 16];

/// The working key with which new texts are written.
pub(super) fn current(ring: &Keyring) -> Arc<WorkingSecret> {
    ring.shared(Purpose::AccessToken)
}

/// The key of a text.
pub(super) fn content_key(own: &WorkingSecret, cipher: Cipher, salt: &Salt) -> Zeroizing<Vec<u8>> {
    let length = [u8::try_from(cipher.key_bytes()).unwrap_or(u8::MAX)];
    let mut bytes = own.derive(LABEL, &[&length[..], salt].concat());
    let key = Zeroizing::new(bytes[..cipher.key_bytes()].to_vec());
    bytes.zeroize();
    key
}

/// The nonce of a text, which vouches for its wrapped key.
///
/// INVARIANT: each salt is drawn anew, and with it the key, so no nonce comes
/// twice under one key.
pub(super) fn word(
    own: &WorkingSecret,
    cipher: Cipher,
    salt: &Salt,
    wrapped: &[u8],
) -> [u8; NONCE_BYTES] {
    let parts = [cipher.uri().as_bytes(), salt, wrapped];
    let mac = own.mac("symbolon saml wrapped", &parts);
    let mut word = [0; NONCE_BYTES];
    word.copy_from_slice(&mac[..NONCE_BYTES]);
    word
}

/// The salt as the name of a wrapped key.
pub(super) fn key_id(salt: &Salt) -> String {
    let mut text = String::from(ID_PREFIX);
    base62::encode_into(salt, &mut text);
    text
}

impl Keyring {
    /// Opens what this installation encrypted to somebody; nothing that others
    /// encrypted opens.
    pub(in crate::saml) fn reread(&self, encrypted: &Encrypted) -> Option<String> {
        let salt: Salt = base62::decode(encrypted.key_id.as_deref()?.strip_prefix(ID_PREFIX)?)?;
        if encrypted.transport != KeyTransport::OaepSha256 {
            return None;
        }
        let nonce = encrypted.data.get(..NONCE_BYTES)?;
        let is_vouched = |own: &&WorkingSecret| {
            let word = word(own, encrypted.cipher, &salt, &encrypted.key);
            verify_slices_are_equal(&word, nonce).is_ok()
        };
        // A text does not say under which key it is; there are few.
        self.all(Purpose::AccessToken)
            .filter(is_vouched)
            .find_map(|own| encrypted.open(&content_key(own, encrypted.cipher, &salt)))
    }
}
