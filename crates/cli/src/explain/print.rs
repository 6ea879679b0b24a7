//! An explanation for people: the cause first, the repair second, details
//! after.

use serde_json::Value;

use super::text;
use crate::token::shown;

/// Why a token is good or not.
pub(super) fn explanation(own: &Value) {
    head(own);
    say!("\nshown: {}", text(own, "shown_words"));
    for step in items(own, "checks") {
        say!(
            "  {:<11} {}",
            text(step, "check"),
            word(text(step, "outcome"))
        );
    }
    demanded(own);
    key(own);
    let clock = &own["clock"];
    if !clock.is_null() {
        let (here, there) = (text(clock, "here"), text(clock, "issuer"));
        let there = if there.is_empty() { "not said" } else { there };
        say!(
            "\nclock: here {here}, issuer {there}, {} s may differ",
            clock["allowed_seconds"]
        );
    }
    if !own["chain"].is_null() {
        say!("\nchain:");
        let lines = items(own, "chain").filter_map(Value::as_str);
        lines.for_each(|line| say!("  {line}"));
    }
    claims(own);
    if !own["known"].is_null() {
        say!("\nwhat the issuer knows:");
        members(&own["known"]);
    }
    taken_back(own);
}

/// What the admin API says of an id.
pub(super) fn told(told: &Value) {
    head(told);
    say!("");
    let names = [
        "id", "at", "endpoint", "client", "error", "told", "check", "root", "jti",
    ];
    for name in names {
        if !text(told, name).is_empty() {
            say!("  {name:<12} {}", text(told, name));
        }
    }
    members(&told["issued"]);
    taken_back(told);
    for refusal in items(told, "refusals") {
        say!(
            "  refused: {} ({})",
            text(refusal, "cause"),
            text(refusal, "id")
        );
    }
}

fn head(own: &Value) {
    say!("{}", text(own, "cause"));
    for (word, name) in [("repair", "repair"), ("note", "repaired")] {
        if !text(own, name).is_empty() {
            say!("{word}: {}", text(own, name));
        }
    }
}

fn demanded(own: &Value) {
    let demanded = &own["demanded"];
    if !demanded.is_null() {
        let place = text(demanded, "place");
        let (setting, value) = (text(demanded, "setting"), text(demanded, "value"));
        say!("\ndemanded by {setting} = {value} ({place})");
    }
    for difference in items(own, "differences") {
        let of = text(difference, "of");
        say!("  {of:<11} wanted {}", text(difference, "wanted"));
        say!("  {:<11} found  {}", "", text(difference, "found"));
        if !text(difference, "note").is_empty() {
            say!("  {:<11} {}", "", text(difference, "note"));
        }
    }
}

fn key(own: &Value) {
    let key = &own["key"];
    if key.is_null() {
        return;
    }
    let or = |name: &str, other: &'static str| match text(key, name) {
        "" => other.to_owned(),
        own => own.to_owned(),
    };
    say!(
        "\nkey: named {}, {}",
        or("named", "none"),
        text(key, "algorithm")
    );
    say!("  verified by {}", or("verifies", "none that is known"));
    // Which others there are matters where none of them fits.
    if text(key, "verifies").is_empty() {
        let known = items(key, "known").filter_map(Value::as_str);
        known.for_each(|known| say!("  known       {known}"));
    }
}

fn claims(own: &Value) {
    let Some(claims) = own["claims"].as_object() else {
        return;
    };
    let vouched = match text(own, "vouched") {
        "verified" => "what the token says; its issuer vouches for it",
        _ => "what the text says; NOBODY vouches for it",
    };
    say!("\n{vouched}:");
    for (name, value) in claims {
        say!("  {name:<11} {}", shown(name, value));
    }
}

fn word(outcome: &str) -> String {
    match outcome {
        "passed" => "pass".to_owned(),
        "failed" => "FAIL".to_owned(),
        other => other.replace('_', " "),
    }
}

fn taken_back(told: &Value) {
    for record in items(told, "taken_back") {
        say!(
            "  taken back: {} at {} by {} ({}, {})",
            text(record, "what"),
            text(record, "at"),
            text(record, "by"),
            text(record, "action"),
            text(record, "request"),
        );
    }
}

fn members(value: &Value) {
    for (name, value) in value.as_object().into_iter().flatten() {
        if !value.is_null() {
            say!("  {name:<12} {}", shown(name, value));
        }
    }
}

fn items<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value[name].as_array().into_iter().flatten()
}
