//! Who may do something, to what, or what may be done: every name that is known
//! is asked about, and those are told that are permitted now.
//!
//! Spec: OpenID AuthZEN Authorization API 1.0 §8
//!
//! What is known are the routes, and what files of entities name: whoever merely
//! has a token is not found by their name. What is found is permitted where it is
//! asked about alone with the same words.

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::batch::Asked;
use crate::policy::Evaluation;

/// How many names are asked about for one page.
const MAX_ASKED: usize = 256;
/// How many are told on one page where nobody says.
const USUAL: usize = 50;

/// What is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sought {
    Subject,
    Resource,
    Action,
}

impl Sought {
    const fn word(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Resource => "resource",
            Self::Action => "action",
        }
    }
}

/// One page of what is wanted.
struct Page {
    /// The name behind which it begins.
    after: Option<String>,
    limit: usize,
}

impl Page {
    fn read(body: &Value) -> Result<Self, &'static str> {
        let own = match body.get("page") {
            None | Some(Value::Null) => &Map::new(),
            Some(Value::Object(own)) => own,
            Some(_) => return Err("`page` is an object"),
        };
        let token = own.get("token").filter(|own| **own != "");
        let after = match token {
            None => None,
            Some(token) => {
                let bytes = token.as_str().map(|own| BASE64_URL_SAFE_NO_PAD.decode(own));
                let text = bytes.and_then(|own| String::from_utf8(own.ok()?).ok());
                Some(text.ok_or("`token` is none that was given here")?)
            }
        };
        let limit = match own.get("limit") {
            None => USUAL,
            Some(own) => {
                let limit = own.as_u64().and_then(|own| usize::try_from(own).ok());
                let limit = limit.filter(|own| *own > 0);
                limit
                    .ok_or("`limit` is a whole number from 1")?
                    .min(MAX_ASKED)
            }
        };
        Ok(Self { after, limit })
    }
}

/// Answers one page of a search; `routes` are the names of all routes.
pub(super) fn search(
    asked: &Asked<'_>,
    sought: Sought,
    body: &Value,
    routes: impl Iterator<Item = String>,
) -> Result<Value, &'static str> {
    if !body.is_object() {
        return Err("a search is an object");
    }
    let page = Page::read(body)?;
    let kind = kind(sought, body)?;
    let mut all = match sought {
        Sought::Action => asked.policies.known_actions(is_of_gateway(body)),
        Sought::Subject | Sought::Resource => asked.policies.known(&kind),
    };
    if kind == "route" {
        all.extend(routes);
    }
    let (mut results, mut last) = (Vec::new(), None);
    for name in behind(&all, page.after.as_ref()).take(MAX_ASKED) {
        if results.len() == page.limit {
            break;
        }
        last = Some(name);
        let evaluation = Evaluation::read(&with(sought, body, name), &Value::Null)?;
        let (ruling, _) = asked.policies.evaluate(&evaluation, asked.now);
        if ruling.answer == crate::policy::Answer::Allow {
            results.push(match sought {
                Sought::Action => json!({ "name": name }),
                Sought::Subject | Sought::Resource => json!({ "type": kind, "id": name }),
            });
        }
    }
    let is_more = last.is_some_and(|last| all.last() != Some(last));
    let next = last.filter(|_| is_more);
    let next = next.map_or_else(String::new, |own| BASE64_URL_SAFE_NO_PAD.encode(own));
    tracing::info!(
        request = asked.request_id,
        sought = sought.word(),
        found = results.len(),
        "search"
    );
    Ok(json!({
        "page": { "next_token": next, "count": results.len() },
        "results": results,
    }))
}

fn behind<'a>(
    all: &'a BTreeSet<String>,
    after: Option<&String>,
) -> impl Iterator<Item = &'a String> {
    use std::ops::Bound;

    let from = after.map_or(Bound::Unbounded, |own| Bound::Excluded(own.clone()));
    all.range::<String, _>((from, Bound::Unbounded))
}

/// The type of what is looked for; an action has none.
fn kind(sought: Sought, body: &Value) -> Result<String, &'static str> {
    if sought == Sought::Action {
        return Ok(String::new());
    }
    let kind = body.get(sought.word()).and_then(|own| own.get("type"));
    let kind = kind.and_then(Value::as_str).filter(|own| !own.is_empty());
    kind.map(str::to_owned)
        .ok_or("what is looked for has a `type`")
}

fn is_of_gateway(body: &Value) -> bool {
    let kind = body.get("resource").and_then(|own| own.get("type"));
    kind.is_some_and(|own| own == "route")
}

/// The question about one name. An id that came along is passed over.
fn with(sought: Sought, body: &Value, name: &str) -> Value {
    let mut own = body.clone();
    match sought {
        Sought::Action => own["action"] = json!({ "name": name }),
        Sought::Subject | Sought::Resource => own[sought.word()]["id"] = name.into(),
    }
    own
}

#[cfg(test)]
mod tests {
    use symbolon_protocol::Timestamp;

    use super::*;
    use crate::policy::Policies;

    const POLICIES: &str = r#"
        permit(principal == Person::"usr_1", action == Action::"GET", resource);
        permit(principal, action == Action::"POST", resource == Route::"r3");
        @step_up("acr=phr") forbid(principal, action, resource == Route::"r7");
    "#;

    fn ask(sought: Sought, body: &Value) -> Result<Value, &'static str> {
        let policies = Policies::read(POLICIES).unwrap();
        let asked = Asked {
            policies: &policies,
            now: Timestamp::EPOCH,
            request_id: String::new(),
        };
        search(&asked, sought, body, (0..10).map(|at| format!("r{at}")))
    }

    fn body() -> Value {
        json!({
            "subject": { "type": "person", "id": "usr_1" },
            "action": { "name": "GET" },
            "resource": { "type": "route", "id": "r3" },
        })
    }

    fn names(answer: &Value) -> Vec<&str> {
        let all = answer["results"].as_array().unwrap().iter();
        all.map(|own| own["id"].as_str().or(own["name"].as_str()).unwrap())
            .collect()
    }

    #[test]
    fn routes_are_found_page_by_page_and_what_is_not_permitted_is_not() {
        let mut body = body();
        body["page"] = json!({ "limit": 4 });
        let mut found = Vec::new();
        for pages in 1.. {
            let answer = ask(Sought::Resource, &body).unwrap();
            found.extend(names(&answer).into_iter().map(str::to_owned));
            let next = answer["page"]["next_token"].clone();
            if next == "" {
                assert_eq!(pages, 3);
                break;
            }
            body["page"]["token"] = next;
        }
        assert_eq!(
            found,
            ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9"]
        );
        let mut nobody = super::tests::body();
        nobody["subject"]["id"] = "usr_2".into();
        assert!(names(&ask(Sought::Resource, &nobody).unwrap()).is_empty());
    }

    #[test]
    fn actions_and_callers_are_found_where_they_are_permitted() {
        assert_eq!(
            names(&ask(Sought::Action, &body()).unwrap()),
            ["GET", "POST"]
        );
        let mut other = body();
        other["subject"] = json!({ "type": "anonymous" });
        other["action"]["name"] = "POST".into();
        let answer = ask(Sought::Subject, &other).unwrap();
        assert_eq!(names(&answer), ["anonymous"]);
        assert_eq!(answer["results"][0]["type"], "anonymous");
        other["action"]["name"] = "GET".into();
        assert!(names(&ask(Sought::Subject, &other).unwrap()).is_empty());
    }

    #[test]
    fn what_is_no_search_is_told_so() {
        for (pointer, bad) in [
            ("/resource", json!("route")),
            ("/resource/type", json!("")),
            ("/subject/id", json!(7)),
            ("/action", json!(null)),
            ("/page", json!([])),
            ("/page/limit", json!(0)),
            ("/page/limit", json!("4")),
            ("/page/token", json!("!")),
            ("/page/token", json!(7)),
        ] {
            let mut own = body();
            own["page"] = json!({ "limit": 4, "token": "" });
            *own.pointer_mut(pointer).unwrap() = bad;
            assert!(ask(Sought::Resource, &own).is_err(), "{pointer}");
        }
    }
}
