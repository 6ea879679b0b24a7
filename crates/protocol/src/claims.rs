//! The `claims` request parameter.
//!
//! Spec: OpenID Connect Core 1.0 §5.5

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How long the parameter may be, in bytes.
pub const MAX_CLAIMS_BYTES: usize = 4096;
/// How many claims it may name.
pub const MAX_CLAIMS: usize = 50;

/// What is asked of one claim.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// Whether the request fails where the claim cannot be given (`acr`) or
    /// is only less useful (all others).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub essential: bool,
    /// The one value that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The values that are asked for, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

impl ClaimRequest {
    /// Whether `value` is among what was asked for; anything is, where nothing
    /// was named.
    pub fn accepts(&self, value: &str) -> bool {
        let mut asked = self.value.iter().chain(&self.values).peekable();
        asked.peek().is_none() || asked.any(|own| own.as_str() == Some(value))
    }
}

/// The whole parameter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClaimsRequest {
    /// Claims to be returned in the ID token.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub id_token: BTreeMap<String, Option<ClaimRequest>>,
    /// Claims to be returned from userinfo.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub userinfo: BTreeMap<String, Option<ClaimRequest>>,
}

/// A `claims` parameter that is not one, or asks for too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidClaims {
    /// It has more than [`MAX_CLAIMS_BYTES`].
    #[error("claims is longer than 4096 bytes")]
    TooLong,
    /// It names more than [`MAX_CLAIMS`].
    #[error("claims names more than 50 claims")]
    TooMany,
    /// It is something else.
    #[error("claims is not a JSON object of requests")]
    Malformed,
}

impl ClaimsRequest {
    /// Reads the parameter. Members that are not known are ignored.
    pub fn parse(text: &str) -> Result<Self, InvalidClaims> {
        if text.len() > MAX_CLAIMS_BYTES {
            return Err(InvalidClaims::TooLong);
        }
        // A list would be read, too, member by member.
        if !text.trim_start().starts_with('{') {
            return Err(InvalidClaims::Malformed);
        }
        let claims: Self = serde_json::from_str(text).map_err(|_| InvalidClaims::Malformed)?;
        if claims.id_token.len() + claims.userinfo.len() > MAX_CLAIMS {
            return Err(InvalidClaims::TooMany);
        }
        Ok(claims)
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.id_token.is_empty() && self.userinfo.is_empty()
    }

    /// What is asked of `acr` for the ID token.
    pub fn acr(&self) -> Option<&ClaimRequest> {
        self.id_token.get("acr").and_then(Option::as_ref)
    }
}

/// The claims that a scope stands for (OpenID Connect Core 1.0 §5.4).
pub fn claims_of_scope(scope: &str) -> &'static [&'static str] {
    match scope {
        "profile" => &[
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        ],
        "email" => &["email", "email_verified"],
        "address" => &["address"],
        "phone" => &["phone_number", "phone_number_verified"],
        _ => &[],
    }
}

/// The scope that covers a standard claim.
pub fn scope_of_claim(claim: &str) -> Option<&'static str> {
    ["profile", "email", "address", "phone"]
        .into_iter()
        .find(|scope| claims_of_scope(scope).contains(&claim))
}
