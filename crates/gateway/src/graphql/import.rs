//! Directives that a schema brings in under names of its own: they would be
//! passed over, and what they guard stand open.
//!
//! A schema says so with `@link`, or with `@core` before that, and may call either
//! of them otherwise; so whatever stands on the schema and names a specification
//! is looked at.
//!
//! Spec: Apollo Federation
//! Spec: core schemas v0.2 §6

use apollo_compiler::ast::{Directive, Document, Value};

use super::directive::{OWN, argument, mistake};
use super::settings::Mistake;

/// Everything that guards or weighs and has another name here.
pub(super) fn renamed(document: &Document) -> Vec<Mistake> {
    let mut found = Vec::new();
    for definition in &document.definitions {
        for link in definition.directives().iter() {
            if is_renamed_by_specification(link) {
                found.push(link.location());
            }
            let Some(Value::List(items)) = argument(link, "import") else {
                continue;
            };
            let renamed = items.iter().filter(|own| is_renamed(own));
            found.extend(renamed.map(|own| own.location()));
        }
    }
    let note = |at| {
        let message = "a directive that guards is imported under another name".into();
        mistake(at, &document.sources, message)
    };
    found.into_iter().map(note).collect()
}

/// `@link(url: "https://specs.apollo.dev/policy/v0.1", as: "may")`: a directive
/// that is called as its specification goes by the name of that.
fn is_renamed_by_specification(link: &Directive) -> bool {
    let text = |name: &str| argument(link, name).and_then(Value::as_str);
    let Some(address) = text("url").or_else(|| text("feature")) else {
        return false;
    };
    let mut parts = address.trim_end_matches('/').rsplit('/');
    let (last, before) = (parts.next().unwrap_or_default(), parts.next());
    let is_version = last.starts_with('v') && last.contains(|own: char| own.is_ascii_digit());
    let name = match is_version {
        true => before.unwrap_or_default(),
        false => last,
    };
    let other = text("as").filter(|own| *own != name);
    other.is_some() && is_own(name)
}

/// `{ name: "@policy", as: "@may" }`.
fn is_renamed(item: &Value) -> bool {
    let Value::Object(members) = item else {
        return false;
    };
    let member = |name: &str| {
        let own = members.iter().find(|(own, _)| own == name);
        own.and_then(|(_, value)| value.as_str())
    };
    let (name, other) = (member("name"), member("as"));
    name.is_some_and(|name| is_own(name.trim_start_matches('@')))
        && other.is_some_and(|other| Some(other) != name)
}

fn is_own(name: &str) -> bool {
    OWN.iter().any(|(own, _)| *own == name)
}
