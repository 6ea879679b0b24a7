//! Signing.

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use aws_lc_rs::{hmac, rsa};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use symbolon_protocol::SigningAlgorithm;

use crate::secret::Secret;

enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static dyn aws_lc_rs::signature::RsaEncoding),
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
        let refused = NotAKey(algorithm);
        let document = match algorithm {
            SigningAlgorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                    .map_err(|_| refused)?;
                pair.to_pkcs8v1().map_err(|_| refused)?.as_ref().to_vec()
            }
            SigningAlgorithm::EdDsa => {
                let pair = Ed25519KeyPair::generate().map_err(|_| refused)?;
                pair.to_pkcs8().map_err(|_| refused)?.as_ref().to_vec()
            }
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => {
                let pair = rsa::KeyPair::generate(KeySize::Rsa2048).map_err(|_| refused)?;
                AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair)
                    .map_err(|_| refused)?
                    .as_ref()
                    .to_vec()
            }
        };
        Ok(Secret::new(document))
    }

    /// Takes a key pair back from its PKCS#8 form. Its name is the thumbprint
    /// of the public half (RFC 7638), so no two keys share one.
    pub fn from_pkcs8(algorithm: SigningAlgorithm, document: &Secret) -> Result<Self, NotAKey> {
        let refused = NotAKey(algorithm);
        let bytes = document.expose();
        let (pair, public) = match algorithm {
            SigningAlgorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes)
                    .map_err(|_| refused)?;
                let point = pair.public_key().as_ref();
                let (x, y) = point
                    .get(1..)
                    .and_then(|xy| xy.split_at_checked(32))
                    .ok_or(refused)?;
                let public = json!({"crv": "P-256", "kty": "EC", "x": text(x), "y": text(y)});
                (Pair::Ec(pair), public)
            }
            SigningAlgorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(bytes).map_err(|_| refused)?;
                let public =
                    json!({"crv": "Ed25519", "kty": "OKP", "x": text(pair.public_key().as_ref())});
                (Pair::Ed(pair), public)
            }
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => {
                let pair = RsaKeyPair::from_pkcs8(bytes).map_err(|_| refused)?;
                let half = pair.public_key();
                let n = half.modulus().big_endian_without_leading_zero();
                let e = half.exponent().big_endian_without_leading_zero();
                let public = json!({"e": text(e), "kty": "RSA", "n": text(n)});
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding =
                    if algorithm == SigningAlgorithm::Ps256 {
                        &RSA_PSS_SHA256
                    } else {
                        &RSA_PKCS1_SHA256
                    };
                (Pair::Rsa(pair, padding), public)
            }
        };
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
            Pair::Ec(pair) => pair
                .sign(&self.random, signed)
                .expect("P-256 signs")
                .as_ref()
                .to_vec(),
            Pair::Ed(pair) => pair.sign(signed).as_ref().to_vec(),
            Pair::Rsa(pair, padding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*padding, &self.random, signed, &mut signature)
                    .expect("RSA signs");
                signature
            }
        }
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
