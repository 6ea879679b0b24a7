//! Claims, algorithms and keys of assertions, one wrong thing at a time.

use std::sync::Arc;

use serde_json::json;
use symbolon_protocol::{ClientKind, SigningAlgorithm};
use symbolon_testkit::at;
use symbolon_token::jose::SigningKey;

use super::*;

const ISSUER: &str = "https://auth.example.com";
const TOKEN_ENDPOINT: &str = "https://auth.example.com/token";

fn good() -> Value {
    json!({
        "iss": "partner", "sub": "partner", "aud": ISSUER, "jti": "one",
        "exp": at(60).seconds(), "iat": at(0).seconds(),
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = good();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = good();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn checked_by(audience: AssertionAudience, claims: &Value) -> Result<Timestamp, &'static str> {
    let client: ClientId = "partner".parse().unwrap();
    let rules = Rules {
        client: &client,
        issuer: ISSUER,
        token_endpoint: TOKEN_ENDPOINT,
        audience,
        skew: Duration::from_secs(10),
    };
    check_claims(claims.as_object().unwrap(), &rules, at(0)).map(|checked| checked.acceptable_until)
}

fn checked(claims: &Value) -> Result<Timestamp, &'static str> {
    checked_by(AssertionAudience::Issuer, claims)
}

fn in_seconds(seconds: i64) -> Value {
    at(seconds).seconds().into()
}

#[test]
fn good_claims_are_remembered_for_as_long_as_they_would_be_taken() {
    assert_eq!(checked(&good()), Ok(at(70)));
}

#[test]
fn issuer_and_subject_are_both_the_client() {
    for name in ["iss", "sub"] {
        for bad in [
            json!("other"),
            json!(""),
            json!(null),
            json!(["partner"]),
            json!("Partner"),
            json!(ISSUER),
        ] {
            assert!(checked(&with(name, bad.clone())).is_err(), "{name} {bad}");
        }
        assert!(checked(&without(name)).is_err());
    }
}

#[test]
fn the_audience_is_the_issuer_alone() {
    assert!(checked(&with("aud", json!([ISSUER]))).is_ok());
    #[rustfmt::skip]
    let bad = [
        json!(TOKEN_ENDPOINT), json!([TOKEN_ENDPOINT]), json!([ISSUER, "https://evil.example"]), json!([ISSUER, ISSUER]),
        json!([]), json!(""), json!(null), json!("https://auth.example.com/"), json!("https://AUTH.example.com"),
        json!({"a": ISSUER}), json!([[ISSUER]]), json!(1),
    ];
    for bad in bad {
        assert!(checked(&with("aud", bad.clone())).is_err(), "{bad}");
    }
    assert!(checked(&without("aud")).is_err());
}

#[test]
fn older_clients_may_name_the_token_endpoint_but_nothing_beside_it() {
    let checked =
        |aud: Value| checked_by(AssertionAudience::IssuerOrTokenEndpoint, &with("aud", aud));

    for good in [
        json!(ISSUER),
        json!(TOKEN_ENDPOINT),
        json!([TOKEN_ENDPOINT]),
    ] {
        assert!(checked(good.clone()).is_ok(), "{good}");
    }
    for bad in [
        json!([ISSUER, TOKEN_ENDPOINT]),
        json!("https://auth.example.com/introspect"),
        json!([]),
    ] {
        assert!(checked(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn an_assertion_expires_within_five_minutes() {
    for good in [
        in_seconds(-9),
        in_seconds(1),
        in_seconds(300),
        in_seconds(310),
        json!(at(60).seconds() as f64 + 0.5),
    ] {
        assert!(checked(&with("exp", good.clone())).is_ok(), "{good}");
    }
    #[rustfmt::skip]
    let bad = [
        in_seconds(-10), in_seconds(-300), in_seconds(311), in_seconds(86_400), json!(0), json!(-1), json!(i64::MAX),
        json!(u64::MAX), json!(1e300), json!("1767225660"), json!(null), json!(true), json!(at(60).millis()),
    ];
    for bad in bad {
        assert!(checked(&with("exp", bad.clone())).is_err(), "{bad}");
    }
    assert!(checked(&without("exp")).is_err());
}

#[test]
fn an_assertion_from_the_future_waits_only_for_the_skew() {
    for name in ["iat", "nbf"] {
        for good in [in_seconds(-3600), in_seconds(8), in_seconds(10)] {
            assert!(checked(&with(name, good)).is_ok());
        }
        for bad in [in_seconds(11), in_seconds(61), json!("now"), json!(null)] {
            assert!(checked(&with(name, bad.clone())).is_err(), "{name} {bad}");
        }
    }
    assert!(checked(&without("iat")).is_ok());
}

#[test]
fn an_assertion_has_a_name_of_its_own() {
    assert!(checked(&with("jti", "j".repeat(256).into())).is_ok());
    for bad in [json!(""), json!("j".repeat(257)), json!(1), json!(null)] {
        assert!(checked(&with("jti", bad.clone())).is_err(), "{bad}");
    }
    assert!(checked(&without("jti")).is_err());
}

#[test]
fn one_client_does_not_use_up_the_names_of_another() {
    let id = |text: &str| text.parse::<ClientId>().unwrap();

    assert_eq!(once(&id("a"), "bc"), once(&id("a"), "bc"));
    assert_ne!(once(&id("a"), "bc"), once(&id("ab"), "c"));
    assert_ne!(once(&id("a"), "1"), once(&id("b"), "1"));
}

fn signing_key(algorithm: SigningAlgorithm) -> SigningKey {
    SigningKey::from_pkcs8(algorithm, &SigningKey::generate(algorithm).unwrap()).unwrap()
}

fn set(keys: &[Value]) -> Arc<KeySet> {
    Arc::new(KeySet::from_json(json!({ "keys": keys }).as_object().unwrap()).unwrap())
}

fn verified(keys: &KeySet, client: &Client, text: &str) -> Result<Claims, Invalid> {
    let unverified = Unverified::parse(text)?;
    verify_by(keys, algorithm(client, &unverified)?, &unverified)
}

fn client(registered: Option<&str>) -> Client {
    let mut client = Client::new("partner".parse().unwrap(), ClientKind::Service);
    client.token_endpoint_auth_signing_alg = registered.map(str::to_owned);
    client
}

#[test]
fn the_signature_is_by_a_key_of_the_client_under_its_algorithm() {
    let (own, other) = (
        signing_key(SigningAlgorithm::Es256),
        signing_key(SigningAlgorithm::Es256),
    );
    let keys = set(&[own.public_jwk()]);
    let payload = good().to_string();
    let (signed, foreign) = (
        own.sign("JWT", payload.as_bytes()),
        other.sign("JWT", payload.as_bytes()),
    );

    assert!(verified(&keys, &client(None), &signed).is_ok());
    assert!(verified(&keys, &client(Some("ES256")), &signed).is_ok());
    for registered in ["PS256", "HS256", "none", "es256", ""] {
        assert_eq!(
            verified(&keys, &client(Some(registered)), &signed).unwrap_err(),
            Invalid::Algorithm
        );
    }
    assert_eq!(
        verified(&keys, &client(None), &foreign).unwrap_err(),
        Invalid::UnknownKey
    );
    assert_eq!(
        verified(&set(&[]), &client(None), &signed).unwrap_err(),
        Invalid::UnknownKey
    );
}

#[test]
fn a_header_that_names_a_key_is_checked_by_that_key_alone() {
    let (own, other) = (
        signing_key(SigningAlgorithm::Es256),
        signing_key(SigningAlgorithm::Es256),
    );
    let signed = own.sign("JWT", good().to_string().as_bytes());
    let mut renamed = own.public_jwk();
    renamed["kid"] = "another".into();

    assert!(
        verified(
            &set(&[other.public_jwk(), own.public_jwk()]),
            &client(None),
            &signed
        )
        .is_ok()
    );
    let outcome = verified(&set(&[other.public_jwk(), renamed]), &client(None), &signed);
    assert_eq!(outcome.unwrap_err(), Invalid::UnknownKey);
}

#[test]
fn other_kinds_of_tokens_are_not_assertions() {
    let key = signing_key(SigningAlgorithm::Es256);
    let typed = |typ: &str| {
        let text = key.sign(typ, b"{}");
        check_type(&Unverified::parse(&text).unwrap()).is_ok()
    };

    for good in [
        "JWT",
        "jwt",
        "client-authentication+jwt",
        "application/client-authentication+jwt",
    ] {
        assert!(typed(good), "{good}");
    }
    for bad in [
        "at+jwt",
        "logout+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
        "",
    ] {
        assert!(!typed(bad), "{bad}");
    }
}
