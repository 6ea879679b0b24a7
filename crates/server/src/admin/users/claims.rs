//! What is known of a person: the standard claims, and the names to sign in by.
//!
//! Spec: OpenID Connect Core 1.0 §5.1

use serde_json::{Map, Value};
use symbolon_protocol::claims::scope_of_claim;
use symbolon_token::{Id, Person};

use super::super::failed::Refused;

/// How long a user name may be, in bytes.
const MAX_USERNAME_BYTES: usize = 256;

/// The members of `address`.
const ADDRESS: [&str; 6] = [
    "formatted",
    "street_address",
    "locality",
    "region",
    "postal_code",
    "country",
];

/// A name to sign in by, as it is compared.
pub(super) fn canonical(name: &str) -> String {
    name.trim().to_lowercase()
}

/// What a person may sign in as: the user name, and an e-mail address that is
/// verified. An unverified one may belong to somebody else.
pub(crate) fn login_names(username: &str, claims: &Map<String, Value>) -> Vec<String> {
    let mut names = vec![canonical(username)];
    let is_verified = claims.get("email_verified") == Some(&Value::Bool(true));
    if let Some(email) = claims
        .get("email")
        .and_then(Value::as_str)
        .filter(|_| is_verified)
    {
        names.push(canonical(email));
    }
    names
}

pub(super) fn check_username(username: &str) -> Result<(), Refused> {
    let why = match username {
        _ if username.contains('@') => "holds no `@`: that is for e-mail addresses",
        _ if username.is_empty() || username.trim() != username => {
            "is not empty and has no blank at its ends"
        }
        _ if username.len() > MAX_USERNAME_BYTES || username.chars().any(char::is_control) => {
            "has at most 256 bytes and no control characters"
        }
        _ if username.parse::<Id<Person>>().is_ok() => "looks like the id of a person",
        _ => return Ok(()),
    };
    Err(Refused::member("username", why))
}

/// Refuses what is not a standard claim, or not of its type.
pub(super) fn check(claims: &Map<String, Value>) -> Result<(), Refused> {
    for (name, value) in claims {
        // A claim may be written in a language, as in `name#el`.
        let base = name.split('#').next().unwrap_or_default();
        if scope_of_claim(base).is_none() {
            return Err(Refused::member(
                name,
                "unknown field: it is no standard claim",
            ));
        }
        if !fits(base, value) {
            return Err(Refused::member(
                name,
                "is not of the type that the claim has",
            ));
        }
    }
    Ok(())
}

fn fits(name: &str, value: &Value) -> bool {
    match (name, value) {
        ("email_verified" | "phone_number_verified", value) => value.is_boolean(),
        ("updated_at", value) => value.is_u64(),
        ("address", Value::Object(members)) => members
            .iter()
            .all(|(name, value)| ADDRESS.contains(&name.as_str()) && value.is_string()),
        ("address", _) => false,
        ("email", Value::String(text)) => {
            let parts = text.split_once('@');
            let is_whole = parts.is_some_and(|(local, host)| !local.is_empty() && !host.is_empty());
            is_whole && !text.contains(char::is_whitespace)
        }
        (_, value) => value.is_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn an_unverified_address_is_no_name_to_sign_in_by() {
        let claims = object(json!({"email": "Alice@Example.com"}));
        assert_eq!(login_names("Alice", &claims), ["alice"]);
        let claims = object(json!({"email": "Alice@Example.com", "email_verified": true}));
        assert_eq!(
            login_names("Alice", &claims),
            ["alice", "alice@example.com"]
        );
    }

    #[test]
    fn only_standard_claims_of_their_own_type_are_taken() {
        let good = json!({"name": "Alice", "name#el": "Αλίκη", "address": {"country": "GR"}, "updated_at": 1});
        assert!(check(&object(good)).is_ok());
        for bad in [
            json!({"sub": "usr_1"}),
            json!({"tenant_id": "x"}),
            json!({"email_verified": "yes"}),
            json!({"email": "nobody"}),
            json!({"address": {"planet": "x"}}),
            json!({"name": {"first": "x"}}),
        ] {
            assert!(check(&object(bad.clone())).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_user_name_is_never_taken_for_an_address_or_an_id() {
        assert!(check_username("alice").is_ok());
        let id = Id::<Person>::from_bytes([1; 16]).unwrap().to_string();
        for bad in ["a@b", "", " alice", "a\u{7}b", id.as_str()] {
            assert!(check_username(bad).is_err(), "{bad}");
        }
    }
}
