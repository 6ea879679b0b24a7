//! Who acts and who may act, as a JWT says it.
//!
//! Spec: RFC 8693 §4.1, §4.4

use serde_json::{Map, Value};

use crate::authority::{Actor, MAX_ACTORS};
use crate::explain::Refused;

/// How long one name of an actor may be, in bytes.
pub const MAX_NAME_BYTES: usize = 512;

/// The chain of actors in `act`, the latest first. One that is longer than a
/// token of this server may carry is refused, not cut.
pub fn chain(claims: &Map<String, Value>) -> Result<Vec<Actor>, Refused> {
    let mut actors = Vec::new();
    let mut next = claims.get("act");
    while let Some(value) = next {
        if actors.len() == MAX_ACTORS {
            return Err(Refused::Claim("act"));
        }
        let object = value.as_object().ok_or(Refused::Claim("act"))?;
        actors.push(party(object).ok_or(Refused::Claim("act"))?);
        next = object.get("act");
    }
    Ok(actors)
}

/// The claim that says a chain, the latest outermost; nothing where nobody
/// acts for another.
pub fn claim(actors: &[Actor]) -> Option<Value> {
    let mut claim = None;
    for actor in actors.iter().rev() {
        let mut own = Map::new();
        own.insert("sub".to_owned(), actor.subject.as_str().into());
        if let Some(issuer) = &actor.issuer {
            own.insert("iss".to_owned(), issuer.as_str().into());
        }
        if let Some(before) = claim.take() {
            own.insert("act".to_owned(), before);
        }
        claim = Some(Value::Object(own));
    }
    claim
}

/// The claim that names who may act, where anybody is named.
pub fn may_act_claim(actor: Option<&Actor>) -> Option<Value> {
    claim(actor.map(std::slice::from_ref).unwrap_or_default())
}

/// The party that `may_act` names, if anybody.
pub fn may_act(claims: &Map<String, Value>) -> Result<Option<Actor>, Refused> {
    let Some(value) = claims.get("may_act") else {
        return Ok(None);
    };
    let refused = Refused::Claim("may_act");
    let object = value.as_object().ok_or(refused.clone())?;
    party(object).map(Some).ok_or(refused)
}

fn party(object: &Map<String, Value>) -> Option<Actor> {
    let text = |name: &str| match object.get(name) {
        None => Some(None),
        Some(Value::String(text)) if is_name(text) => Some(Some(text.clone())),
        Some(_) => None,
    };
    Some(Actor {
        subject: text("sub")??,
        issuer: text("iss")?,
    })
}

/// Whether a text can name somebody: neither empty, nor long, nor with
/// characters that nobody sees.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME_BYTES && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(act: Value) -> Result<Vec<Actor>, Refused> {
        let claims = json!({ "act": act });
        chain(claims.as_object().unwrap())
    }

    fn deep(depth: usize) -> Value {
        (0..depth).fold(Value::Null, |inner, n| {
            let mut act = json!({ "sub": n.to_string(), "iss": "https://a.example" });
            if !inner.is_null() {
                act["act"] = inner;
            }
            act
        })
    }

    #[test]
    fn a_chain_is_read_from_the_latest_to_the_first() {
        let actors = read(deep(MAX_ACTORS)).unwrap();

        assert_eq!(actors.len(), MAX_ACTORS);
        assert_eq!(actors[0].subject, (MAX_ACTORS - 1).to_string());
        assert_eq!(actors[0].issuer.as_deref(), Some("https://a.example"));
        assert_eq!(claim(&actors), Some(deep(MAX_ACTORS)));
        assert_eq!(
            (chain(&Map::new()).unwrap(), claim(&[])),
            (Vec::new(), None)
        );
    }

    #[test]
    fn a_chain_that_is_too_deep_or_nameless_is_refused() {
        assert!(read(deep(MAX_ACTORS + 1)).is_err());
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        for bad in [
            json!(null),
            json!("api"),
            json!([]),
            json!({}),
            json!({ "iss": "https://a.example" }),
            json!({ "sub": 1 }),
            json!({ "sub": "" }),
            json!({ "sub": long }),
            json!({ "sub": "a\u{0}" }),
            json!({ "sub": "a", "iss": 1 }),
            json!({ "sub": "a", "act": null }),
            json!({ "sub": "a", "act": {} }),
        ] {
            assert_eq!(read(bad.clone()), Err(Refused::Claim("act")), "{bad}");
        }
    }

    #[test]
    fn who_may_act_is_one_party() {
        let told = |value: Value| {
            let claims = json!({ "may_act": value });
            may_act(claims.as_object().unwrap())
        };

        let one = told(json!({ "sub": "admin@example.com" }))
            .unwrap()
            .unwrap();
        assert_eq!(
            (one.subject.as_str(), one.issuer),
            ("admin@example.com", None)
        );
        assert_eq!(may_act(&Map::new()).unwrap(), None);
        assert!(told(json!(["admin@example.com"])).is_err());
        assert!(told(json!({ "iss": "https://a.example" })).is_err());
    }
}
