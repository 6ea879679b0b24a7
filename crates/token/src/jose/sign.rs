//! Signing: one key, one algorithm, one use.
//!
//! Spec: RFC 7518 §3.3, §3.4, §3.5
//! Spec: RFC 7638 §3
//! Spec: RFC 9864 §2.2
//! Spec: RFC 9964 §3

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, ML_DSA_65_SIGNING, PqdsaKeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use aws_lc_rs::{hmac, rsa};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use symbolon_protocol::SigningAlgorithm;

use super::low_s;
use crate::secret::Secret;

enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Pq(PqdsaKeyPair),
}

/// A private key that signs under one algorithm, with its name.
pub struct SigningKey {
    kid: String,
    algorithm: SigningAlgorithm,
    pair: Pair,
    public: Value,
    random: SystemRandom,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.algorithm, self.kid)
    }
}

/// A stored key that is not a key of that algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a private key for {0}")]
pub struct NotAKey(SigningAlgorithm);

impl SigningKey {
    /// Draws a key pair; the answer is its PKCS#8 form, to be sealed.
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Secret, NotAKey> {
        use SigningAlgorithm as A;
        let refused = |_| NotAKey(algorithm);
        let document = match algorithm {
            A::Es256 | A::Es384 => {
                let pair = EcdsaKeyPair::generate(curve(algorithm)).map_err(refused)?;
                pair.to_pkcs8v1().map_err(refused)?.as_ref().to_vec()
            }
            A::EdDsa | A::Ed25519 => {
                let pair = Ed25519KeyPair::generate().map_err(refused)?;
                pair.to_pkcs8().map_err(refused)?.as_ref().to_vec()
            }
            A::Rs256 | A::Ps256 => {
                let pair = rsa::KeyPair::generate(KeySize::Rsa2048).map_err(refused)?;
                AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair)
                    .map_err(refused)?
                    .as_ref()
                    .to_vec()
            }
            A::MlDsa65 => {
                let pair = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).map_err(refused)?;
                pair.to_pkcs8v1().map_err(refused)?.as_ref().to_vec()
            }
        };
        Ok(Secret::new(document))
    }

    /// Takes a key pair back from its PKCS#8 form. Its name is the thumbprint
    /// of the public half (RFC 7638), so no two keys share one.
    pub fn from_pkcs8(algorithm: SigningAlgorithm, document: &Secret) -> Result<Self, NotAKey> {
        let (pair, public) = read(algorithm, document.expose()).ok_or(NotAKey(algorithm))?;
        let kid = text(crate::secret::Digest::of(public.to_string().as_bytes()).as_bytes());
        Ok(Self {
            kid,
            algorithm,
            pair,
            public,
            random: SystemRandom::new(),
        })
    }

    /// The key's name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm it signs under.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// The public half as it is published (RFC 7517 §4).
    pub fn public_jwk(&self) -> Value {
        let mut jwk = self.public.clone();
        jwk["kid"] = self.kid.as_str().into();
        jwk["alg"] = self.algorithm.as_str().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// The public half as certificates hold it: a point, or the two numbers of
    /// an RSA key (RFC 8017 §A.1.1).
    #[cfg(feature = "saml")]
    pub(crate) fn public_bytes(&self) -> &[u8] {
        match &self.pair {
            Pair::Ec(pair) => pair.public_key().as_ref(),
            Pair::Ed(pair) => pair.public_key().as_ref(),
            Pair::Rsa(pair, _) => pair.public_key().as_ref(),
            Pair::Pq(pair) => pair.public_key().as_ref(),
        }
    }

    /// A compact JWS over `payload`, whose kind is `typ`.
    ///
    /// # Panics
    ///
    /// Where the cryptographic library cannot sign, which it does for lack of
    /// memory or randomness only.
    pub fn sign(&self, typ: &str, payload: &[u8]) -> String {
        let header = format!(
            r#"{{"alg":"{}","typ":"{typ}","kid":"{}"}}"#,
            self.algorithm, self.kid
        );
        self.sign_under(&header, payload)
    }

    /// A compact JWS with a header of the caller's own, whose `alg` has to be
    /// this key's.
    ///
    /// # Panics
    ///
    /// As [`sign`](Self::sign).
    pub fn sign_under(&self, header: &str, payload: &[u8]) -> String {
        let mut out = String::with_capacity((header.len() + payload.len() + 256) * 4 / 3 + 8);
        BASE64_URL_SAFE_NO_PAD.encode_string(header, &mut out);
        out.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(payload, &mut out);
        let signature = self.sign_bytes(out.as_bytes());
        out.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut out);
        out
    }

    /// A signature over bytes; an ECDSA one is its two numbers, each of full
    /// length (RFC 7518 §3.4).
    #[expect(
        clippy::expect_used,
        reason = "the library fails for lack of memory or randomness only"
    )]
    pub(crate) fn sign_bytes(&self, signed: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Ec(pair) => {
                let signature = pair.sign(&self.random, signed).expect("ECDSA signs");
                let mut signature = signature.as_ref().to_vec();
                low_s::lower(&mut signature);
                signature
            }
            Pair::Ed(pair) => pair.sign(signed).as_ref().to_vec(),
            Pair::Pq(pair) => {
                let mut signature = vec![0; pair.algorithm().signature_len()];
                pair.sign(signed, &mut signature).expect("ML-DSA signs");
                signature
            }
            Pair::Rsa(pair, padding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*padding, &self.random, signed, &mut signature)
                    .expect("RSA signs");
                signature
            }
        }
    }

    /// The members that make the public half, and nothing else (RFC 7638 §3.2).
    pub fn bare_jwk(&self) -> &Value {
        &self.public
    }
}

/// A pair and the members of its thumbprint, in their order (RFC 7638 §3.2).
fn read(algorithm: SigningAlgorithm, bytes: &[u8]) -> Option<(Pair, Value)> {
    use SigningAlgorithm as A;
    Some(match algorithm {
        A::Es256 | A::Es384 => {
            let pair = EcdsaKeyPair::from_pkcs8(curve(algorithm), bytes).ok()?;
            let (x, y) = {
                let point = pair.public_key().as_ref().get(1..)?;
                point.split_at_checked(point.len() / 2)?
            };
            let name = if algorithm == A::Es384 {
                "P-384"
            } else {
                "P-256"
            };
            let public = json!({"crv": name, "kty": "EC", "x": text(x), "y": text(y)});
            (Pair::Ec(pair), public)
        }
        A::EdDsa | A::Ed25519 => {
            let pair = Ed25519KeyPair::from_pkcs8(bytes).ok()?;
            let x = text(pair.public_key().as_ref());
            (
                Pair::Ed(pair),
                json!({"crv": "Ed25519", "kty": "OKP", "x": x}),
            )
        }
        A::Rs256 | A::Ps256 => {
            let pair = RsaKeyPair::from_pkcs8(bytes).ok()?;
            let half = pair.public_key();
            let n = half.modulus().big_endian_without_leading_zero();
            let e = half.exponent().big_endian_without_leading_zero();
            let public = json!({"e": text(e), "kty": "RSA", "n": text(n)});
            let padding: &'static dyn RsaEncoding = match algorithm {
                A::Ps256 => &RSA_PSS_SHA256,
                _ => &RSA_PKCS1_SHA256,
            };
            (Pair::Rsa(pair, padding), public)
        }
        A::MlDsa65 => {
            let pair = PqdsaKeyPair::from_pkcs8(&ML_DSA_65_SIGNING, bytes).ok()?;
            let public = text(pair.public_key().as_ref());
            let public = json!({"alg": algorithm.as_str(), "kty": "AKP", "pub": public});
            (Pair::Pq(pair), public)
        }
    })
}

fn curve(algorithm: SigningAlgorithm) -> &'static EcdsaSigningAlgorithm {
    match algorithm {
        SigningAlgorithm::Es384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        _ => &ECDSA_P256_SHA256_FIXED_SIGNING,
    }
}

fn text(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Checks a MAC by a client's secret (`client_secret_jwt`), which no access
/// token ever carries.
pub fn hmac_sha256(secret: &Secret, signed: &[u8], mac: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
    secret.expose().len() >= 32 && hmac::verify(&key, signed, mac).is_ok()
}
