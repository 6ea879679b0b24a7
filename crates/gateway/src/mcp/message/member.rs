//! Members that stand in an object under nearly the name of another. Readers are
//! about that took `Method` for `method`, the long s for s, and what stands before
//! a NUL for the whole name, and went by the last of them: another call than the
//! one that was judged.
//!
//! Spec: JSON-RPC 2.0 §2
//! Spec: RFC 8259 §8.3

use serde_json::{Map, Value};

/// What decides in a message, wherever it stands.
const OF_MESSAGE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
const OF_PARAMETERS: [&str; 6] = ["name", "uri", "arguments", "ref", "notifications", "_meta"];
const OF_REFERENCE: [&str; 3] = ["type", "name", "uri"];
const OF_NOTIFICATIONS: [&str; 1] = ["resourceSubscriptions"];

/// Whether every member of a message that decides anything has one name only.
pub(super) fn are_plain(message: &Map<String, Value>, of_meta: &str) -> bool {
    fn within<'m>(object: Option<&'m Value>, name: &str) -> Option<&'m Value> {
        object?.get(name)
    }
    let parameters = message.get("params");
    let inside = [
        (parameters, &OF_PARAMETERS[..]),
        (within(parameters, "ref"), &OF_REFERENCE[..]),
        (within(parameters, "notifications"), &OF_NOTIFICATIONS[..]),
        (within(parameters, "_meta"), &[of_meta][..]),
    ];
    let is_plain = |(object, names): (Option<&Value>, &[&str])| {
        let object = object.and_then(Value::as_object);
        object.is_none_or(|own| !has_another(own, names))
    };
    !has_another(message, &OF_MESSAGE) && inside.into_iter().all(is_plain)
}

/// Whether an object has a member that a lenient reader takes for one of these
/// names, and that is none of them.
pub(crate) fn has_another(object: &Map<String, Value>, names: &[&str]) -> bool {
    object
        .keys()
        .any(|own| !names.contains(&own.as_str()) && names.iter().any(|name| is_nearly(own, name)))
}

/// Whether a name is another to somebody who looks at letters and digits alone,
/// whatever their case and form, or no further than to a NUL.
fn is_nearly(one: &str, other: &str) -> bool {
    let beginning = one.split('\0').next().unwrap_or_default();
    folded(one).eq(folded(other)) || folded(beginning).eq(folded(other))
}

fn folded(name: &str) -> impl Iterator<Item = char> {
    let letters = name.chars().filter(|own| own.is_alphanumeric());
    // Capitals first: the long s has one, and no small letter.
    letters
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_that_is_nearly_another_is_seen_however_it_is_written() {
        for near in [
            "Name",
            "NAME",
            "nAme",
            "name\0",
            "name\0other",
            "\0name",
            "na\u{200b}me",
            "name ",
            "_name",
            "na-me",
        ] {
            let object = json!({ "name": "read", near: "drop" });
            assert!(
                has_another(object.as_object().unwrap(), &["name"]),
                "{near:?}"
            );
            let alone = json!({ near: "drop" });
            assert!(
                has_another(alone.as_object().unwrap(), &["name"]),
                "{near:?}"
            );
        }
        let long = json!({ "param\u{17f}": {}, "params": {} });
        assert!(has_another(long.as_object().unwrap(), &["params"]));
        let kelvin = json!({ "to\u{212a}en": "a" });
        assert!(has_another(kelvin.as_object().unwrap(), &["token"]));
        let plain = json!({ "name": "read", "names": 1, "title": 2, "nom": 3 });
        assert!(!has_another(plain.as_object().unwrap(), &["name"]));
    }
}
