//! In what a DPoP proof or a certificate differs from what the request needs.
//!
//! Spec: RFC 9449 §4.2, §4.3
//! Spec: RFC 8705 §3

use http::request::Parts;
use serde_json::{Map, Value};
use symbolon_token::dpop::InvalidProof;
use symbolon_token::jose::Unverified;

use super::difference::Difference;
use super::finding::Finding;
use crate::binding::PeerCertificate;
use crate::refusal::{NotHeld, Refusal};

/// What is wrong with the proof of possession.
pub(super) fn finding(refusal: &Refusal) -> Option<Finding> {
    let (root, repair) = match refusal {
        Refusal::Binding(own) => of_holder(*own),
        Refusal::Proof(own) => of_proof(*own),
        Refusal::NonceNeeded => (
            "proof_nonce",
            "send the request again with a proof that carries the nonce of `DPoP-Nonce`",
        ),
        _ => return None,
    };
    let cause = format!("binding: {}", refusal.description());
    Some(Finding::new(root, cause, repair))
}

const fn of_holder(not_held: NotHeld) -> (&'static str, &'static str) {
    match not_held {
        NotHeld::AsBearer => (
            "bound_as_bearer",
            "send `Authorization: DPoP <access token>` and a `DPoP` header with a proof",
        ),
        NotHeld::NotBound => (
            "not_bound",
            "send it as `Bearer`, or ask for a token with a DPoP proof",
        ),
        NotHeld::ProofMissing => (
            "proof_missing",
            "send `Authorization: DPoP <access token>` and a `DPoP` header with a proof",
        ),
        NotHeld::OtherKey => (
            "proof_other_key",
            "sign the proof with the key with which the token was asked for",
        ),
        NotHeld::CertificateMissing => (
            "certificate_missing",
            "connect with the certificate with which the token was asked for",
        ),
        NotHeld::OtherCertificate => (
            "other_certificate",
            "connect with the certificate with which the token was asked for; after a renewal, ask for a new token",
        ),
        NotHeld::NoRequest => (
            "binding_not_shown",
            "name the request, the proof or the certificate, so that it can be judged",
        ),
    }
}

const fn of_proof(invalid: InvalidProof) -> (&'static str, &'static str) {
    match invalid {
        InvalidProof::Method => (
            "proof_method",
            "make a new proof for each request: `htm` is the method of this one",
        ),
        InvalidProof::Target => (
            "proof_target",
            "make a new proof for each request: `htu` is its address as the caller knows it, without query; behind a proxy, set `reached_at`",
        ),
        InvalidProof::Time => (
            "proof_time",
            "make a new proof for each request, and set the clock of the caller",
        ),
        InvalidProof::Token => (
            "proof_token",
            "make a new proof for this access token: `ath` is the hash of the token that is sent",
        ),
        InvalidProof::Replayed => (
            "proof_replayed",
            "make a new proof with a `jti` of its own for each request, retries too",
        ),
        other => (
            other.code(),
            "make a new proof for each request, for its method, its address and this token",
        ),
    }
}

/// What the proof says beside what the request is.
pub(super) fn differences(
    refusal: &Refusal,
    parts: Option<&Parts>,
    claims: &Map<String, Value>,
    target: Option<&str>,
) -> Vec<Difference> {
    let Some(parts) = parts else {
        return Vec::new();
    };
    let said = proof(parts);
    let said = |name: &str| said.get(name).map(plain).unwrap_or_default();
    let bound = |name: &str| claims.get("cnf").and_then(|own| own.get(name)).map(plain);
    match refusal {
        Refusal::Proof(InvalidProof::Method) => {
            vec![Difference::new("htm", parts.method.as_str(), said("htm"))]
        }
        Refusal::Proof(InvalidProof::Target) => {
            vec![Difference::between(
                "htu",
                target.unwrap_or_default(),
                &said("htu"),
            )]
        }
        Refusal::Proof(InvalidProof::Time) => {
            vec![Difference::new("iat", "at most a minute ago", said("iat"))]
        }
        Refusal::Binding(NotHeld::OtherKey) => {
            let wanted = bound("jkt").unwrap_or_default();
            vec![Difference::new("jkt", wanted, "another key")]
        }
        Refusal::Binding(NotHeld::OtherCertificate) => {
            let wanted = bound("x5t#S256").unwrap_or_default();
            let shown = parts.extensions.get::<PeerCertificate>();
            let shown = shown.map(PeerCertificate::thumbprint).unwrap_or_default();
            vec![Difference::new("x5t#S256", wanted, shown)]
        }
        _ => Vec::new(),
    }
}

/// The claims of the proof. Nobody vouches for them.
fn proof(parts: &Parts) -> Map<String, Value> {
    let text = parts.headers.get("dpop").and_then(|own| own.to_str().ok());
    let proof = text.and_then(|text| Unverified::parse(text).ok());
    let claims = proof.and_then(|own| own.dangerous_claims_without_key().ok());
    claims.unwrap_or_default()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
