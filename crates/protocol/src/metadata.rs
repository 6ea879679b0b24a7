//! The metadata document of the authorization server.
//!
//! Spec: RFC 8414 §2
//! Spec: OpenID Connect Discovery 1.0 §3

use serde::{Deserialize, Serialize};

/// What clients and resource servers read first. Unknown members are ignored
/// when reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerMetadata {
    /// The issuer, to be compared character by character.
    pub issuer: String,
    /// Where people are sent.
    pub authorization_endpoint: Option<String>,
    /// Where grants become tokens.
    pub token_endpoint: Option<String>,
    /// Where the keys are.
    pub jwks_uri: Option<String>,
    /// Where tokens are asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint: Option<String>,
    /// Where tokens are taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
    /// Where a resource reads what was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocations_endpoint: Option<String>,
    /// Where the keys are that sign it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocations_jwks_uri: Option<String>,
    /// Where a resource is given the root keys of its macaroons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macaroon_keys_endpoint: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// Where a relying party finds the metadata of an issuer, best first: the
/// well-known name is inserted before the issuer's path (RFC 8414 §3.1), and
/// for OpenID Connect also appended to it.
pub fn addresses(issuer: &crate::Issuer) -> [String; 3] {
    let (origin, path) = (issuer.origin(), issuer.path());
    [
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
        format!("{origin}{path}/.well-known/openid-configuration"),
    ]
}
