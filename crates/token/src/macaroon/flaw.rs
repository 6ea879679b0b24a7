//! What is wrong with a macaroon, by name.

use crate::explain::Check;

/// Why a macaroon is not good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// It cannot be read.
    #[error("it is no macaroon: {0}")]
    Form(&'static str),
    /// A named limit is passed.
    #[error("it is too large: {0}")]
    Limit(&'static str),
    /// Its identifier was not sealed here, or is of another kind of key.
    #[error("its identifier was not made by this issuer, or one of its bytes was changed")]
    Identifier,
    /// Its resource made it with the key that it was given, or it is from
    /// before the server could tell.
    #[error("its resource minted it, not this issuer: it is good at that resource alone")]
    NotMintedHere,
    /// It names another place than the one it was made for.
    #[error("it is for another place")]
    Location,
    /// The chain of MACs does not end in the signature that it carries.
    #[error("its signature does not match: a caveat was changed, moved or taken away")]
    Mac,
    /// A third-party caveat has no discharge, or one that was used already.
    #[error("a third-party caveat has no discharge of its own")]
    DischargeMissing,
    /// A discharge that nothing asked for, or one of two with one name.
    #[error("a discharge belongs to no caveat, or comes twice")]
    DischargeUnused,
    /// Discharges are bound to it, so that it cannot be changed any more.
    #[error("discharges are bound to it: add the caveat before them")]
    Bound,
    /// A caveat that is not understood.
    #[error("caveat `{0}` is not understood")]
    Unknown(String),
    /// Caveats that leave nothing.
    #[error("its caveats leave no {0}")]
    Nothing(&'static str),
    /// A condition that is not met.
    #[error("caveat `{0}` is not met")]
    Unmet(String),
    /// A condition that cannot be judged with what is known here.
    #[error("caveat `{0}` cannot be judged here")]
    Unjudged(String),
    /// Everything that was allowed was used.
    #[error("caveat `{0}` is used up")]
    Spent(String),
}

impl Flaw {
    /// Which check failed.
    pub fn check(&self) -> Check {
        match self {
            Self::Unmet(text) if is_about_time(text) => Check::Expiry,
            Self::Unmet(_) | Self::Unjudged(_) => Check::Scope,
            Self::Spent(_) => Check::Revocation,
            Self::Nothing("audience") | Self::Location => Check::Audience,
            _ => Check::Signature,
        }
    }

    /// A stable word for logs and scripts.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form(_) => "macaroon_malformed",
            Self::Limit(_) => "macaroon_too_large",
            Self::Identifier => "macaroon_unknown",
            Self::NotMintedHere => "macaroon_not_minted_here",
            Self::Location => "macaroon_location",
            Self::Mac => "macaroon_changed",
            Self::DischargeMissing => "discharge_missing",
            Self::DischargeUnused => "discharge_unused",
            Self::Bound => "macaroon_bound",
            Self::Unknown(_) => "caveat_unknown",
            Self::Nothing(_) => "caveat_conflict",
            Self::Unmet(_) => "caveat_unmet",
            Self::Unjudged(_) => "caveat_unjudged",
            Self::Spent(_) => "caveat_spent",
        }
    }

    /// What would repair it, in one plain sentence.
    pub const fn repair(&self) -> &'static str {
        match self {
            Self::Form(_) | Self::Limit(_) | Self::Identifier | Self::Mac => {
                "send the macaroon exactly as it was handed over; caveats can be added, never changed or taken away"
            }
            Self::NotMintedHere => "ask the issuer for a macaroon for that resource",
            Self::Location => "send it to the resource that it was made for",
            Self::DischargeMissing => {
                "fetch a discharge for each third-party caveat, bind it to this macaroon, and send both"
            }
            Self::DischargeUnused => {
                "send only the discharges that this macaroon asks for, each once"
            }
            Self::Bound => "begin with the macaroon alone, and bind discharges last",
            Self::Unknown(_) => "use only caveats that the issuer knows, spelled exactly",
            Self::Nothing(_) => "ask whoever narrowed it for one that leaves what you need",
            Self::Unmet(_) => "use it as its caveats say, or ask for one with other caveats",
            Self::Unjudged(_) => {
                "let the API say which request it is about: method, uri and client_ip at introspection"
            }
            Self::Spent(_) => "ask for a new macaroon",
        }
    }

    /// Whether the token is good and only does not cover this request.
    pub fn is_insufficient(&self) -> bool {
        self.check() == Check::Scope
    }
}

fn is_about_time(text: &str) -> bool {
    ["before = ", "after = ", "hours = ", "days = "]
        .iter()
        .any(|name| text.starts_with(name))
}
