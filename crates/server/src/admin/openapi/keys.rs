//! Schemas of keys, and of what becomes of them.

use serde_json::{Value, json};
use symbolon_protocol::SigningAlgorithm;

use super::schemas::{boolean, maybe_text, object, text, time, words};

pub(super) fn add(add: &mut impl FnMut(&str, Value)) {
    add(
        "Key",
        object(
            &["kid", "purpose", "state", "created"],
            &[
                ("kid", text()),
                ("purpose", text()),
                ("algorithm", maybe_text()),
                ("state", text()),
                ("created", time()),
                ("activated", maybe_text()),
                ("ends", maybe_text()),
            ],
        ),
    );
    add(
        "KeyRotation",
        object(
            &[],
            &[
                ("purpose", text()),
                ("algorithm", words(SigningAlgorithm::ALL)),
                ("plan", boolean()),
            ],
        ),
    );
    add(
        "KeyChanges",
        object(
            &["items"],
            &[(
                "items",
                json!({ "type": "array", "items": { "type": "object" } }),
            )],
        ),
    );
    add(
        "DistrustedKeys",
        object(
            &["items", "warnings"],
            &[
                (
                    "items",
                    json!({ "type": "array", "items": { "$ref": "#/components/schemas/Key" } }),
                ),
                (
                    "warnings",
                    json!({ "type": "array", "items": text(), "description": "What is to be known of the keys that are left." }),
                ),
            ],
        ),
    );
}
