//! API keys by the issuer's word: as bearer tokens, and in a header of their own.
//!
//! Spec: RFC 7662 §2
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

mod support;

use http::{HeaderMap, HeaderValue};
use serde_json::json;
use support::{API, Issuer};
use symbolon_protocol::Environment;
use symbolon_testkit::SeededEntropy;
use symbolon_token::macaroon::Request;
use symbolon_token::revocation::{Hit, Revocation, Target};
use symbolon_token::{Position, Slot, api_key};
use symbolon_verify::{Misconfigured, Refusal, Refused, Requirement};

const FOREIGN: &str = "pk_live_51H8x9aBcDeFgHiJkLmN";

fn key() -> String {
    let entropy = SeededEntropy::new(3);
    let made = api_key::make(Slot::random(&entropy), Environment::Live, &entropy);
    made.text.expose_str().to_owned()
}

fn read() -> Requirement {
    Requirement::all(["read:invoices"])
}

fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in all {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn asked(issuer: &Issuer) -> String {
    let question = issuer.behaviour.last_question.lock().unwrap().clone();
    question.unwrap().1
}

#[tokio::test]
async fn an_api_key_makes_the_same_principal_as_a_token() {
    let issuer = Issuer::start().await;
    issuer
        .says_active(|claims| claims["api_key"] = json!({ "id": "key_1", "environment": "live" }));

    let principal = issuer.asking().check(&key(), &read()).await.unwrap();

    assert_eq!((principal.subject(), principal.client()), ("usr_1", "web"));
    assert_eq!(principal.claim("api_key").unwrap()["environment"], "live");
    assert!(asked(&issuer).ends_with("resource=https%3A%2F%2Fapi.example%2Fv1"));
}

#[tokio::test]
async fn the_issuer_is_told_where_the_request_comes_from_and_asked_again_for_another() {
    let issuer = Issuer::start().await;
    issuer.says_active(|_| {});
    let verifier = issuer.asking();
    let from = |address: &str| Request {
        address: Some(address.parse().unwrap()),
        ..Request::default()
    };
    let (own, key) = (read(), key());

    for address in ["192.0.2.1", "192.0.2.1", "192.0.2.2"] {
        let checked = verifier.check_request(&key, &own, from(address)).await;
        assert!(checked.is_ok());
        assert!(asked(&issuer).contains(&format!("client_ip={address}")));
    }

    assert_eq!(issuer.questions(), 2, "one answer is for one address");
}

#[tokio::test]
async fn a_typo_and_a_verifier_that_asks_nobody_refuse_a_key_unseen() {
    let issuer = Issuer::start().await;
    issuer.says_active(|_| {});
    let key = key();

    let typo = issuer.asking().check(&key[..key.len() - 1], &read()).await;
    let alone = issuer.verifier().check(&key, &read()).await;

    for refused in [typo, alone] {
        assert_eq!(refused.unwrap_err().code(), "not_an_access_token");
    }
    assert_eq!(issuer.questions(), 0);
}

/// Attack: C098
#[tokio::test]
async fn a_record_of_the_feed_kills_an_answer_that_is_remembered() {
    let issuer = Issuer::start().await;
    issuer.says_active(|claims| {
        claims["rev"] = json!({ "e": 1, "q": 5, "f": "00000000000000aa" });
    });
    let verifier = issuer.asking();
    let (key, own) = (key(), read());
    verifier.revocations().begin(Position {
        epoch: 1,
        sequence: 5,
    });
    assert!(verifier.check(&key, &own).await.is_ok());

    verifier.revocations().apply([Revocation {
        sequence: 6,
        target: Target::Family,
        name: 0xaa,
        expires: symbolon_protocol::Timestamp::FAR,
    }]);

    let hit = Refused::Revoked(Some(Hit::Record(Target::Family)));
    assert_eq!(
        verifier.check(&key, &own).await.unwrap_err(),
        Refusal::from(hit)
    );
}

#[tokio::test]
async fn a_key_in_its_own_header_is_taken_where_the_api_says_so() {
    let issuer = Issuer::start().await;
    issuer.says_active(|_| {});
    let verifier = issuer.asking().api_key_header("X-API-Key").unwrap();
    let (own, key) = (read(), key());
    let check = async |all: &[(&'static str, &str)]| {
        let headers = headers(all);
        let checked = verifier.check(&headers, &own).await;
        checked.map(|_| ()).map_err(|refusal| refusal.code())
    };

    assert_eq!(check(&[("x-api-key", &key)]).await, Ok(()));
    assert_eq!(check(&[("x-api-key", FOREIGN)]).await, Ok(()));
    assert_eq!(
        check(&[("authorization", &format!("Bearer {key}"))]).await,
        Ok(())
    );
    let bearer = ("authorization", "Bearer sym_at_x");
    assert_eq!(
        check(&[("x-api-key", &key), bearer]).await,
        Err("two_transmissions")
    );
    let twice = check(&[("x-api-key", &key), ("x-api-key", FOREIGN)]).await;
    assert_eq!(twice, Err("header_repeated"));
    let jwt = issuer.token(|_| {});
    assert_eq!(check(&[("x-api-key", &jwt)]).await, Err("header_malformed"));
    let headers = headers(&[("x-api-key", &key)]);
    let elsewhere = issuer.asking().check(&headers, &own).await;
    assert_eq!(elsewhere.unwrap_err(), Refusal::Missing);
}

#[tokio::test]
async fn a_key_from_elsewhere_is_a_bearer_token_only_where_it_is_said() {
    let issuer = Issuer::start().await;
    issuer.says_active(|_| {});

    assert!(issuer.asking().check(FOREIGN, &read()).await.is_err());
    assert_eq!(issuer.questions(), 0);
    let verifier = issuer.asking().take_imported_api_keys();
    assert!(verifier.check(FOREIGN, &read()).await.is_ok());
}

#[tokio::test]
async fn a_header_that_means_something_else_holds_no_keys() {
    let issuer = Issuer::start().await;
    for name in ["Authorization", "cookie", "DPoP", "host", "a b", ""] {
        let refused = issuer.asking().api_key_header(name);
        assert!(matches!(refused, Err(Misconfigured::Header)), "{name}");
    }
    assert_eq!(API, issuer.asking().metadata()["resource"]);
}

/// Something that stays open is asked about as it began: a key that is good from
/// one network would end at the first look otherwise.
#[tokio::test]
async fn what_began_with_a_key_is_asked_about_from_where_it_came() {
    let issuer = Issuer::start().await;
    issuer.says_active(|_| {});
    let verifier = issuer.asking().take_imported_api_keys();
    let own = read();
    let from = Request {
        address: Some("192.0.2.1".parse().unwrap()),
        ..Request::default()
    };
    for key in [key(), FOREIGN.to_owned()] {
        let caller = verifier.check_request(&key, &own, from).await.unwrap();
        assert!(caller.is_api_key());
        issuer.advance(2);

        verifier
            .check_standing_of(&caller, &key, &own)
            .await
            .unwrap();

        let asked = asked(&issuer);
        assert!(asked.contains("client_ip=192.0.2.1"), "{asked}");
        assert!(asked.contains("resource="), "{asked}");
    }
}

#[tokio::test]
async fn what_began_with_a_key_goes_on_while_the_issuer_says_so_and_no_longer() {
    let issuer = Issuer::start().await;
    issuer.says_active(|_| {});
    let verifier = issuer.asking();
    let (own, key) = (read(), key());
    let caller = verifier.check(&key, &own).await.unwrap();
    let standing = async || {
        issuer.advance(2);
        let standing = verifier.check_standing_of(&caller, &key, &own).await;
        standing.map_err(|refusal| refusal.code())
    };

    // The answer that it began with is over, the key is not.
    let end = caller.expires();
    issuer.advance(3600);
    issuer.says_active(|claims| claims["exp"] = json!(end.seconds() + 7200));
    assert_eq!(standing().await, Ok(()));

    issuer.says_active(|claims| {
        claims["exp"] = json!(end.seconds() + 7200);
        claims["scope"] = json!("other");
    });
    assert_eq!(standing().await, Err("insufficient_scope"));
    issuer.says(json!({ "active": false }));
    assert_eq!(standing().await, Err("inactive"));
}
