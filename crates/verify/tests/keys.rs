//! How the issuer's keys are fetched, kept and given up.
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;
use support::{Issuer, Reply, at_expiry, key, set};
use symbolon_protocol::{SigningAlgorithm, Timestamp};
use symbolon_testkit::Row;
use symbolon_token::jose::{Invalid, SigningKey};
use symbolon_token::revocation::{Revocation, Target, public_name};
use symbolon_verify::{CannotKnow, Refusal, Refused, Verifier};

const KEYS: Refusal = Refusal::CannotKnow(CannotKnow::Keys);
const UNKNOWN: Refusal = Refusal::Refused(Refused::Signature(Invalid::UnknownKey));

/// A listener that counts who connects.
async fn trap() -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connects = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connects);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    (url, connects)
}

/// Moves past the cooldown and waits until a refresh that was due is over.
async fn refreshed(issuer: &Issuer, seconds: u64, verifier: &Verifier) {
    let before = issuer.jwks_read();
    issuer.advance(seconds);
    let _ = verifier.check(&issuer.good(), &at_expiry()).await;
    let asked = async {
        while issuer.jwks_read() == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), asked)
        .await
        .unwrap();
    // The answer is read by the fetch's own task.
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Waits until a token of a key that is no longer there is refused.
async fn is_forgotten(verifier: &Verifier, token: &str) {
    let begin = tokio::time::Instant::now();
    let mut verdict = verifier.check(token, &at_expiry()).await;
    while verdict.is_ok() && begin.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        verdict = verifier.check(token, &at_expiry()).await;
    }
    assert_eq!(verdict.unwrap_err(), UNKNOWN);
}

#[tokio::test]
async fn ready_fetches_once_and_the_first_token_fetches_nothing() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.ready().await.unwrap();
    assert!(verifier.check(&issuer.good(), &at_expiry()).await.is_ok());
    assert_eq!(issuer.jwks_read(), 1);
}

/// Attack: E133, E137
#[tokio::test]
async fn addresses_in_a_token_are_never_connected_to() {
    let issuer = Issuer::start().await;
    let (trap, connects) = trap().await;
    let verifier = issuer.verifier();
    let header = |more: serde_json::Value| {
        let mut header = json!({"alg": "ES256", "typ": "at+jwt", "kid": issuer.key.kid()});
        header
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let part = |text: String| BASE64_URL_SAFE_NO_PAD.encode(text);
        let payload = part(issuer.claims().to_string());
        format!(
            "{}.{payload}.{}",
            part(header.to_string()),
            part("x".repeat(64))
        )
    };
    let tokens = [
        header(json!({"jku": format!("{trap}/jwks")})),
        header(json!({"x5u": format!("{trap}/x5u")})),
        header(json!({"jku": trap, "kid": "other"})),
        issuer.token(|claims| claims["iss"] = trap.clone().into()),
    ];

    for token in tokens {
        assert!(verifier.check(&token, &at_expiry()).await.is_err());
    }

    assert!(verifier.check(&issuer.good(), &at_expiry()).await.is_ok());
    assert_eq!(connects.load(Ordering::SeqCst), 0);
}

/// Many servers answer a path that they do not know with their page, and 200.
#[tokio::test]
async fn metadata_is_looked_for_where_it_may_be_whatever_stands_in_the_first_place() {
    for first in [
        Reply::Raw(200, b"<html>".to_vec()),
        Reply::Raw(200, b"{}".to_vec()),
        Reply::Raw(404, Vec::new()),
        Reply::Json(
            json!({ "issuer": "https://other.example", "jwks_uri": "https://other.example/" }),
        ),
    ] {
        let issuer = Issuer::start().await;
        let at = |path: &str| format!("{}/{path}", issuer.url);
        let own = json!({
            "issuer": issuer.url, "jwks_uri": at("jwks"),
            "authorization_endpoint": at("authorize"), "token_endpoint": at("token"),
        });
        *issuer.behaviour.metadata.lock().unwrap() = Some(first);
        *issuer.behaviour.other_metadata.lock().unwrap() = Some(Reply::Json(own));

        let checked = issuer.verifier().check(&issuer.good(), &at_expiry()).await;

        assert!(checked.is_ok(), "{checked:?}");
    }
    let issuer = Issuer::start().await;
    *issuer.behaviour.metadata.lock().unwrap() = Some(Reply::Raw(200, b"<html>".to_vec()));
    let told = issuer.verifier().ready().await.unwrap_err().to_string();
    assert!(told.contains("not a metadata document"), "{told}");
}

#[tokio::test]
async fn metadata_that_points_elsewhere_or_redirects_is_not_followed() {
    let (trap, connects) = trap().await;
    let odd = |url: &str| {
        [
            Reply::Redirect(trap.clone()),
            Reply::Json(
                json!({"issuer": format!("{url}/"), "jwks_uri": trap, "authorization_endpoint": null, "token_endpoint": null}),
            ),
            Reply::Json(json!({"issuer": url, "jwks_uri": "http://192.0.2.1/jwks"})),
            Reply::Json(json!({"issuer": url, "jwks_uri": "file:///etc/passwd"})),
            Reply::Json(json!({"issuer": url})),
        ]
    };
    for number in 0..5 {
        let issuer = Issuer::start().await;
        *issuer.behaviour.metadata.lock().unwrap() = Some(odd(&issuer.url)[number].clone());
        let verifier = issuer.verifier();
        assert!(verifier.ready().await.is_err());
        assert_eq!(
            verifier
                .check(&issuer.good(), &at_expiry())
                .await
                .unwrap_err(),
            KEYS
        );
    }
    let issuer = Issuer::start().await;
    issuer.serves_keys(Reply::Redirect(trap));
    assert!(issuer.verifier().ready().await.is_err());
    assert_eq!(connects.load(Ordering::SeqCst), 0);
}

/// Issuers are about that name none of their keys.
#[tokio::test]
async fn a_rotation_is_seen_where_keys_have_no_names_and_costs_one_fetch_a_cooldown() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let next = key(SigningAlgorithm::Es256);
    let nameless = |keys: &[&SigningKey]| {
        let mut set = set(keys);
        for key in set["keys"].as_array_mut().unwrap() {
            key.as_object_mut().unwrap().remove("kid");
        }
        set
    };
    let by = |key: &SigningKey| {
        let header = r#"{"alg":"ES256","typ":"at+jwt"}"#;
        key.sign_under(header, issuer.claims().to_string().as_bytes())
    };
    issuer.serves_keys(Reply::Json(nameless(&[&issuer.key])));
    assert!(verifier.check(&by(&issuer.key), &at_expiry()).await.is_ok());
    let read = issuer.jwks_read();

    issuer.serves_keys(Reply::Json(nameless(&[&issuer.key, &next])));
    let seen = verifier.check(&by(&next), &at_expiry()).await;

    assert!(seen.is_ok(), "{seen:?}");
    assert!(verifier.check(&by(&issuer.key), &at_expiry()).await.is_ok());
    assert_eq!(issuer.jwks_read(), read + 1);
    let mismatch = Refusal::from(Refused::Signature(Invalid::Signature));
    for _ in 0..100 {
        let stranger = key(SigningAlgorithm::Es256);
        let refused = verifier.check(&by(&stranger), &at_expiry()).await;
        assert_eq!(refused.unwrap_err(), mismatch);
    }
    assert_eq!(
        issuer.jwks_read(),
        read + 1,
        "strangers cost nothing in the cooldown"
    );
}

/// Attack: E136
#[tokio::test]
async fn a_storm_of_unknown_keys_costs_one_fetch_a_cooldown() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.ready().await.unwrap();
    let payload = BASE64_URL_SAFE_NO_PAD.encode(issuer.claims().to_string());
    let signature = BASE64_URL_SAFE_NO_PAD.encode([1; 64]);

    for round in 0..2_usize {
        let before = issuer.jwks_read();
        for number in 0..5_000 {
            let header = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{round}-{number}"}}"#);
            let header = BASE64_URL_SAFE_NO_PAD.encode(header);
            let token = format!("{header}.{payload}.{signature}");
            assert_eq!(
                verifier.check(&token, &at_expiry()).await.unwrap_err(),
                UNKNOWN
            );
        }
        assert_eq!(issuer.jwks_read() - before, 1);
        assert!(verifier.check(&issuer.good(), &at_expiry()).await.is_ok());
        issuer.advance(31);
    }
}

#[tokio::test]
async fn tokens_of_an_unknown_key_share_one_fetch_and_are_let_in_by_it() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.ready().await.unwrap();
    let new = key(SigningAlgorithm::Es256);
    issuer.serves_keys(Reply::Json(set(&[&issuer.key, &new])));

    let tokens: Vec<_> = (0..50)
        .map(|n| issuer.token_by(&new, |claims| claims["jti"] = n.to_string().into()))
        .map(|token| {
            let verifier = verifier.clone();
            tokio::spawn(async move { verifier.check(&token, &at_expiry()).await })
        })
        .collect();

    for token in tokens {
        assert!(token.await.unwrap().is_ok());
    }
    assert_eq!(issuer.jwks_read(), 2);
}

#[tokio::test]
async fn a_bad_signature_of_a_known_key_fetches_nothing() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.ready().await.unwrap();
    let good = issuer.good();
    let (signed, _) = good.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode([1; 64]));

    for _ in 0..100 {
        assert!(verifier.check(&forged, &at_expiry()).await.is_err());
        issuer.advance(1);
    }
    assert_eq!(issuer.jwks_read(), 1);
}

#[tokio::test]
async fn a_removed_key_takes_the_tokens_with_it_that_were_seen_before() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    assert!(verifier.check(&issuer.good(), &at_expiry()).await.is_ok());
    let token = issuer.good();
    assert!(verifier.check(&token, &at_expiry()).await.is_ok());

    issuer.serves_keys(Reply::Json(set(&[&key(SigningAlgorithm::Es256)])));
    refreshed(&issuer, 300, &verifier).await;

    is_forgotten(&verifier, &token).await;
}

#[tokio::test]
async fn hostile_key_sets_change_nothing_that_is_held() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.ready().await.unwrap();
    let hostile = [
        Reply::Raw(500, Vec::new()),
        Reply::Raw(200, b"<html>maintenance</html>".to_vec()),
        Reply::Raw(200, Vec::new()),
        Reply::Raw(200, vec![b' '; 10 * 1024 * 1024]),
        Reply::Raw(200, b"{\"keys\":[],\"keys\":[]}".to_vec()),
    ];
    for reply in hostile {
        issuer.serves_keys(reply);
        refreshed(&issuer, 300, &verifier).await;
        refreshed(&issuer, 300, &verifier).await;
        let long = issuer.token(|claims| claims["exp"] = 4_000_000_000_i64.into());
        assert!(verifier.check(&long, &at_expiry()).await.is_ok());
    }
}

#[tokio::test]
async fn a_key_nobody_understands_spoils_only_itself() {
    let issuer = Issuer::start().await;
    let mut document = set(&[&issuer.key]);
    let odd = json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "pq", "pub": "AAAA"});
    document["keys"].as_array_mut().unwrap().insert(0, odd);
    issuer.serves_keys(Reply::Json(document));
    assert!(
        issuer
            .verifier()
            .check(&issuer.good(), &at_expiry())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn an_empty_set_must_come_twice_to_be_believed() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.ready().await.unwrap();
    let long = issuer.token(|claims| claims["exp"] = 4_000_000_000_i64.into());
    issuer.serves_keys(Reply::Json(json!({"keys": []})));

    refreshed(&issuer, 300, &verifier).await;
    assert!(verifier.check(&long, &at_expiry()).await.is_ok());

    refreshed(&issuer, 31, &verifier).await;
    is_forgotten(&verifier, &long).await;
}

#[tokio::test]
async fn keys_grow_too_old_while_the_issuer_is_away() {
    let issuer = Issuer::start().await;
    let span = Duration::from_secs(600);
    let verifier = issuer.verifier().stale_if_error(span).unwrap();
    let long = issuer.token(|claims| claims["exp"] = 4_000_000_000_i64.into());
    assert!(verifier.check(&long, &at_expiry()).await.is_ok());
    issuer.serves_keys(Reply::Raw(503, Vec::new()));

    issuer.advance(599);
    assert!(verifier.check(&long, &at_expiry()).await.is_ok());
    issuer.advance(1);
    assert_eq!(verifier.check(&long, &at_expiry()).await.unwrap_err(), KEYS);

    issuer.serves_keys(Reply::Json(set(&[&issuer.key])));
    issuer.advance(120);
    assert!(verifier.check(&long, &at_expiry()).await.is_ok());
}

#[tokio::test]
async fn an_hour_without_the_issuer_passes_known_keys_and_refuses_others_at_once() {
    let issuer = Issuer::start().await;
    let span = Duration::from_secs(7_200);
    let verifier = issuer.verifier().stale_if_error(span).unwrap();
    let known = issuer.token(|claims| claims["exp"] = 4_000_000_000_i64.into());
    assert!(verifier.check(&known, &at_expiry()).await.is_ok());
    issuer.serves_keys(Reply::Never);
    let strangers: Vec<String> = (0..300).map(|_| stranger(&issuer)).collect();

    for minute in 0..60 {
        issuer.advance(60);
        assert!(
            verifier.check(&known, &at_expiry()).await.is_ok(),
            "{minute}"
        );
    }
    // The first waits for the refresh that is under way, and learns that it failed.
    let first = verifier.check(&strangers[0], &at_expiry()).await;
    assert_eq!(first.unwrap_err(), KEYS);
    issuer.advance(31);
    let asked = issuer.jwks_read();
    let mut spans = Vec::new();
    for one in &strangers[1..] {
        let begin = tokio::time::Instant::now();
        let refused = verifier.check(one, &at_expiry()).await;
        assert_eq!(refused.unwrap_err(), KEYS);
        spans.push(begin.elapsed());
    }
    // Not each of them: a busy machine makes one or another wait for itself, and
    // in the short form other tests run beside.
    spans.sort_unstable();
    let most = spans[spans.len() * Row::R28.size(50, 95) / 100];
    assert!(most < Duration::from_millis(50), "they waited {most:?}");
    let last = spans[spans.len() - 1];
    let bound = Row::R28.size(Duration::from_secs(10), Duration::from_secs(2));
    assert!(last < bound, "one waited for the issuer: {last:?}");
    // A refresh that was due, and one search.
    assert!(issuer.jwks_read() <= asked + 2, "each of them cost a fetch");
}

/// A token under a key id of its own that nobody has heard of.
fn stranger(issuer: &Issuer) -> String {
    issuer.token_by(&key(SigningAlgorithm::Es256), |_| ())
}

#[tokio::test]
async fn a_slow_issuer_holds_up_nobody_whose_key_is_known() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.ready().await.unwrap();
    issuer.serves_keys(Reply::Never);
    let stranger = issuer.token_by(&key(SigningAlgorithm::Es256), |_| ());
    let asking = verifier.clone();
    let waits = tokio::spawn(async move { asking.check(&stranger, &at_expiry()).await });
    while issuer.jwks_read() < 2 {
        tokio::task::yield_now().await;
    }

    // Nothing but the fetch under way can delay this one, and it does not.
    let (token, requirement) = (issuer.good(), at_expiry());
    let known = verifier.check(&token, &requirement);
    assert!(
        tokio::time::timeout(Duration::from_secs(2), known)
            .await
            .unwrap()
            .is_ok()
    );
    assert!(!waits.is_finished());

    assert_eq!(waits.await.unwrap().unwrap_err(), KEYS);
}

#[tokio::test]
async fn cache_control_moves_the_next_refresh() {
    let issuer = Issuer::start().await;
    issuer.serves_keys(Reply::Cached(set(&[&issuer.key]), "max-age=3600"));
    let verifier = issuer.verifier();
    verifier.ready().await.unwrap();

    issuer.advance(2_500);
    let _ = verifier.check(&issuer.good(), &at_expiry()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(issuer.jwks_read(), 1);

    refreshed(&issuer, 400, &verifier).await;
    assert_eq!(issuer.jwks_read(), 2);
}

#[tokio::test]
async fn a_distrusted_key_is_refused_before_the_key_set_leaves_it_out() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    // What a thief forges carries no marks.
    let forged = issuer.good();
    assert!(verifier.check(forged.as_str(), &at_expiry()).await.is_ok());
    let other = key(SigningAlgorithm::Es256);
    let record = Revocation {
        sequence: 1,
        target: Target::Key,
        name: public_name(Target::Key, issuer.key.kid()),
        expires: Timestamp::FAR,
    };
    issuer.serves_keys(Reply::Json(set(&[&issuer.key, &other])));

    verifier.revocations().apply([record]);

    assert!(verifier.check(forged.as_str(), &at_expiry()).await.is_err());
    let fresh = issuer.token(|claims| claims["jti"] = "t2".into());
    assert!(verifier.check(fresh.as_str(), &at_expiry()).await.is_err());
    let good = issuer.token_by(&other, |_| ());
    assert!(verifier.check(good.as_str(), &at_expiry()).await.is_ok());
}

/// Attack: E136
#[tokio::test]
async fn a_rotation_is_seen_within_the_cooldown_whatever_strangers_make_up() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    verifier.ready().await.unwrap();
    let new = key(SigningAlgorithm::Es256);
    let early = issuer.token_by(&new, |_| ());

    // Signed before the issuer shows the key: that costs the one fetch.
    let refused = verifier.check(&early, &at_expiry()).await;
    assert_eq!(refused.unwrap_err(), UNKNOWN);
    issuer.serves_keys(Reply::Json(set(&[&issuer.key, &new])));
    for _ in 0..100 {
        let refused = verifier.check(&stranger(&issuer), &at_expiry()).await;
        assert_eq!(refused.unwrap_err(), UNKNOWN);
    }
    assert_eq!(issuer.jwks_read(), 2);

    issuer.advance(30);

    assert!(verifier.check(&early, &at_expiry()).await.is_ok());
    assert_eq!(issuer.jwks_read(), 3);
}
