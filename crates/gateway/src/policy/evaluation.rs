//! A question in the words of AuthZEN: for a decision point elsewhere, and from
//! whoever asks this one.
//!
//! Spec: OpenID AuthZEN Authorization API 1.0 §5, §6.1

use serde_json::{Map, Value, json};
use symbolon_protocol::Timestamp;

#[cfg(feature = "cedar")]
use super::question::Asker;
use super::question::{Kind, Question};

/// The type of a resource that is a route.
const ROUTE: &str = "route";

/// Something with a type, an id, and what else is known of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Named {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) properties: Map<String, Value>,
}

/// What is to be decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Evaluation {
    pub(crate) subject: Named,
    pub(crate) action: String,
    pub(crate) resource: Named,
    pub(crate) context: Map<String, Value>,
}

impl Evaluation {
    /// Reads one of whoever asks; members that are missing are taken from `usual`.
    ///
    /// Spec: OpenID AuthZEN Authorization API 1.0 §7.1.1
    #[cfg(feature = "cedar")]
    pub(crate) fn read(own: &Value, usual: &Value) -> Result<Self, &'static str> {
        if !own.is_object() {
            return Err("an evaluation is an object");
        }
        let member = |name: &str| own.get(name).or_else(|| usual.get(name));
        let action = member("action").ok_or("`action` is missing")?;
        let action = action.get("name").and_then(Value::as_str);
        Ok(Self {
            subject: named(member("subject").ok_or("`subject` is missing")?)?,
            action: action
                .filter(|name| !name.is_empty())
                .ok_or("an action has a `name`")?
                .to_owned(),
            resource: named(member("resource").ok_or("`resource` is missing")?)?,
            context: object(member("context"), "`context` is an object")?,
        })
    }

    /// A question of the gateway.
    pub(crate) fn of(question: &Question) -> Self {
        let (asker, asked) = (&question.principal, &question.resource);
        let context = &question.context;
        let properties = |own: Value| match own {
            Value::Object(own) => own.into_iter().filter(|(_, one)| !one.is_null()).collect(),
            _ => Map::new(),
        };
        Self {
            subject: Named {
                kind: kind(asker.kind).to_owned(),
                id: match asker.kind {
                    Kind::Anonymous => "anonymous".to_owned(),
                    Kind::Person | Kind::Client => asker.name(),
                },
                properties: properties(json!({
                    "subject": asker.id,
                    "issuer": asker.issuer,
                    "client": asker.client,
                    "organization": asker.organization,
                    "roles": asker.roles,
                    "scopes": asker.scopes,
                })),
            },
            action: question.method.clone(),
            resource: Named {
                kind: ROUTE.to_owned(),
                id: asked.route.clone(),
                properties: properties(json!({
                    "template": asked.template,
                    "path": asked.path,
                    "audience": asked.audience,
                    "upstream": asked.upstream,
                    "parameters": asked.parameters,
                })),
            },
            context: properties(json!({
                "address": context.address,
                "time": Timestamp::from_seconds(context.now).to_string(),
                "user_agent": context.user_agent,
                "auth_time": context.auth_time,
                "acr": context.acr,
                "amr": context.amr,
                "actors": context.actors,
                "binding": context.binding,
                "risk": context.risk,
                "signals": context.signals,
            })),
        }
    }

    /// It on the wire.
    pub(crate) fn to_json(&self) -> Value {
        let named =
            |own: &Named| json!({ "type": own.kind, "id": own.id, "properties": own.properties });
        json!({
            "subject": named(&self.subject),
            "action": { "name": self.action },
            "resource": named(&self.resource),
            "context": self.context,
        })
    }

    /// The question of a gateway that it is, where it is one: what is not told
    /// is as nobody's, and the time is `now`.
    #[cfg(feature = "cedar")]
    pub(crate) fn question(&self, now: Timestamp) -> Option<Result<Question, String>> {
        let kind = match self.subject.kind.as_str() {
            "person" => Kind::Person,
            "client" => Kind::Client,
            "anonymous" => Kind::Anonymous,
            _ => return None,
        };
        (self.resource.kind == ROUTE).then(|| self.as_question(kind, now))
    }

    #[cfg(feature = "cedar")]
    fn as_question(&self, kind: Kind, now: Timestamp) -> Result<Question, String> {
        let mut principal = self.subject.properties.clone();
        // Of several issuers a name alone says whose subject it is.
        let subject = principal.remove("subject");
        let subject = subject.unwrap_or_else(|| self.subject.id.clone().into());
        principal.insert("id".into(), subject);
        let principal: Asker = read(principal)?;
        let mut resource = self.resource.properties.clone();
        resource.insert("route".into(), self.resource.id.clone().into());
        let mut context = self.context.clone();
        let time = match context.remove("time") {
            None => now,
            Some(Value::String(text)) => {
                let time = text.parse::<Timestamp>();
                time.map_err(|_| "`time` is no time as RFC 3339 writes it".to_owned())?
            }
            Some(_) => return Err("`time` is a text".to_owned()),
        };
        context.insert("now".into(), time.seconds().into());
        Ok(Question {
            principal: Asker { kind, ..principal },
            method: self.action.clone(),
            resource: read(resource)?,
            context: read(context)?,
        })
    }
}

#[cfg(feature = "cedar")]
fn read<T: serde::de::DeserializeOwned>(own: Map<String, Value>) -> Result<T, String> {
    serde_json::from_value(Value::Object(own)).map_err(|error| error.to_string())
}

#[cfg(feature = "cedar")]
fn named(own: &Value) -> Result<Named, &'static str> {
    let text = |name: &str| {
        let text = own.get(name).and_then(Value::as_str);
        let text = text.filter(|text| !text.is_empty());
        text.map(str::to_owned)
            .ok_or("subject and resource have a `type` and an `id`, both texts")
    };
    Ok(Named {
        kind: text("type")?,
        id: text("id")?,
        properties: object(own.get("properties"), "`properties` is an object")?,
    })
}

#[cfg(feature = "cedar")]
fn object(own: Option<&Value>, why: &'static str) -> Result<Map<String, Value>, &'static str> {
    match own {
        None => Ok(Map::new()),
        Some(Value::Object(own)) => Ok(own.clone()),
        Some(_) => Err(why),
    }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Person => "person",
        Kind::Client => "client",
        Kind::Anonymous => "anonymous",
    }
}

#[cfg(feature = "cedar")]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_taken_from_what_is_usual() {
        let usual = json!({
            "subject": { "type": "user", "id": "alice" },
            "action": { "name": "read" },
            "context": { "a": 1 },
        });
        let own =
            json!({ "resource": { "type": "record", "id": "7" }, "action": { "name": "edit" } });
        let read = Evaluation::read(&own, &usual).unwrap();
        assert_eq!((&*read.subject.id, &*read.action), ("alice", "edit"));
        assert_eq!(read.context["a"], 1);
        assert!(Evaluation::read(&own, &Value::Null).is_err());
    }

    #[test]
    fn what_is_no_evaluation_is_told_so() {
        let good = json!({
            "subject": { "type": "user", "id": "alice" },
            "action": { "name": "read" },
            "resource": { "type": "record", "id": "7" },
        });
        assert!(Evaluation::read(&good, &Value::Null).is_ok());
        for (pointer, bad) in [
            ("/subject", json!("alice")),
            ("/subject/type", json!("")),
            ("/subject/id", json!(7)),
            ("/action", json!({})),
            ("/action/name", json!(null)),
            ("/resource/id", json!(null)),
            ("", json!([])),
        ] {
            let mut own = good.clone();
            *own.pointer_mut(pointer).unwrap() = bad;
            assert!(Evaluation::read(&own, &Value::Null).is_err(), "{pointer}");
        }
        let mut own = good;
        own["context"] = json!([]);
        assert!(Evaluation::read(&own, &Value::Null).is_err());
    }

    #[test]
    fn a_question_stays_what_it_is_on_the_way() {
        let mut question = Question::default();
        question.principal.kind = Kind::Person;
        question.principal.id = "usr_1".into();
        question.principal.scopes = vec!["read".into()];
        question.method = "GET".into();
        question.resource.route = "orders".into();
        question.resource.path = "/orders/7".into();
        question.resource.parameters.insert("id".into(), "7".into());
        question.context.now = 1_767_225_600;
        question.context.acr = Some("phr".into());
        question.context.risk = 30;
        let sent = Evaluation::of(&question).to_json();
        let read = Evaluation::read(&sent, &Value::Null).unwrap();
        let came = read.question(Timestamp::EPOCH).unwrap().unwrap();
        assert_eq!(came, question);
    }
}
