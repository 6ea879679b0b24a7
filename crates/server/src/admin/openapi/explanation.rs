//! The schemas of what an administrator asks about a token, and is told.

use serde_json::{Value, json};

use super::schemas::{object, text, texts, time};

/// A question about a token, and an explanation.
pub(super) fn add(add: &mut impl FnMut(&str, Value)) {
    let question = [
        ("token", text()),
        ("audience", text()),
        ("scopes", texts()),
        ("method", text()),
        ("path", text()),
        ("client_ip", text()),
    ];
    let step = object(
        &["check", "outcome"],
        &[("check", text()), ("outcome", text())],
    );
    let record = object(
        &["what", "at", "until"],
        &[
            ("what", text()),
            ("at", time()),
            ("until", time()),
            ("key", text()),
            ("by", text()),
            ("action", text()),
            ("request", text()),
        ],
    );
    let any = || json!({ "type": ["object", "null"] });
    let shown = [
        ("kind", text()),
        ("id", text()),
        ("at", time()),
        ("endpoint", text()),
        ("client", text()),
        ("claimed_client", text()),
        ("error", text()),
        ("told", text()),
        ("jti", text()),
        ("verdict", text()),
        ("shown", text()),
        ("shown_words", text()),
        ("defects", texts()),
        ("check", text()),
        ("code", text()),
        ("root", text()),
        ("cause", text()),
        ("repair", text()),
        ("checks", json!({ "type": "array", "items": step })),
        ("issued", any()),
        ("known", any()),
        ("taken_back", json!({ "type": "array", "items": record })),
        ("refusals", json!({ "type": "array", "items": any() })),
    ];
    add("TokenQuestion", object(&["token"], &question));
    add("Explanation", object(&["kind", "cause"], &shown));
}
