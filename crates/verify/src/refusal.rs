//! Why a request does not get through.
//!
//! Spec: RFC 6750 §3.1
//! Spec: RFC 9449 §7.1, §9
//! Spec: RFC 9470 §3

use std::fmt;
use std::time::Duration;

use symbolon_protocol::ErrorCode;
use symbolon_token::dpop::InvalidProof;
use symbolon_token::explain::{Check, Refused};

use crate::authentication::Insufficient;

/// How a request carries its token in a way that is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// Two `Authorization` headers.
    Repeated,
    /// A header that is not `Bearer` or `DPoP`, one space, one token.
    Form,
    /// A token in the header and one in the query.
    TwoWays,
}

/// Why nobody can know whether a token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CannotKnow {
    /// The issuer's keys are not at hand, or too old to be believed.
    Keys,
    /// The issuer does not answer what became of the token.
    Introspection,
    /// The route wants revocation known now, and nothing here can tell.
    NoSource,
    /// What is known of the revocation feed is older than the route allows, and
    /// the issuer does not answer.
    Stale(Stale),
    /// The issuer does not let whoever asks here know of this API's tokens.
    NotItsReader,
    /// Whoever remembers for all processes what was used does not answer.
    Uses,
}

/// How old what is known of the revocation feed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale {
    pub(crate) age: Option<Duration>,
    pub(crate) allowed: Duration,
    /// Why the feed is not followed, in a stable word.
    pub(crate) failure: Option<&'static str>,
}

impl Stale {
    /// How old it is; nothing where the feed was never reached.
    pub const fn age(&self) -> Option<Duration> {
        self.age
    }

    /// How old the route allows it to be.
    pub const fn allowed(&self) -> Duration {
        self.allowed
    }

    fn cause(&self) -> String {
        let allowed = self.allowed.as_secs_f64();
        let issuer = match self.failure {
            Some("credentials_refused") => {
                "the issuer does not take the introspection client with this secret"
            }
            Some("no_resource_served") => NOT_ITS_READER,
            _ => "the issuer does not answer",
        };
        match self.age {
            Some(age) => format!(
                "revocation: the feed was last known {:.1} s ago, the route allows {allowed:.1} s, and {issuer}",
                age.as_secs_f64()
            ),
            None => format!(
                "revocation: the feed was never reached since this process began, and {issuer}"
            ),
        }
    }

    fn repair(&self) -> &'static str {
        match self.failure {
            Some("credentials_refused") => {
                "compare the introspection client and its secret with what the issuer has registered"
            }
            Some("no_resource_served") => BE_ITS_READER,
            _ => {
                "check that this machine reaches the issuer's revocation feed; why the last stream ended say the log and `/readyz` of a gateway's admin listener, and `Verifier::feed` in a program"
            }
        }
    }
}

/// What a token is bound to and its sender was not shown to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotHeld {
    /// It is bound to a key and came as a plain bearer.
    AsBearer,
    /// It came with the scheme of proofs and is not bound to a key.
    NotBound,
    /// It came without a proof.
    ProofMissing,
    /// The proof is by another key.
    OtherKey,
    /// The connection shows no certificate.
    CertificateMissing,
    /// The connection shows another certificate.
    OtherCertificate,
    /// No request was given in which possession could be proved, or the
    /// verifier does not know the address under which callers reach the API.
    NoRequest,
}

/// Why a request does not get through.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// It carries no access token.
    Missing,
    /// It carries it in a way that is not allowed.
    Malformed(Malformed),
    /// A check failed.
    Refused(Refused),
    /// The token is bound to a key or a certificate that whoever sent it was
    /// not shown to hold, or it came with a proof and is not bound.
    Binding(NotHeld),
    /// The proof of the key is not good (`invalid_dpop_proof`).
    Proof(InvalidProof),
    /// The proof has to carry the nonce of the answer (`use_dpop_nonce`).
    NonceNeeded,
    /// The person has to sign in again, more strongly or more recently
    /// (`insufficient_user_authentication`).
    Authentication(Insufficient),
    /// Nobody can know now: neither yes nor no.
    CannotKnow(CannotKnow),
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl Refusal {
    /// The check that failed or could not be made, where one was reached.
    pub fn check(&self) -> Option<Check> {
        match self {
            Self::Refused(refused) => Some(refused.check()),
            Self::CannotKnow(CannotKnow::Keys) => Some(Check::Signature),
            Self::CannotKnow(CannotKnow::Uses) => None,
            Self::CannotKnow(_) => Some(Check::Revocation),
            Self::Missing
            | Self::Malformed(_)
            | Self::Binding(_)
            | Self::Proof(_)
            | Self::NonceNeeded
            | Self::Authentication(_) => None,
        }
    }

    /// A stable word for logs and scripts.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed(Malformed::Repeated) => "header_repeated",
            Self::Malformed(Malformed::Form) => "header_malformed",
            Self::Malformed(Malformed::TwoWays) => "two_transmissions",
            Self::Refused(refused) => refused.code(),
            Self::Binding(_) => "key_binding",
            Self::Proof(invalid) => invalid.code(),
            Self::NonceNeeded => "proof_nonce",
            Self::Authentication(Insufficient::Unknown) => "authentication_unknown",
            Self::Authentication(Insufficient::Class) => "authentication_class",
            Self::Authentication(Insufficient::Age) => "authentication_age",
            Self::CannotKnow(CannotKnow::Keys) => "keys_unavailable",
            Self::CannotKnow(CannotKnow::Introspection) => "introspection_unavailable",
            Self::CannotKnow(CannotKnow::NoSource) => "revocation_unavailable",
            Self::CannotKnow(CannotKnow::Stale(_)) => "revocations_stale",
            Self::CannotKnow(CannotKnow::NotItsReader) => "not_its_reader",
            Self::CannotKnow(CannotKnow::Uses) => "uses_unavailable",
        }
    }

    /// Whether it is about what the token is bound to.
    pub(crate) const fn is_about_binding(&self) -> bool {
        matches!(self, Self::Binding(_) | Self::Proof(_) | Self::NonceNeeded)
    }

    /// The HTTP status that goes with it.
    pub fn status(&self) -> u16 {
        // An authorization server answers 400 to a bad proof, an API 401.
        if self.is_about_binding() {
            return 401;
        }
        self.error().status()
    }

    /// The error code that goes into the body, and but for a missing token
    /// into the challenge.
    pub fn error(&self) -> ErrorCode {
        match self {
            Self::Missing | Self::Binding(_) => ErrorCode::InvalidToken,
            Self::Proof(_) => ErrorCode::InvalidDpopProof,
            Self::NonceNeeded => ErrorCode::UseDpopNonce,
            Self::Malformed(_) => ErrorCode::InvalidRequest,
            Self::Authentication(_) => ErrorCode::InsufficientUserAuthentication,
            Self::Refused(refused) => refused.error(),
            Self::CannotKnow(_) => ErrorCode::TemporarilyUnavailable,
        }
    }

    /// What the caller is told: a fixed text that shows nothing of the token.
    pub fn description(&self) -> &'static str {
        match self {
            Self::Missing => "the request carries no access token",
            Self::Malformed(Malformed::Repeated) => "the Authorization header is repeated",
            Self::Malformed(Malformed::Form) => {
                "the Authorization header is not Bearer, one space and one token"
            }
            Self::Malformed(Malformed::TwoWays) => "the access token is sent in two ways",
            Self::Binding(not_held) => not_held.description(),
            Self::Proof(invalid) => invalid.description(),
            Self::NonceNeeded => "the DPoP proof needs the nonce of this answer",
            Self::Authentication(own) => own.description(),
            Self::CannotKnow(_) => "the access token cannot be checked at the moment",
            Self::Refused(refused) => match refused.check() {
                Check::Signature => "the access token is malformed or not from the trusted issuer",
                Check::Expiry => "the access token is expired or not valid yet",
                Check::Issuer => "the access token is from another issuer",
                Check::Audience => "the access token is meant for another API",
                Check::Revocation => "the access token is no longer active",
                Check::Scope => "the access token does not cover this request",
            },
        }
    }

    /// The cause in one plain sentence, for the operator. What the token says
    /// is escaped and cut.
    pub fn cause(&self) -> String {
        match self {
            Self::Refused(refused) => printable(&refused.cause()),
            Self::CannotKnow(CannotKnow::Keys) => {
                "signature: the issuer's keys are not at hand, or too old to be believed".into()
            }
            Self::CannotKnow(CannotKnow::Introspection) => {
                "revocation: the issuer did not say whether the token is active".into()
            }
            Self::CannotKnow(CannotKnow::NoSource) => {
                "revocation: the route wants it known now, and no introspection is set up".into()
            }
            Self::CannotKnow(CannotKnow::Stale(stale)) => stale.cause(),
            Self::CannotKnow(CannotKnow::NotItsReader) => format!("revocation: {NOT_ITS_READER}"),
            Self::CannotKnow(CannotKnow::Uses) => {
                "what was used already is remembered elsewhere, and nobody answers there".into()
            }
            other => other.description().into(),
        }
    }

    /// What would repair it, in one plain sentence.
    pub fn repair(&self) -> String {
        match self {
            Self::Missing => {
                "send `Authorization: Bearer <access token>`; without the word `Bearer` it is none"
                    .into()
            }
            Self::Malformed(_) => {
                "send the token once, in one header: `Authorization: Bearer <access token>`".into()
            }
            Self::Refused(refused) => printable(&refused.repair()),
            Self::Binding(not_held) => not_held.repair().into(),
            Self::Proof(_) => {
                "make a new proof for each request, for its method, its address and this token".into()
            }
            Self::NonceNeeded => {
                "send the request again with a proof that carries the nonce of `DPoP-Nonce`".into()
            }
            Self::Authentication(_) => {
                "have the person sign in again, with the `acr_values` and `max_age` of the challenge in the authorization request".into()
            }
            Self::CannotKnow(CannotKnow::Keys) => {
                "check that this machine reaches the issuer's metadata and key set".into()
            }
            Self::CannotKnow(CannotKnow::Introspection) => {
                "check that the issuer answers, and that client id and secret for introspection are right".into()
            }
            Self::CannotKnow(CannotKnow::NoSource) => {
                "set up `introspect_as`, or let the route say `Revocation::AtExpiry`".into()
            }
            Self::CannotKnow(CannotKnow::Stale(stale)) => stale.repair().into(),
            Self::CannotKnow(CannotKnow::NotItsReader) => BE_ITS_READER.into(),
            Self::CannotKnow(CannotKnow::Uses) => {
                "check that this machine reaches the memory of uses that it shares".into()
            }
        }
    }
}

impl NotHeld {
    const fn description(self) -> &'static str {
        match self {
            Self::AsBearer => {
                "the access token is bound to a key: send it as DPoP and with a proof"
            }
            Self::NotBound => "the access token is not bound to a key",
            Self::ProofMissing => "the access token is bound to a key: a DPoP proof is needed",
            Self::OtherKey => "the access token is bound to another key",
            Self::CertificateMissing => {
                "the access token is bound to a certificate that the connection does not show"
            }
            Self::OtherCertificate => "the access token is bound to another certificate",
            Self::NoRequest => {
                "the access token is bound to a key or certificate, which cannot be checked here"
            }
        }
    }

    const fn repair(self) -> &'static str {
        match self {
            Self::AsBearer | Self::ProofMissing => {
                "send `Authorization: DPoP <access token>` and a `DPoP` header with a proof"
            }
            Self::NotBound => "send it as `Bearer`, or ask for a token with a DPoP proof",
            Self::OtherKey => "sign the proof with the key with which the token was asked for",
            Self::CertificateMissing | Self::OtherCertificate => {
                "connect with the certificate with which the token was asked for"
            }
            Self::NoRequest => {
                "check the whole request, set `reached_at`, and put a `PeerCertificate` into its extensions"
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause())
    }
}

impl std::error::Error for Refusal {}

const NOT_ITS_READER: &str =
    "the issuer does not let the introspection client know what became of this API's tokens";
const BE_ITS_READER: &str = "at the issuer, name the introspection client in `introspection_client` of the API's `[[resource]]`";

/// How long a printed sentence may be, in characters.
const MAX_PRINTED: usize = 600;

/// One line whatever the token says: nothing in it can begin a log line of its
/// own, move a cursor or turn the reading direction.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars().take(MAX_PRINTED) {
        let is_turning = matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if character.is_control() || is_turning {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use symbolon_protocol::error::is_description;
    use symbolon_token::explain::Shown;

    use super::*;

    #[test]
    fn what_the_token_says_cannot_begin_a_line_of_its_own() {
        let refusal = Refusal::from(Refused::Issuer {
            expected: "https://as.example".into(),
            found: "x`\n2026-01-01 INFO all is well\u{202e}\0".repeat(100),
        });
        let cause = refusal.cause();
        assert!(!cause.chars().any(char::is_control) && cause.len() < 6_000);
        assert!(!cause.contains('\u{202e}'));
    }

    #[test]
    fn every_description_can_stand_in_a_header() {
        let kinds = [
            Refusal::Missing,
            Refusal::Malformed(Malformed::Repeated),
            Refusal::Malformed(Malformed::Form),
            Refusal::Malformed(Malformed::TwoWays),
            Refusal::Binding(NotHeld::AsBearer),
            Refusal::Binding(NotHeld::NotBound),
            Refusal::Binding(NotHeld::ProofMissing),
            Refusal::Binding(NotHeld::OtherKey),
            Refusal::Binding(NotHeld::CertificateMissing),
            Refusal::Binding(NotHeld::OtherCertificate),
            Refusal::Binding(NotHeld::NoRequest),
            Refusal::Proof(InvalidProof::Missing),
            Refusal::NonceNeeded,
            Refusal::Authentication(Insufficient::Unknown),
            Refusal::Authentication(Insufficient::Class),
            Refusal::Authentication(Insufficient::Age),
            Refusal::CannotKnow(CannotKnow::Keys),
            Refused::NotAnAccessToken(Shown::IdToken).into(),
            Refused::Inactive.into(),
        ];
        for kind in kinds {
            assert!(is_description(kind.description()), "{kind:?}");
        }
    }
}
