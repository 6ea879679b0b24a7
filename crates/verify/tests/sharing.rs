//! Several APIs of one issuer in one process: fetched once, judged apart.
//!
//! Spec: RFC 8725 §3.9
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use support::feed::{at, record, until};
use support::{API, Issuer, Reply, SECRET, at_expiry, key, set};
use symbolon_protocol::SigningAlgorithm;
use symbolon_testkit::{FixedClock, SeededEntropy};
use symbolon_token::revocation::Target;
use symbolon_verify::{Algorithm, Requirement, Verifier};

const STOCK: &str = "https://stock.example";

/// A verifier of another API, made as that of the first is.
fn of_stock(issuer: &Issuer) -> Verifier {
    Verifier::new(&issuer.url, STOCK, [Algorithm::Es256])
        .unwrap()
        .with_clock(issuer.clock.clone())
        .with_entropy(Arc::new(SeededEntropy::new(2)))
}

/// Attack: E136
#[tokio::test]
async fn names_of_keys_that_strangers_make_up_cost_all_apis_one_fetch() {
    let issuer = Issuer::start().await;
    let orders = issuer.verifier();
    let stock = of_stock(&issuer).share_with(&orders).unwrap();
    orders.ready().await.unwrap();
    stock.ready().await.unwrap();
    assert_eq!(issuer.jwks_read(), 1);

    for _ in 0..100 {
        let made_up = issuer.token_by(&key(SigningAlgorithm::Es256), |_| ());
        for verifier in [&orders, &stock] {
            assert!(verifier.check(&made_up, &at_expiry()).await.is_err());
        }
    }
    assert_eq!(issuer.jwks_read(), 2);

    let new = key(SigningAlgorithm::Es256);
    issuer.serves_keys(Reply::Json(set(&[&issuer.key, &new])));
    issuer.advance(30);
    let of = |audience: &str| issuer.token_by(&new, |claims| claims["aud"] = audience.into());
    assert!(orders.check(&of(API), &at_expiry()).await.is_ok());
    assert!(stock.check(&of(STOCK), &at_expiry()).await.is_ok());
    assert_eq!(issuer.jwks_read(), 3);
}

#[tokio::test]
async fn each_api_judges_for_itself_what_both_have_seen() {
    let issuer = Issuer::start().await;
    let orders = issuer.verifier();
    let stock = of_stock(&issuer).share_with(&orders).unwrap();
    let of = |audience: &str| issuer.token(|claims| claims["aud"] = audience.into());

    for _ in 0..2 {
        for (verifier, own, other) in [(&orders, API, STOCK), (&stock, STOCK, API)] {
            assert!(verifier.check(&of(own), &at_expiry()).await.is_ok());
            let refused = verifier.check(&of(other), &at_expiry()).await.unwrap_err();
            assert_eq!(refused.code(), "wrong_audience");
        }
    }
}

/// A reader is sent what it may know of the API that it asked for; what another
/// API was sent says nothing of this one.
#[tokio::test]
async fn each_api_goes_by_a_feed_of_its_own() {
    let issuer = Issuer::start().await;
    let of = |own: Verifier| own.introspect_as("orders api", SECRET).unwrap().subscribe();
    let orders = of(issuer.verifier()).unwrap();
    let stock = of(of_stock(&issuer)).unwrap().share_with(&orders).unwrap();
    let (ready, _first) = tokio::join!(orders.ready(), issuer.snapshot(at(5), &[]));
    ready.unwrap();
    assert_eq!(stock.feed().unwrap().age(), None, "nobody has asked for it");
    let (ready, stream) = tokio::join!(stock.ready(), issuer.snapshot(at(5), &[]));
    ready.unwrap();
    let token = |audience: &str| {
        issuer.token(|claims| {
            claims["aud"] = audience.into();
            claims["rev"] = json!({ "e": 1, "q": 5, "c": "00000000000000aa" });
        })
    };
    let read = Requirement::all(["read:invoices"]);
    assert!(stock.check(&token(STOCK), &read).await.is_ok());

    issuer.adds(&stream, 5, &[record(6, Target::Client, 0xaa)]);
    until(&stock, |state| state.sequence == 6).await;

    let refused = stock.check(&token(STOCK), &read).await.unwrap_err();
    assert_eq!(refused.code(), "revoked");
    assert!(orders.check(&token(API), &read).await.is_ok());
    assert_eq!(issuer.jwks_read(), 1, "keys are fetched once");
}

#[tokio::test]
async fn verifiers_that_differ_in_what_they_fetch_share_nothing() {
    let (issuer, stranger) = (Issuer::start().await, Issuer::start().await);
    let span = Duration::from_secs(600);
    let asking = |secret: &str| {
        of_stock(&issuer)
            .introspect_as("orders api", secret)
            .unwrap()
    };
    let first = issuer.asking();

    for (what, own) in [
        ("the issuer", stranger.asking()),
        ("credentials", of_stock(&issuer)),
        ("another secret", asking("another secret")),
        (
            "the age of keys",
            asking(SECRET).stale_if_error(span).unwrap(),
        ),
    ] {
        let refused = own.share_with(&first).unwrap_err();
        assert_eq!(refused.code(), "cannot_share", "{what}");
    }
    // Another clock is no hindrance: what is shared goes by the one of the first.
    let own = asking(SECRET).with_clock(Arc::new(FixedClock::new()));
    assert!(own.share_with(&first).is_ok());
}
