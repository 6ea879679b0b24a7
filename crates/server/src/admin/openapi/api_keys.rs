//! Schemas of API keys.

use serde_json::{Value, json};
use symbolon_protocol::Environment;

use super::schemas::{
    boolean, maybe_text, object, patch as patch_of, span, text, texts, time, words,
};

pub(super) fn add(add: &mut impl FnMut(&str, Value)) {
    let end =
        || json!({ "type": ["string", "null"], "description": "A time of RFC 3339, or `never`." });
    let fields = || {
        vec![
            ("name", text()),
            ("client", text()),
            ("user", maybe_text()),
            ("organization", maybe_text()),
            ("scopes", texts()),
            ("resources", texts()),
            ("environment", words(Environment::ALL)),
            ("networks", texts()),
            ("plan", maybe_text()),
        ]
    };
    let mut shown = fields();
    shown.extend([
        ("id", text()),
        ("imported", boolean()),
        (
            "status",
            json!({ "enum": ["live", "replaced", "disabled", "expired", "revoked"] }),
        ),
        ("enabled", boolean()),
        ("created", time()),
        ("updated", time()),
        ("expires", maybe_text()),
        ("revoked", maybe_text()),
        ("last_used", maybe_text()),
        ("replaces", maybe_text()),
        ("replaced_by", maybe_text()),
        (
            "key",
            json!({ "type": "string", "description": "Shown once, when it was made." }),
        ),
    ]);
    add(
        "ApiKey",
        object(&["id", "name", "client", "status"], &shown),
    );
    let needed = ["name", "client", "scopes", "resources"];
    let mut new = fields();
    new.extend([("expires", end()), ("lifetime", span())]);
    add("NewApiKey", object(&needed, &new));
    new.push(("digest", text()));
    let brought = object(&[&needed[..], &["digest"]].concat(), &new);
    let many = json!({ "type": "array", "items": brought, "minItems": 1, "maxItems": 200 });
    add("ApiKeyImport", object(&["keys"], &[("keys", many)]));
    let taken = object(
        &["taken"],
        &[("taken", boolean()), ("id", text()), ("why", text())],
    );
    let items = json!({ "type": "array", "items": taken });
    add("ApiKeysImported", object(&["items"], &[("items", items)]));
    let patch = [
        ("name", text()),
        ("scopes", texts()),
        ("resources", texts()),
        ("networks", texts()),
        ("plan", maybe_text()),
        ("expires", end()),
        ("lifetime", span()),
    ];
    add("ApiKeyPatch", patch_of(&patch));
    let rotation = [("overlap", span()), ("lifetime", span())];
    add("ApiKeyRotation", object(&[], &rotation));
}
