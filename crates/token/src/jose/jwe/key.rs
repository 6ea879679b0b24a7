//! The reader's key: the public half that is registered, the private half that
//! reads.
//!
//! Spec: RFC 7517 §4
//! Spec: RFC 7518 §6.2, §6.3

use aws_lc_rs::agreement::PrivateKey;
use aws_lc_rs::rsa::{
    OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use symbolon_protocol::KeyManagement;

use super::agree::Curve;
use crate::Secret;
use crate::jose::{InvalidKey, MAX_KID_BYTES};

/// Content could not be encrypted for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("could not encrypt for this key")]
pub struct Unencryptable;

/// A public key to which content is encrypted under one algorithm.
pub struct EncryptionKey {
    kid: Option<String>,
    algorithm: KeyManagement,
    recipient: Recipient,
}

pub(super) enum Recipient {
    Rsa(OaepPublicEncryptingKey),
    Curve(Point),
}

pub(super) struct Point {
    pub(super) curve: Curve,
    pub(super) bytes: Vec<u8>,
}

impl EncryptionKey {
    /// Reads a key that is meant for encryption, or for nothing in particular,
    /// and can be used under `algorithm`.
    pub fn from_jwk(
        jwk: &Map<String, Value>,
        algorithm: KeyManagement,
    ) -> Result<Self, InvalidKey> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if jwk.contains_key("d") || jwk.contains_key("k") {
            return Err(InvalidKey::Unsupported);
        }
        if jwk.get("use").is_some_and(|own| own != "enc") {
            return Err(InvalidKey::Use);
        }
        if let Some(operations) = jwk.get("key_ops") {
            let wanted = ["wrapKey", "encrypt", "deriveKey", "deriveBits"];
            let all = operations.as_array().ok_or(InvalidKey::Malformed)?;
            if !all.iter().any(|one| wanted.iter().any(|own| one == own)) {
                return Err(InvalidKey::Use);
            }
        }
        if jwk.get("alg").is_some_and(|own| own != algorithm.as_str()) {
            return Err(InvalidKey::Unsupported);
        }
        let kid = text("kid").map(str::to_owned);
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID_BYTES) {
            return Err(InvalidKey::Malformed);
        }
        let recipient = match algorithm {
            KeyManagement::RsaOaep256 => rsa(jwk)?,
            KeyManagement::EcdhEs | KeyManagement::EcdhEsA256Kw => curve(jwk)?,
        };
        Ok(Self {
            kid,
            algorithm,
            recipient,
        })
    }

    /// The first key of a set that can be used under `algorithm`: one that is
    /// for encryption before one that is for nothing in particular.
    pub fn of_set(set: &Map<String, Value>, algorithm: KeyManagement) -> Option<Self> {
        let keys = set.get("keys").and_then(Value::as_array)?;
        Self::among(keys.iter().filter_map(Value::as_object), algorithm)
    }

    /// The same among keys that stand in no set.
    pub(crate) fn among<'a>(
        keys: impl Iterator<Item = &'a Map<String, Value>> + Clone,
        algorithm: KeyManagement,
    ) -> Option<Self> {
        let first = |meant: bool| {
            let mut fitting = keys.clone().filter(|jwk| jwk.contains_key("use") == meant);
            fitting.find_map(|jwk| Self::from_jwk(jwk, algorithm).ok())
        };
        first(true).or_else(|| first(false))
    }

    /// The key's name.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The one algorithm it is used under.
    pub fn algorithm(&self) -> KeyManagement {
        self.algorithm
    }

    pub(super) fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// The bare key, where it is one of RSA, for a form other than JWE.
    #[cfg(feature = "saml")]
    pub(crate) fn into_rsa(self) -> Option<OaepPublicEncryptingKey> {
        match self.recipient {
            Recipient::Rsa(key) => Some(key),
            Recipient::Curve(_) => None,
        }
    }
}

impl std::fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EncryptionKey({}, {:?})", self.algorithm, self.kid)
    }
}

fn rsa(jwk: &Map<String, Value>) -> Result<Recipient, InvalidKey> {
    if jwk.get("kty").and_then(Value::as_str) != Some("RSA") {
        return Err(InvalidKey::Unsupported);
    }
    let part = |name: &str| {
        let text = jwk.get(name).and_then(Value::as_str);
        let text = text.ok_or(InvalidKey::Malformed)?;
        BASE64_URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| InvalidKey::Malformed)
    };
    let der = crate::jose::jwk::rsa_der(&part("n")?, &part("e")?)?;
    let key = PublicEncryptingKey::from_der(&der).map_err(|_| InvalidKey::Weak)?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| InvalidKey::Weak)?;
    Ok(Recipient::Rsa(key))
}

fn curve(jwk: &Map<String, Value>) -> Result<Recipient, InvalidKey> {
    let curve = Curve::of(jwk).ok_or(InvalidKey::Unsupported)?;
    let bytes = curve.point(jwk).ok_or(InvalidKey::Malformed)?;
    let point = aws_lc_rs::agreement::UnparsedPublicKey::new(curve.algorithm(), &bytes);
    aws_lc_rs::agreement::ParsedPublicKey::try_from(point).map_err(|_| InvalidKey::Weak)?;
    Ok(Recipient::Curve(Point { curve, bytes }))
}

/// A private key that reads what was encrypted to it under one algorithm.
pub struct DecryptionKey {
    pub(super) kid: Option<String>,
    pub(super) algorithm: KeyManagement,
    pub(super) own: Own,
}

pub(super) enum Own {
    Rsa(OaepPrivateDecryptingKey),
    Curve(Curve, PrivateKey),
}

impl DecryptionKey {
    /// Reads a private key in PKCS #8 (DER). The curve is the key's own.
    pub fn from_pkcs8(
        kid: Option<String>,
        algorithm: KeyManagement,
        key: &Secret,
    ) -> Result<Self, InvalidKey> {
        let own = match algorithm {
            KeyManagement::RsaOaep256 => {
                let key = PrivateDecryptingKey::from_pkcs8(key.expose());
                let key =
                    key.and_then(|key| OaepPrivateDecryptingKey::new(key).map_err(Into::into));
                Own::Rsa(key.map_err(|_| InvalidKey::Malformed)?)
            }
            KeyManagement::EcdhEs | KeyManagement::EcdhEsA256Kw => {
                let curves = [Curve::P256, Curve::P384];
                let read = |curve: Curve| {
                    let key = PrivateKey::from_private_key_der(curve.algorithm(), key.expose());
                    Some(Own::Curve(curve, key.ok()?))
                };
                let found = curves.into_iter().find_map(read);
                found.ok_or(InvalidKey::Malformed)?
            }
        };
        Ok(Self {
            kid,
            algorithm,
            own,
        })
    }

    /// Takes an X25519 key by its 32 bytes.
    pub fn x25519(
        kid: Option<String>,
        algorithm: KeyManagement,
        key: &Secret,
    ) -> Result<Self, InvalidKey> {
        if algorithm == KeyManagement::RsaOaep256 {
            return Err(InvalidKey::Unsupported);
        }
        let curve = Curve::X25519;
        let key = PrivateKey::from_private_key(curve.algorithm(), key.expose());
        let key = key.map_err(|_| InvalidKey::Malformed)?;
        Ok(Self {
            kid,
            algorithm,
            own: Own::Curve(curve, key),
        })
    }

    /// The key's name.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The one algorithm it reads.
    pub fn algorithm(&self) -> KeyManagement {
        self.algorithm
    }

    pub(super) fn own(&self) -> &Own {
        &self.own
    }
}

impl std::fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DecryptionKey({}, {:?})", self.algorithm, self.kid)
    }
}
