//! Reading an encrypted token with a key of one's own.
//!
//! Spec: RFC 7516 §5.2, §11.5
//! Spec: RFC 7518 §4.6.2

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use aws_lc_rs::rsa::OAEP_SHA256_MGF1SHA256;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use symbolon_protocol::{ContentEncryption, KeyManagement};

use super::agree::{self, Agreed, Purpose};
use super::content::{ContentKey, Sealed, key_length};
use super::key::{DecryptionKey, Own};
use crate::jose::json;

/// How long an encrypted token may be, in bytes.
pub const MAX_JWE_BYTES: usize = 32 * 1024;
/// How long its header may be, in bytes.
const MAX_HEADER_BYTES: usize = 4 * 1024;
/// The members that a header may have; all else could ask for work.
const MEMBERS: [&str; 8] = ["alg", "enc", "kid", "typ", "cty", "epk", "apu", "apv"];

/// Why a token cannot be read. What fails in cryptography is one case: which
/// step it was would help whoever probes (RFC 7516 §11.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Undecryptable {
    /// Not five parts of canonical base64url within the limits.
    #[error("not a compact JWE")]
    Form,
    /// The header is not one that is read here.
    #[error("header is malformed or asks for what is not done here")]
    Header,
    /// Its algorithms are not the key's, or not allowed.
    #[error("algorithm is not allowed here")]
    Algorithm,
    /// It names another key.
    #[error("encrypted to another key")]
    OtherKey,
    /// It does not open.
    #[error("does not open with this key")]
    Closed,
}

impl Undecryptable {
    /// A stable word for logs and scripts.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Form => "malformed",
            Self::Header => "header_malformed",
            Self::Algorithm => "algorithm_not_allowed",
            Self::OtherKey => "unknown_key",
            Self::Closed => "decryption_failed",
        }
    }
}

/// A compact JWE in its parts, of which only the form was checked.
pub(super) struct Parts<'a> {
    /// The header as it was written: what the content is tied to.
    pub(super) header: &'a str,
    pub(super) fields: Map<String, Value>,
    pub(super) wrapped: Vec<u8>,
    pub(super) sealed: Sealed,
}

impl<'a> Parts<'a> {
    /// Takes a text apart.
    pub(super) fn read(text: &'a str) -> Result<Self, Undecryptable> {
        if text.len() > MAX_JWE_BYTES {
            return Err(Undecryptable::Form);
        }
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(Undecryptable::Form);
        let (header, wrapped) = (next()?, next()?);
        let (iv, ciphertext, tag) = (next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(Undecryptable::Form);
        }
        let bytes = |text: &str| {
            let decoded = BASE64_URL_SAFE_NO_PAD.decode(text);
            decoded.map_err(|_| Undecryptable::Form)
        };
        Ok(Self {
            header,
            fields: header_of(&bytes(header)?)?,
            wrapped: bytes(wrapped)?,
            sealed: Sealed {
                iv: bytes(iv)?,
                ciphertext: bytes(ciphertext)?,
                tag: bytes(tag)?,
            },
        })
    }

    /// A member of the header that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str)
    }
}

impl DecryptionKey {
    /// Reads a token that is encrypted to this key under its own algorithm and
    /// one of the allowed encryptions.
    pub fn decrypt(
        &self,
        text: &str,
        allowed: &[ContentEncryption],
    ) -> Result<Vec<u8>, Undecryptable> {
        let read = Parts::read(text)?;
        let encryption = self.agrees(&read.fields, allowed)?;
        let key = self.content_key(&read.fields, &read.wrapped, encryption);
        key.and_then(|key| key.open(read.header.as_bytes(), &read.sealed))
            .ok_or(Undecryptable::Closed)
    }

    /// The encryption of a header that means this key and its algorithm.
    fn agrees(
        &self,
        fields: &Map<String, Value>,
        allowed: &[ContentEncryption],
    ) -> Result<ContentEncryption, Undecryptable> {
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let encryption = text("enc").and_then(|name| name.parse::<ContentEncryption>().ok());
        let encryption = encryption.filter(|own| allowed.contains(own));
        if text("alg") != Some(self.algorithm().as_str()) {
            return Err(Undecryptable::Algorithm);
        }
        match (text("kid"), self.kid()) {
            (Some(named), Some(own)) if named != own => Err(Undecryptable::OtherKey),
            _ => encryption.ok_or(Undecryptable::Algorithm),
        }
    }

    fn content_key(
        &self,
        fields: &Map<String, Value>,
        wrapped: &[u8],
        encryption: ContentEncryption,
    ) -> Option<ContentKey> {
        match self.own() {
            Own::Rsa(key) => {
                let mut plain = vec![0; key.min_output_size()];
                let opened = key.decrypt(&OAEP_SHA256_MGF1SHA256, wrapped, &mut plain, None);
                ContentKey::from_bytes(encryption, opened.ok()?)
            }
            Own::Curve(curve, key) => {
                let purpose = Purpose {
                    algorithm: self.algorithm(),
                    encryption,
                };
                let agreed = agree::with_header(key, *curve, fields, purpose)?;
                key_by(&agreed, wrapped, purpose)
            }
        }
    }
}

/// The content's key where a key was agreed upon: that one, or what it wraps.
pub(super) fn key_by(agreed: &Agreed, wrapped: &[u8], purpose: Purpose) -> Option<ContentKey> {
    let encryption = purpose.encryption;
    if purpose.algorithm == KeyManagement::EcdhEs {
        // Nothing is wrapped, so nothing may stand there.
        let direct = ContentKey::from_bytes(encryption, agreed.bytes());
        return direct.filter(|_| wrapped.is_empty());
    }
    let kek = AesKek::new(&AES_256, agreed.bytes()).ok()?;
    let mut plain = vec![0; key_length(encryption)];
    if wrapped.len() != plain.len() + 8 {
        return None;
    }
    let opened = kek.unwrap(wrapped, &mut plain).ok()?;
    ContentKey::from_bytes(encryption, opened)
}

/// The header, if it has only members that are read here. `zip` and `crit` are
/// not among them.
fn header_of(bytes: &[u8]) -> Result<Map<String, Value>, Undecryptable> {
    if bytes.len() > MAX_HEADER_BYTES {
        return Err(Undecryptable::Header);
    }
    let fields = json::object(bytes).map_err(|_| Undecryptable::Header)?;
    match fields.keys().all(|name| MEMBERS.contains(&name.as_str())) {
        true => Ok(fields),
        false => Err(Undecryptable::Header),
    }
}
