//! Mappings: which claims go into the tokens of a resource, or to a client, and
//! under which names.
//!
//! ```toml
//! claims = { email = "email", team = "organization", department = { value = "sales" } }
//! ```
//!
//! On the left stands the name in the token, on the right where the value comes
//! from: a standard claim about the person, `organization`, `roles`, or a value
//! that is always the same.
//!
//! Spec: RFC 9068 §2.2.2, §6
//! Spec: OpenID Connect Core 1.0 §5.1

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::claim_name::{meaning_of, problem_of_name, standard};
use crate::client::Problem;
use crate::credential;

/// How many claims may be mapped.
pub const MAX_MAPPED: usize = 32;
/// How long a text may be that is always the same, in bytes.
pub const MAX_VALUE_BYTES: usize = 256;
/// How many entries a list may have that is always the same.
const MAX_ENTRIES: usize = 16;

/// Where the value of a claim comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(into = "Value")]
pub enum ClaimSource {
    /// A standard claim about the person (OpenID Connect Core §5.1).
    Person(&'static str),
    /// The organization for which the token is.
    Organization,
    /// What the person is in that organization.
    Roles,
    /// Always the same.
    Fixed(Value),
}

/// What is no source of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a claim comes from a standard claim (`email`, `name` …), `organization`, `roles`, or `{{ value = … }}`"
)]
pub struct UnknownSource;

impl TryFrom<Value> for ClaimSource {
    type Error = UnknownSource;

    fn try_from(value: Value) -> Result<Self, UnknownSource> {
        match value {
            Value::String(name) => match name.as_str() {
                "organization" => Ok(Self::Organization),
                "roles" => Ok(Self::Roles),
                other => standard(other).map(Self::Person).ok_or(UnknownSource),
            },
            Value::Object(mut members) if members.len() == 1 => members
                .remove("value")
                .map(Self::Fixed)
                .ok_or(UnknownSource),
            _ => Err(UnknownSource),
        }
    }
}

impl<'de> Deserialize<'de> for ClaimSource {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::try_from(value).map_err(serde::de::Error::custom)
    }
}

impl From<ClaimSource> for Value {
    fn from(source: ClaimSource) -> Self {
        match source.name() {
            Some(name) => name.into(),
            None => match source {
                ClaimSource::Fixed(value) => json!({ "value": value }),
                _ => Self::Null,
            },
        }
    }
}

impl ClaimSource {
    /// What it is called; nothing where the value is always the same.
    pub const fn name(&self) -> Option<&'static str> {
        match self {
            Self::Person(name) => Some(name),
            Self::Organization => Some("organization"),
            Self::Roles => Some("roles"),
            Self::Fixed(_) => None,
        }
    }
}

/// Names in the token, and where each takes its value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimMappings(BTreeMap<String, ClaimSource>);

impl ClaimMappings {
    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each name with its source.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ClaimSource)> {
        self.0.iter().map(|(name, source)| (name.as_str(), source))
    }

    /// Whether anything of it is told of a person.
    pub fn is_personal(&self) -> bool {
        let mut sources = self.0.values();
        sources.any(|source| matches!(source, ClaimSource::Person(_)))
    }

    /// The first name under which something is told that is among `sensitive`,
    /// by its source or by its name.
    pub fn first_sensitive(&self, sensitive: &[String]) -> Option<&str> {
        let is_marked = |name: &str| sensitive.iter().any(|own| own.eq_ignore_ascii_case(name));
        let marked = |(name, source): &(&str, &ClaimSource)| {
            is_marked(name) || source.name().is_some_and(is_marked)
        };
        self.iter().find(marked).map(|(name, _)| name)
    }

    /// What does not fit, each with the name it is about.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.0.len() > MAX_MAPPED {
            let message = format!("has at most {MAX_MAPPED} entries");
            problems.push(Problem::new(FIELD, message));
        }
        for (name, source) in self.iter() {
            if let Some(why) = problem_of(name, source) {
                let message = format!("`{}` {why}", shown(name));
                problems.push(Problem::new(FIELD, message));
            }
        }
        problems
    }
}

impl FromIterator<(String, ClaimSource)> for ClaimMappings {
    fn from_iter<I: IntoIterator<Item = (String, ClaimSource)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

/// The key of the file, and the member of a document.
const FIELD: &str = "claims";

/// Why one claim cannot be told under a name; nothing where it can. Asked when
/// a mapping is made, and again each time that it is used.
pub fn problem_of(name: &str, source: &ClaimSource) -> Option<String> {
    if let Some(why) = problem_of_name(name) {
        return Some(why.to_owned());
    }
    // Whoever reads `email_verified` believes that the address was verified.
    if let Some(meant) = meaning_of(name)
        && (source.name() != Some(meant) || name != meant)
    {
        return Some(format!(
            "means the claim `{meant}` and nothing else: write `{meant} = \"{meant}\"`, or choose another name"
        ));
    }
    match source {
        ClaimSource::Fixed(value) => problem_of_value(value),
        _ => None,
    }
}

fn problem_of_value(value: &Value) -> Option<String> {
    let is_plain = |value: &Value| match value {
        Value::String(text) => text.len() <= MAX_VALUE_BYTES,
        Value::Bool(_) | Value::Number(_) => true,
        _ => false,
    };
    let fits = match value {
        Value::Array(all) => all.len() <= MAX_ENTRIES && all.iter().all(is_plain),
        one => is_plain(one),
    };
    if !fits {
        return Some(format!(
            "is a text of at most {MAX_VALUE_BYTES} bytes, a number, a truth value, or a list of at most {MAX_ENTRIES} of them"
        ));
    }
    let looks = credential::looks_like_in(value)?;
    Some(format!("has a value that looks like {looks}"))
}

/// A name as a message can show it.
fn shown(name: &str) -> String {
    let short = name.chars().take(64);
    short
        .map(|own| if own.is_control() { '?' } else { own })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mappings(document: Value) -> ClaimMappings {
        serde_json::from_value(document).unwrap()
    }

    fn problems(document: Value) -> Vec<String> {
        let all = mappings(document).problems().into_iter();
        all.map(|problem| problem.message).collect()
    }

    #[test]
    fn every_kind_of_source_is_read_and_written_back() {
        let document = json!({
            "email": "email", "team": "organization", "groups": "roles",
            "department": { "value": "sales" }, "floors": { "value": [1, 2] },
        });

        let read = mappings(document.clone());

        assert_eq!(read.problems(), []);
        assert!(read.is_personal());
        assert_eq!(serde_json::to_value(&read).unwrap(), document);
        assert!(!mappings(json!({ "team": "organization" })).is_personal());
    }

    #[test]
    fn what_is_no_source_is_refused_with_what_is_one() {
        for bad in [
            json!("password"),
            json!("sub"),
            json!("username"),
            json!(5),
            json!({ "value": 1, "more": 2 }),
            json!({ "claim": "email" }),
            json!(["email"]),
            json!(null),
        ] {
            let read = serde_json::from_value::<ClaimMappings>(json!({ "x": bad }));
            assert!(read.unwrap_err().to_string().contains("`roles`"), "{bad}");
        }
    }

    /// Attack: C105
    #[test]
    fn protocol_claims_are_never_mapped() {
        for name in [
            "iss",
            "sub",
            "aud",
            "exp",
            "cnf",
            "act",
            "scope",
            "client_id",
            "SUB",
        ] {
            let told = problems(json!({ name: "email" }));
            assert_eq!(told.len(), 1, "{name}");
            assert!(told[0].contains(name), "{told:?}");
            assert_eq!(problems(json!({ name: { "value": "x" } })).len(), 1);
        }
        assert_eq!(problems(json!({ "subject_mail": "email" })), [""; 0]);
    }

    #[test]
    fn a_name_that_means_a_claim_takes_that_claim_alone() {
        for (name, source) in [
            ("email_verified", json!({ "value": true })),
            ("email", json!("phone_number")),
            ("Email", json!("email")),
            ("roles", json!({ "value": ["admin"] })),
            ("organization", json!({ "value": "acme" })),
        ] {
            assert_eq!(problems(json!({ name: source })).len(), 1, "{name}");
        }
        assert_eq!(
            problems(json!({ "email_verified": "email_verified" })),
            [""; 0]
        );
    }

    #[test]
    fn credentials_are_refused_by_name_and_by_value() {
        let jwt = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln";
        assert_eq!(problems(json!({ "apiKey": { "value": "x" } })).len(), 1);
        assert_eq!(problems(json!({ "note": { "value": jwt } })).len(), 1);
        assert_eq!(
            problems(json!({ "note": { "value": ["a", jwt] } })).len(),
            1
        );
        assert_eq!(
            problems(json!({ "note": { "value": { "a": 1 } } })).len(),
            1
        );
        assert_eq!(
            problems(json!({ "note": { "value": "x".repeat(257) } })).len(),
            1
        );
        assert_eq!(
            problems(json!({ "note": { "value": ["a", "b"] } })),
            [""; 0]
        );
    }

    #[test]
    fn what_is_marked_sensitive_is_found_under_any_name() {
        let read = mappings(json!({ "born": "birthdate", "x": { "value": 1 } }));
        let marked = |name: &str| read.first_sensitive(&[name.to_owned()]);
        assert_eq!(marked("birthdate"), Some("born"));
        assert_eq!(marked("Born"), Some("born"));
        assert_eq!(marked("email"), None);
    }

    #[test]
    fn too_many_are_refused() {
        let many: ClaimMappings = (0..=MAX_MAPPED)
            .map(|n| (format!("c{n}"), ClaimSource::Roles))
            .collect();
        assert_eq!(many.problems().len(), 1);
    }
}
