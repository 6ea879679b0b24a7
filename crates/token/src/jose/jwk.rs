//! Public keys as others publish them.
//!
//! Spec: RFC 7517 §4, §5
//! Spec: RFC 9864 §2.2
//! Spec: RFC 9964 §3
//! Spec: RFC 7638 §3

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaPublicKeyComponents, VerificationAlgorithm};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use symbolon_protocol::KeyManagement;

use super::json;
use super::jwe::EncryptionKey;
use super::verify::Algorithm;
use crate::authority::Thumbprint;

/// How many keys one set may have.
pub(super) const MAX_KEYS: usize = 64;
/// How large a set may be, in bytes.
pub(super) const MAX_KEY_SET_BYTES: usize = 256 * 1024;
/// How long a public key of ML-DSA-65 is, in bytes (FIPS 204 §4).
const ML_DSA_65_PUBLIC: usize = 1952;
/// How long a signature of ML-DSA-65 is, in bytes.
const ML_DSA_65_SIGNATURE: usize = 3309;

/// Why a key cannot be used. Nothing of the key is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// A member is missing or malformed.
    #[error("key is malformed")]
    Malformed,
    /// Its type, curve or algorithm is not one of ours.
    #[error("key is of a kind that is not used here")]
    Unsupported,
    /// It is not meant for checking signatures.
    #[error("key is not meant for signatures")]
    Use,
    /// It is too short, or its point is not on its curve.
    #[error("key is weak or not on its curve")]
    Weak,
}

/// How long the modulus of a key may be that a stranger encloses, in bytes.
const MAX_ENCLOSED_RSA_BYTES: usize = 512;
/// The members that are registered as private for the key types read here.
/// Members that nobody knows are passed over, as RFC 7517 §4 demands.
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// A public key that checks signatures of one algorithm.
#[derive(Debug, Clone)]
pub struct VerifyingKey {
    kid: Option<String>,
    algorithm: Algorithm,
    /// Whether the key says its algorithm, and so binds its name.
    named: Named,
    key: ParsedPublicKey,
}

/// Whether a key says which algorithm it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Yes,
    No,
}

impl VerifyingKey {
    /// Reads one key. RSA keys without `alg` check RS256; an Ed25519 key
    /// without one takes either name of its one algorithm.
    pub fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, InvalidKey> {
        let kid = match jwk.get("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= super::MAX_KID_BYTES => Some(kid.clone()),
            Some(_) => return Err(InvalidKey::Malformed),
        };
        if ["d", "k", "priv"]
            .iter()
            .any(|name| jwk.contains_key(*name))
        {
            return Err(InvalidKey::Unsupported);
        }
        check_use(jwk)?;
        let algorithm = algorithm(jwk)?;
        let (verification, bytes) = public_bytes(jwk, algorithm)?;
        let key = ParsedPublicKey::new(verification, bytes).map_err(|_| InvalidKey::Weak)?;
        let named = match jwk.contains_key("alg") {
            true => Named::Yes,
            false => Named::No,
        };
        Ok(Self {
            kid,
            algorithm,
            named,
            key,
        })
    }

    /// An RSA key that does not say what it is for (RFC 7517 §4.4) checks PS256
    /// as well: in a set it stands there twice.
    fn as_other(jwk: &Map<String, Value>) -> Option<Self> {
        if member(jwk, "kty") != Some("RSA") || jwk.contains_key("alg") {
            return None;
        }
        let mut named = jwk.clone();
        named.insert("alg".to_owned(), Algorithm::Ps256.as_str().into());
        let own = Self::from_jwk(&named).ok()?;
        Some(Self {
            named: Named::No,
            ..own
        })
    }

    /// Whether it is in a set for the second time.
    fn is_other(&self) -> bool {
        self.named == Named::No && self.algorithm == Algorithm::Ps256
    }

    /// Reads the key that a proof encloses, for the algorithm of its header.
    /// A stranger chose it: it is small enough to check quickly, and public.
    pub(crate) fn enclosed(
        jwk: &Map<String, Value>,
        named: Algorithm,
    ) -> Result<(Self, Thumbprint), InvalidKey> {
        if PRIVATE.iter().any(|name| jwk.contains_key(*name)) {
            return Err(InvalidKey::Unsupported);
        }
        check_use(jwk)?;
        let own = algorithm(jwk)?;
        let other_name = match own {
            Algorithm::Rs256 => Some(Algorithm::Ps256),
            Algorithm::EdDsa => Some(Algorithm::Ed25519),
            _ => None,
        };
        let is_other = !jwk.contains_key("alg") && other_name == Some(named);
        if own != named && !is_other {
            return Err(InvalidKey::Unsupported);
        }
        let most = (MAX_ENCLOSED_RSA_BYTES * 4).div_ceil(3);
        if member(jwk, "n").is_some_and(|n| n.len() > most) {
            return Err(InvalidKey::Unsupported);
        }
        let (verification, bytes) = public_bytes(jwk, named)?;
        let key = ParsedPublicKey::new(verification, bytes).map_err(|_| InvalidKey::Weak)?;
        let own = Self {
            kid: None,
            algorithm: named,
            named: Named::Yes,
            key,
        };
        Ok((own, thumbprint(jwk).ok_or(InvalidKey::Malformed)?))
    }

    /// The key's name.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The one algorithm it checks.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether a header of this algorithm may mean this key. `EdDSA` and
    /// `Ed25519` are two names of one algorithm: a key that states one of them
    /// is bound to it, one that states none takes both.
    pub fn checks(&self, algorithm: Algorithm) -> bool {
        let is_other_name = self.named == Named::No
            && self.algorithm == Algorithm::EdDsa
            && algorithm == Algorithm::Ed25519;
        self.algorithm == algorithm || is_other_name
    }

    /// Whether both are one key, under one name and for one algorithm.
    pub fn is_same_as(&self, other: &Self) -> bool {
        (&self.kid, self.algorithm) == (&other.kid, other.algorithm)
            && self.key.as_ref() == other.key.as_ref()
    }

    /// Whether `signature` is this key's over `signed`.
    pub fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        let right_length = match self.algorithm {
            Algorithm::Es256 | Algorithm::EdDsa | Algorithm::Ed25519 => signature.len() == 64,
            Algorithm::Es384 => signature.len() == 96,
            Algorithm::Rs256 | Algorithm::Ps256 => (256..=1024).contains(&signature.len()),
            Algorithm::MlDsa65 => signature.len() == ML_DSA_65_SIGNATURE,
        };
        right_length && self.key.verify_sig(signed, signature).is_ok()
    }
}

/// The thumbprint of a key whose members were checked: they hold nothing that
/// JSON would escape.
fn thumbprint(jwk: &Map<String, Value>) -> Option<Thumbprint> {
    let part = |name: &str| member(jwk, name);
    let canonical = match part("kty")? {
        "EC" => format!(
            r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
            part("crv")?,
            part("x")?,
            part("y")?
        ),
        "OKP" => format!(
            r#"{{"crv":"{}","kty":"OKP","x":"{}"}}"#,
            part("crv")?,
            part("x")?
        ),
        "RSA" => format!(
            r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
            part("e")?,
            part("n")?
        ),
        _ => return None,
    };
    Some(Thumbprint::of(canonical.as_bytes()))
}

fn member<'a>(jwk: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    jwk.get(name).and_then(Value::as_str)
}

fn check_use(jwk: &Map<String, Value>) -> Result<(), InvalidKey> {
    if jwk.get("use").is_some_and(|own| own != "sig") {
        return Err(InvalidKey::Use);
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(all)) if all.iter().any(|one| one == "verify") => Ok(()),
        Some(_) => Err(InvalidKey::Use),
    }
}

fn algorithm(jwk: &Map<String, Value>) -> Result<Algorithm, InvalidKey> {
    let natural = match (member(jwk, "kty"), member(jwk, "crv")) {
        (Some("EC"), Some("P-256")) => Algorithm::Es256,
        (Some("EC"), Some("P-384")) => Algorithm::Es384,
        (Some("OKP"), Some("Ed25519")) => Algorithm::EdDsa,
        (Some("RSA"), _) => Algorithm::Rs256,
        // Such a key must name its algorithm (RFC 9964 §3).
        (Some("AKP"), _) if jwk.contains_key("alg") => Algorithm::MlDsa65,
        _ => return Err(InvalidKey::Unsupported),
    };
    match jwk.get("alg") {
        None => Ok(natural),
        Some(Value::String(name)) => match (natural, name.as_str()) {
            (Algorithm::Rs256, "PS256") => Ok(Algorithm::Ps256),
            (Algorithm::EdDsa, "Ed25519") => Ok(Algorithm::Ed25519),
            (own, name) if own.as_str() == name => Ok(own),
            _ => Err(InvalidKey::Unsupported),
        },
        Some(_) => Err(InvalidKey::Malformed),
    }
}

type PublicBytes = (&'static dyn VerificationAlgorithm, Vec<u8>);

fn public_bytes(jwk: &Map<String, Value>, algorithm: Algorithm) -> Result<PublicBytes, InvalidKey> {
    let part = |name: &str| {
        let text = member(jwk, name).ok_or(InvalidKey::Malformed)?;
        BASE64_URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| InvalidKey::Malformed)
    };
    let point = |size: usize| {
        let (x, y) = (part("x")?, part("y")?);
        let fits = x.len() == size && y.len() == size;
        fits.then(|| [&[4][..], &x, &y].concat())
            .ok_or(InvalidKey::Malformed)
    };
    // The library takes DER in the place of some raw keys; the wire does not.
    let exactly = |name: &str, size: usize| {
        let bytes = part(name)?;
        (bytes.len() == size)
            .then_some(bytes)
            .ok_or(InvalidKey::Malformed)
    };
    Ok(match algorithm {
        Algorithm::Es256 => (&signature::ECDSA_P256_SHA256_FIXED, point(32)?),
        Algorithm::Es384 => (&signature::ECDSA_P384_SHA384_FIXED, point(48)?),
        Algorithm::EdDsa | Algorithm::Ed25519 => (&signature::ED25519, exactly("x", 32)?),
        Algorithm::MlDsa65 => (&signature::ML_DSA_65, exactly("pub", ML_DSA_65_PUBLIC)?),
        Algorithm::Rs256 => (
            &signature::RSA_PKCS1_2048_8192_SHA256,
            rsa_der(&part("n")?, &part("e")?)?,
        ),
        Algorithm::Ps256 => (
            &signature::RSA_PSS_2048_8192_SHA256,
            rsa_der(&part("n")?, &part("e")?)?,
        ),
    })
}

/// A modulus of 2,048 to 8,192 bits and an odd exponent of 65,537 or more.
pub(super) fn rsa_der(n: &[u8], e: &[u8]) -> Result<Vec<u8>, InvalidKey> {
    let exponent = e
        .iter()
        .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let strong = (256..=1024).contains(&n.len())
        && n.first().is_some_and(|first| *first >= 0x80)
        && e.len() <= 4
        && e.first().is_some_and(|first| *first != 0)
        && exponent >= 65_537
        && exponent % 2 == 1;
    if !strong || super::roca::is_suspect(n) {
        return Err(InvalidKey::Weak);
    }
    let der = RsaPublicKeyComponents { n, e }
        .as_der()
        .map_err(|_| InvalidKey::Weak)?;
    Ok(der.as_ref().to_vec())
}

/// The thumbprint of a key's own certificate, which stands first in its chain.
fn certificate(jwk: &Value) -> Option<Thumbprint> {
    let first = jwk.get("x5c")?.as_array()?.first()?.as_str()?;
    let der = BASE64_STANDARD.decode(first).ok()?;
    Some(Thumbprint::of(&der))
}

/// A set of public keys. What cannot be used in it is left out and counted.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
    certificates: Vec<Thumbprint>,
    /// Keys that are not for signatures alone, as they were written.
    encryption: Vec<Map<String, Value>>,
    skipped: usize,
}

impl KeySet {
    /// Reads a set. One bad key spoils only itself; two keys of one name spoil
    /// each other, since nobody could tell which was meant.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidKey> {
        if bytes.len() > MAX_KEY_SET_BYTES {
            return Err(InvalidKey::Malformed);
        }
        let document = json::object(bytes).map_err(|_| InvalidKey::Malformed)?;
        Self::from_json(&document)
    }

    /// Reads a set that is already JSON.
    pub fn from_json(document: &Map<String, Value>) -> Result<Self, InvalidKey> {
        let Some(Value::Array(list)) = document.get("keys") else {
            return Err(InvalidKey::Malformed);
        };
        if list.len() > MAX_KEYS {
            return Err(InvalidKey::Malformed);
        }
        let read = list
            .iter()
            .filter_map(Value::as_object)
            .flat_map(|jwk| {
                let first = VerifyingKey::from_jwk(jwk).ok();
                let other = first.is_some().then(|| VerifyingKey::as_other(jwk));
                [first, other.flatten()]
            })
            .flatten();
        let mut keys: Vec<VerifyingKey> = read.collect();
        let names: Vec<_> = list
            .iter()
            .filter_map(|jwk| jwk.get("kid").and_then(Value::as_str))
            .collect();
        keys.retain(|key| {
            key.kid.is_none()
                || names
                    .iter()
                    .filter(|name| Some(**name) == key.kid())
                    .count()
                    == 1
        });
        let skipped = list.len() - keys.iter().filter(|key| !key.is_other()).count();
        Ok(Self {
            keys,
            certificates: list.iter().filter_map(certificate).collect(),
            encryption: list
                .iter()
                .filter_map(Value::as_object)
                .filter(|jwk| jwk.get("use").is_none_or(|own| own == "enc"))
                .cloned()
                .collect(),
            skipped,
        })
    }

    /// The certificates that come with keys (`x5c`, RFC 7517 §4.7), each key's
    /// own; a key that cannot be used here may have one all the same.
    pub fn certificates(&self) -> &[Thumbprint] {
        &self.certificates
    }

    /// The key to encrypt to under an algorithm: the first that is for
    /// encryption, else the first that is for nothing in particular.
    pub fn encryption_key(&self, algorithm: KeyManagement) -> Option<EncryptionKey> {
        EncryptionKey::among(self.encryption.iter(), algorithm)
    }

    /// The keys that a header may mean: the one of its `kid`, or all where it
    /// names none; of the header's algorithm in both cases.
    pub fn candidates<'a>(
        &'a self,
        kid: Option<&'a str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'a VerifyingKey> {
        let named = move |key: &&VerifyingKey| kid.is_none() || key.kid() == kid;
        self.keys
            .iter()
            .filter(named)
            .filter(move |key| key.checks(algorithm))
    }

    /// Every key, whatever a header names: for explaining a refusal and for
    /// comparing sets, never for deciding on a signature.
    pub fn keys(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.keys.iter()
    }

    /// Whether a key of this name is there, under any algorithm.
    pub fn names(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.iter().filter(|key| !key.is_other()).count()
    }

    /// Whether none can.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many were left out.
    pub fn skipped(&self) -> usize {
        self.skipped
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(jwk: Value) -> InvalidKey {
        VerifyingKey::from_jwk(jwk.as_object().unwrap()).unwrap_err()
    }

    fn good() -> Value {
        json!({"kty": "EC", "crv": "P-256", "kid": "a",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})
    }

    fn changed(name: &str, value: Value) -> Value {
        let mut jwk = good();
        jwk[name] = value;
        jwk
    }

    #[test]
    fn keys_that_are_weak_or_of_another_use_are_refused() {
        assert!(VerifyingKey::from_jwk(good().as_object().unwrap()).is_ok());
        assert_eq!(refused(changed("use", "enc".into())), InvalidKey::Use);
        assert_eq!(
            refused(changed("key_ops", json!(["encrypt"]))),
            InvalidKey::Use
        );
        assert_eq!(refused(changed("x", "AAAA".into())), InvalidKey::Malformed);
        assert_eq!(
            refused(changed(
                "y",
                "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU".into()
            )),
            InvalidKey::Weak
        );
        assert_eq!(
            refused(changed("alg", "ES384".into())),
            InvalidKey::Unsupported
        );
        assert_eq!(
            refused(changed("alg", "HS256".into())),
            InvalidKey::Unsupported
        );
        assert_eq!(
            refused(changed("d", "AAAA".into())),
            InvalidKey::Unsupported
        );
        assert_eq!(
            refused(json!({"kty": "oct", "k": "AAAA"})),
            InvalidKey::Unsupported
        );
        let short = BASE64_URL_SAFE_NO_PAD.encode([0xff; 128]);
        assert_eq!(
            refused(json!({"kty": "RSA", "n": short, "e": "AQAB"})),
            InvalidKey::Weak
        );
        let long = BASE64_URL_SAFE_NO_PAD.encode([0xff; 256]);
        assert_eq!(
            refused(json!({"kty": "RSA", "n": long, "e": "AQ"})),
            InvalidKey::Weak
        );
    }

    #[test]
    fn an_empty_number_is_refused_and_breaks_nothing() {
        let long = BASE64_URL_SAFE_NO_PAD.encode([0xff; 256]);
        for (n, e) in [(long.as_str(), ""), ("", "AQAB"), ("", ""), (&long, "AA")] {
            assert_eq!(
                refused(json!({"kty": "RSA", "n": n, "e": e})),
                InvalidKey::Weak
            );
        }
    }

    #[test]
    fn one_bad_key_spoils_only_itself_and_two_of_one_name_each_other() {
        let set = json!({"keys": [good(), {"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA"}, changed("kid", "b".into()), changed("kid", "b".into())]});
        let set = KeySet::parse(set.to_string().as_bytes()).unwrap();
        assert_eq!((set.len(), set.skipped()), (1, 3));
        assert!(set.names("a") && !set.names("b"));
    }
}
