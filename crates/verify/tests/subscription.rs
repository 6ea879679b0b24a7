//! Following the issuer's revocation feed: what it takes back is refused, what
//! it cannot say is said to be unknown, and nobody is believed who lies.
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::Request;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use support::feed::{Opened, at, head, record, until};
use support::{Issuer, Reply, at_expiry, opaque};
use symbolon_protocol::SigningAlgorithm;
use symbolon_token::Position;
use symbolon_token::feed::{Head, Tally};
use symbolon_token::revocation::{Hit, Target, pair_name, public_name, token_name};
use symbolon_verify::{CannotKnow, Outcome, Refusal, Refused, Requirement, Revocation, Verifier};
use tower::ServiceExt;

fn read() -> Requirement {
    Requirement::all(["read:invoices"])
}

fn carries(name: &str, mark: u64) -> impl Fn(&mut Value) {
    let (name, mark) = (name.to_owned(), format!("{mark:016x}"));
    move |claims| {
        claims["rev"] = json!({"e": 1, "q": 5, "c": "00000000000000aa"});
        claims["rev"][&name] = mark.clone().into();
    }
}

async fn code(verifier: &Verifier, token: &str, requirement: &Requirement) -> &'static str {
    let checked = verifier.check(token, requirement).await;
    checked.map_or_else(|refusal| refusal.code(), |_| "good")
}

/// A verifier that has read a snapshot, and its stream.
async fn following(issuer: &Issuer) -> (Verifier, Opened) {
    let verifier = issuer.subscribed();
    let (ready, stream) = tokio::join!(verifier.ready(), issuer.snapshot(at(5), &[]));
    ready.unwrap();
    (verifier, stream)
}

#[tokio::test]
async fn what_the_feed_takes_back_is_refused_and_nobody_is_asked() {
    let issuer = Issuer::start().await;
    let (verifier, stream) = following(&issuer).await;
    let token = issuer.token(carries("s", 7));
    assert_eq!(code(&verifier, &token, &read()).await, "good");

    issuer.adds(&stream, 5, &[record(6, Target::Session, 7)]);
    until(&verifier, |state| state.sequence == 6).await;

    let refusal = verifier.check(&token, &read()).await.unwrap_err();
    let hit = Hit::Record(Target::Session);
    assert_eq!(refusal, Refused::Revoked(Some(hit)).into());
    let other = issuer.token(carries("s", 8));
    assert_eq!(code(&verifier, &other, &read()).await, "good");
    let strict = read().revocation(Revocation::Now);
    assert_eq!(code(&verifier, &other, &strict).await, "good");
    assert_eq!(issuer.questions(), 0);
    let basic = stream.authorization.strip_prefix("Basic ").unwrap();
    let (id, _) = symbolon_protocol::basic::decode(basic).unwrap();
    assert_eq!(id.as_str(), "orders api");
}

#[tokio::test]
async fn a_record_counts_once_a_head_vouches_for_it() {
    let issuer = Issuer::start().await;
    let (verifier, stream) = following(&issuer).await;
    let token = issuer.token(carries("g", 7));
    let mut tally = Tally::default();

    stream.records(&[record(6, Target::Grant, 7)], &mut tally);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(code(&verifier, &token, &read()).await, "good");

    let own = head(&issuer, &stream, at(6), 5).over(tally.take());
    stream.head(&own, &issuer.feed().key);
    until(&verifier, |state| state.records == 1).await;
    assert_eq!(code(&verifier, &token, &read()).await, "revoked");
}

#[tokio::test]
async fn a_stream_that_broke_off_is_resumed_where_it_was() {
    let issuer = Issuer::start().await;
    let (verifier, stream) = following(&issuer).await;
    issuer.adds(&stream, 5, &[record(6, Target::Client, 1)]);
    until(&verifier, |state| state.sequence == 6).await;

    drop(stream);
    let again = issuer.feed().next().await;

    assert_eq!(again.place.as_deref(), Some("1.6.ab"));
    again.begin(1, Some(6));
    issuer.adds(&again, 6, &[record(9, Target::Client, 2)]);
    let state = until(&verifier, |state| state.sequence == 9).await;
    assert_eq!((state.records, state.epoch), (2, 1));
}

#[tokio::test]
async fn another_epoch_needs_a_snapshot_and_voids_what_was_before() {
    let issuer = Issuer::start().await;
    let (verifier, stream) = following(&issuer).await;
    let token = issuer.token(carries("g", 7));
    assert_eq!(code(&verifier, &token, &read()).await, "good");

    drop(stream);
    let next = Position {
        epoch: 2,
        sequence: 3,
    };
    let _stream = issuer.snapshot(next, &[]).await;
    until(&verifier, |state| state.epoch == 2).await;

    let refusal = verifier.check(&token, &read()).await.unwrap_err();
    assert_eq!(refusal, Refused::Revoked(Some(Hit::Epoch)).into());
    let new = issuer.token(|claims| {
        carries("g", 7)(claims);
        claims["rev"]["e"] = 2.into();
    });
    assert_eq!(code(&verifier, &new, &read()).await, "good");
}

/// What a lying server sends on a stream that was resumed at 6, and the word
/// for it.
type Lie = (&'static str, fn(&Issuer, &Opened));

const RECORD: (i64, Target, u64) = (7, Target::Token, 99);

/// A head with one thing changed, after one good record.
fn lies(issuer: &Issuer, stream: &Opened, change: impl FnOnce(&mut Head)) {
    stream.begin(1, Some(6));
    let mut tally = Tally::default();
    let (sequence, target, name) = RECORD;
    stream.records(&[record(sequence, target, name)], &mut tally);
    let mut own = head(issuer, stream, at(7), 6).over(tally.take());
    change(&mut own);
    stream.head(&own, &issuer.feed().key);
}

const LIES: [Lie; 21] = [
    ("head_not_signed", |issuer, stream| {
        stream.begin(1, Some(6));
        let own = head(issuer, stream, at(6), 6).over(Tally::default().take());
        stream.head(&own, &support::key(SigningAlgorithm::Es256));
    }),
    ("head_not_signed", |issuer, stream| {
        // The key of tokens is none of the feed.
        stream.begin(1, Some(6));
        let own = head(issuer, stream, at(6), 6).over(Tally::default().take());
        stream.head(&own, &issuer.key);
    }),
    ("head_not_signed", |_, stream| {
        stream.begin(1, Some(6));
        stream.send("event: head\ndata: garbage\n\n");
    }),
    ("head_of_another_stream", |issuer, stream| {
        lies(issuer, stream, |head| head.nonce = "of an hour ago".into());
    }),
    ("head_of_another_stream", |issuer, stream| {
        lies(issuer, stream, |head| head.reader = "other-api".into());
    }),
    ("head_of_another_stream", |issuer, stream| {
        lies(issuer, stream, |head| {
            head.issuer = "https://other.example".into();
        });
    }),
    ("records_differ", |issuer, stream| {
        lies(issuer, stream, |head| head.records = 0);
    }),
    ("records_differ", |issuer, stream| {
        lies(issuer, stream, |head| head.sha256 = "AAAA".into());
    }),
    ("records_differ", |issuer, stream| {
        lies(issuer, stream, |head| head.after = 5);
    }),
    ("records_differ", |issuer, stream| {
        lies(issuer, stream, |head| head.epoch = 2);
    }),
    ("records_differ", |issuer, stream| {
        lies(issuer, stream, |head| head.snapshot = true);
    }),
    ("records_differ", |issuer, stream| {
        // A record that is newer than the head.
        lies(issuer, stream, |head| head.sequence = 6);
    }),
    ("records_differ", |_, stream| stream.begin(1, Some(7))),
    ("records_differ", |_, stream| stream.begin(2, Some(6))),
    ("head_older", |issuer, stream| {
        // The whole of an older snapshot, well signed.
        stream.begin(1, None);
        let mut own = head(issuer, stream, at(5), 0).over(Tally::default().take());
        own.snapshot = true;
        stream.head(&own, &issuer.feed().key);
    }),
    ("head_older", |_, stream| stream.begin(0, None)),
    ("event_malformed", |_, stream| {
        stream.send("event: records\ndata: AAAA\n\n");
    }),
    ("event_malformed", |_, stream| {
        stream.begin(1, Some(6));
        stream.begin(1, Some(6));
    }),
    ("event_malformed", |_, stream| {
        stream.begin(1, Some(6));
        stream.send("event: records\ndata: AAAA\n\n");
    }),
    ("stream_unreadable", |_, stream| {
        stream.begin(1, Some(6));
        let line = "x".repeat(64 * 1024);
        (0..5).for_each(|_| stream.send(&line));
    }),
    ("stream_unreadable", |_, stream| {
        stream.send("data: a\ndata: b\n\n");
    }),
];

#[tokio::test]
async fn a_server_that_lies_is_left_and_the_last_good_set_stays() {
    let issuer = Issuer::start().await;
    for (word, lie) in LIES {
        let (verifier, stream) = following(&issuer).await;
        issuer.adds(&stream, 5, &[record(6, Target::Session, 7)]);
        until(&verifier, |state| state.sequence == 6).await;
        drop(stream);
        let stream = issuer.feed().next().await;

        lie(&issuer, &stream);
        stream.closed().await;

        let state = until(&verifier, |state| !state.is_connected).await;
        let state = match state.last_failure {
            Some("stream_closed") => until(&verifier, |own| own.last_failure == Some(word)).await,
            _ => state,
        };
        assert_eq!((state.last_failure, state.sequence), (Some(word), 6));
        let (dead, good) = (carries("s", 7), carries("s", 8));
        assert_eq!(
            code(&verifier, &issuer.token(dead), &read()).await,
            "revoked",
            "{word}"
        );
        assert_eq!(
            code(&verifier, &issuer.token(good), &read()).await,
            "good",
            "{word}"
        );

        // The twin: the same without the lie, on the next stream.
        let stream = issuer.feed().next().await;
        assert_eq!(
            stream.place, None,
            "its word for where it was is worth nothing"
        );
        stream.begin(1, None);
        let (sequence, target, name) = RECORD;
        let mut tally = Tally::default();
        stream.records(&[record(sequence, target, name)], &mut tally);
        let mut own = head(&issuer, &stream, at(7), 0).over(tally.take());
        own.snapshot = true;
        stream.head(&own, &issuer.feed().key);
        until(&verifier, |state| state.sequence == 7).await;
    }
}

#[tokio::test]
async fn a_feed_that_nobody_reaches_is_said_to_be_unknown() {
    let issuer = Issuer::start().await;
    let verifier = issuer.subscribed();
    let token = issuer.good();
    assert_eq!(verifier.feed().unwrap().age(), None);

    assert_eq!(code(&verifier, &token, &read()).await, "good");

    let explained = verifier.explain(&token, &read()).await;
    assert!(
        explained.cause.contains("never reached"),
        "{}",
        explained.cause
    );
    let step = explained
        .checks
        .iter()
        .find(|own| own.check == "revocation");
    assert_eq!(step.unwrap().outcome, Outcome::Unknown);
    issuer
        .behaviour
        .introspection
        .lock()
        .map(|mut own| *own = Reply::Raw(500, Vec::new()))
        .unwrap();
    let strict = read().max_staleness(Duration::from_secs(3));
    let refusal = verifier.check(&token, &strict).await.unwrap_err();
    let Refusal::CannotKnow(CannotKnow::Stale(stale)) = refusal else {
        panic!("{refusal:?}")
    };
    assert_eq!(
        (stale.age(), stale.allowed()),
        (None, Duration::from_secs(3))
    );
}

#[tokio::test]
async fn past_its_age_a_route_fails_closed_or_goes_on_as_it_says() {
    let issuer = Issuer::start().await;
    let (verifier, _stream) = following(&issuer).await;
    issuer
        .behaviour
        .introspection
        .lock()
        .map(|mut own| *own = Reply::Raw(500, Vec::new()))
        .unwrap();
    let token = issuer.good();
    let strict = read().max_staleness(Duration::from_secs(10));

    issuer.advance(10);
    assert_eq!(code(&verifier, &token, &strict).await, "good");
    issuer.advance(1);

    assert_eq!(code(&verifier, &token, &read()).await, "good");
    assert_eq!(code(&verifier, &token, &strict).await, "revocations_stale");
    let now = read().revocation(Revocation::Now);
    let refusal = verifier.check(&token, &now).await.unwrap_err();
    assert_eq!(
        (refusal.code(), refusal.status()),
        ("revocations_stale", 503)
    );
    assert!(refusal.cause().contains("11.0 s"), "{}", refusal.cause());
    let answer = verifier.answer(&refusal, &now, "r1");
    assert_eq!(answer.headers()["retry-after"], "2");
    assert!(!answer.headers().contains_key("www-authenticate"));
    let opaque = verifier.check(&opaque(1), &read()).await.unwrap_err();
    assert_eq!(
        (opaque.status(), opaque.code()),
        (503, "introspection_unavailable")
    );
    // The issuer's own word is as good as the feed's.
    issuer.says(json!({"active": true}));
    issuer.advance(1);
    assert_eq!(code(&verifier, &token, &strict).await, "good");
    issuer.says(json!({"active": false}));
    issuer.advance(1);
    assert_eq!(code(&verifier, &token, &strict).await, "inactive");
}

#[tokio::test]
async fn a_decision_says_how_old_the_knowledge_was() {
    let issuer = Issuer::start().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let verifier = issuer.subscribed().on_decision(move |decision| {
        let age = decision.feed().unwrap().age();
        log.lock().unwrap().push((decision.code(), age));
    });
    let (ready, _stream) = tokio::join!(verifier.ready(), issuer.snapshot(at(5), &[]));
    ready.unwrap();
    issuer.advance(25);

    let route = tower::service_fn(async |_: Request<String>| {
        Ok::<_, std::convert::Infallible>(axum::http::Response::new(String::new()))
    });
    let guarded = tower_layer_of(&verifier, route);
    let request = Request::builder().header("authorization", format!("Bearer {}", issuer.good()));
    let answer = guarded.oneshot(request.body(String::new()).unwrap()).await;

    assert_eq!(answer.unwrap().status(), 200);
    let age = Some(Duration::from_secs(25));
    assert_eq!(*seen.lock().unwrap(), [("allowed", age)]);
}

fn tower_layer_of<S>(verifier: &Verifier, route: S) -> symbolon_verify::Guarded<S> {
    use tower::Layer;
    verifier.require(["read:invoices"]).layer(route)
}

#[tokio::test]
async fn heads_that_are_held_back_make_nothing_look_young() {
    let issuer = Issuer::start().await;
    let verifier = issuer.subscribed();
    let (ready, stream) = tokio::join!(verifier.ready(), issuer.snapshot(at(5), &[]));
    ready.unwrap();

    // A head of one second after the stream began, which arrives at nine.
    issuer.advance(9);
    let mut own = head(&issuer, &stream, at(5), 5).over(Tally::default().take());
    own.elapsed = 1_000;
    stream.head(&own, &issuer.feed().key);
    let state = until(&verifier, |state| state.age_ms == Some(8_000)).await;
    assert!(state.is_connected);

    // The server's own knowledge is old, which it says; then it is left.
    issuer.advance(1);
    own.elapsed = 10_000;
    own.stale = 9_500;
    stream.head(&own, &issuer.feed().key);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(verifier.feed().unwrap().age_ms, Some(9_000));
    issuer.advance(5);
    own.elapsed = 10_500;
    stream.head(&own, &issuer.feed().key);
    stream.closed().await;
    until(&verifier, |state| state.last_failure == Some("stream_late")).await;
}

#[tokio::test]
async fn a_fact_that_was_asked_for_dies_with_a_record_that_hits_it() {
    let issuer = Issuer::start().await;
    let (verifier, stream) = following(&issuer).await;
    issuer.says_active(carries("f", 7));
    assert_eq!(code(&verifier, &opaque(1), &read()).await, "good");

    issuer.adds(&stream, 5, &[record(6, Target::Family, 7)]);
    until(&verifier, |state| state.sequence == 6).await;

    assert_eq!(code(&verifier, &opaque(1), &read()).await, "revoked");
    assert_eq!(issuer.questions(), 1, "what is remembered is a fact");
    issuer.says_active(carries("f", 8));
    assert_eq!(code(&verifier, &opaque(2), &read()).await, "good");
    // The token itself, and the key that it was sealed with.
    for (target, name) in [
        (Target::Token, token_name("t1")),
        (Target::Key, public_name(Target::Key, "access-token:7")),
    ] {
        let (verifier, stream) = following(&issuer).await;
        let key = public_name(Target::Key, "access-token:7");
        issuer.says_active(carries("k", key));
        assert_eq!(code(&verifier, &opaque(3), &read()).await, "good");
        issuer.adds(&stream, 5, &[record(6, target, name)]);
        until(&verifier, |state| state.sequence == 6).await;
        assert_eq!(code(&verifier, &opaque(3), &read()).await, "revoked");
    }
}

#[tokio::test]
async fn a_record_of_a_sector_hits_what_its_tokens_leave_out() {
    let issuer = Issuer::start().await;
    let (verifier, stream) = following(&issuer).await;
    let of = |claims: &mut Value| {
        carries("u", 3)(claims);
        claims["sub"] = "pws_abc".into();
        // It was derived from a token of another client, for the same person.
        claims["rev"]["a"] = json!(["060000000000000009"]);
    };
    let token = issuer.token(of);
    assert_eq!(code(&verifier, &token, &read()).await, "good");

    let pair = pair_name(Target::ClientSubject, 9, 3);
    issuer.adds(&stream, 5, &[record(6, Target::ClientSubject, pair)]);
    until(&verifier, |state| state.sequence == 6).await;

    assert_eq!(code(&verifier, &token, &read()).await, "revoked");
}

#[tokio::test]
async fn a_key_of_the_feed_that_was_taken_back_vouches_for_nothing() {
    let issuer = Issuer::start().await;
    let (verifier, stream) = following(&issuer).await;
    let kid = format!("feed:{}", issuer.feed().key.kid());

    let name = public_name(Target::Key, &kid);
    issuer.adds(&stream, 5, &[record(6, Target::Key, name)]);
    until(&verifier, |state| state.sequence == 6).await;
    issuer.adds(&stream, 6, &[record(7, Target::Client, 0xaa)]);
    stream.closed().await;

    let state = until(&verifier, |state| state.last_failure.is_some()).await;
    assert_eq!(state.last_failure, Some("head_of_another_stream"));
    assert_eq!(state.sequence, 6);
}

#[tokio::test]
async fn records_that_this_version_does_not_know_are_passed_over() {
    let issuer = Issuer::start().await;
    let (verifier, stream) = following(&issuer).await;
    let mut unknown = vec![200];
    unknown.extend([0; 15]);
    unknown.push(6);
    unknown.extend([0; 8]);
    let mut tally = Tally::default();
    tally.add(&unknown);

    let text = BASE64_URL_SAFE_NO_PAD.encode(&unknown);
    stream.send(&format!(
        "event: records\ndata: {text}\n\nevent: later\ndata: x\n\n"
    ));
    let own = head(&issuer, &stream, at(6), 5).over(tally.take());
    stream.head(&own, &issuer.feed().key);

    let state = until(&verifier, |state| state.sequence == 6).await;
    assert_eq!(state.records, 0);
}

#[tokio::test]
async fn a_subscription_needs_credentials_and_ends_with_its_verifier() {
    let issuer = Issuer::start().await;
    let error = issuer.verifier().subscribe().unwrap_err();
    assert_eq!(error.code(), "invalid_credentials");
    let (verifier, stream) = following(&issuer).await;

    drop(verifier);

    stream.closed().await;
}

/// Whoever makes the first check in a runtime of its own takes the task along
/// when that ends.
#[test]
fn the_feed_is_followed_again_when_the_runtime_of_who_followed_has_ended() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let serving = runtime();
    let issuer = serving.block_on(Issuer::start());
    let first = runtime();
    let (verifier, _stream) = first.block_on(following(&issuer));

    drop(first);

    assert!(!verifier.feed().unwrap().is_connected);
    runtime().block_on(async {
        assert_eq!(code(&verifier, &issuer.good(), &read()).await, "good");
        // Waits for a stream that is opened anew.
        issuer.behaviour.feed.next().await;
    });
}

/// What may outlast its token does not outlast that its person is taken back.
#[tokio::test]
async fn what_was_taken_back_is_said_of_a_token_that_has_ended_as_well() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let token = issuer.token(|claims| {
        claims["rev"] = json!({ "e": 1, "q": 5, "c": "00000000000000aa", "u": "0000000000000007" });
    });
    let caller = verifier.check(&token, &at_expiry()).await.unwrap();
    let standing = async || {
        let asked = verifier
            .check_standing_of(&caller, &token, &at_expiry())
            .await;
        asked.map_or_else(|refusal| refusal.code(), |()| "good")
    };

    assert_eq!(standing().await, "good");
    issuer.advance(700);
    assert_eq!(standing().await, "expired");
    verifier
        .revocations()
        .apply([record(6, Target::Subject, 7)]);
    assert_eq!(standing().await, "revoked");
}
