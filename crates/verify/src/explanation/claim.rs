//! What is wrong with a claim, by the value that stands there.
//!
//! Spec: RFC 7519 §2 (`NumericDate`), §4.1
//! Spec: RFC 9068 §2.2

use serde_json::{Map, Value};

use super::finding::Finding;

/// The claims that hold an instant.
const TIMES: [&str; 4] = ["exp", "iat", "nbf", "auth_time"];

/// What is wrong with the named claim of a token.
pub(super) fn finding(name: &'static str, claims: &Map<String, Value>) -> Finding {
    let ask =
        "have the issuer write it as RFC 9068 §2.2 says, or ask this issuer for a new access token";
    let Some(value) = claims.get(name) else {
        if name == "scope" || !claims.is_empty() {
            return Finding::new(
                "claim_missing",
                format!("signature: claim `{name}` is missing"),
                ask,
            );
        }
        return Finding::new(
            "claim_malformed",
            format!("signature: claim `{name}` is missing or not of its type"),
            ask,
        );
    };
    let kind = kind_of(value);
    if TIMES.contains(&name) {
        return time(name, value);
    }
    if name == "scope" && value.is_array() {
        return Finding::new(
            "scope_list",
            "signature: claim `scope` is a list, it has to be one text with a space between scopes"
                .into(),
            "have the issuer write `scope` as one text (RFC 9068 §2.2.3)",
        );
    }
    if name == "cnf" {
        return Finding::new(
            "binding_unknown",
            "signature: claim `cnf` binds the token in a way that is not understood here".into(),
            "bind tokens by `jkt` (DPoP) or `x5t#S256` (mutual TLS)",
        );
    }
    Finding::new(
        "claim_malformed",
        format!("signature: claim `{name}` is {kind}, which it cannot be"),
        ask,
    )
}

fn time(name: &'static str, value: &Value) -> Finding {
    if value.is_string() {
        return Finding::new(
            "time_as_text",
            format!("signature: claim `{name}` is text, it has to be a number of seconds"),
            "have the issuer write times as numbers, without quotes (RFC 7519 §2)",
        );
    }
    if value.as_f64().is_some_and(|own| own >= 100_000_000_000.0) {
        return Finding::new(
            "time_in_milliseconds",
            format!("signature: claim `{name}` is in milliseconds, it has to be in seconds"),
            "have the issuer divide by 1000: times are seconds since 1970 (RFC 7519 §2)",
        );
    }
    Finding::new(
        "claim_malformed",
        format!(
            "signature: claim `{name}` is {}, it has to be a number of seconds since 1970",
            kind_of(value)
        ),
        "have the issuer write times as seconds since 1970 (RFC 7519 §2)",
    )
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number out of its range or place",
        Value::String(text) if text.is_empty() => "empty",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
