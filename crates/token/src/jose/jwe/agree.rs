//! A key that two parties agree upon: the reader's own, and one that was made
//! for this token alone.
//!
//! Spec: RFC 7518 §4.6.1, §4.6.2, C

use aws_lc_rs::agreement::{self, Algorithm, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use symbolon_protocol::{ContentEncryption, KeyManagement};

use super::content::key_length;
use super::key::{Point, Unencryptable};
use crate::secret::wipe;

/// Bytes that both parties derived.
pub(super) struct Agreed(Vec<u8>);

impl Agreed {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Agreed {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Makes a key pair for one token and agrees with the reader's key; the second
/// value is the public half for the header.
pub(super) fn fresh(
    reader: &Point,
    algorithm: KeyManagement,
    encryption: ContentEncryption,
) -> Result<(Agreed, Value), Unencryptable> {
    let curve = reader.curve.algorithm();
    let own = PrivateKey::generate(curve).map_err(|_| Unencryptable)?;
    let public = own.compute_public_key().map_err(|_| Unencryptable)?;
    let epk = reader.curve.jwk(public.as_ref()).ok_or(Unencryptable)?;
    let agreed = with(&own, curve, &reader.bytes, algorithm, encryption);
    Ok((agreed.ok_or(Unencryptable)?, epk))
}

/// Agrees with the public half in a header.
pub(super) fn with_header(
    own: &PrivateKey,
    curve: Curve,
    header: &Map<String, Value>,
    algorithm: KeyManagement,
    encryption: ContentEncryption,
) -> Option<Agreed> {
    let epk = header.get("epk").and_then(Value::as_object)?;
    let theirs = curve.point(epk)?;
    with(own, curve.algorithm(), &theirs, algorithm, encryption)
}

fn with(
    own: &PrivateKey,
    curve: &'static Algorithm,
    theirs: &[u8],
    algorithm: KeyManagement,
    encryption: ContentEncryption,
) -> Option<Agreed> {
    let (name, length) = match algorithm {
        KeyManagement::EcdhEs => (encryption.as_str(), key_length(encryption)),
        _ => (algorithm.as_str(), 32),
    };
    // A point that is not on the curve is refused by the library.
    let theirs = UnparsedPublicKey::new(curve, theirs);
    let agreed = agreement::agree(own, theirs, (), |shared| Ok(derive(shared, name, length)));
    agreed.ok()
}

/// Concat KDF with SHA-256. The parties have no names of their own here.
fn derive(shared: &[u8], name: &str, length: usize) -> Agreed {
    let mut out = Vec::with_capacity(length + 32);
    let mut round = 1_u32;
    while out.len() < length {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&round.to_be_bytes());
        context.update(shared);
        context.update(&(name.len() as u32).to_be_bytes());
        context.update(name.as_bytes());
        context.update(&[0; 8]);
        context.update(&(length as u32 * 8).to_be_bytes());
        out.extend_from_slice(context.finish().as_ref());
        round += 1;
    }
    out.truncate(length);
    Agreed(out)
}

/// The curves on which keys are agreed upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    X25519,
}

impl Curve {
    const ALL: [Self; 3] = [Self::P256, Self::P384, Self::X25519];

    const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::X25519 => "X25519",
        }
    }

    pub(super) const fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::P256 => &agreement::ECDH_P256,
            Self::P384 => &agreement::ECDH_P384,
            Self::X25519 => &agreement::X25519,
        }
    }

    const fn coordinate(self) -> usize {
        match self {
            Self::P384 => 48,
            _ => 32,
        }
    }

    /// The curve that a JWK names.
    pub(super) fn of(jwk: &Map<String, Value>) -> Option<Self> {
        let name = jwk.get("crv").and_then(Value::as_str)?;
        Self::ALL.into_iter().find(|curve| curve.name() == name)
    }

    /// The point of a JWK as the library reads it.
    pub(super) fn point(self, jwk: &Map<String, Value>) -> Option<Vec<u8>> {
        let kind = if self == Self::X25519 { "OKP" } else { "EC" };
        let is_right = jwk.get("kty").and_then(Value::as_str) == Some(kind)
            && jwk.get("crv").and_then(Value::as_str) == Some(self.name());
        let part = |name: &str| {
            let text = jwk.get(name).and_then(Value::as_str)?;
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
            (bytes.len() == self.coordinate()).then_some(bytes)
        };
        if !is_right {
            return None;
        }
        let x = part("x")?;
        if self == Self::X25519 {
            return Some(x);
        }
        Some([&[4][..], &x, &part("y")?].concat())
    }

    /// The JWK of a point as the library writes it.
    fn jwk(self, point: &[u8]) -> Option<Value> {
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        if self == Self::X25519 {
            return Some(json!({"kty": "OKP", "crv": self.name(), "x": text(point)}));
        }
        let (x, y) = point.get(1..)?.split_at_checked(self.coordinate())?;
        Some(json!({"kty": "EC", "crv": self.name(), "x": text(x), "y": text(y)}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7518, appendix C.
    #[test]
    fn the_example_of_the_rfc_is_agreed_upon() {
        let jwk = |text: &str| {
            let value: Value = serde_json::from_str(text).unwrap();
            value.as_object().unwrap().clone()
        };
        let bobs = jwk(
            r#"{"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"}"#,
        );
        let alices = "0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo";
        let own = BASE64_URL_SAFE_NO_PAD.decode(alices).unwrap();
        let own = PrivateKey::from_private_key(&agreement::ECDH_P256, &own).unwrap();
        let point = Curve::P256.point(&bobs).unwrap();
        let theirs = UnparsedPublicKey::new(&agreement::ECDH_P256, point);

        // The example names the parties; here the shared secret is derived from
        // alone, so the secret itself is compared.
        let shared = agreement::agree(&own, theirs, (), |shared| Ok(shared.to_vec())).unwrap();

        let expected = [
            158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49,
            110, 163, 218, 128, 106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
        ];
        assert_eq!(shared, expected);
    }
}
