//! An access token that comes back to this server: whether whoever shows it
//! holds what it is bound to.
//!
//! Spec: RFC 9449 §7.1, §7.2, §9
//! Spec: RFC 8705 §3

use http::HeaderValue;
use symbolon_protocol::ErrorCode;
use symbolon_token::dpop::{InvalidProof, Unspent, algorithm_names};
use symbolon_token::{Binding, Thumbprint};

use super::{nonce_needed, proof, refused};
use crate::cx::Cx;
use crate::failure::Refusal;
use crate::received::Received;

/// How a token was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scheme {
    /// For whoever has it.
    Bearer,
    /// With the proof of a key.
    Dpop,
}

/// A token and how it was sent.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) token: &'a str,
}

/// Refuses whoever does not hold what a token is bound to, a key-bound token
/// that comes as a plain bearer, and one that comes with a proof and is not
/// bound.
pub(crate) fn check_presented(
    cx: &Cx,
    received: &Received,
    shown: Shown<'_>,
    binding: &Binding,
) -> Result<(), Refusal> {
    let certificate = received.certificate.as_ref().map(|own| own.thumbprint());
    if binding.certificate.is_some() && binding.certificate != certificate {
        return Err(bad(
            shown.scheme,
            "the token is bound to another certificate",
        ));
    }
    match (shown.scheme, binding.key) {
        (Scheme::Bearer, None) => Ok(()),
        (Scheme::Bearer, Some(_)) => Err(bad(
            Scheme::Dpop,
            "the token is bound to a key, so it is sent as DPoP and with a proof",
        )),
        (Scheme::Dpop, None) => Err(bad(Scheme::Dpop, "the token is not bound to a key")),
        (Scheme::Dpop, Some(key)) => check_proof(cx, received, shown.token, key),
    }
}

fn check_proof(cx: &Cx, received: &Received, token: &str, key: Thumbprint) -> Result<(), Refusal> {
    let proof = proof::read(cx, received, Some(token)).map_err(wrong)?;
    let Some(proof) = proof else {
        return Err(bad(Scheme::Dpop, InvalidProof::Missing.description()));
    };
    if proof.key() != key {
        return Err(bad(Scheme::Dpop, "the token is bound to another key"));
    }
    match cx.proofs.spend_tied(&proof, cx.now) {
        Ok(()) => Ok(()),
        Err(Unspent::Replayed) => Err(wrong(InvalidProof::Replayed)),
        Err(Unspent::NonceNeeded) => {
            let refusal = nonce_needed(cx);
            Err(challenged(refusal, Scheme::Dpop))
        }
    }
}

fn wrong(invalid: InvalidProof) -> Refusal {
    challenged(refused(invalid), Scheme::Dpop)
}

fn bad(scheme: Scheme, reason: &'static str) -> Refusal {
    challenged(Refusal::new(ErrorCode::InvalidToken, reason), scheme)
}

/// The same as a resource server says it: 401 and a challenge.
fn challenged(refusal: Refusal, scheme: Scheme) -> Refusal {
    scheme.challenge(refusal.with_status(401), "")
}

impl Scheme {
    /// The same refusal with a challenge under the scheme that the token came
    /// under (RFC 9449 §7.1), and what more the challenge says.
    pub(crate) fn challenge(self, refusal: Refusal, more: &str) -> Refusal {
        let error = refusal.code.as_str();
        let text = match self {
            Self::Bearer => format!(r#"Bearer error="{error}"{more}"#),
            Self::Dpop => format!(
                r#"DPoP error="{error}", algs="{}"{more}"#,
                algorithm_names()
            ),
        };
        with(refusal, &text)
    }
}

fn with(refusal: Refusal, challenge: &str) -> Refusal {
    match HeaderValue::from_str(challenge) {
        Ok(value) => refusal.with_challenge(value),
        Err(_) => refusal,
    }
}
