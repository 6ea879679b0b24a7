//! One API that takes the tokens of several issuers.
//!
//! Spec: RFC 8725 §3.8
//! Spec: RFC 9728 §2
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

mod support;

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use support::feed::at;
use support::{API, Issuer, app, at_expiry, call, key, opaque, with_token};
use symbolon_protocol::SigningAlgorithm;
use symbolon_testkit::START;
use symbolon_token::Clock;
use symbolon_token::dpop::{Claims, prove};
use symbolon_verify::{Algorithm, Misconfigured, Requirement, Verdict, Verifier};

async fn two() -> (Issuer, Issuer, Verifier) {
    let (first, second) = (Issuer::start().await, Issuer::start().await);
    let both = first.verifier().also_trust(second.verifier()).unwrap();
    (first, second, both)
}

#[tokio::test]
async fn each_issuers_tokens_are_good_and_say_whose_they_are() {
    let (first, second, both) = two().await;

    for issuer in [&first, &second] {
        let caller = both.check(&*issuer.good(), &at_expiry()).await.unwrap();

        assert_eq!(caller.issuer(), issuer.url);
        assert_eq!(caller.subject(), "usr_1");
    }
    both.ready().await.unwrap();
}

#[tokio::test]
async fn nobody_speaks_for_another_issuer() {
    let (first, second, both) = two().await;
    let stranger = Issuer::start().await;
    let named = |by: &Issuer, issuer: Value| by.token(|claims| claims["iss"] = issuer);
    let without = first.token(|claims| drop(claims.as_object_mut().unwrap().remove("iss")));

    for token in [
        named(&first, json!(second.url)),
        named(&second, json!(first.url)),
        named(&second, json!([first.url, second.url])),
        named(&second, json!(format!("{}/", second.url))),
        named(&stranger, json!(first.url)),
        named(&stranger, json!(second.url)),
        stranger.good(),
        without,
    ] {
        let refused = both.check(&*token, &at_expiry()).await.unwrap_err();

        assert_eq!(refused.status(), 401, "{refused}");
    }
}

#[tokio::test]
async fn each_issuer_has_algorithms_and_audiences_of_its_own() {
    let (first, second) = (Issuer::start().await, Issuer::start().await);
    let other = Verifier::new(&second.url, "https://other.example", [Algorithm::Es256])
        .unwrap()
        .with_clock(second.clock.clone());
    let both = first.verifier().also_trust(other).unwrap();

    let refused = both.check(&*second.good(), &at_expiry()).await;
    assert_eq!(refused.unwrap_err().code(), "wrong_audience");
    let meant = second.token(|claims| claims["aud"] = json!("https://other.example"));
    assert!(both.check(&*meant, &at_expiry()).await.is_ok());
    let meant = first.token(|claims| claims["aud"] = json!("https://other.example"));
    assert!(both.check(&*meant, &at_expiry()).await.is_err());
    let strange = key(SigningAlgorithm::EdDsa);
    let token = second.token_by(&strange, |claims| {
        claims["aud"] = json!("https://other.example")
    });
    assert!(both.check(&*token, &at_expiry()).await.is_err());
}

#[tokio::test]
async fn an_opaque_token_is_shown_to_the_first_issuer_alone() {
    let (first, second) = (Issuer::start().await, Issuer::start().await);
    first.says(json!({ "active": false }));
    second.says_active(|_| ());
    let both = first.asking().also_trust(second.asking()).unwrap();

    let refused = both.check(&*opaque(7), &Requirement::token()).await;

    assert_eq!(refused.unwrap_err().code(), "inactive");
    assert_eq!((first.questions(), second.questions()), (1, 0));
}

#[tokio::test]
async fn possession_is_proved_to_the_api_whoever_made_the_token() {
    let (first, second, both) = two().await;
    first.advance(20);
    second.advance(20);
    let both = both.require_dpop_nonce();
    let wallet = key(SigningAlgorithm::Es256);
    let token = second.token(|claims| claims["cnf"] = json!({ "jkt": wallet.kid() }));
    let app = app(&both, at_expiry());
    let ask = async |nonce: Option<&str>| {
        let proof = Claims {
            method: "GET",
            target: "https://api.example/invoices",
            jti: nonce.unwrap_or("first"),
            issued: first.clock.now(),
            access_token: Some(&token),
            nonce,
        };
        let request = Request::get("/invoices")
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", prove(&wallet, &proof));
        call(&app, request.body(Body::empty()).unwrap()).await
    };

    let told = ask(None).await;
    let nonce = told.headers["dpop-nonce"].to_str().unwrap().to_owned();
    let got = ask(Some(&nonce)).await;

    assert_eq!(told.status, 401);
    assert_eq!((got.status.as_u16(), &*got.body), (200, "usr_1"));
}

/// A decision on old knowledge says how old it was: that of the issuer whose
/// token it was.
#[tokio::test]
async fn a_decision_tells_of_the_feed_of_the_issuer_that_made_the_token() {
    let (first, second) = (Issuer::start().await, Issuer::start().await);
    let partner = second.subscribed();
    let (ready, stream) = tokio::join!(partner.ready(), second.snapshot(at(5), &[]));
    ready.unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let both = first.verifier().also_trust(partner).unwrap();
    let both = both.on_decision(move |decision| {
        let feed = decision.feed().map(|own| own.sequence);
        telling.lock().unwrap().push(feed);
    });
    let app = app(&both, at_expiry());

    for token in [first.good(), second.good(), "nonsense".to_owned()] {
        with_token(&app, &token).await;
    }

    assert_eq!(*told.lock().unwrap(), [None, Some(5), None]);
    drop(stream);
}

#[tokio::test]
async fn a_refusal_is_explained_by_whom_the_token_names() {
    let (_, second, both) = two().await;
    let expired = second.token(|claims| claims["exp"] = json!(START.seconds() - 60));

    let told = both.explain(&expired, &at_expiry()).await;

    assert_eq!(told.verdict, Verdict::Refused);
    assert_eq!(told.code, "expired");
}

#[tokio::test]
async fn the_metadata_names_all_and_a_refusal_points_there() {
    let (first, second, both) = two().await;

    let document = both.metadata();
    let got = with_token(&app(&both, at_expiry()), "nonsense").await;

    let servers = json!([first.url, second.url]);
    assert_eq!(document["authorization_servers"], servers);
    assert_eq!(document["resource"], API);
    assert!(got.challenge().contains("resource_metadata="));
}

#[test]
fn an_issuer_is_named_once_and_there_are_at_most_eight() {
    let of = |host: usize| {
        let issuer = format!("https://as{host}.example.com");
        Verifier::new(&issuer, API, [Algorithm::Es256]).unwrap()
    };
    let twice = of(1).also_trust(of(2)).unwrap().also_trust(of(2));
    assert_eq!(twice.unwrap_err().code(), "invalid_issuers");
    assert!(of(1).also_trust(of(1)).is_err());
    let circle = of(1).also_trust(of(2).also_trust(of(1)).unwrap());
    assert!(matches!(circle, Err(Misconfigured::Issuers(_))));

    let mut many = of(0);
    for host in 1..8 {
        many = many.also_trust(of(host)).unwrap();
    }
    assert!(many.also_trust(of(8)).is_err());
}
