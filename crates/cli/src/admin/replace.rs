//! Members that are set as they are given, whatever stood there: the admin API
//! merges objects, so what is to go is named.
//!
//! Spec: RFC 7396 §2

use serde_json::{Map, Value};

use super::{Connection, Failed};

/// Changes a document: each member that is named has exactly the value that is
/// given. What stands there is read first where an object is to take its place.
pub(super) async fn update(
    connection: &Connection,
    path: &[&str],
    members: Map<String, Value>,
) -> Result<Value, Failed> {
    let patch = if members.values().any(Value::is_object) {
        let current = connection.read(path, &[]).await?;
        over(current.as_object(), members)
    } else {
        members
    };
    connection.patch(path, &patch.into()).await
}

/// The patch that makes of `current` what is wanted, member by member.
fn over(current: Option<&Map<String, Value>>, wanted: Map<String, Value>) -> Map<String, Value> {
    let exact = |(name, value): (String, Value)| {
        let value = match (value, current.and_then(|own| own.get(&name))) {
            (Value::Object(wanted), Some(Value::Object(current))) => {
                Value::Object(exactly(current, wanted))
            }
            (value, _) => value,
        };
        (name, value)
    };
    wanted.into_iter().map(exact).collect()
}

/// The same for a whole object: what is not wanted is taken away.
fn exactly(current: &Map<String, Value>, wanted: Map<String, Value>) -> Map<String, Value> {
    let gone = current.keys().filter(|name| !wanted.contains_key(*name));
    let gone: Vec<String> = gone.cloned().collect();
    let mut patch = over(Some(current), wanted);
    patch.extend(gone.into_iter().map(|name| (name, Value::Null)));
    patch
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_wanted_is_taken_away_and_nothing_else() {
        let current = json!({
            "claims": { "a": { "from": "name", "more": 1 }, "b": 2 }, "name": "x", "kept": { "y": 1 },
        });
        let patch = |wanted: Value| {
            let wanted = wanted.as_object().cloned().unwrap();
            Value::Object(over(current.as_object(), wanted))
        };

        assert_eq!(
            patch(json!({ "claims": {} })),
            json!({ "claims": { "a": null, "b": null } })
        );
        assert_eq!(
            patch(json!({ "claims": { "a": { "from": "email" } }, "name": "z" })),
            json!({ "claims": { "a": { "from": "email", "more": null }, "b": null }, "name": "z" })
        );
        assert_eq!(
            patch(json!({ "new": { "a": 1 } })),
            json!({ "new": { "a": 1 } })
        );
        assert_eq!(patch(json!({ "claims": null })), json!({ "claims": null }));
    }
}
