//! Schemas of the audit trail and its chain.

use serde_json::{Value, json};

use super::schemas::{maybe_text, object, text, texts, time};

pub(super) fn add(add: &mut impl FnMut(&str, Value)) {
    let number = || json!({ "type": "integer" });
    let told = || {
        [
            ("at", time()),
            ("action", text()),
            ("actor", text()),
            ("subject", maybe_text()),
            ("client", maybe_text()),
            ("request", text()),
        ]
    };
    let place = [
        ("place", text()),
        ("link", json!({ "type": ["integer", "null"] })),
        ("detail", json!({})),
    ];
    add(
        "AuditEntry",
        object(
            &["place", "at", "action", "actor"],
            &[&place[..], &told()[..]].concat(),
        ),
    );
    add("AuditList", list());
    let linked = [
        ("link", number()),
        ("hash", text()),
        ("node", text()),
        ("counter", number()),
        ("at_ms", number()),
        ("detail", text()),
        ("removed", json!({ "type": "boolean" })),
    ];
    add(
        "AuditRecord",
        object(&["link", "hash"], &[&linked[..], &told()[..]].concat()),
    );
    let anchor = [
        ("link", number()),
        ("hash", text()),
        ("at", time()),
        ("at_ms", number()),
        ("key", text()),
        ("signature", text()),
    ];
    let required = ["link", "hash", "at_ms", "key", "signature"];
    add("AuditAnchor", object(&required, &anchor));
    let all = |name: &str| json!({ "type": "array", "items": { "$ref": format!("#/components/schemas/{name}") } });
    let key = object(&["name", "public"], &[("name", text()), ("public", text())]);
    let head = object(&["link"], &[("link", number()), ("hash", maybe_text())]);
    add(
        "AuditChain",
        object(
            &["items", "anchors", "keys", "head", "strays"],
            &[
                ("items", all("AuditRecord")),
                ("anchors", all("AuditAnchor")),
                ("keys", json!({ "type": "array", "items": key })),
                (
                    "start",
                    json!({ "anyOf": [{ "$ref": "#/components/schemas/AuditAnchor" }, { "type": "null" }] }),
                ),
                ("head", head),
                ("strays", texts()),
                ("next", text()),
            ],
        ),
    );
}

/// A page that may be empty although more follows, unlike those of other lists.
fn list() -> Value {
    let next = "Give it as `after` for the next page. A request with a filter looks through a bounded part of the trail, so a page may have fewer items than `limit`, or none, although this is there: go on until it is not.";
    let reached = "How far the trail was looked through; there where `next` is.";
    object(
        &["items"],
        &[
            (
                "items",
                json!({ "type": "array", "items": { "$ref": "#/components/schemas/AuditEntry" } }),
            ),
            ("next", json!({ "type": "string", "description": next })),
            (
                "reached",
                json!({ "type": "string", "format": "date-time", "description": reached }),
            ),
        ],
    )
}
