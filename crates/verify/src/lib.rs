//! Checks access tokens for an API: six named checks, in one call.
//!
//! Spec: RFC 6750 §2.1, §3
//! Spec: RFC 9068 §4
//! Spec: RFC 9728 §2, §3, §5.1
//! Spec: RFC 9449 §7
//! Spec: RFC 8705 §3
//! Spec: RFC 9470 §3
//!
//! From an issuer and an audience to a protected route:
//!
//! ```
//! # fn main() -> Result<(), symbolon_verify::Misconfigured> {
//! use symbolon_verify::{Algorithm, Principal, Verifier};
//! let verifier = Verifier::new("https://as.example.com", "https://api.example.com", [Algorithm::Es256])?
//!     .introspect_as("orders-api", "its secret")?;
//! let invoices = axum::routing::get(async |caller: Principal| format!("invoices of {}", caller.subject()));
//! let app: axum::Router = axum::Router::new().route("/invoices", invoices.layer(verifier.require(["read:invoices"])));
//! # Ok(())
//! # }
//! ```
//!
//! A token that is bound to a key is taken with a DPoP proof alone, one that is
//! bound to a certificate on a connection that shows it alone: the layer does
//! both, and needs to know of the certificate ([`PeerCertificate`]) and, where
//! the audience is no web address, of the origin ([`Verifier::reached_at`]).
//!
//! JWTs are checked here, with keys that are fetched once and kept, and opened
//! before that where they are encrypted ([`Verifier::decrypt_with`]); opaque
//! tokens are asked about; macaroons are one or the other, as their resource
//! chose, and judged for the request that they come with. Whether a token was taken back is asked in any case,
//! unless the route says [`Revocation::AtExpiry`]; a verifier that follows the
//! issuer's feed ([`Verifier::subscribe`]) knows it within a second without
//! asking. Where nobody can know, the answer is neither yes nor no, and the
//! request gets 503.

mod ambient;
mod api_key;
mod authentication;
mod authorities;
mod bearer;
mod binding;
mod chain;
mod check;
mod config;
mod decision;
mod decryption;
mod discovery;
mod environment;
mod explanation;
#[cfg(feature = "axum")]
mod extract;
mod fetch;
mod grpc;
mod introspection;
mod issuers;
mod keys;
mod layer;
pub mod macaroon;
mod macaroon_keys;
mod misconfigured;
mod principal;
mod refusal;
mod remembered;
mod rendering;
mod requirement;
mod respond;
mod revocations;
mod sharing;
mod standing;
mod steady;
mod subscription;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod uses;
mod verifier;

/// The program in the README is compiled by the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;

/// So are those of the guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/verify.md")]
pub struct Guide;

pub use symbolon_protocol::ResourceIdentifier;
pub use symbolon_token::dpop::InvalidProof;
pub use symbolon_token::explain::{Check, Refused, Shown};
pub use symbolon_token::jose::Algorithm;
pub use symbolon_token::recognize::What;

pub use authentication::Insufficient;
pub use bearer::Presented;
pub use binding::PeerCertificate;
pub use decision::Decision;
pub use explanation::{
    ClockShown, Demanded, Difference, Explanation, KeyShown, Outcome, Step, Verdict, Vouched,
};
#[cfg(feature = "axum")]
pub use extract::{Unguarded, protected_resource_routes};
pub use layer::{ClientAddress, Guarded, RequireToken};
pub use misconfigured::Misconfigured;
pub use principal::Principal;
pub use refusal::{CannotKnow, Malformed, NotHeld, Refusal, Stale};
pub use requirement::{Requirement, Revocation};
pub use respond::request_id;
pub use revocations::Revocations;
pub use subscription::{FeedState, FeedTrouble};
pub use uses::{Remembered, SharedUses, Unremembered, Use};
pub use verifier::{NotReady, Verifier};
