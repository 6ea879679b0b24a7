//! A signed token inside an encrypted one, which is the only thing that is
//! taken out of one here: what is encrypted alone could be anybody's.
//!
//! Spec: RFC 7519 §5.2, §7.2
//! Spec: RFC 8725 §3.1
//! Spec: RFC 9068 §4

use serde_json::{Map, Value};
use symbolon_protocol::ContentEncryption;

use super::key::DecryptionKey;
use super::read::{Parts, Undecryptable};
use crate::jose::Unverified;

/// Why no signed token came out of what was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unopened {
    /// It is encrypted, and nobody here has a key.
    #[error("the token is encrypted, and no decryption key is set up here")]
    NoKey,
    /// It is not encrypted, and only what is encrypted is taken here.
    #[error("the token is not encrypted, and this API takes encrypted ones alone")]
    Plain,
    /// It opens, and inside is no signed token.
    #[error("inside the encrypted token is none that is signed")]
    Unsigned,
    /// It cannot be read.
    #[error("{0}")]
    Undecryptable(Undecryptable),
}

impl Unopened {
    /// A stable word for logs and scripts.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoKey => "decryption_key_missing",
            Self::Plain => "not_encrypted",
            Self::Unsigned => "not_nested",
            Self::Undecryptable(why) => why.code(),
        }
    }

    /// What would repair it, in one plain sentence.
    pub const fn repair(self) -> &'static str {
        match self {
            Self::NoKey => {
                "give the verifier the private key whose public half the resource registered"
            }
            Self::Plain => {
                "ask for a new token; if the resource registered no key, take the decryption key from the verifier"
            }
            Self::Unsigned => {
                "send the token exactly as the issuer made it: signed, then encrypted"
            }
            Self::Undecryptable(Undecryptable::OtherKey | Undecryptable::Closed) => {
                "check that the registered public key and the decryption key belong together, and ask for a new token"
            }
            Self::Undecryptable(Undecryptable::Algorithm) => {
                "register the key for the algorithm that the verifier's key is for, and ask for a new token"
            }
            Self::Undecryptable(_) => "send the token exactly as it was issued",
        }
    }
}

/// Whether a text has the five parts of a compact JWE. Nothing else is known.
pub fn is_encrypted(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'.').count() == 4
}

/// The header of a text that has the form of a JWE, which is all that whoever
/// has no key can read. Nobody vouches for it.
pub fn claimed_header(text: &str) -> Option<Map<String, Value>> {
    Parts::read(text).ok().map(|parts| parts.fields)
}

impl DecryptionKey {
    /// The signed token inside an encrypted one. Its signature was not looked
    /// at.
    pub fn open_nested(&self, text: &str) -> Result<String, Unopened> {
        if !is_encrypted(text) {
            return Err(Unopened::Plain);
        }
        let plain = self
            .decrypt(text, ContentEncryption::ALL)
            .map_err(Unopened::Undecryptable)?;
        let parts = Parts::read(text).map_err(Unopened::Undecryptable)?;
        let is_nested = parts
            .text("cty")
            .is_some_and(|own| own.eq_ignore_ascii_case("JWT"));
        let inner = String::from_utf8(plain).map_err(|_| Unopened::Unsigned)?;
        let is_signed = Unverified::parse(&inner).is_ok_and(|own| own.algorithm().is_some());
        match is_nested && is_signed {
            true => Ok(inner),
            false => Err(Unopened::Unsigned),
        }
    }
}
