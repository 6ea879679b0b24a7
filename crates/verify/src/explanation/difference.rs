//! What was wanted beside what was found, and in what the two differ.

use serde::Serialize;
use serde_json::{Map, Value};
use symbolon_token::explain::Refused;
use symbolon_token::jose::Invalid;
use symbolon_token::macaroon::Flaw;
use url::Url;

use super::Shown;
use crate::refusal::Refusal;
use crate::verifier::Verifier;

/// One thing that was wanted otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is about: `issuer`, `audience`, `scope`, `expires` …
    pub of: &'static str,
    /// What was wanted.
    pub wanted: String,
    /// What was found. Nobody vouches for it.
    pub found: String,
    /// In what they differ, where that can be said in a few words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
}

impl Difference {
    pub(super) fn new(
        of: &'static str,
        wanted: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            of,
            wanted: super::printable(&wanted.into()),
            found: super::printable(&found.into()),
            note: None,
        }
    }

    /// The same between two identifiers, which are compared as text.
    pub(super) fn between(of: &'static str, wanted: &str, found: &str) -> Self {
        Self {
            note: near_miss(wanted, found).map(|(_, words)| words),
            ..Self::new(of, wanted, found)
        }
    }
}

impl Verifier {
    /// What was wanted of a token that was refused, beside what was found.
    pub(super) fn differences(
        &self,
        shown: &Shown<'_>,
        refusal: &Refusal,
        claims: &Map<String, Value>,
    ) -> Vec<Difference> {
        let parts = shown.sent.as_ref().ok().and_then(|sent| sent.parts);
        let Refusal::Refused(refused) = refusal else {
            let origin = self.inner.config.origin.as_deref().unwrap_or_default();
            let target = parts.map(|parts| format!("{origin}{}", parts.uri.path()));
            return super::proof::differences(refusal, parts, claims, target.as_deref());
        };
        match refused {
            Refused::Expired { expires, now } => {
                vec![Difference::new(
                    "expires",
                    format!("after {now}"),
                    expires.to_string(),
                )]
            }
            Refused::NotYet { begins, now } => {
                vec![Difference::new(
                    "begins",
                    format!("until {now}"),
                    begins.to_string(),
                )]
            }
            Refused::Issuer { expected, found } => {
                vec![Difference::between("issuer", expected, found)]
            }
            Refused::Audience { expected, found } => {
                vec![Difference::between("audience", expected, &found.join(" "))]
            }
            Refused::Scope { needed, found } => {
                vec![Difference::new("scope", needed.join(" "), found.join(" "))]
            }
            Refused::Signature(Invalid::UnknownKey) => {
                let issuer = self.inner.config.issuer.as_str();
                let claimed = claims.get("iss").and_then(Value::as_str);
                let claimed = claimed.filter(|own| *own != issuer);
                claimed
                    .map(|own| Difference::between("issuer", issuer, own))
                    .into_iter()
                    .collect()
            }
            Refused::Macaroon(Flaw::Unmet(caveat)) => {
                vec![Difference::new(
                    "caveat",
                    caveat.clone(),
                    self.met_by(caveat, shown),
                )]
            }
            _ => Vec::new(),
        }
    }

    /// What the request has of what a caveat demands.
    fn met_by(&self, caveat: &str, shown: &Shown<'_>) -> String {
        let parts = shown.sent.as_ref().ok().and_then(|sent| sent.parts);
        let request = parts.map_or(shown.request, crate::layer::described);
        let name = caveat.split(" = ").next().unwrap_or_default();
        let found = match name {
            "method" => request.method.map(str::to_owned),
            "path" => request.path.map(str::to_owned),
            "network" => request.address.map(|own| own.to_string()),
            _ => Some(self.inner.config.clock.now().to_string()),
        };
        found.unwrap_or_else(|| "nothing is known of it".to_owned())
    }
}

/// In what two identifiers differ that look alike: a stable word, and words.
pub(super) fn near_miss(wanted: &str, found: &str) -> Option<(&'static str, &'static str)> {
    if wanted == found {
        return None;
    }
    if wanted.trim() == found.trim() {
        return Some(("blank", "they differ by a blank alone"));
    }
    if wanted.trim_end_matches('/') == found.trim_end_matches('/') {
        return Some((
            "trailing_slash",
            "they differ by a slash at the end alone, and identifiers are compared letter by letter",
        ));
    }
    if wanted.eq_ignore_ascii_case(found) {
        return Some((
            "case",
            "they differ in capital letters alone, and identifiers are compared letter by letter",
        ));
    }
    let rest = |text: &str| text.split_once("://").map(|(_, rest)| rest.to_owned());
    if rest(wanted).is_some() && rest(wanted) == rest(found) {
        return Some(("scheme", "they differ in `http` and `https` alone"));
    }
    let (wanted, found) = (Url::parse(wanted).ok()?, Url::parse(found).ok()?);
    if wanted.host_str().is_none() || wanted.host_str() != found.host_str() {
        return None;
    }
    if wanted.port_or_known_default() != found.port_or_known_default() {
        return Some(("port", "they are on one host and differ in the port"));
    }
    if wanted.path() != found.path() {
        return Some(("path", "they are on one host and differ in the path"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_is_told_apart() {
        for (wanted, found, word) in [
            (
                "https://a.example",
                "https://a.example/",
                Some("trailing_slash"),
            ),
            ("https://a.example", "http://a.example", Some("scheme")),
            ("https://a.example", "https://A.example", Some("case")),
            ("https://a.example", "https://a.example:8443", Some("port")),
            ("https://a.example/x", "https://a.example/y", Some("path")),
            ("https://a.example", " https://a.example", Some("blank")),
            ("https://a.example", "https://b.example", None),
            ("https://a.example", "https://a.example", None),
            ("urn:a", "urn:b", None),
        ] {
            assert_eq!(near_miss(wanted, found).map(|own| own.0), word, "{found}");
        }
    }
}
