//! The keys that a token is bound to: whoever uses it has to hold them.
//!
//! Spec: RFC 7800 §3
//! Spec: RFC 8705 §3.1
//! Spec: RFC 9449 §6.1

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wire::{Reader, Writer};

/// The SHA-256 digest that names a key or a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thumbprint([u8; 32]);

/// Text that is no thumbprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a thumbprint is 32 bytes in base64url without padding")]
pub struct InvalidThumbprint;

impl Thumbprint {
    /// The thumbprint with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The thumbprint of what is digested: a certificate's DER, or a JWK in
    /// its canonical form (RFC 7638 §3).
    pub fn of(bytes: &[u8]) -> Self {
        Self(*crate::secret::Digest::of(bytes).as_bytes())
    }
}

impl FromStr for Thumbprint {
    type Err = InvalidThumbprint;

    fn from_str(text: &str) -> Result<Self, InvalidThumbprint> {
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| InvalidThumbprint)?;
        bytes.try_into().map(Self).map_err(|_| InvalidThumbprint)
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Thumbprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What whoever uses a token has to prove to hold: nothing, a key, a
/// certificate's key, or both. Written as the `cnf` claim.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Binding {
    /// The key of a DPoP proof.
    #[serde(rename = "jkt", default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Thumbprint>,
    /// The certificate of a mutual-TLS connection.
    #[serde(rename = "x5t#S256", default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Thumbprint>,
}

impl Binding {
    /// Bound to nothing: whoever bears it may use it.
    pub const NONE: Self = Self {
        key: None,
        certificate: None,
    };

    /// Bound to the key of a proof.
    pub const fn to_key(key: Thumbprint) -> Self {
        Self {
            key: Some(key),
            certificate: None,
        }
    }

    /// Bound to the key of a certificate.
    pub const fn to_certificate(certificate: Thumbprint) -> Self {
        Self {
            key: None,
            certificate: Some(certificate),
        }
    }

    /// Whether anything has to be proved.
    pub const fn is_bound(&self) -> bool {
        self.key.is_some() || self.certificate.is_some()
    }

    /// Whether nothing has to be proved.
    pub const fn is_nothing(&self) -> bool {
        !self.is_bound()
    }

    /// Whether all that `other` demands is demanded here too.
    pub fn is_at_least(&self, other: &Self) -> bool {
        let kept = |own: Option<Thumbprint>, whole: Option<Thumbprint>| {
            whole.is_none_or(|whole| own == Some(whole))
        };
        kept(self.key, other.key) && kept(self.certificate, other.certificate)
    }

    /// Both demands together; `None` where they name different keys.
    pub fn with(self, other: Self) -> Option<Self> {
        let joined = Self {
            key: self.key.or(other.key),
            certificate: self.certificate.or(other.certificate),
        };
        (joined.is_at_least(&self) && joined.is_at_least(&other)).then_some(joined)
    }

    pub(super) fn write(&self, out: &mut Writer) {
        for part in [self.key, self.certificate] {
            out.bytes(part.as_ref().map_or(&[], |own| own.0.as_slice()));
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut part = || {
            let bytes = from.bytes()?;
            if bytes.is_empty() {
                return Some(None);
            }
            Some(Some(Thumbprint(bytes.try_into().ok()?)))
        };
        Some(Self {
            key: part()?,
            certificate: part()?,
        })
    }
}
