//! What was wanted beside what was found, and in what the two differ.

use serde::Serialize;
use url::Url;

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
