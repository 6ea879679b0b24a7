//! Schemas of what waits to be told to others, and of what nobody took.

use serde_json::{Value, json};

use super::schemas::{boolean, maybe_text, object, text, time};

pub(super) fn add(add: &mut impl FnMut(&str, Value)) {
    let count = || json!({ "type": "integer" });
    add(
        "OutboxLine",
        object(
            &["receiver", "waiting", "dead"],
            &[
                ("receiver", text()),
                ("waiting", count()),
                ("oldest", maybe_text()),
                ("dead", count()),
                ("dropped", count()),
                ("failures", count()),
                ("next_try", time()),
            ],
        ),
    );
    add(
        "DeadLetter",
        object(
            &["number", "jti", "receiver", "event", "reason"],
            &[
                ("number", count()),
                ("jti", text()),
                ("receiver", text()),
                ("event", text()),
                ("user", maybe_text()),
                ("attempts", count()),
                ("created", time()),
                ("expires", time()),
                ("reason", text()),
            ],
        ),
    );
    let mut letters = object(&[], &[("number", count()), ("receiver", text())]);
    letters["minProperties"] = json!(1);
    letters["maxProperties"] = json!(1);
    add("DeadLetters", letters);
    add(
        "DeadLettersDone",
        object(
            &["letters", "untold", "full"],
            &[
                ("letters", count()),
                ("untold", count()),
                ("full", boolean()),
            ],
        ),
    );
}
