//! A trusted issuer: a partner whose JWTs become tokens of one resource.
//!
//! Spec: RFC 7521 §7
//! Spec: RFC 8693 §1

use serde::{Deserialize, Serialize};

use crate::client::Problem;
use crate::identifier::OrganizationId;
use crate::scope::Scopes;
use crate::uri::{ForeignIssuer, NOT_PLAIN, ResourceIdentifier};

/// How many audiences its JWTs may name.
pub const MAX_AUDIENCES: usize = 16;

/// Everything about a trusted issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuer {
    /// Its identifier, exactly as its JWTs name it in `iss`.
    pub issuer: ForeignIssuer,
    /// Where it publishes the keys that it signs JWTs with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The certificates of the keys that it signs SAML assertions with, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saml_certificate: Option<String>,
    /// The one resource that its JWTs open.
    pub resource: ResourceIdentifier,
    /// The one organization for which they do.
    #[serde(
        default,
        deserialize_with = "crate::client::empty_as_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub organization: Option<OrganizationId>,
    /// The scopes that they give at most.
    #[serde(default)]
    pub scopes: Scopes,
    /// The algorithms that it signs with; any that its keys allow by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub algorithms: Vec<String>,
    /// Audiences besides this server that a JWT to be exchanged may name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
}

/// The algorithms that can be checked.
const ALGORITHMS: [&str; 6] = ["ES256", "ES384", "EdDSA", "Ed25519", "RS256", "PS256"];

impl TrustedIssuer {
    /// What is wrong with the name of a new one.
    pub fn name_problem(&self) -> Option<Problem> {
        let is_plain = self.issuer.is_plain();
        (!is_plain).then(|| Problem::new("issuer", NOT_PLAIN.to_owned()))
    }

    /// What does not fit together.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |field: &str, message: String| {
            problems.push(Problem {
                field: field.to_owned(),
                message,
            });
        };
        let uri = self.jwks_uri.as_deref();
        if uri.is_some_and(|uri| url::Url::parse(uri).is_err()) {
            add("jwks_uri", "is the URL of a key set".to_owned());
        }
        if uri.is_none() && self.saml_certificate.is_none() {
            let why = "is missing, and so is `saml_certificate`: nothing it signs can be checked";
            add("jwks_uri", why.to_owned());
        }
        let unknown = |name: &&String| !ALGORITHMS.contains(&name.as_str());
        if let Some(name) = self.algorithms.iter().find(unknown) {
            let known = ALGORITHMS.join(", ");
            add("algorithms", format!("`{name}` is none of {known}"));
        }
        if self.audiences.len() > MAX_AUDIENCES {
            let message = format!("has at most {MAX_AUDIENCES} entries");
            add("audiences", message);
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(change: &str) -> Result<TrustedIssuer, serde_json::Error> {
        let base = r#""issuer":"https://partner.example.net/","jwks_uri":"https://partner.example.net/jwks","resource":"https://api.example.com""#;
        serde_json::from_str(&format!("{{{base}{change}}}"))
    }

    #[test]
    fn an_issuer_is_taken_as_others_write_it() {
        let own = read(r#","organization":"","scopes":["read:orders"]"#).unwrap();

        assert_eq!(own.issuer.as_str(), "https://partner.example.net/");
        assert_eq!(own.organization, None);
        assert!(own.problems().is_empty());
        assert!(read(r#","scops":[]"#).is_err());
    }

    #[test]
    fn an_issuer_has_keys_for_jwts_or_certificates_for_assertions() {
        let bare =
            r#"{"issuer":"https://partner.example.net","resource":"https://api.example.com""#;
        let read = |more: &str| -> TrustedIssuer {
            serde_json::from_str(&format!("{bare}{more}}}")).unwrap()
        };

        assert_eq!(read("").problems()[0].field, "jwks_uri");
        assert!(read(r#","saml_certificate":"x""#).problems().is_empty());
    }

    #[test]
    fn symmetric_algorithms_and_none_cannot_be_allowed() {
        for bad in ["HS256", "none", "es256", ""] {
            let own = read(&format!(r#","algorithms":["ES256","{bad}"]"#)).unwrap();
            assert_eq!(own.problems()[0].field, "algorithms", "{bad}");
        }
    }
}
