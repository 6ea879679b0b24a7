//! What a policy is asked: who, does what, to which route, in which
//! circumstances. The same value is asked of our own policies and of others',
//! stands in the decision log, and is what cases of `policy test` are written
//! in; nothing in it is a token, a query or a body.
//!
//! Spec: RFC 8693 §4.1
//! Spec: RFC 9470 §4
//! Spec: RFC 7800 §3.1

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use symbolon_protocol::Timestamp;
use symbolon_verify::Principal;

use super::scene::parameters;

/// How many actors of a chain are told.
const MAX_ACTORS: usize = 16;

/// A question that a policy answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Who asks.
    #[serde(default)]
    pub principal: Asker,
    /// By which method.
    pub method: String,
    /// For what.
    pub resource: Asked,
    /// How and when.
    #[serde(default)]
    pub context: Circumstances,
}

/// A request that is only looked at, with what the file says of its route.
#[derive(Clone, Debug)]
pub struct Looked {
    /// The method.
    pub method: String,
    /// The route; what stands for `{one}` is found in its path.
    pub asked: Asked,
    /// Where it comes from, where that is told.
    pub address: Option<IpAddr>,
    /// When.
    pub now: Timestamp,
}

impl Question {
    /// What the gateway would ask about a request, without risk. `home` is the
    /// gateway's own issuer.
    pub fn about(principal: &Principal, home: Option<&str>, looked: Looked) -> Self {
        let mut context = Circumstances {
            address: looked.address,
            now: looked.now.seconds(),
            ..Circumstances::default()
        };
        context.take(principal, home);
        let mut resource = looked.asked;
        resource.parameters = parameters(&resource.template, &resource.path);
        Self {
            principal: Asker::of(Some(principal), home),
            method: looked.method,
            resource,
            context,
        }
    }
}

/// What kind of caller it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A person, through a client.
    Person,
    /// A client for itself.
    Client,
    /// Nobody that is known: the route is public.
    #[default]
    Anonymous,
}

/// Whoever calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Asker {
    /// What it is.
    pub kind: Kind,
    /// The subject, unique at its issuer alone.
    pub id: String,
    /// The issuer; empty where it is the gateway's own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub issuer: String,
    /// The client that sent the token.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client: String,
    /// The organization for which the token was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The roles in that organization.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// What the token permits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Asked {
    /// The name of the route.
    pub route: String,
    /// The path of the route, as the file writes it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub template: String,
    /// The API; empty where the route is public.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub audience: String,
    /// The upstream.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub upstream: String,
    /// The path in the form that was judged and is sent.
    pub path: String,
    /// What stands for `{one}` and `{*rest}`, escapes decoded.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// How and when something is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Circumstances {
    /// Where the caller is, as far as trusted proxies tell; nothing where they
    /// said what is no address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// When, in seconds since 1970.
    pub now: i64,
    /// What the caller says that it is; nobody vouches for it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user_agent: String,
    /// When the person signed in, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// Of which class that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// By which methods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// Who acts for the subject, the one that acts now first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actors: Vec<String>,
    /// What the token is bound to.
    pub binding: Bound,
    /// How risky it looks, 0 to 100.
    pub risk: u8,
    /// What made it look so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<String>,
}

/// What a token is bound to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// Nothing: whoever has it may use it.
    #[default]
    None,
    /// A key.
    Key,
    /// A certificate.
    Certificate,
}

impl Bound {
    /// The word that policies use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Key => "key",
            Self::Certificate => "certificate",
        }
    }
}

impl Asker {
    /// Whoever a token speaks for; nobody where the route is public.
    pub(crate) fn of(principal: Option<&Principal>, home: Option<&str>) -> Self {
        let Some(principal) = principal else {
            return Self::default();
        };
        let issuer = principal.issuer();
        Self {
            kind: match principal.is_client_alone() {
                true => Kind::Client,
                false => Kind::Person,
            },
            id: principal.subject().to_owned(),
            issuer: match home == Some(issuer) {
                true => String::new(),
                false => issuer.to_owned(),
            },
            client: principal.client().to_owned(),
            organization: principal.organization().map(str::to_owned),
            roles: principal.roles().map(str::to_owned).collect(),
            scopes: principal
                .scopes()
                .iter()
                .map(|scope| scope.as_str().to_owned())
                .collect(),
        }
    }

    /// The name under which policies know it: the subject; of another issuer,
    /// that issuer and a blank before it, which no issuer has in it.
    pub(crate) fn name(&self) -> String {
        named(&self.issuer, &self.id)
    }
}

/// A subject at an issuer, which is empty where it is the gateway's own.
fn named(issuer: &str, subject: &str) -> String {
    match issuer.is_empty() && !subject.contains(' ') {
        true => subject.to_owned(),
        false => format!("{issuer} {subject}"),
    }
}

impl Circumstances {
    /// Fills in what a token says of sign-in, actors and binding. `home` is the
    /// gateway's own issuer.
    pub(crate) fn take(&mut self, principal: &Principal, home: Option<&str>) {
        let text = |name: &str| principal.claim(name).and_then(Value::as_str);
        self.auth_time = principal.claim("auth_time").and_then(Value::as_i64);
        self.auth_time = self.auth_time.filter(|own| is_time(*own));
        self.acr = text("acr").map(str::to_owned);
        self.amr = match principal.claim("amr") {
            Some(Value::Array(all)) => texts(all),
            _ => Vec::new(),
        };
        let issuers = [principal.issuer(), home.unwrap_or_default()];
        self.actors = actors(principal.claim("act"), issuers);
        self.binding = match principal.claim("cnf") {
            _ if !principal.is_key_bound() => Bound::None,
            Some(cnf) if cnf.get("jkt").is_some() => Bound::Key,
            _ => Bound::Certificate,
        };
    }

    /// How long ago the person signed in, in seconds; nothing where the token
    /// does not say, or says a time that is yet to come.
    pub(crate) fn auth_age(&self) -> Option<i64> {
        let age = self.now.checked_sub(self.auth_time?)?;
        (age >= -CLOCKS_APART).then_some(age.max(0))
    }
}

/// How far the clocks of issuer and gateway may differ, in seconds.
const CLOCKS_APART: i64 = 120;

fn is_time(seconds: i64) -> bool {
    (0..=Timestamp::FAR.seconds()).contains(&seconds)
}

fn texts(all: &[Value]) -> Vec<String> {
    let texts = all.iter().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// The names of a chain of actors, the outermost first: it alone acts now, the
/// others are history. Each is named as a caller of its issuer would be, so that
/// nobody passes for an actor of the same name elsewhere. One without an issuer
/// is of the token's own.
fn actors(claim: Option<&Value>, [of_token, home]: [&str; 2]) -> Vec<String> {
    let mut all = Vec::new();
    let mut actor = claim;
    while let Some(own) = actor
        && all.len() < MAX_ACTORS
    {
        let subject = own.get("sub").or_else(|| own.get("client_id"));
        let issuer = own.get("iss").map_or(Some(of_token), Value::as_str);
        let issuer = issuer.map(|own| if own == home { "" } else { own });
        // One that cannot be read keeps its place, so that nobody moves into it.
        let read = subject.and_then(Value::as_str).zip(issuer);
        let name = read.map(|(subject, issuer)| named(issuer, subject));
        all.push(name.unwrap_or_default());
        actor = own.get("act");
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_at_one_issuer_is_nobody_elses() {
        let of = |issuer: &str, id: &str| {
            let asker = Asker {
                id: id.to_owned(),
                issuer: issuer.to_owned(),
                ..Asker::default()
            };
            asker.name()
        };
        let all = [
            of("", "usr_1"),
            of("https://a.test", "usr_1"),
            of("", "https://a.test usr_1"),
            of("https://a.test", "x usr_1"),
            of("https://a.test/x", "usr_1"),
        ];
        assert_eq!(all[0], "usr_1");
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{one}");
        }
    }

    #[test]
    fn the_outermost_actor_comes_first_and_a_chain_has_an_end() {
        let home = ["https://a.test"; 2];
        let chain = json!({ "sub": "now", "act": { "sub": "before", "act": { "sub": 7 } } });
        assert_eq!(actors(Some(&chain), home), ["now", "before", ""]);
        let mut deep = json!({ "sub": "x" });
        for _ in 0..40 {
            deep = json!({ "sub": "x", "act": deep });
        }
        assert_eq!(actors(Some(&deep), home).len(), MAX_ACTORS);
        assert!(actors(None, home).is_empty());
    }

    #[test]
    fn an_actor_of_one_issuer_is_no_actor_of_another() {
        let of = |act: Value, of_token| actors(Some(&act), [of_token, "https://a.test"]);
        let at = |issuer: Value| json!({ "sub": "api", "iss": issuer });

        assert_eq!(of(json!({ "sub": "api" }), "https://a.test"), ["api"]);
        assert_eq!(of(at(json!("https://a.test")), "https://b.test"), ["api"]);
        let others = [
            of(at(json!("https://b.test")), "https://a.test"),
            of(json!({ "sub": "api" }), "https://b.test"),
        ];
        assert_eq!(others, [["https://b.test api"], ["https://b.test api"]]);
        for unread in [json!(7), json!(null)] {
            assert_eq!(of(at(unread), "https://a.test"), [""]);
        }
    }

    #[test]
    fn a_sign_in_that_is_yet_to_come_has_no_age() {
        let mut own = Circumstances {
            now: 1_000,
            auth_time: Some(900),
            ..Circumstances::default()
        };
        assert_eq!(own.auth_age(), Some(100));
        own.auth_time = Some(1_010);
        assert_eq!(own.auth_age(), Some(0));
        own.auth_time = Some(5_000);
        assert_eq!(own.auth_age(), None);
        own.auth_time = None;
        assert_eq!(own.auth_age(), None);
    }

    #[test]
    fn a_question_is_read_as_it_was_written_and_nothing_else_is_one() {
        let question = Question {
            method: "GET".into(),
            resource: Asked {
                route: "orders".into(),
                path: "/orders/7".into(),
                parameters: BTreeMap::from([("id".into(), "7".into())]),
                ..Asked::default()
            },
            ..Question::default()
        };
        let text = serde_json::to_string(&question).unwrap();
        assert_eq!(serde_json::from_str::<Question>(&text).unwrap(), question);
        let other = text.replace("\"method\"", "\"more\":1,\"method\"");
        assert!(serde_json::from_str::<Question>(&other).is_err());
    }
}
