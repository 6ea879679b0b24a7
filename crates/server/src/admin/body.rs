//! Documents that administrators send: read strictly, merged, and refused with
//! the name of the member that is wrong.
//!
//! Spec: RFC 7396 §2

use std::cell::Cell;

use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde_json::{Map, Value};

use super::failed::Refused;

/// How many members a document may have.
const MAX_MEMBERS: usize = 100;

/// Refuses a document with too many members.
pub(super) fn check_size(object: &Map<String, Value>) -> Result<(), Refused> {
    if object.len() > MAX_MEMBERS {
        return Err(Refused::invalid(format!(
            "the document has more than {MAX_MEMBERS} members"
        )));
    }
    Ok(())
}

/// Reads a document into what it means.
pub(super) fn read<T: DeserializeOwned>(object: &Map<String, Value>) -> Result<T, Refused> {
    let (outcome, last) = attempt(object, None);
    let error = match outcome {
        Ok(value) => return Ok(value),
        Err(error) => error.to_string(),
    };
    if error.contains("unknown field") || error.contains("missing field") {
        return Err(Refused::invalid(error));
    }
    match last.or_else(|| culprit::<T>(object, &error)) {
        Some(name) => Err(Refused::member(name, error)),
        None => Err(Refused::invalid(error)),
    }
}

/// Reads all members but one. Beside the outcome stands the member at which
/// reading stopped early.
fn attempt<'o, T: DeserializeOwned>(
    object: &'o Map<String, Value>,
    without: Option<&str>,
) -> (Result<T, serde_json::Error>, Option<&'o str>) {
    let last = Cell::new(None);
    let ended = Cell::new(false);
    let members = object
        .iter()
        .filter(|(name, _)| Some(name.as_str()) != without)
        .inspect(|(name, _)| last.set(Some(name.as_str())))
        .map(|(name, value)| (name.as_str(), value.into_deserializer()))
        .chain(std::iter::from_fn(|| {
            ended.set(true);
            None
        }));
    let outcome = T::deserialize(MapDeserializer::<_, serde_json::Error>::new(members));
    let stopped = if ended.get() { None } else { last.get() };
    (outcome, stopped)
}

/// The member without which the error is another one.
fn culprit<'o, T: DeserializeOwned>(
    object: &'o Map<String, Value>,
    error: &str,
) -> Option<&'o str> {
    let mut names = object.keys().map(String::as_str);
    names.find(|name| match attempt::<T>(object, Some(name)).0 {
        Ok(_) => true,
        Err(other) => {
            let other = other.to_string();
            // That a needed member is missed says nothing of the wrong one.
            other != error && !other.contains(&format!("missing field `{name}`"))
        }
    })
}

/// Lays a patch over a document: `null` takes a member away, objects are
/// merged, everything else is replaced.
pub(super) fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.remove(&name);
            }
            Value::Object(inner) => {
                let mut own = match target.remove(&name) {
                    Some(Value::Object(own)) => own,
                    _ => Map::new(),
                };
                merge(&mut own, inner);
                target.insert(name, Value::Object(own));
            }
            other => {
                target.insert(name, other);
            }
        }
    }
}

/// A document as it stands, to lay a patch over.
pub(super) fn object_of<T: serde::Serialize>(value: &T) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(object)) => object,
        // Only structs with string keys are given.
        _ => Map::new(),
    }
}

/// Refuses a patch of members that never change, or change otherwise.
pub(super) fn check_fixed(
    patch: &Map<String, Value>,
    fixed: &[(&str, &str)],
) -> Result<(), Refused> {
    match fixed.iter().find(|(name, _)| patch.contains_key(*name)) {
        Some((name, why)) => Err(Refused::member(name, why)),
        None => Ok(()),
    }
}

/// Takes a truth value out of a document.
pub(super) fn take_bool(
    object: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<bool>, Refused> {
    match object.remove(name) {
        None => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(value)),
        Some(_) => Err(Refused::member(name, "is `true` or `false`")),
    }
}

/// Takes a text out of a document.
pub(super) fn take_text(
    object: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<String>, Refused> {
    match object.remove(name) {
        None => Ok(None),
        Some(Value::String(value)) => Ok(Some(value)),
        Some(_) => Err(Refused::member(name, "is a text")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use symbolon_protocol::{Client, Resource};

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    fn refused<T: DeserializeOwned + std::fmt::Debug>(value: Value) -> String {
        read::<T>(&object(value))
            .unwrap_err()
            .description()
            .to_owned()
    }

    #[test]
    fn a_member_of_the_wrong_type_is_named() {
        let wrong = refused::<Client>(json!({"id": "web", "require_pkce": "yes"}));
        assert!(wrong.starts_with("`require_pkce`:"), "{wrong}");
        let flattened = refused::<Client>(json!({"id": "web", "client_uri": 5}));
        assert!(flattened.starts_with("`client_uri`:"), "{flattened}");
        let scopes = refused::<Resource>(json!({"identifier": "https://a.example", "scopes": "x"}));
        assert!(scopes.starts_with("`scopes`:"), "{scopes}");
    }

    #[test]
    fn unknown_and_missing_members_are_named() {
        let unknown =
            refused::<Resource>(json!({"identifier": "https://a.example", "tenant_id": 1}));
        assert!(unknown.contains("`tenant_id`"), "{unknown}");
        let missing = refused::<Resource>(json!({"scopes": []}));
        assert!(missing.contains("`identifier`"), "{missing}");
    }

    #[test]
    fn a_document_with_a_great_many_members_is_refused() {
        let many: Map<String, Value> = (0..101).map(|n| (n.to_string(), Value::Null)).collect();
        assert!(check_size(&many).is_err());
        assert!(check_size(&Map::new()).is_ok());
    }

    #[test]
    fn a_patch_removes_replaces_and_merges() {
        let mut target = object(json!({"a": 1, "b": {"c": 1, "d": 2}, "e": [1, 2]}));
        merge(
            &mut target,
            object(json!({"a": null, "b": {"c": null, "x": {"y": null}}, "e": [3]})),
        );
        assert_eq!(
            Value::Object(target),
            json!({"b": {"d": 2, "x": {}}, "e": [3]})
        );
    }

    #[test]
    fn a_patch_of_what_never_changes_is_refused() {
        let patch = object(json!({"id": "other"}));
        let refused = check_fixed(&patch, &[("id", "cannot be changed")]).unwrap_err();
        assert_eq!(refused.description(), "`id`: cannot be changed");
        assert_eq!(refused.status(), http::StatusCode::BAD_REQUEST);
    }

    #[test]
    fn a_client_patched_with_nothing_stays_as_it_is() {
        let client: Client = read(&object(
            json!({"id": "web", "redirect_uris": ["https://a.example/cb"]}),
        ))
        .unwrap();

        let mut document = object_of(&client);
        merge(&mut document, Map::new());

        assert_eq!(read::<Client>(&document).unwrap(), client);
    }
}
