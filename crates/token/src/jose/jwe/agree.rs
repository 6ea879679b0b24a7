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

/// What the header says of the parties, bound into what is derived
/// (RFC 7518 §4.6.1.2, §4.6.1.3).
#[derive(Default)]
pub(super) struct Parties {
    pub(super) producer: Vec<u8>,
    pub(super) reader: Vec<u8>,
}

impl Parties {
    /// The names in a header, as far as they have a bearable length.
    fn of_header(header: &Map<String, Value>) -> Option<Self> {
        let part = |name: &str| match header.get(name) {
            None => Some(Vec::new()),
            Some(Value::String(text)) if text.len() <= MAX_PARTY_CHARACTERS => {
                BASE64_URL_SAFE_NO_PAD.decode(text).ok()
            }
            Some(_) => None,
        };
        Some(Self {
            producer: part("apu")?,
            reader: part("apv")?,
        })
    }
}

/// How long the name of a party may be in a header, in characters.
const MAX_PARTY_CHARACTERS: usize = 256;

/// What a key is agreed upon for.
#[derive(Clone, Copy)]
pub(super) struct Purpose {
    pub(super) algorithm: KeyManagement,
    pub(super) encryption: ContentEncryption,
}

/// Makes a key pair for one token and agrees with the reader's key; the second
/// value is the public half for the header, the third what `note` made of the
/// shared secret, to be the producer's name.
pub(super) fn fresh(
    reader: &Point,
    purpose: Purpose,
    note: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Result<(Agreed, Value, Vec<u8>), Unencryptable> {
    let curve = reader.curve.algorithm();
    let own = PrivateKey::generate(curve).map_err(|_| Unencryptable)?;
    let public = own.compute_public_key().map_err(|_| Unencryptable)?;
    let epk = reader.curve.jwk(public.as_ref()).ok_or(Unencryptable)?;
    let shared = shared(&own, curve, &reader.bytes).ok_or(Unencryptable)?;
    let parties = Parties {
        producer: note(&shared.0),
        ..Parties::default()
    };
    let agreed = derive(&shared.0, purpose, &parties);
    Ok((agreed, epk, parties.producer))
}

/// Agrees with the public half in a header.
pub(super) fn with_header(
    own: &PrivateKey,
    curve: Curve,
    header: &Map<String, Value>,
    purpose: Purpose,
) -> Option<Agreed> {
    let epk = header.get("epk").and_then(Value::as_object)?;
    let theirs = curve.point(epk)?;
    let parties = Parties::of_header(header)?;
    let shared = shared(own, curve.algorithm(), &theirs)?;
    Some(derive(&shared.0, purpose, &parties))
}

/// Derives again what was agreed upon, from the shared secret itself.
pub(super) fn again(
    shared: &[u8],
    header: &Map<String, Value>,
    purpose: Purpose,
) -> Option<Agreed> {
    let parties = Parties::of_header(header)?;
    Some(derive(shared, purpose, &parties))
}

fn shared(own: &PrivateKey, curve: &'static Algorithm, theirs: &[u8]) -> Option<Agreed> {
    // A point that is not on the curve is refused by the library.
    let theirs = UnparsedPublicKey::new(curve, theirs);
    let agreed = agreement::agree(own, theirs, (), |shared| Ok(Agreed(shared.to_vec())));
    agreed.ok()
}

/// Concat KDF with SHA-256.
fn derive(shared: &[u8], purpose: Purpose, parties: &Parties) -> Agreed {
    let Purpose {
        algorithm,
        encryption,
    } = purpose;
    let (name, length) = match algorithm {
        KeyManagement::EcdhEs => (encryption.as_str(), key_length(encryption)),
        _ => (algorithm.as_str(), 32),
    };
    let mut out = Vec::with_capacity(length + 32);
    let mut round = 1_u32;
    while out.len() < length {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&round.to_be_bytes());
        context.update(shared);
        for part in [name.as_bytes(), &parties.producer, &parties.reader] {
            context.update(&(part.len() as u32).to_be_bytes());
            context.update(part);
        }
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

    /// RFC 7518, appendix C, up to the derived key.
    #[test]
    fn the_example_of_the_rfc_is_agreed_upon() {
        let jwk = |text: &str| {
            let value: Value = serde_json::from_str(text).unwrap();
            value.as_object().unwrap().clone()
        };
        let header = jwk(
            r#"{"alg":"ECDH-ES","enc":"A128GCM","apu":"QWxpY2U","apv":"Qm9i",
                "epk":{"kty":"EC","crv":"P-256","x":"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0","y":"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps"}}"#,
        );
        let bobs = "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw";
        let own = BASE64_URL_SAFE_NO_PAD.decode(bobs).unwrap();
        let own = PrivateKey::from_private_key(&agreement::ECDH_P256, &own).unwrap();
        let purpose = Purpose {
            algorithm: KeyManagement::EcdhEs,
            encryption: ContentEncryption::A128Gcm,
        };

        let agreed = with_header(&own, Curve::P256, &header, purpose).unwrap();

        let expected = BASE64_URL_SAFE_NO_PAD
            .decode("VqqN6vgjbSBcIijNcacQGg")
            .unwrap();
        assert_eq!(agreed.bytes(), expected);
    }
}
