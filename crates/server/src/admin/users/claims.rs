//! What is known of a person: the standard claims, and the names to sign in by.
//!
//! Spec: OpenID Connect Core 1.0 §5.1

use serde_json::{Map, Value};
use symbolon_protocol::claims::scope_of_claim;

use crate::person::{claim_problem, username_problem};

use super::super::failed::Refused;

/// A name to sign in by, as it is compared.
pub(crate) fn canonical(name: &str) -> String {
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
    match username_problem(username) {
        Some(why) => Err(Refused::member("username", why)),
        None => Ok(()),
    }
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
        if let Some(why) = claim_problem(base, value) {
            return Err(Refused::member(name, why));
        }
    }
    Ok(())
}

/// Takes away that an address is verified where the address is another one,
/// unless the patch says it anew; the names of what is gone.
pub(super) fn unverify(
    claims: &mut Map<String, Value>,
    before: &Map<String, Value>,
    named: &[String],
) -> Vec<&'static str> {
    let mut gone = Vec::new();
    for (name, verified) in VERIFIED {
        let is_said = named.iter().any(|own| own == verified);
        let is_another = claims.get(name) != before.get(name);
        if is_another && !is_said && claims.remove(verified).is_some() {
            gone.push(verified);
        }
    }
    gone
}

/// Addresses, and the claims by which each is verified.
const VERIFIED: [(&str, &str); 2] = [
    ("email", "email_verified"),
    ("phone_number", "phone_number_verified"),
];

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
}
