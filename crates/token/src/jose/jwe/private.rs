//! A private key as its owner keeps it: a JWK.
//!
//! Spec: RFC 7517 §4, §9.3
//! Spec: RFC 7518 §6.2.2, §6.3.2
//! Spec: RFC 8037 §2
//! Spec: RFC 8017 §A.1.2
//! Spec: RFC 5208 §5

use aws_lc_rs::agreement::PrivateKey;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use symbolon_protocol::KeyManagement;
use zeroize::Zeroizing;

use super::agree::Curve;
use super::key::{DecryptionKey, Own};
use crate::Secret;
use crate::jose::{InvalidKey, MAX_KID_BYTES, json};

/// How long the text of a key may be, in bytes.
const MAX_JWK_BYTES: usize = 16 * 1024;
/// `rsaEncryption` with no parameters, as an algorithm identifier.
const RSA: [u8; 15] = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

impl DecryptionKey {
    /// Reads a private key from the text of a JWK. A key on a curve has to name
    /// its algorithm (`alg`), since there are two; one for RSA may.
    pub fn from_jwk(jwk: &Secret) -> Result<Self, InvalidKey> {
        if jwk.expose().len() > MAX_JWK_BYTES {
            return Err(InvalidKey::Malformed);
        }
        let jwk = json::object(jwk.expose()).map_err(|_| InvalidKey::Malformed)?;
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if jwk.get("use").is_some_and(|own| own != "enc") {
            return Err(InvalidKey::Use);
        }
        let algorithm = match (text("alg"), text("kty")) {
            (None, Some("RSA")) => KeyManagement::RsaOaep256,
            (Some(name), _) => name.parse().map_err(|_| InvalidKey::Unsupported)?,
            (None, _) => return Err(InvalidKey::Unsupported),
        };
        let kid = text("kid").map(str::to_owned);
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID_BYTES) {
            return Err(InvalidKey::Malformed);
        }
        if algorithm == KeyManagement::RsaOaep256 {
            let pkcs8 = Secret::new(rsa(&jwk)?);
            return Self::from_pkcs8(kid, algorithm, &pkcs8);
        }
        let curve = Curve::of(&jwk).ok_or(InvalidKey::Unsupported)?;
        let own = part(&jwk, "d")?;
        let own = PrivateKey::from_private_key(curve.algorithm(), &own);
        let own = own.map_err(|_| InvalidKey::Malformed)?;
        let public = own.compute_public_key();
        let public = public.map_err(|_| InvalidKey::Malformed)?;
        // A public half of another key would be registered, and nothing open.
        if curve.point(&jwk).as_deref() != Some(public.as_ref()) {
            return Err(InvalidKey::Malformed);
        }
        Ok(Self {
            kid,
            algorithm,
            own: Own::Curve(curve, own),
        })
    }
}

fn part(jwk: &Map<String, Value>, name: &str) -> Result<Zeroizing<Vec<u8>>, InvalidKey> {
    let text = jwk.get(name).and_then(Value::as_str);
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.ok_or(InvalidKey::Malformed)?);
    bytes.map(Zeroizing::new).map_err(|_| InvalidKey::Malformed)
}

/// The PKCS #8 form of an RSA key.
fn rsa(jwk: &Map<String, Value>) -> Result<Vec<u8>, InvalidKey> {
    if jwk.get("kty").and_then(Value::as_str) != Some("RSA") {
        return Err(InvalidKey::Unsupported);
    }
    let (n, e) = (part(jwk, "n")?, part(jwk, "e")?);
    crate::jose::jwk::rsa_der(&n, &e)?;
    let mut inner = Zeroizing::new(vec![0x02, 0x01, 0x00]);
    for name in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
        inner.extend_from_slice(&integer(&part(jwk, name)?));
    }
    let inner = element(0x30, &inner);
    let inner = element(0x04, &inner);
    let whole = [&[0x02, 0x01, 0x00][..], &RSA, &inner].concat();
    let whole = Zeroizing::new(whole);
    Ok(element(0x30, &whole).to_vec())
}

/// A positive integer.
fn integer(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let start = bytes.iter().position(|byte| *byte != 0);
    let bytes = &bytes[start.unwrap_or(bytes.len())..];
    let is_high = bytes.first().is_none_or(|first| *first >= 0x80);
    let mut signed = Zeroizing::new(vec![0; usize::from(is_high)]);
    signed.extend_from_slice(bytes);
    element(0x02, &signed)
}

/// Tag, length and content of DER.
fn element(tag: u8, content: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = content.len();
    let mut out = Zeroizing::new(vec![tag]);
    if length < 0x80 {
        out.push(u8::try_from(length).unwrap_or(0x7f));
    } else {
        let bytes = length.to_be_bytes();
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(0);
        out.push(0x80 | u8::try_from(bytes.len() - start).unwrap_or(8));
        out.extend_from_slice(&bytes[start..]);
    }
    out.extend_from_slice(content);
    out
}
