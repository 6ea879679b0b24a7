//! Streams that are fetched: one event of a person at a time, so that nobody hears
//! them in another order, and dead letters that are offered again.

use reqwest::Method;
use serde_json::{Value, json};

use super::queued::{revoke, withdraw};
use super::stream::{ask, fetched, poll, receiver};
use super::{admin, claims};
use crate::browser::{Browser, request};
use crate::harness::Server;
use crate::on_both_engines;

on_both_engines! {
    what_happened_to_a_person_is_fetched_in_order
    what_an_acknowledgement_frees_is_answered_at_once
    whoever_asks_for_nothing_learns_that_something_waits
    a_dead_letter_of_whom_a_stream_tells_no_more_stays_dead
}

/// What an answer holds: names, and what happened.
fn told(answer: &Value) -> Vec<(String, String)> {
    let sets = answer["sets"].as_object().unwrap();
    let one = |(name, event): (&String, &Value)| {
        let says = claims(event.as_str().unwrap());
        let uri = says["events"].as_object().unwrap().keys().next().unwrap();
        let what = uri.rsplit('/').next().unwrap();
        (name.clone(), what.to_owned())
    };
    sets.iter().map(one).collect()
}

/// What is answered at once.
async fn fetch(server: &Server, token: &str, id: &str, more: Value) -> Value {
    let answer = poll(server, token, id, more).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

async fn what_happened_to_a_person_is_fetched_in_order(server: Server) {
    let token = receiver(&server).await;
    let id = fetched(&server, &token).await;
    Browser::new(&server).tokens("alice", &request()).await;
    for verb in ["disable", "enable", "disable"] {
        let path = format!("users/alice/{verb}");
        admin(&server, Method::POST, &path, None).await;
    }

    let (mut happened, mut taken) = (Vec::new(), Vec::new());
    loop {
        let answer = fetch(&server, &token, &id, json!({ "ack": taken })).await;
        let mut told = told(&answer);
        assert!(told.len() < 2, "two have no order: {answer}");
        let is_more = answer["moreAvailable"] == true;
        let Some((name, what)) = told.pop() else {
            assert!(!is_more, "{answer}");
            break;
        };
        happened.push((what, is_more));
        taken = vec![name];
    }

    let wanted = [
        ("account-disabled", true),
        ("session-revoked", true),
        ("account-enabled", true),
        ("account-disabled", true),
        ("session-revoked", false),
    ];
    assert_eq!(happened, wanted.map(|(what, more)| (what.to_owned(), more)));
}

async fn what_an_acknowledgement_frees_is_answered_at_once(server: Server) {
    let token = receiver(&server).await;
    let id = fetched(&server, &token).await;
    Browser::new(&server).tokens("alice", &request()).await;
    revoke(&server, "alice").await;
    revoke(&server, "alice").await;
    let first = fetch(&server, &token, &id, json!({})).await;
    let again = fetch(&server, &token, &id, json!({})).await;
    let (first, again) = (told(&first), told(&again));
    assert_eq!((first.len(), &again), (1, &first), "until it is taken");

    // Whoever does not wait is answered by one look.
    let more = json!({ "ack": [first[0].0], "returnImmediately": true });
    let second = fetch(&server, &token, &id, more).await;

    let second = told(&second);
    assert_eq!(second.len(), 1);
    assert_ne!(second, first);
}

/// Spec: RFC 8936 §2.3
async fn whoever_asks_for_nothing_learns_that_something_waits(server: Server) {
    let token = receiver(&server).await;
    let id = fetched(&server, &token).await;
    Browser::new(&server).tokens("alice", &request()).await;
    let waits = async || {
        let answer = fetch(&server, &token, &id, json!({ "maxEvents": 0 })).await;
        assert_eq!(answer["sets"], json!({}));
        answer["moreAvailable"] == true
    };
    let set = async |status: &str| {
        let body = json!({ "stream_id": id, "status": status });
        let answer = ask(&server, Method::POST, "/ssf/status", &token, body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    assert!(!waits().await, "nothing has happened");

    revoke(&server, "alice").await;

    assert!(waits().await);
    set("paused").await;
    assert!(!waits().await, "it would be asked for and not told");
    set("enabled").await;
    assert!(waits().await);
}

async fn a_dead_letter_of_whom_a_stream_tells_no_more_stays_dead(server: Server) {
    let token = receiver(&server).await;
    let id = fetched(&server, &token).await;
    Browser::new(&server).tokens("alice", &request()).await;
    revoke(&server, "alice").await;
    let waiting = told(&fetch(&server, &token, &id, json!({})).await);
    let name = &*waiting[0].0;
    let refused = json!({ "setErrs": { name: { "err": "invalid_key" } } });
    fetch(&server, &token, &id, refused).await;
    let dead = async || {
        let dead = admin(&server, Method::GET, "dead-letters", None).await;
        dead.json()["items"][0].clone()
    };
    let retry = async |letters: Value| {
        let path = "/admin/v1/dead-letters:retry";
        server.admin(Method::POST, path, Some(letters)).await
    };
    let one = json!({ "number": dead().await["number"] });
    server.advance(1);
    withdraw(&server).await;

    let untold = retry(one.clone()).await;

    assert_eq!(untold.status, 409, "{}", untold.body);
    let all = retry(json!({ "receiver": format!("stream:{id}") })).await;
    let wanted = json!({ "letters": 0, "untold": 1, "full": false });
    assert_eq!((all.status, all.json()), (200, wanted));
    assert_eq!(dead().await["jti"], name, "it is dead still");
    Browser::new(&server).tokens("alice", &request()).await;
    let waits = retry(one).await;
    assert_eq!(waits.status, 200, "{}", waits.body);
    let back = told(&fetch(&server, &token, &id, json!({})).await);
    assert_eq!(back, waiting);
}
