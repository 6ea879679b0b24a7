//! Macaroons under a key of the resource's own.
//!
//! Spec: Macaroons NDSS 2014 §2

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use symbolon_token::Secret;
use symbolon_verify::macaroon::{Count, Request, present, require};
use symbolon_verify::{Outcome, Requirement, Verifier};

use crate::corpus::API;
use crate::shared_macaroons::{narrow, sealed_for, share, shared_for};
use crate::support::{Issuer, at_expiry};
use crate::{given, outcome, shows_nothing_of};

/// A macaroon of this API's own, whose keys the issuer gives out.
fn shared(issuer: &Issuer) -> String {
    share(issuer);
    shared_for(issuer, API)
}

/// Attack: G211
/// Attack: G214
#[expect(clippy::too_many_lines, reason = "a table: one case after another")]
#[tokio::test]
async fn every_broken_macaroon_has_one_cause_and_its_twin_is_valid() {
    let (issuer, _) = given().await;
    let token = shared(&issuer);
    let verifier: Verifier = issuer.asking();
    let get = Request {
        method: Some("GET"),
        path: Some("/invoices"),
        address: Some("10.0.0.7".parse().unwrap()),
    };
    let secret = Secret::new(vec![7; 32]);
    let third = require(&token, "https://elsewhere.example", &secret, b"who").unwrap();
    let mut bytes = BASE64_URL_SAFE_NO_PAD
        .decode(narrow(&token, &["method = GET"]))
        .unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let changed = BASE64_URL_SAFE_NO_PAD.encode(&bytes);
    let unknown = foreign_caveat(&narrow(&token, &["method = GET"]));
    let cases = [
        (
            "before",
            narrow(&token, &["before = 2025-01-01T00:00:00Z"]),
            "caveat_before",
            "expiry",
        ),
        (
            "after",
            narrow(&token, &["after = 2030-01-01T00:00:00Z"]),
            "caveat_after",
            "expiry",
        ),
        (
            "network",
            narrow(&token, &["network = 192.0.2.0/24"]),
            "caveat_network",
            "scope",
        ),
        (
            "method",
            narrow(&token, &["method = POST"]),
            "caveat_method",
            "scope",
        ),
        (
            "path",
            narrow(&token, &["path = /orders/{id}"]),
            "caveat_path",
            "scope",
        ),
        (
            "scope",
            narrow(&token, &["scope = write:invoices"]),
            "scope_lacking",
            "scope",
        ),
        (
            "two audiences",
            narrow(&token, &["audience = https://other.example"]),
            "caveat_conflict",
            "audience",
        ),
        (
            "counted where nobody counts",
            narrow(&token, &["budget = 3"]),
            "caveat_unjudged",
            "scope",
        ),
        (
            "no discharge",
            third.clone(),
            "discharge_missing",
            "signature",
        ),
        (
            "a discharge that nothing asks for",
            present(&token, &[&token]).unwrap(),
            "discharge_unused",
            "signature",
        ),
        (
            "the signature changed",
            changed,
            "macaroon_changed",
            "signature",
        ),
        ("a caveat changed", unknown, "macaroon_changed", "signature"),
        (
            "bound to a key, as a plain bearer",
            narrow(
                &token,
                &["jkt = NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"],
            ),
            "bound_as_bearer",
            "binding",
        ),
    ];
    for (name, broken, root, check) in &cases {
        let told = verifier.explain_request(broken, &at_expiry(), get).await;

        assert_eq!(told.root, *root, "{name}: {}", told.cause);
        assert_eq!(
            outcome(&told, check),
            Outcome::Failed,
            "{name}: {:?}",
            told.checks
        );
        assert!(!told.repair.is_empty(), "{name}");
        shows_nothing_of(broken, &told);
    }
    let twin = narrow(
        &token,
        &[
            "before = 2030-01-01T00:00:00Z",
            "after = 2025-01-01T00:00:00Z",
            "network = 10.0.0.0/8",
            "method = GET",
            "path = /invoices",
            "scope = read:invoices",
        ],
    );
    let told = verifier.explain_request(&twin, &at_expiry(), get).await;
    assert_eq!(told.root, "valid", "{}", told.cause);
    let post = Request {
        method: Some("POST"),
        ..get
    };
    let told = verifier.explain_request(&twin, &at_expiry(), post).await;
    assert_eq!(
        (&*told.differences[0].wanted, &*told.differences[0].found),
        ("method = GET", "POST")
    );
}

#[tokio::test]
async fn an_explanation_uses_no_macaroon_up() {
    let (issuer, _) = given().await;
    let token = narrow(&shared(&issuer), &["budget = 5"]);
    let sealed = narrow(&sealed_for(&issuer, API), &["budget = 5"]);
    issuer.says_active(|_| ());
    *issuer.behaviour.uses_left.lock().unwrap() = Some(5);
    let counter = |_: &[Count]| -> bool { panic!("it was counted here") };
    let verifier = issuer.asking().count_uses(counter);
    let now = Requirement::all(["read:invoices"]);

    for token in [&token, &sealed] {
        let told = verifier.explain(token, &now).await;
        assert_eq!((told.root, told.uses_left), ("valid", Some(5)));
        assert!(told.cause.contains("uses left: 5"), "{}", told.cause);
    }
    assert_eq!(issuer.uses_left(), Some(5));
    let here = verifier.explain(&token, &at_expiry()).await;
    assert_eq!((here.root, here.uses_left), ("valid", None));
    assert!(here.cause.contains("nobody was asked"), "{}", here.cause);
    let plain = verifier.explain(&shared(&issuer), &at_expiry()).await;
    assert!(!plain.cause.contains("uses"), "{}", plain.cause);
}

/// The text of a caveat, edited in place.
fn foreign_caveat(token: &str) -> String {
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(token).unwrap();
    let at = bytes
        .windows(12)
        .position(|own| own == b"method = GET")
        .unwrap();
    bytes[at + 9..at + 12].copy_from_slice(b"PUT");
    BASE64_URL_SAFE_NO_PAD.encode(&bytes)
}
