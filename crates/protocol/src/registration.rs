//! The names of registration, brought to ours: the same rules for the
//! configuration file and for documents that administrators send.
//!
//! 1. A name that has another one here is replaced by it.
//! 2. What asks for nothing (`false`, an empty text or list) is as good as absent.
//! 3. `application_type = "native"` is a kind where none is given.
//!
//! Spec: RFC 7591 §2, §2.2, §3.2.1
//! Spec: OpenID Connect Dynamic Client Registration 1.0 §2

use serde_json::{Map, Value};

use crate::client::{Described, NOT_BUILT, Problem};
use crate::encryption::MEMBERS;

/// Names of registration, and ours for the same.
pub const ALIASES: [(&str, &str); 6] = [
    ("client_id", "id"),
    ("client_name", "name"),
    ("client_secret", "secret"),
    ("token_endpoint_auth_method", "authentication"),
    ("grant_types", "grants"),
    ("scope", "scopes"),
];

/// Names that people may read in several languages, as in `client_name#fr`.
pub const LOCALIZED: [&str; 5] = [
    "client_name",
    "client_uri",
    "logo_uri",
    "policy_uri",
    "tos_uri",
];

/// Pages that a client describes itself by.
const PAGES: [&str; 4] = ["client_uri", "logo_uri", "policy_uri", "tos_uri"];

/// Signed answers of which `none` means that they are plain.
const PLAIN_IF_NONE: [&str; 2] = [
    "userinfo_signed_response_alg",
    "introspection_signed_response_alg",
];

/// Members that ask for nothing where they are empty, so that what was there
/// before is taken away.
fn is_gone_if_empty(name: &str) -> bool {
    let mut members = MEMBERS.iter();
    let is_uri = name == "backchannel_logout_uri" || PAGES.contains(&name);
    is_uri || members.any(|(alg, enc)| *alg == name || *enc == name)
}

/// What a server answers to a registration beside the metadata. An exported
/// client has them; here they say nothing as long as the secret has no end.
const ANSWERED: [&str; 2] = ["client_id_issued_at", "client_secret_expires_at"];

/// Grants that have a name and are not built yet, and the parts that bring them.
const GRANTS_NOT_BUILT: &[(&str, &str)] = &[("urn:openid:params:grant-type:ciba", "ciba")];

/// How long a text in another language may be, in bytes.
const MAX_LOCALIZED_BYTES: usize = 2048;

/// The name under which a member is kept here.
pub fn own_name(name: &str) -> &str {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    alias.map_or(name, |(_, own)| own)
}

/// Whether a member changes nothing and may be left out: a part that is not
/// built yet is not asked for, or an answer of registration has nothing to say.
pub fn asks_for_nothing(name: &str, value: &Value) -> bool {
    if PLAIN_IF_NONE.contains(&name) {
        return matches!(value.as_str(), Some("none" | ""));
    }
    if is_gone_if_empty(name) {
        return value.as_str() == Some("");
    }
    if name == "client_secret_expires_at" {
        return is_nothing(value) || value.as_u64() == Some(0);
    }
    ANSWERED.contains(&name) || part_of(name).is_some() && is_nothing(value)
}

/// Names that are taken as long as they ask for nothing.
pub fn names_without_effect() -> impl Iterator<Item = &'static str> {
    let not_built = NOT_BUILT.iter().map(|(name, _)| *name);
    not_built.chain(ANSWERED)
}

/// Scopes as a list; registration writes them as one text with spaces.
pub fn split_scope(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}

/// Our kind of what registration calls `application_type`, where it is one.
pub fn kind_of(application_type: &Value) -> Option<&'static str> {
    (application_type.as_str() == Some("native")).then_some("native")
}

/// The part that a grant needs which is not built yet.
pub fn grant_not_built(word: &str) -> Option<&'static str> {
    let found = GRANTS_NOT_BUILT.iter().find(|(known, _)| *known == word)?;
    Some(found.1)
}

/// Says which grants a client of a kind uses where nobody else does: a service
/// acts for itself, and nobody is sent back to it.
pub fn add_grants_of_kind(object: &mut Map<String, Value>) {
    let is_service = object.get("kind").and_then(Value::as_str) == Some("service");
    if is_service && !object.contains_key("grants") {
        object.insert("grants".to_owned(), vec!["client_credentials"].into());
    }
}

/// Brings a document to our names. In a patch a plain signature is `null`, so
/// that the member is taken away.
pub fn normalize(object: &mut Map<String, Value>) -> Result<(), Problem> {
    for (alias, own) in ALIASES {
        let Some(value) = object.remove(alias) else {
            continue;
        };
        if object.insert(own.to_owned(), value).is_some() {
            return Err(Problem::new(
                alias,
                format!("means the same as `{own}`; give one of them"),
            ));
        }
    }
    if let Some(Value::String(text)) = object.get("scopes") {
        let words = split_scope(text).map(Value::from).collect();
        object.insert("scopes".to_owned(), words);
    }
    object.retain(|name, value| {
        let can_go = PLAIN_IF_NONE.contains(&name.as_str()) || is_gone_if_empty(name);
        let is_plain = can_go && asks_for_nothing(name, value);
        if is_plain {
            *value = Value::Null;
        }
        is_plain || !asks_for_nothing(name, value)
    });
    if !object.contains_key("kind")
        && let Some(kind) = object.get("application_type").and_then(kind_of)
    {
        object.insert("kind".to_owned(), kind.into());
    }
    Ok(())
}

/// What is wrong with a name that is none of a client's own members; nothing
/// where it is a text in another language.
pub(crate) fn problem_of(name: &str, value: &Value) -> Option<Problem> {
    if let Some(part) = part_of(name) {
        return Some(Problem::not_built(name, part));
    }
    if name == "client_secret_expires_at" {
        return Some(Problem::new(
            name,
            "a secret has no end of its own: the next one takes its place".to_owned(),
        ));
    }
    let Some((base, language)) = name.split_once('#') else {
        return Some(Problem::new(name, NO_KEY.to_owned()));
    };
    if !LOCALIZED.contains(&base) || !is_language(language) {
        return Some(Problem::new(name, NO_KEY.to_owned()));
    }
    if PAGES.contains(&base) && !value.as_str().is_some_and(is_page) {
        return Some(Problem::new(name, NO_PAGE.to_owned()));
    }
    let is_text = value
        .as_str()
        .is_some_and(|text| text.len() <= MAX_LOCALIZED_BYTES && !text.contains(char::is_control));
    let wrong = || {
        let why = format!("is a text of at most {MAX_LOCALIZED_BYTES} bytes");
        Problem::new(name, why)
    };
    (!is_text).then(wrong)
}

/// What is wrong with the pages that a client describes itself by.
pub(crate) fn page_problems(described: &Described) -> impl Iterator<Item = Problem> {
    let Described {
        client_uri,
        logo_uri,
        policy_uri,
        tos_uri,
        ..
    } = described;
    let pages = PAGES
        .into_iter()
        .zip([client_uri, logo_uri, policy_uri, tos_uri]);
    pages
        .filter(|(_, page)| page.as_deref().is_some_and(|page| !is_page(page)))
        .map(|(name, _)| Problem::new(name, NO_PAGE.to_owned()))
}

/// Whether people can be led there and nothing else comes of it: a `javascript:`
/// would run wherever it is made a link.
fn is_page(uri: &str) -> bool {
    url::Url::parse(uri).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// What is said of a page that is none.
const NO_PAGE: &str = "is an http or https URL";

/// The part that a name asks for and that is not built yet.
fn part_of(name: &str) -> Option<&'static str> {
    let found = NOT_BUILT.iter().find(|(known, _)| *known == name)?;
    Some(found.1)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// The form of a language tag (RFC 5646 §2.1); whether it is registered is not asked.
fn is_language(tag: &str) -> bool {
    let part = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    tag.len() <= 64 && tag.split('-').all(part)
}

/// What is said of a name that is none.
pub const NO_KEY: &str = "is not a key of a client";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::Client;
    use crate::vocabulary::ClientKind;

    fn read(document: Value) -> Client {
        let Value::Object(mut object) = document else {
            panic!("not an object")
        };
        normalize(&mut object).unwrap();
        serde_json::from_value(object.into()).unwrap()
    }

    /// Everything that RFC 7591 §2 and OpenID Connect registration §2 name.
    const EVERY_NAME: &[(&str, &str)] = &[
        ("redirect_uris", r#"["https://shop.example/cb"]"#),
        ("token_endpoint_auth_method", r#""client_secret_post""#),
        ("grant_types", r#"["authorization_code"]"#),
        ("response_types", r#"["code"]"#),
        ("client_name", r#""Shop""#),
        ("client_name#fr", r#""Boutique""#),
        ("client_uri", r#""https://shop.example""#),
        ("client_uri#fr", r#""https://shop.example/fr""#),
        ("logo_uri", r#""https://shop.example/logo""#),
        ("logo_uri#zh-Hant-TW", r#""https://shop.example/tw""#),
        ("scope", r#""openid email""#),
        ("contacts", r#"["a@shop.example"]"#),
        ("tos_uri", r#""https://shop.example/tos""#),
        ("tos_uri#fr", r#""https://shop.example/fr/tos""#),
        ("policy_uri", r#""https://shop.example/policy""#),
        ("policy_uri#fr", r#""https://shop.example/fr/policy""#),
        ("jwks_uri", r#""https://shop.example/jwks""#),
        ("jwks", r#"{"keys": []}"#),
        ("software_id", r#""shop""#),
        ("software_version", r#""1""#),
        ("software_statement", r#""""#),
        ("application_type", r#""web""#),
        ("sector_identifier_uri", r#""https://shop.example/sector""#),
        ("subject_type", r#""public""#),
        ("id_token_signed_response_alg", r#""ES256""#),
        ("id_token_encrypted_response_alg", r#""""#),
        ("id_token_encrypted_response_enc", r#""""#),
        ("userinfo_signed_response_alg", r#""none""#),
        ("userinfo_encrypted_response_alg", r#""""#),
        ("userinfo_encrypted_response_enc", r#""""#),
        ("request_object_signing_alg", r#""""#),
        ("request_object_encryption_alg", r#""""#),
        ("request_object_encryption_enc", r#""""#),
        ("token_endpoint_auth_signing_alg", r#""ES256""#),
        ("default_max_age", "3600"),
        ("require_auth_time", "false"),
        ("default_acr_values", "[]"),
        ("initiate_login_uri", r#""https://shop.example/login""#),
        ("request_uris", "[]"),
        ("post_logout_redirect_uris", r#"["https://shop.example/"]"#),
        ("backchannel_logout_uri", r#""""#),
        ("backchannel_logout_session_required", "false"),
        ("frontchannel_logout_uri", r#""""#),
        ("frontchannel_logout_session_required", "false"),
        ("dpop_bound_access_tokens", "false"),
        ("require_pushed_authorization_requests", "false"),
        ("require_signed_request_object", "false"),
        ("tls_client_certificate_bound_access_tokens", "false"),
        ("authorization_details_types", "[]"),
        ("client_id_issued_at", "1767225600"),
        ("client_secret_expires_at", "0"),
    ];

    #[test]
    fn every_name_of_registration_is_accepted() {
        for (name, value) in EVERY_NAME {
            let value: Value = serde_json::from_str(value).unwrap();
            let mut document =
                json!({ "client_id": "shop", "redirect_uris": ["https://shop.example/cb"] });
            document[*name] = value;
            assert_eq!(read(document).problems(), [], "{name}");
        }
    }

    #[test]
    fn a_whole_exported_registration_is_accepted_at_once() {
        let mut document = json!({ "client_id": "shop" });
        // Keys are in one place or the other.
        for (name, value) in EVERY_NAME.iter().filter(|(name, _)| *name != "jwks_uri") {
            document[*name] = serde_json::from_str(value).unwrap();
        }
        let client = read(document);
        assert_eq!(client.problems(), []);
        assert_eq!(client.name, "Shop");
        assert!(client.scopes.contains("email"));
        assert_eq!(client.userinfo_signed_response_alg, None);
        assert_eq!(client.described.other["client_name#fr"], "Boutique");
        let kept = serde_json::to_value(&client).unwrap();
        assert_eq!(serde_json::from_value::<Client>(kept).unwrap(), client);
    }

    #[test]
    fn what_a_missing_part_is_asked_for_is_refused_by_its_name() {
        for (name, value) in [
            ("require_signed_request_object", json!(true)),
            ("frontchannel_logout_uri", json!("https://shop.example/out")),
            ("request_uris", json!(["https://shop.example/request"])),
            ("software_statement", json!("eyJ")),
        ] {
            let mut document =
                json!({ "id": "shop", "redirect_uris": ["https://shop.example/cb"] });
            document[name] = value;
            let problems = read(document).problems();
            assert_eq!(problems[0].field, name);
            assert!(problems[0].is_not_built(), "{problems:?}");
        }
    }

    #[test]
    fn what_is_no_name_of_registration_is_refused() {
        for (name, value) in [
            ("client_secrets", json!("x")),
            ("contacts#fr", json!("x")),
            ("client_name#", json!("x")),
            ("client_name#not a tag", json!("x")),
            ("client_name#fr", json!(5)),
            ("client_name#fr", json!("a\nb")),
            ("client_secret_expires_at", json!(1_767_225_600)),
            ("initiate_login_uri", json!("http://shop.example/login")),
            ("application_type", json!("desktop")),
            ("client_uri", json!("javascript:alert(1)")),
            ("logo_uri#fr", json!("data:text/html,x")),
            ("tos_uri", json!("//shop.example/tos")),
        ] {
            let mut document =
                json!({ "id": "shop", "redirect_uris": ["https://shop.example/cb"] });
            document[name] = value;
            let problems = read(document).problems();
            assert_eq!(problems.len(), 1, "{name}: {problems:?}");
            assert_eq!(problems[0].field, name);
            assert!(!problems[0].is_not_built(), "{name}");
        }
    }

    /// What an earlier version stored is read, and told of where it is written.
    #[test]
    fn an_address_that_a_parser_repairs_is_read_and_refused() {
        for name in ["redirect_uris", "post_logout_redirect_uris"] {
            for address in ["https://*/cb", "https://1/cb", "https://shop.example:/cb"] {
                let mut document =
                    json!({ "id": "shop", "redirect_uris": ["https://shop.example/cb"] });
                document[name] = json!([address]);
                let problems = read(document).problems();
                assert_eq!(problems.len(), 1, "{address}: {problems:?}");
                assert_eq!(problems[0].field, name, "{address}");
            }
        }
    }

    #[test]
    fn an_assertion_is_signed_as_its_client_can() {
        for (method, algorithm, fits) in [
            ("client_secret_jwt", "HS256", true),
            ("client_secret_jwt", "ES256", false),
            ("private_key_jwt", "HS256", false),
            ("private_key_jwt", "PS256", true),
            ("client_secret_basic", "ES256", true),
        ] {
            let document = json!({
                "id": "shop", "redirect_uris": ["https://shop.example/cb"],
                "token_endpoint_auth_method": method,
                "token_endpoint_auth_signing_alg": algorithm,
                "jwks_uri": "https://shop.example/jwks",
            });
            let problems = read(document).problems();
            assert_eq!(
                problems.is_empty(),
                fits,
                "{method} {algorithm}: {problems:?}"
            );
        }
    }

    #[test]
    fn a_registered_native_application_is_native_unless_a_kind_is_given() {
        let native = json!({ "client_id": "app", "application_type": "native" });
        assert_eq!(read(native).kind, ClientKind::Native);
        let device = json!({ "client_id": "app", "application_type": "native", "kind": "device" });
        assert_eq!(read(device).kind, ClientKind::Device);
        let web = json!({ "client_id": "app", "application_type": "web" });
        assert_eq!(read(web).kind, ClientKind::Web);
    }

    #[test]
    fn two_names_for_one_thing_are_never_both_taken() {
        let mut object = json!({ "client_id": "a", "id": "b" });
        let problem = normalize(object.as_object_mut().unwrap()).unwrap_err();
        assert_eq!(problem.field, "client_id");
    }

    #[test]
    fn a_patch_with_none_takes_the_signature_away() {
        let mut object = json!({ "userinfo_signed_response_alg": "none", "require_pushed_authorization_requests": false });
        normalize(object.as_object_mut().unwrap()).unwrap();
        assert_eq!(object, json!({ "userinfo_signed_response_alg": null }));
    }
}
