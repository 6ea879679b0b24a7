//! Opaque tokens by the issuer's word, and what became of JWTs.
//!
//! Spec: RFC 7662 §2
mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{API, Issuer, Reply, SECRET, at_expiry, opaque};
use symbolon_protocol::Timestamp;
use symbolon_testkit::START;
use symbolon_token::Position;
use symbolon_token::revocation::{Hit, Revocation, Target, token_name};
use symbolon_verify::{CannotKnow, Refusal, Refused, Requirement};

const AWAY: Refusal = Refusal::CannotKnow(CannotKnow::Introspection);

type Change = fn(&mut Value);

fn read() -> Requirement {
    Requirement::all(["read:invoices"])
}

fn with_rev(claims: &mut Value) {
    claims["rev"] = json!({"e": 1, "q": 5, "c": "00000000000000aa"});
}

#[tokio::test]
async fn an_active_opaque_token_is_let_in_with_what_the_issuer_says_of_it() {
    let issuer = Issuer::start().await;
    issuer.says_active(|claims| claims["aud"] = json!(["https://x.example", API]));

    let principal = issuer.asking().check(&opaque(1), &read()).await.unwrap();

    assert_eq!((principal.subject(), principal.client()), ("usr_1", "web"));
    assert_eq!(issuer.jwks_read(), 0);
    let (authorization, form) = issuer
        .behaviour
        .last_question
        .lock()
        .unwrap()
        .clone()
        .unwrap();
    let basic = symbolon_protocol::basic::decode(authorization.strip_prefix("Basic ").unwrap());
    let (id, secret) = basic.unwrap();
    assert_eq!((id.as_str(), secret.as_str()), ("orders api", SECRET));
    assert_eq!(
        form,
        format!("token={}&token_type_hint=access_token", opaque(1))
    );
}

#[tokio::test]
async fn whatever_the_issuer_says_the_other_checks_are_made() {
    let bad: [(&str, Change); 9] = [
        ("inactive", |says| says["active"] = false.into()),
        ("expired", |says| {
            says["exp"] = (START.seconds() - 60).into()
        }),
        ("claim_malformed", |says| says["exp"] = Value::Null),
        ("wrong_issuer", |says| {
            says["iss"] = "https://other.example".into()
        }),
        ("wrong_audience", |says| {
            says["aud"] = "https://other.example".into()
        }),
        ("wrong_audience", |says| says["aud"] = Value::Null),
        ("insufficient_scope", |says| says["scope"] = "other".into()),
        (
            "key_binding",
            |says| says["cnf"] = json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
        ),
        ("introspection_unavailable", |says| {
            says["active"] = "true".into()
        }),
    ];
    let issuer = Issuer::start().await;
    let verifier = issuer.asking();
    for (number, (code, change)) in bad.into_iter().enumerate() {
        issuer.says_active(change);
        let token = opaque(u8::try_from(number).unwrap());
        let refusal = verifier.check(&token, &read()).await.unwrap_err();
        assert_eq!(refusal.code(), code);
    }
}

#[tokio::test]
async fn a_broken_text_is_refused_without_asking_anyone() {
    let issuer = Issuer::start().await;
    let verifier = issuer.asking();
    let good = opaque(1);
    for at in 7..good.len() {
        let mut broken = good.clone();
        let other = if &broken[at..=at] == "A" { "B" } else { "A" };
        broken.replace_range(at..=at, other);
        assert!(verifier.check(&broken, &read()).await.is_err());
    }
    assert_eq!(issuer.questions(), 0);
}

#[tokio::test]
async fn an_answer_is_shared_and_remembered_for_less_than_a_second() {
    let issuer = Issuer::start().await;
    issuer.says_active(|_| ());
    let verifier = issuer.asking();
    for _ in 0..20 {
        assert!(verifier.check(&opaque(1), &read()).await.is_ok());
    }
    assert_eq!(issuer.questions(), 1);

    issuer.says(json!({"active": false}));
    issuer.clock.advance(Duration::from_millis(999));
    assert!(verifier.check(&opaque(1), &read()).await.is_ok());
    issuer.clock.advance(Duration::from_millis(1));
    let refusal = verifier.check(&opaque(1), &read()).await.unwrap_err();
    assert_eq!(refusal, Refused::Inactive.into());
    assert_eq!(issuer.questions(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_requests_with_one_token_ask_once() {
    let issuer = Issuer::start().await;
    issuer.says_active(|_| ());
    let verifier = issuer.asking();
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let verifier = verifier.clone();
            tokio::spawn(async move { verifier.check(&opaque(1), &read()).await })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!(issuer.questions(), 1);
}

/// Attack: C098
#[tokio::test]
async fn what_is_remembered_is_a_fact_and_no_decision() {
    let issuer = Issuer::start().await;
    issuer.says_active(|_| ());
    let verifier = issuer.asking();
    assert!(verifier.check(&opaque(1), &read()).await.is_ok());

    let wide = Requirement::all(["delete:invoices"]);
    let refusal = verifier.check(&opaque(1), &wide).await.unwrap_err();
    assert_eq!(refusal.status(), 403);
    let elsewhere = read().audience(&"https://other.example".parse().unwrap());
    let refusal = verifier.check(&opaque(1), &elsewhere).await.unwrap_err();
    assert_eq!(refusal.code(), "wrong_audience");
    assert_eq!(issuer.questions(), 1);
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_neither_yes_nor_no() {
    let issuer = Issuer::start().await;
    let verifier = issuer.asking();
    let away = [
        Reply::Raw(500, Vec::new()),
        Reply::Raw(401, b"{\"error\":\"invalid_client\"}".to_vec()),
        Reply::Raw(200, b"<html>".to_vec()),
        Reply::Raw(200, b"{}".to_vec()),
        Reply::Raw(200, b"{\"active\":true,\"active\":false}".to_vec()),
        Reply::Redirect(format!("{}/elsewhere", issuer.url)),
    ];
    for reply in away {
        *issuer.behaviour.introspection.lock().unwrap() = reply;
        for token in [opaque(1), issuer.good()] {
            let refusal = verifier.check(&token, &read()).await.unwrap_err();
            assert_eq!((refusal.status(), refusal), (503, AWAY));
        }
        issuer.advance(1);
    }
    issuer.says_active(|_| ());
    assert!(verifier.check(&opaque(1), &read()).await.is_ok());
}

#[tokio::test]
async fn a_jwt_is_asked_about_unless_the_route_says_otherwise() {
    let issuer = Issuer::start().await;
    let verifier = issuer.asking();
    let token = issuer.good();
    assert!(verifier.check(&token, &read()).await.is_ok());
    assert_eq!(issuer.questions(), 1);

    issuer.says(json!({"active": false}));
    issuer.advance(1);
    let refusal = verifier.check(&token, &read()).await.unwrap_err();
    assert_eq!(refusal, Refused::Inactive.into());
    assert!(verifier.check(&token, &at_expiry()).await.is_ok());
    assert_eq!(issuer.questions(), 2);
}

#[tokio::test]
async fn a_jwt_that_fails_a_check_before_is_not_asked_about() {
    let issuer = Issuer::start().await;
    let verifier = issuer.asking();
    let elsewhere = issuer.token(|claims| claims["aud"] = "https://other.example".into());
    assert!(verifier.check(&elsewhere, &read()).await.is_err());
    let forged = format!("{}AAAA", issuer.good());
    assert!(verifier.check(&forged, &read()).await.is_err());
    assert_eq!(issuer.questions(), 0);
}

#[tokio::test]
async fn a_record_in_the_set_kills_a_token_that_was_seen_before() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let token = issuer.token(with_rev);
    assert!(verifier.check(&token, &at_expiry()).await.is_ok());

    let record = |target, name, sequence| Revocation {
        sequence,
        target,
        name,
        expires: Timestamp::FAR,
    };
    verifier
        .revocations()
        .apply([record(Target::Client, 0xaa, 5)]);
    assert!(verifier.check(&token, &at_expiry()).await.is_ok());
    verifier
        .revocations()
        .apply([record(Target::Client, 0xaa, 6)]);
    let refusal = verifier.check(&token, &at_expiry()).await.unwrap_err();
    assert_eq!(
        refusal,
        Refused::Revoked(Some(Hit::Record(Target::Client))).into()
    );

    let single = record(Target::Token, token_name("t2"), 7);
    verifier.revocations().apply([single]);
    let other = issuer.token(|claims| {
        with_rev(claims);
        claims["jti"] = "t2".into();
        claims["rev"]["c"] = "00000000000000bb".into();
    });
    let refusal = verifier.check(&other, &at_expiry()).await.unwrap_err();
    assert_eq!(
        refusal,
        Refused::Revoked(Some(Hit::Record(Target::Token))).into()
    );
}

#[tokio::test]
async fn tokens_of_another_epoch_die_once_the_set_has_begun() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let token = issuer.token(with_rev);
    assert!(verifier.check(&token, &at_expiry()).await.is_ok());

    let position = |epoch| Position { epoch, sequence: 9 };
    verifier.revocations().begin(position(2));
    let refusal = verifier.check(&token, &at_expiry()).await.unwrap_err();
    assert_eq!(refusal, Refused::Revoked(Some(Hit::Epoch)).into());
    verifier.revocations().begin(position(1));
    assert!(verifier.check(&token, &at_expiry()).await.is_ok());
}

#[tokio::test]
async fn expiry_counts_from_its_own_instant_also_for_a_token_seen_before() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let token = issuer.good();
    // The end is at 600 s, the skew 10 s.
    for (second, is_good) in [(0, true), (609, true), (1, false)] {
        issuer.advance(second);
        let checked = verifier.check(&token, &at_expiry()).await;
        assert_eq!(checked.is_ok(), is_good, "{checked:?}");
    }
}
