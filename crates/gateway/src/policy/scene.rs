//! From a request to the question that policies are asked about it; kept for as
//! long as something of it is open, so that it can be asked again.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use http::header::USER_AGENT;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use symbolon_protocol::Timestamp;
use symbolon_token::recognize::What;
use symbolon_verify::{ClientAddress, Principal};

use super::question::{Asked, Asker, Circumstances, Question};
use crate::risk::Assessed;
use crate::routes::Ready;
use crate::settings::Demand;

/// How much of a user agent is looked at, in bytes.
const MAX_AGENT_BYTES: usize = 256;
/// What stands in a record where somebody put a credential into a path.
const MASKED: &str = "[REDACTED]";

/// What of a request does not change while it is open.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// Nothing where a trusted proxy said what is no address.
    pub(crate) address: Option<IpAddr>,
    pub(crate) user_agent: String,
}

impl Scene {
    pub(crate) fn of(parts: &Parts) -> Self {
        let address = parts.extensions.get::<ClientAddress>();
        let agent = parts.headers.get(USER_AGENT).map(|own| own.as_bytes());
        let agent = agent.unwrap_or_default();
        let agent = &agent[..agent.len().min(MAX_AGENT_BYTES)];
        Self {
            address: address.map(|own| own.0),
            user_agent: String::from_utf8_lossy(agent).into_owned(),
        }
    }

    /// Where the caller is; one place for all of whom that is not known.
    pub(super) fn place(&self) -> IpAddr {
        self.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    /// The question about a request at a route, now.
    pub(crate) fn question(&self, at: &Place<'_>, assessed: &Assessed) -> Question {
        let route = &at.ready.route;
        let mut context = Circumstances {
            address: self.address,
            now: at.now.seconds(),
            user_agent: self.user_agent.clone(),
            risk: assessed.score,
            signals: assessed.words(),
            ..Circumstances::default()
        };
        if let Some(principal) = at.principal {
            context.take(principal, at.home);
        }
        let template = route.path.to_string();
        Question {
            principal: Asker::of(at.principal, at.home),
            method: at.method.to_owned(),
            resource: Asked {
                route: route.name.clone(),
                audience: match &route.demand {
                    Demand::Token(demand) => demand.audience.clone(),
                    Demand::Public => String::new(),
                },
                upstream: route.upstream.clone(),
                path: at.path.to_owned(),
                parameters: parameters(&template, at.path),
                template,
            },
            context,
        }
    }
}

/// Where and when, and by whom.
pub(crate) struct Place<'a> {
    pub(crate) ready: &'a Ready,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) principal: Option<&'a Principal>,
    /// The gateway's own issuer.
    pub(crate) home: Option<&'a str>,
    pub(crate) now: Timestamp,
}

/// What stands in a path for the names of a template that takes it. Escapes are
/// decoded: what is left of them by now can mean one thing alone.
pub(super) fn parameters(template: &str, path: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = path.trim_start_matches('/');
    for segment in template.trim_start_matches('/').split('/') {
        let (part, behind) = rest.split_once('/').unwrap_or((rest, ""));
        let name = segment
            .strip_prefix('{')
            .and_then(|own| own.strip_suffix('}'));
        let (name, part) = match name {
            Some(name) => match name.strip_prefix('*') {
                Some(name) => (Some(name), rest),
                None => (Some(name), part),
            },
            None => (None, part),
        };
        if let Some(name) = name {
            let plain = percent_decode_str(part).decode_utf8_lossy().into_owned();
            found.insert(name.to_owned(), plain);
        }
        rest = behind;
    }
    found
}

/// A question as it may stand in a record: whatever looks like a credential is
/// masked.
pub(crate) fn masked(question: &Question) -> Cow<'_, Question> {
    let (resource, agent) = (&question.resource, &question.context.user_agent);
    let has_credential = resource.parameters.values().any(|own| is_masked(own))
        || resource.path.split('/').any(is_masked)
        || agent.split(' ').any(is_masked);
    if !has_credential {
        return Cow::Borrowed(question);
    }
    let mut question = question.clone();
    for value in question.resource.parameters.values_mut() {
        *value = shown(value).to_owned();
    }
    let segments: Vec<&str> = resource.path.split('/').map(shown).collect();
    question.resource.path = segments.join("/");
    let words: Vec<&str> = agent.split(' ').map(shown).collect();
    question.context.user_agent = words.join(" ");
    Cow::Owned(question)
}

/// How short a text may be and still be a credential, in bytes.
const MIN_CREDENTIAL_BYTES: usize = 16;

/// Whether a text is a credential, or has one in it.
fn is_masked(text: &str) -> bool {
    let is_credential =
        |own: &str| own.len() >= MIN_CREDENTIAL_BYTES && What::of(own) != What::Nothing;
    let mut parts = text.split(['/', '=', ',', ':']);
    is_credential(text) || parts.any(is_credential)
}

fn shown(text: &str) -> &str {
    match is_masked(text) {
        true => MASKED,
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_a_name_is_found_and_decoded_once() {
        let of = |template: &str, path: &str| parameters(template, path);
        let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert_eq!(of("/orders/{id}", "/orders/7"), one("id", "7"));
        assert_eq!(of("/a/{*rest}", "/a/b/c"), one("rest", "b/c"));
        assert_eq!(of("/a/{x}", "/a/b%20c"), one("x", "b c"));
        assert_eq!(of("/{x}/b", "/a/b"), one("x", "a"));
        assert!(of("/", "/").is_empty());
        assert_eq!(of("/{a}/{b}", "/1/2").len(), 2);
    }

    /// Attack: O376
    #[test]
    fn a_credential_in_a_path_or_a_user_agent_is_not_recorded() {
        let jwt = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJ4In0.c2ln";
        let mut question = Question::default();
        question.resource.path = format!("/share/{jwt}/view");
        question
            .resource
            .parameters
            .insert("token".into(), jwt.into());
        question.context.user_agent = format!("curl/8 {jwt}");

        let masked = masked(&question);

        let text = serde_json::to_string(&masked).unwrap();
        assert!(!text.contains("eyJ"), "{text}");
        assert_eq!(masked.resource.path, "/share/[REDACTED]/view");
        question.resource.path = "/orders/7".into();
        question.resource.parameters.clear();
        question.context.user_agent = "curl/8".into();
        assert_eq!(*super::masked(&question), question);
    }
}
