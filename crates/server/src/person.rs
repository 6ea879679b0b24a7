//! What a person may be called, what is known of them, and what their password
//! may be: the rules that configuration file and admin API share.
//!
//! Spec: OpenID Connect Core 1.0 §5.1, §5.1.1
//! Spec: Unicode Standard Annex 15 §1.2

use serde_json::Value;
use symbolon_protocol::display::{self, MAX_NAME_BYTES};
use symbolon_token::{Id, Person, Secret};
use unicode_normalization::UnicodeNormalization as _;

use crate::authn::password::MAX_PASSWORD_BYTES;

/// How many characters a password has at least.
pub(crate) const MIN_PASSWORD_CHARACTERS: usize = 8;
/// How many it should have.
pub(crate) const WISE_PASSWORD_CHARACTERS: usize = 12;

/// Whether a text may be a new password.
pub(crate) fn is_password_length(password: &Secret) -> bool {
    let is_long_enough = password.expose_str().chars().count() >= MIN_PASSWORD_CHARACTERS;
    is_long_enough && password.expose().len() <= MAX_PASSWORD_BYTES
}

/// The members of `address`.
const ADDRESS: [&str; 6] = [
    "formatted",
    "street_address",
    "locality",
    "region",
    "postal_code",
    "country",
];

/// The claims that say what a person is called: pages and other applications
/// show them to people.
const NAMES: [&str; 6] = [
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
];

/// Why a text is no user name.
pub(crate) fn username_problem(username: &str) -> Option<&'static str> {
    Some(match username {
        _ if username.contains('@') => "holds no `@`: that is for e-mail addresses",
        _ if username.is_empty() || username.trim() != username => {
            "is not empty and has no blank at its ends"
        }
        _ if username.len() > MAX_NAME_BYTES => "has at most 256 bytes",
        _ if display::problem(username).is_some() => {
            "has no control characters, and none that are not seen or turn others round"
        }
        // Otherwise two names could look alike, and what is typed for one of
        // them would never be found.
        _ if !username.nfkc().eq(username.chars()) => {
            "has no other forms of common letters, such as wide ones (Unicode form NFKC)"
        }
        _ if username.parse::<Id<Person>>().is_ok() => "looks like the id of a person",
        _ => return None,
    })
}

/// Why a text is no name of an organization.
pub(crate) fn organization_name_problem(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("is not empty"),
        _ if name.len() > MAX_NAME_BYTES => Some("has at most 256 bytes"),
        _ => display::problem(name),
    }
}

/// Why a value cannot be the one of a standard claim.
pub(crate) fn claim_problem(name: &str, value: &Value) -> Option<&'static str> {
    let fits = match (name, value) {
        ("email_verified" | "phone_number_verified", value) => value.is_boolean(),
        ("updated_at", value) => value.is_u64(),
        ("address", Value::Object(members)) => members
            .iter()
            .all(|(name, value)| ADDRESS.contains(&name.as_str()) && value.is_string()),
        ("address", _) => false,
        ("email", Value::String(text)) => {
            let parts = text.split_once('@');
            let is_whole = parts.is_some_and(|(local, host)| !local.is_empty() && !host.is_empty());
            let is_address = is_whole && !text.contains(char::is_whitespace);
            return (!is_address).then_some("is no e-mail address");
        }
        (name, Value::String(text)) if NAMES.contains(&name) => {
            return display::problem(text);
        }
        (_, value) => value.is_string(),
    };
    (!fits).then_some("is not of the type that the claim has")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::authn::password::is_affordable;

    const SALT_AND_HASH: &str =
        "c29tZXNhbHRzb21lc2FsdA$WZ1TjCEA5y2d0t6zQd6m5l0pEzVnTnmkUwIOfSGTIwk";

    #[test]
    fn only_argon2_hashes_of_bearable_cost_are_taken() {
        let good = format!("$argon2id$v=19$m=19456,t=2,p=1${SALT_AND_HASH}");
        assert!(is_affordable(&good));
        for bad in [
            format!("$argon2id$v=19$m=4194304,t=2,p=1${SALT_AND_HASH}"),
            format!("$argon2id$v=19$m=19456,t=4000000000,p=1${SALT_AND_HASH}"),
            format!("$argon2id$v=19${SALT_AND_HASH}"),
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ".to_owned(),
            "$2b$12$abcdefghijklmnopqrstuv".to_owned(),
            "hunter2".to_owned(),
        ] {
            assert!(!is_affordable(&bad), "{bad}");
        }
    }

    #[test]
    fn a_user_name_is_never_taken_for_an_address_or_an_id() {
        assert_eq!(username_problem("alice"), None);
        let id = Id::<Person>::from_bytes([1; 16]).unwrap().to_string();
        for bad in ["a@b", "", " alice", "a\u{7}b", id.as_str()] {
            assert!(username_problem(bad).is_some(), "{bad}");
        }
    }

    /// Attack: K299
    #[test]
    fn a_user_name_looks_like_no_other() {
        for good in ["alice", "Αλίκη", "josé", "爱丽丝", "o'neil", "straße"] {
            assert_eq!(username_problem(good), None, "{good}");
        }
        for bad in [
            "\u{ff41}\u{ff4c}\u{ff49}\u{ff43}\u{ff45}",
            "jose\u{301}",
            "\u{fb01}nn",
            "ali\u{200b}ce",
            "\u{202e}ecila",
            "a\u{2066}lice",
        ] {
            assert!(username_problem(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn what_a_person_is_called_is_what_is_seen() {
        for name in NAMES {
            assert_eq!(claim_problem(name, &json!("Alice Example")), None);
            for bad in ["Alice\u{202e}", "A\u{200b}lice", "A\nlice"] {
                assert!(claim_problem(name, &json!(bad)).is_some(), "{name} {bad:?}");
            }
        }
    }

    #[test]
    fn a_claim_has_its_own_type() {
        assert_eq!(claim_problem("address", &json!({"country": "GR"})), None);
        assert_eq!(claim_problem("email", &json!("a@b")), None);
        for (name, bad) in [
            ("email_verified", json!("yes")),
            ("email", json!("nobody")),
            ("email", json!("a b@c")),
            ("address", json!({"planet": "x"})),
            ("name", json!({"first": "x"})),
        ] {
            assert!(claim_problem(name, &bad).is_some(), "{name}: {bad}");
        }
    }
}
