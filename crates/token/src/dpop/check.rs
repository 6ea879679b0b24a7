//! Checking a proof, cheap things first.
//!
//! Spec: RFC 9449 §4.3
//! Spec: RFC 7638 §3

use std::time::Duration;

use serde_json::{Map, Value};
use symbolon_protocol::{TargetUri, Timestamp};

use super::claims::token_hash;
use super::{ALGORITHMS, PROOF_TYPE};
use crate::authority::Thumbprint;
use crate::jose::{Invalid, InvalidKey, Unverified, VerifyingKey};
use crate::jwt;
use crate::secret::Digest;

/// How long a proof may be, in bytes.
pub const MAX_PROOF_BYTES: usize = 8 * 1024;
/// How long a `jti` may be, in bytes.
const MAX_JTI_BYTES: usize = 256;
/// How long a nonce may be, in bytes.
const MAX_NONCE_BYTES: usize = 256;
/// How old a proof may be, clock differences aside.
const MAX_AGE: Duration = Duration::from_secs(60);
/// How far ahead its clock may be at least (FAPI 2.0 §5.3.2.1 wants 10 seconds).
const MIN_AHEAD: Duration = Duration::from_secs(10);

/// What a proof has to be about.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// Its address as the outside knows it.
    pub target: &'a TargetUri,
    /// The access token that came with it, where one did.
    pub access_token: Option<&'a str>,
    /// What time it is.
    pub now: Timestamp,
    /// How far clocks may differ.
    pub skew: Duration,
}

/// A proof that is good by itself. Only [`check`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    key: Thumbprint,
    once: [u8; 32],
    issued: Timestamp,
    acceptable_until: Timestamp,
    nonce: Option<String>,
}

impl Proof {
    /// The key that was proved to be held.
    pub const fn key(&self) -> Thumbprint {
        self.key
    }

    /// What is remembered of a use: key and `jti` together, so that nobody
    /// uses up what another key's proofs are called.
    pub const fn once(&self) -> &[u8; 32] {
        &self.once
    }

    /// When it says that it was made.
    pub const fn issued(&self) -> Timestamp {
        self.issued
    }

    /// Until when it would be taken, and so must be remembered.
    pub const fn acceptable_until(&self) -> Timestamp {
        self.acceptable_until
    }

    /// The nonce that it carries.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }
}

/// Why a proof is not good. `code` is stable; on the wire each is
/// `invalid_dpop_proof`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidProof {
    /// There is none.
    #[error("the request carries no DPoP proof")]
    Missing,
    /// There are several.
    #[error("the request carries more than one DPoP header")]
    Repeated,
    /// It is not a JWS with a key enclosed, its kind and algorithm are not
    /// those of a proof, or its signature is not that key's.
    #[error("{0}")]
    Signature(Invalid),
    /// The key that it encloses is not one that may sign proofs.
    #[error("{0}")]
    Key(InvalidKey),
    /// A claim is missing, too long or of the wrong type.
    #[error("claim `{0}` is missing or not of its form")]
    Claim(&'static str),
    /// It is for another method.
    #[error("htm is another method than the request's")]
    Method,
    /// It is for another address.
    #[error("htu is another address than the request's")]
    Target,
    /// It is too old, or from the future.
    #[error("iat is too long ago or in the future, or exp or nbf says no")]
    Time,
    /// It is for another access token.
    #[error("ath is not the hash of the access token")]
    Token,
    /// It was used before.
    #[error("the proof was already used")]
    Replayed,
}

impl InvalidProof {
    /// A stable word for logs and scripts.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "proof_missing",
            Self::Repeated => "proof_repeated",
            Self::Signature(_) => "proof_signature",
            Self::Key(_) => "proof_key",
            Self::Claim(_) => "proof_claim",
            Self::Method => "proof_method",
            Self::Target => "proof_target",
            Self::Time => "proof_time",
            Self::Token => "proof_token",
            Self::Replayed => "proof_replayed",
        }
    }

    /// What the caller is told: a fixed text that any answer may hold.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Missing => "a DPoP proof is needed",
            Self::Repeated => "the DPoP header is repeated",
            Self::Signature(_) => {
                "the DPoP proof is not a dpop+jwt signed by the key that it encloses"
            }
            Self::Key(_) => "the key in the DPoP proof is not one that may sign proofs",
            Self::Claim(_) => "a claim of the DPoP proof is missing or malformed",
            Self::Method => "htm of the DPoP proof is not the method of the request",
            Self::Target => "htu of the DPoP proof is not the address of the request",
            Self::Time => {
                "iat of the DPoP proof is too long ago or in the future, or its exp or nbf says no"
            }
            Self::Token => "ath of the DPoP proof is not the hash of the access token",
            Self::Replayed => "the DPoP proof was already used",
        }
    }
}

impl From<Invalid> for InvalidProof {
    fn from(invalid: Invalid) -> Self {
        Self::Signature(invalid)
    }
}

/// Checks a proof. What costs something, the signature, comes after everything
/// that a stranger could get wrong for nothing but the claims, which nobody
/// reads before.
pub fn check(text: &str, expected: &Expected<'_>) -> Result<Proof, InvalidProof> {
    if text.len() > MAX_PROOF_BYTES {
        return Err(Invalid::Form.into());
    }
    let unverified = Unverified::parse(text)?;
    if unverified.claimed_type() != Some(PROOF_TYPE) {
        return Err(Invalid::Type.into());
    }
    let algorithm = unverified.algorithm();
    let algorithm = algorithm.filter(|own| ALGORITHMS.contains(own));
    let algorithm = algorithm.ok_or(Invalid::Algorithm)?;
    let jwk = unverified.enclosed_key().ok_or(Invalid::UnknownKey)?;
    let (key, thumbprint) = VerifyingKey::enclosed(jwk, algorithm).map_err(InvalidProof::Key)?;
    let claims = unverified.verify(&key)?;
    check_claims(&claims, thumbprint, expected)
}

fn check_claims(
    claims: &Map<String, Value>,
    key: Thumbprint,
    expected: &Expected<'_>,
) -> Result<Proof, InvalidProof> {
    let jti = text(claims, "jti", MAX_JTI_BYTES)?;
    let nonce = match claims.get("nonce") {
        None => None,
        Some(_) => Some(text(claims, "nonce", MAX_NONCE_BYTES)?),
    };
    if text(claims, "htm", 64)? != expected.method {
        return Err(InvalidProof::Method);
    }
    if !expected
        .target
        .is_spelled(text(claims, "htu", MAX_PROOF_BYTES)?)
    {
        return Err(InvalidProof::Target);
    }
    let issued = jwt::instant(claims, "iat")
        .ok()
        .flatten()
        .ok_or(InvalidProof::Claim("iat"))?;
    let acceptable_until = issued + MAX_AGE + expected.skew;
    let is_ahead = |instant| instant > expected.now + ahead(expected.skew);
    let stated = |name| jwt::instant(claims, name).map_err(|_| InvalidProof::Claim(name));
    // Nobody has to send these two; who does, means them (RFC 7519 §4.1.4, §4.1.5).
    let (ends, begins) = (stated("exp")?, stated("nbf")?);
    let is_over = ends.is_some_and(|own| own + expected.skew <= expected.now);
    if is_ahead(issued) || acceptable_until < expected.now {
        return Err(InvalidProof::Time);
    }
    if is_over || begins.is_some_and(is_ahead) {
        return Err(InvalidProof::Time);
    }
    if let Some(token) = expected.access_token
        && text(claims, "ath", MAX_JTI_BYTES)? != token_hash(token)
    {
        return Err(InvalidProof::Token);
    }
    Ok(Proof {
        key,
        once: once(key, jti),
        issued,
        acceptable_until,
        nonce: nonce.map(str::to_owned),
    })
}

fn text<'a>(
    claims: &'a Map<String, Value>,
    name: &'static str,
    most: usize,
) -> Result<&'a str, InvalidProof> {
    let text = claims.get(name).and_then(Value::as_str);
    text.filter(|text| !text.is_empty() && text.len() <= most)
        .ok_or(InvalidProof::Claim(name))
}

/// Thumbprints have one length, so no two pairs look alike.
fn once(key: Thumbprint, jti: &str) -> [u8; 32] {
    *Digest::of(&[key.as_bytes(), jti.as_bytes()].concat()).as_bytes()
}

/// For how long one proof can be taken at most, from the first moment to the
/// last.
pub fn acceptable_span(skew: Duration) -> Duration {
    MAX_AGE + skew + ahead(skew)
}

/// How far ahead of ours the clock of whoever makes proofs may be.
pub(super) fn ahead(skew: Duration) -> Duration {
    skew.max(MIN_AHEAD)
}
