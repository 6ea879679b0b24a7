//! Whom a token speaks for, who acts, and what it came from, in words.
//!
//! Spec: RFC 8693 §4.1

use serde_json::{Map, Value};
use symbolon_token::act;
use symbolon_token::revocation::Target;

use crate::refusal::printable;

/// One line for each actor, the latest first, and one for what the token was
/// derived from; none for a token that nobody exchanged.
pub(crate) fn of(claims: &Map<String, Value>) -> Vec<String> {
    let subject = claims
        .get("sub")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut lines = Vec::new();
    for (number, actor) in act::chain(claims).unwrap_or_default().iter().enumerate() {
        let name = printable(&actor.subject);
        let of = match &actor.issuer {
            Some(issuer) => format!(" of `{}`", printable(issuer)),
            None => String::new(),
        };
        lines.push(match number {
            0 => format!("`{name}`{of} acts for `{}`", printable(subject)),
            _ => format!("`{name}`{of} acted before"),
        });
    }
    let ancestors = ancestors(claims);
    if !ancestors.is_empty() {
        let names = ancestors.join(", ");
        lines.push(format!("derived: it dies with what it came from ({names})"));
    }
    lines
}

/// The kinds of what is on record, each once.
fn ancestors(claims: &Map<String, Value>) -> Vec<&'static str> {
    let record = claims.get("rev").and_then(|rev| rev.get("a"));
    let mut kinds = Vec::new();
    for line in record.and_then(Value::as_array).into_iter().flatten() {
        let number = line.as_str().and_then(|line| line.get(..2));
        let number = number.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(target) = number.and_then(Target::numbered)
            && !kinds.contains(&target.name())
        {
            kinds.push(target.name());
        }
    }
    kinds
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(claims: Value) -> Vec<String> {
        of(claims.as_object().unwrap())
    }

    #[test]
    fn a_chain_is_told_from_the_latest_to_the_first() {
        let act = json!({ "sub": "stock-api", "act": { "sub": "dave", "iss": "https://partner.example.net" } });
        let rev = json!({ "a": ["0100000000000000aa", "0600000000000000bb", "0100000000000000cc", "ff00000000000000dd"] });

        let lines = told(json!({ "sub": "usr_1", "act": act, "rev": rev }));

        assert_eq!(
            lines,
            [
                "`stock-api` acts for `usr_1`",
                "`dave` of `https://partner.example.net` acted before",
                "derived: it dies with what it came from (token, client)",
            ]
        );
        assert_eq!(told(json!({ "sub": "usr_1" })), [""; 0]);
    }
}
