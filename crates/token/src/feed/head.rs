//! The head of the feed: how far the records before it reach, signed by a key
//! that is used for nothing else.
//!
//! Spec: RFC 7515 §3.1, §4.1.9
//! Spec: RFC 8725 §3.11

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::jose::{Invalid, KeySet, SigningKey, Unverified};
use crate::revocation::Position;

/// The `typ` of a head. No token has it, and no token's `typ` is taken here.
pub const HEAD_TYPE: &str = "revocation-head+jwt";
/// How long a reader's nonce may be, in characters.
pub const MAX_NONCE: usize = 64;

/// How far the records of a stream reach.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Head {
    /// The issuer.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// The client for which the records were chosen.
    #[serde(rename = "aud")]
    pub reader: String,
    /// When it was made, in seconds since 1970. Clocks differ and jump, so nothing
    /// is let through by it: readers keep records no shorter than it says.
    #[serde(rename = "iat")]
    pub time: i64,
    /// What the reader sent when it opened the stream: an old head has another.
    pub nonce: String,
    /// Which counting the sequence belongs to.
    pub epoch: i64,
    /// Every record up to here was sent, where it can hit the reader's tokens.
    pub sequence: i64,
    /// The sequence of the head before; what a snapshot begins with is zero.
    pub after: i64,
    /// Whether the records since the stream began are all there are, so that
    /// what was known before is void. Only the first head of a stream says so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub snapshot: bool,
    /// How many records stand between the head before and this one.
    pub records: u64,
    /// The SHA-256 of their bytes, in base64url.
    pub sha256: String,
    /// Milliseconds since the stream was opened.
    pub elapsed: u64,
    /// For how many milliseconds the server has not been able to ask its
    /// database what is new.
    pub stale: u64,
}

fn is_false(own: &bool) -> bool {
    !own
}

/// Why a head is not believed. `code` is stable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHead {
    /// The signature, the kind or the form.
    #[error("the head is not signed by a key of the feed: {0}")]
    Signature(Invalid),
    /// A member is missing or of another kind.
    #[error("the head lacks a member")]
    Member,
}

impl InvalidHead {
    /// A stable word for logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Signature(invalid) => invalid.code(),
            Self::Member => "head_malformed",
        }
    }
}

impl Head {
    /// Where the records reach to.
    pub const fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            sequence: self.sequence,
        }
    }

    /// Whether the head vouches for records that were counted and digested.
    pub fn is_of(&self, (count, digest): (u64, [u8; 32])) -> bool {
        self.records == count && self.sha256 == written(&digest)
    }

    /// The digest of records as a head has it.
    #[must_use]
    pub fn over(self, (count, digest): (u64, [u8; 32])) -> Self {
        Self {
            records: count,
            sha256: written(&digest),
            ..self
        }
    }

    /// Writes and signs it.
    pub fn sign(&self, key: &SigningKey) -> String {
        // A struct of strings and numbers always serialises.
        let payload = serde_json::to_vec(self).unwrap_or_default();
        key.sign(HEAD_TYPE, &payload)
    }

    /// Reads one that a key of the feed has signed.
    pub fn verify(text: &str, keys: &KeySet) -> Result<Self, InvalidHead> {
        let refused = InvalidHead::Signature;
        let unverified = Unverified::parse(text).map_err(refused)?;
        if unverified.claimed_type() != Some(HEAD_TYPE) {
            return Err(refused(Invalid::Type));
        }
        let named = unverified.claimed_kid();
        let algorithm = unverified.algorithm().ok_or(refused(Invalid::Algorithm))?;
        let key = named.and_then(|kid| keys.candidates(Some(kid), algorithm).next());
        let key = key.ok_or(refused(Invalid::UnknownKey))?;
        let claims = unverified.verify(key).map_err(refused)?;
        serde_json::from_value(Value::Object(claims)).map_err(|_| InvalidHead::Member)
    }
}

fn written(digest: &[u8; 32]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest)
}

#[cfg(test)]
mod tests {
    use symbolon_protocol::SigningAlgorithm;

    use super::*;
    use crate::feed::Tally;

    fn key() -> SigningKey {
        let algorithm = SigningAlgorithm::Es256;
        SigningKey::from_pkcs8(algorithm, &SigningKey::generate(algorithm).unwrap()).unwrap()
    }

    fn set(key: &SigningKey) -> KeySet {
        let document = serde_json::json!({ "keys": [key.public_jwk()] });
        KeySet::parse(document.to_string().as_bytes()).unwrap()
    }

    fn head() -> Head {
        Head {
            issuer: "https://as.example".into(),
            reader: "orders-api".into(),
            time: 1,
            nonce: "n".into(),
            epoch: 1,
            sequence: 9,
            after: 7,
            snapshot: false,
            records: 0,
            sha256: String::new(),
            elapsed: 12,
            stale: 3,
        }
    }

    #[test]
    fn a_head_reads_back_as_it_was_signed() {
        let key = key();
        let mut tally = Tally::default();
        tally.add(&[0; 50]);
        let head = head().over(tally.take());

        let read = Head::verify(&head.sign(&key), &set(&key)).unwrap();

        assert_eq!((read.clone(), read.records), (head, 2));
        tally.add(&[0; 50]);
        assert!(read.is_of(tally.take()));
        assert!(!read.is_of(Tally::default().take()));
    }

    #[test]
    fn a_head_of_another_key_kind_or_shape_is_refused() {
        let (own, other) = (key(), key());
        let payload = serde_json::to_vec(&head()).unwrap();
        let refused = |text: &str| Head::verify(text, &set(&own)).unwrap_err().code();

        assert_eq!(refused(&head().sign(&other)), "unknown_key");
        assert_eq!(refused(&own.sign("at+jwt", &payload)), "wrong_type");
        assert_eq!(refused(&own.sign(HEAD_TYPE, b"{}")), "head_malformed");
        assert_eq!(refused("e30.e30.AAAA"), "algorithm_not_allowed");
        let whole = head().sign(&own);
        let mut changed = whole.clone();
        changed.replace_range(whole.len() - 4.., "AAAA");
        assert_eq!(refused(&changed), "signature_mismatch");
    }
}
