//! What whoever sends a request was shown to hold: the key of a DPoP proof, the
//! key of a certificate, both or nothing.
//!
//! 1. [`prove`] reads both at the door of the token endpoint.
//! 2. [`binding`] says what a token has to be bound to: at least what it came
//!    from, and all that client and resource demand. Every grant asks it by way
//!    of `may_issue`.
//! 3. The proof is used up: in the act of a grant that has one ([`note`] looks
//!    here too), otherwise by [`spend`], where it needs a nonce of this process.
//!
//! Spec: RFC 9449 §5, §5.1, §8, §11.1
//! Spec: RFC 8705 §3

mod presented;
mod proof;

use std::sync::Arc;

use http::HeaderValue;
use symbolon_protocol::{Client, ClientKind, ErrorCode, Resource};
use symbolon_store::{Engine, SpentProof};
use symbolon_token::dpop::{InvalidProof, Proof, Unspent};
use symbolon_token::{Binding, Thumbprint};

use crate::cx::Cx;
use crate::failure::Refusal;
use crate::received::Received;

pub(crate) use presented::{Scheme, Shown, check_presented};

/// What was shown to be held. Only this module makes one that holds anything.
#[derive(Debug, Default)]
pub(crate) struct Holder {
    proof: Option<Proof>,
    certificate: Option<Thumbprint>,
}

/// Nobody showed anything.
pub(crate) static NOBODY: Holder = Holder {
    proof: None,
    certificate: None,
};

impl Holder {
    /// The key of the proof.
    pub(crate) fn key(&self) -> Option<Thumbprint> {
        self.proof.as_ref().map(Proof::key)
    }

    /// The certificate of the connection.
    pub(crate) fn certificate(&self) -> Option<Thumbprint> {
        self.certificate
    }

    /// The proof, for the act that comes with it.
    pub(crate) fn spent_proof(&self) -> Option<SpentProof> {
        self.proof.as_ref().map(|proof| SpentProof {
            key: *proof.once(),
            expires: proof.acceptable_until(),
        })
    }

    /// Refuses whoever does not hold all that a grant is bound to.
    pub(crate) fn check(&self, demanded: &Binding) -> Result<(), Refusal> {
        self.check_as(ErrorCode::InvalidGrant, demanded)
    }

    /// The same for something whose flaws have another error.
    pub(crate) fn check_as(&self, flaw: ErrorCode, demanded: &Binding) -> Result<(), Refusal> {
        match (demanded.key, self.key()) {
            (Some(_), None) => return Err(Refusal::invalid_dpop_proof(KEY_NEEDED)),
            (Some(wanted), Some(own)) if wanted != own => {
                return Err(Refusal::new(flaw, "this is bound to another key"));
            }
            _ => {}
        }
        match demanded.certificate {
            Some(wanted) if self.certificate != Some(wanted) => Err(Refusal::new(
                flaw,
                "this is bound to a certificate that the connection does not show",
            )),
            _ => Ok(()),
        }
    }
}

const KEY_NEEDED: &str = "this is bound to a key, so a DPoP proof is needed";

/// The context in which what the caller holds is known.
pub(crate) fn prove(cx: Cx, received: &Received) -> Result<Cx, Refusal> {
    let holder = Holder {
        proof: proof::read(&cx, received, None).map_err(refused)?,
        certificate: received.certificate.as_ref().map(|own| own.thumbprint()),
    };
    Ok(cx.held_by(Arc::new(holder)))
}

/// Looks whether this node saw the proof before, where an act uses it up. The
/// act decides over all nodes, but only among what is of the same slot.
///
/// A nonce that is not this node's may be another's, where there are others:
/// whoever goes to a node after the other would never bring the right one.
pub(crate) fn note(cx: &Cx) -> Result<(), Refusal> {
    let Some(proof) = &cx.holder().proof else {
        return Ok(());
    };
    match cx.proofs.note(proof, cx.now) {
        Err(Unspent::Replayed) => Err(refused(InvalidProof::Replayed)),
        Err(Unspent::NonceNeeded) if cx.store.engine() == Engine::Sqlite => Err(nonce_needed(cx)),
        Err(Unspent::NonceNeeded) | Ok(()) => Ok(()),
    }
}

/// Uses the proof up where no act does: it has to carry a nonce of this
/// process, so that neither another node nor a restart takes it again.
pub(crate) fn spend(cx: &Cx) -> Result<(), Refusal> {
    let Some(proof) = &cx.holder().proof else {
        return Ok(());
    };
    match cx.proofs.spend_tied(proof, cx.now) {
        Ok(()) => Ok(()),
        Err(Unspent::Replayed) => Err(refused(InvalidProof::Replayed)),
        Err(Unspent::NonceNeeded) => Err(nonce_needed(cx)),
    }
}

/// The nonce for the caller's next proof.
pub(crate) fn next_nonce(cx: &Cx) -> Option<HeaderValue> {
    HeaderValue::from_str(&cx.proofs.nonce(cx.now)).ok()
}

fn nonce_needed(cx: &Cx) -> Refusal {
    let refusal = Refusal::use_dpop_nonce("the DPoP proof needs the nonce of this answer");
    match next_nonce(cx) {
        Some(nonce) => refusal.with_nonce(nonce),
        None => refusal,
    }
}

fn refused(invalid: InvalidProof) -> Refusal {
    tracing::debug!(cause = %invalid, code = invalid.code(), "proof");
    Refusal::invalid_dpop_proof(invalid.description())
}

/// What a token is bound to that comes from something bound to `whole`.
///
/// A proof always binds; a certificate where client or resource demand it.
pub(crate) fn binding(
    cx: &Cx,
    client: &Client,
    resource: Option<&Resource>,
    whole: &Binding,
) -> Result<Binding, Refusal> {
    let holder = cx.holder();
    holder.check(whole)?;
    let by_resource = resource.is_some_and(|resource| resource.require_key_binding);
    let mut binding = *whole;
    binding.key = binding.key.or(holder.key());
    if client.binding.tls_client_certificate_bound_access_tokens
        || (by_resource && binding.key.is_none())
    {
        binding.certificate = binding.certificate.or(holder.certificate);
    }
    if client.binding.tls_client_certificate_bound_access_tokens && binding.certificate.is_none() {
        return Err(Refusal::invalid_request(
            "tokens of this client are bound to its certificate, and the connection shows none",
        ));
    }
    if client.binding.dpop_bound_access_tokens && binding.key.is_none() {
        return Err(Refusal::invalid_dpop_proof(
            "tokens of this client are bound to a key, so a DPoP proof is needed",
        ));
    }
    let by_kind = client.kind == ClientKind::Native && cx.settings.bind_native_clients;
    if (by_kind || by_resource) && !binding.is_bound() {
        return Err(Refusal::invalid_dpop_proof(
            "only tokens bound to a key are issued here, so a DPoP proof is needed",
        ));
    }
    Ok(binding)
}
