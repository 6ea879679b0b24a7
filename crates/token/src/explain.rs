//! The six checks by name, and what a failed one says.

use std::fmt;

use symbolon_protocol::{ErrorCode, Timestamp};

use crate::api_key::KeyFlaw;
use crate::jose::Invalid;
use crate::jose::jwe::Unopened;
use crate::macaroon::Flaw;
use crate::revocation::Hit;

/// The checks, in the order in which a refusal is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// Form, kind of token, and the issuer's key; or seal, or MAC.
    Signature,
    /// The token has not ended and has begun.
    Expiry,
    /// It is from the issuer that is trusted here.
    Issuer,
    /// It is meant for this API.
    Audience,
    /// It has not been taken back.
    Revocation,
    /// It covers what is being done.
    Scope,
}

impl Check {
    /// Every check.
    pub const ALL: [Self; 6] = [
        Self::Signature,
        Self::Expiry,
        Self::Issuer,
        Self::Audience,
        Self::Revocation,
        Self::Scope,
    ];

    /// The check's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Expiry => "expiry",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Revocation => "revocation",
            Self::Scope => "scope",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What somebody showed where an access token belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shown {
    /// An ID token.
    IdToken,
    /// A refresh token.
    RefreshToken,
    /// A logout token.
    LogoutToken,
    /// A client assertion.
    ClientAssertion,
    /// A signed answer of this server (userinfo, introspection).
    SignedResponse,
    /// Some other credential of ours.
    Other(&'static str),
    /// Something else altogether.
    Unknown,
}

impl Shown {
    /// What a JWS of a claimed type is.
    pub fn typed(typ: Option<&str>) -> Self {
        match typ {
            Some("jwt") | None => Self::IdToken,
            Some("logout+jwt") => Self::LogoutToken,
            Some("client-authentication+jwt") => Self::ClientAssertion,
            Some("token-introspection+jwt") => Self::SignedResponse,
            _ => Self::Unknown,
        }
    }

    /// The thing in words, and what to ask for instead.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::IdToken => (
                "an ID token",
                "an ID token tells the application who signed in; send the `access_token` of the same answer",
            ),
            Self::RefreshToken => (
                "a refresh token",
                "a refresh token is for the token endpoint alone; send the `access_token`",
            ),
            Self::LogoutToken => ("a logout token", "send an access token"),
            Self::ClientAssertion => (
                "a client assertion",
                "exchange it for an access token at the token endpoint",
            ),
            Self::SignedResponse => (
                "a signed answer of the server",
                "send the access token itself",
            ),
            Self::Other(name) => (name, "send an access token"),
            Self::Unknown => (
                "something that is not a token of this issuer",
                "ask the issuer for an access token for this API",
            ),
        }
    }
}

/// One failed check, with what differed and what would repair it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Refused {
    /// The form or the signature is not good.
    Signature(Invalid),
    /// No signed token came out of an encrypted one, or out of one that should
    /// have been.
    Encryption(Unopened),
    /// A seal did not open.
    Seal,
    /// A macaroon is not good, or not good here.
    Macaroon(Flaw),
    /// It is an API key that is not good, or not good here.
    ApiKey(KeyFlaw),
    /// It is no access token.
    NotAnAccessToken(Shown),
    /// A claim is missing or of the wrong type.
    Claim(&'static str),
    /// It has ended.
    Expired {
        /// When.
        expires: Timestamp,
        /// What time it is.
        now: Timestamp,
    },
    /// It has not begun.
    NotYet {
        /// When it begins.
        begins: Timestamp,
        /// What time it is.
        now: Timestamp,
    },
    /// Another issuer made it.
    Issuer {
        /// Who is trusted.
        expected: String,
        /// Whom it names.
        found: String,
    },
    /// It is meant for another API.
    Audience {
        /// Who this is.
        expected: String,
        /// Whom it names.
        found: Vec<String>,
    },
    /// It lacks scopes.
    Scope {
        /// What is needed.
        needed: Vec<String>,
        /// What it has.
        found: Vec<String>,
    },
    /// It was taken back.
    Revoked(Option<Hit>),
    /// Its client was allowed what it says, and is not any more.
    NotAllowedNow(&'static str),
    /// The issuer says that it is not active, and no more.
    Inactive,
    /// It is an assertion that is not good.
    #[cfg(feature = "saml")]
    Assertion(crate::saml::Refused),
}

impl Refused {
    /// Which check failed.
    pub fn check(&self) -> Check {
        match self {
            Self::Macaroon(flaw) => flaw.check(),
            Self::ApiKey(flaw) => flaw.check(),
            Self::Signature(_)
            | Self::Encryption(_)
            | Self::Seal
            | Self::NotAnAccessToken(_)
            | Self::Claim(_) => Check::Signature,
            Self::Expired { .. } | Self::NotYet { .. } => Check::Expiry,
            Self::Issuer { .. } => Check::Issuer,
            Self::Audience { .. } => Check::Audience,
            Self::Scope { .. } => Check::Scope,
            Self::Revoked(_) | Self::NotAllowedNow(_) | Self::Inactive => Check::Revocation,
            #[cfg(feature = "saml")]
            Self::Assertion(refused) => refused.check(),
        }
    }

    /// A stable word for logs and scripts.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Signature(invalid) => invalid.code(),
            Self::Encryption(unopened) => unopened.code(),
            Self::Seal => "seal_mismatch",
            Self::Macaroon(flaw) => flaw.code(),
            Self::ApiKey(flaw) => flaw.code(),
            Self::NotAnAccessToken(_) => "not_an_access_token",
            Self::Claim(_) => "claim_malformed",
            Self::Expired { .. } => "expired",
            Self::NotYet { .. } => "not_yet_valid",
            Self::Issuer { .. } => "wrong_issuer",
            Self::Audience { .. } => "wrong_audience",
            Self::Scope { .. } => "insufficient_scope",
            Self::Revoked(_) => "revoked",
            Self::NotAllowedNow(_) => "not_allowed_now",
            Self::Inactive => "inactive",
            #[cfg(feature = "saml")]
            Self::Assertion(refused) => refused.code(),
        }
    }

    /// What the wire says (RFC 6750 §3.1).
    pub fn error(&self) -> ErrorCode {
        match self {
            Self::Scope { .. } => ErrorCode::InsufficientScope,
            Self::Macaroon(flaw) if flaw.is_insufficient() => ErrorCode::InsufficientScope,
            _ => ErrorCode::InvalidToken,
        }
    }

    /// The cause in one plain sentence, for the operator.
    pub fn cause(&self) -> String {
        match self {
            Self::Signature(invalid) => format!("signature: {invalid}"),
            Self::Encryption(unopened) => format!("signature: {unopened}"),
            Self::Seal => "signature: the token is not sealed by this issuer, or one of its characters was changed".into(),
            Self::Macaroon(flaw) => format!("{}: {flaw}", flaw.check()),
            Self::ApiKey(flaw) => format!("{}: {flaw}", flaw.check()),
            Self::NotAnAccessToken(shown) => format!("signature: this is {}, not an access token", shown.words().0),
            Self::Claim(name) => format!("signature: claim `{name}` is missing or not of its type"),
            Self::Expired { expires, now } => {
                format!("expiry: the token ended at {expires}, {} s ago (it is {now})", now.since(*expires).as_secs())
            }
            Self::NotYet { begins, now } => {
                format!("expiry: the token begins at {begins}, in {} s (it is {now})", begins.since(*now).as_secs())
            }
            Self::Issuer { expected, found } => format!("issuer: the token is from `{found}`, trusted is `{expected}`"),
            Self::Audience { expected, found } => {
                format!("audience: the token is meant for `{}`, this is `{expected}`", found.join("`, `"))
            }
            Self::Scope { needed, found } => {
                format!("scope: needed `{}`, the token has `{}`", needed.join(" "), found.join(" "))
            }
            Self::Revoked(Some(Hit::Record(target))) => format!("revocation: its {} was taken back", target.name()),
            Self::Revoked(Some(Hit::Parent(target))) => format!("revocation: a {} that it came from was taken back", target.name()),
            Self::Revoked(Some(Hit::Epoch)) => "revocation: it is from before a restore of the issuer".into(),
            Self::Revoked(None) => "revocation: it was taken back".into(),
            Self::NotAllowedNow(why) => format!("revocation: {why}"),
            Self::Inactive => "revocation: the issuer says that the token is not active".into(),
            #[cfg(feature = "saml")]
            Self::Assertion(refused) => refused.to_string(),
        }
    }

    /// What would repair it, in one plain sentence.
    pub fn repair(&self) -> String {
        match self {
            Self::Signature(Invalid::UnknownKey) => "check that issuer and key set address belong together, and ask for a new token".into(),
            Self::Signature(Invalid::Algorithm) => "allow the algorithm at the API, or choose another `signing_alg` for the resource".into(),
            Self::Encryption(unopened) => unopened.repair().into(),
            Self::Signature(_) | Self::Seal => "send the token exactly as it was issued; a changed scope or end makes it worthless".into(),
            Self::Macaroon(flaw) => flaw.repair().into(),
            Self::ApiKey(flaw) => flaw.repair().into(),
            Self::NotAnAccessToken(shown) => shown.words().1.into(),
            Self::Claim(_) => "ask this issuer for a new access token".into(),
            Self::Expired { .. } => "renew it with the refresh token, or ask for a new one".into(),
            Self::NotYet { .. } => "set the clocks of issuer and API; they differ by more than the allowed skew".into(),
            Self::Issuer { expected, .. } => format!("get a token from `{expected}`, or configure the API for the other issuer"),
            Self::Audience { expected, .. } => format!("ask for the token with `resource={expected}`"),
            Self::Scope { needed, .. } => format!("ask for the token with `scope={}`, if the person and the client may have it", needed.join(" ")),
            Self::Revoked(_) => "sign in again, or ask for a new token; a token that was taken back never works again".into(),
            Self::NotAllowedNow(_) => "look at what the client is registered for now; give it back what it should have, or ask for a token without it".into(),
            Self::Inactive => "sign in again, or ask for a new token; where new ones are refused too, whoever asks the issuer is not named by `introspection_client` of the API's `[[resource]]` there".into(),
            #[cfg(feature = "saml")]
            Self::Assertion(refused) => refused.repair().into(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause())
    }
}

impl std::error::Error for Refused {}
