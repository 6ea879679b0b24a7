//! What waited for a receiver is told only if it could be told now: who was
//! taken out, left, or lost a right meanwhile is not spoken of, or not told.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::inbox::{Inbox, Letter};
use super::stream::{ask, fetched, poll, pushed, receiver};
use super::{admin, claims};
use crate::browser::{Browser, request};
use crate::harness::Server;
use crate::on_both_engines;

on_both_engines! {
    who_was_taken_out_is_not_spoken_of_in_what_waited
    who_withdrew_what_they_allowed_is_not_spoken_of_in_what_waited
    what_a_stream_asks_for_no_more_is_not_told_to_it
    a_client_that_lost_the_scope_for_streams_is_told_nothing
    what_waits_to_be_fetched_is_asked_again_too
    what_is_withheld_keeps_nothing_back_that_waits_behind_it
    a_stream_that_is_paused_meanwhile_gets_no_more_of_what_is_being_sent
    who_was_deleted_is_told_of_to_whom_knew_them
    a_client_hears_of_no_session_where_it_no_longer_wants_to
}

const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type";

pub(super) async fn revoke(server: &Server, who: &str) {
    let body = Some(json!({ "subject": who }));
    admin(server, Method::POST, "revoke", body).await;
}

pub(super) async fn withdraw(server: &Server) {
    let list = admin(server, Method::GET, "grants?client=web", None).await;
    for grant in list.json()["items"].as_array().unwrap() {
        let path = format!("grants/{}", grant["id"].as_str().unwrap());
        admin(server, Method::DELETE, &path, None).await;
    }
}

async fn take_out(server: &Server, (token, id): &(String, String)) {
    let alice = json!({ "format": "email", "email": "alice@example.com" });
    let body = json!({ "stream_id": id, "subject": alice });
    let path = "/ssf/subjects/remove";
    let answer = ask(server, Method::POST, path, token, body).await;
    assert_eq!(answer.status, 204);
}

/// A receiver that is away, while `alice` is taken back; its token and stream.
async fn away(server: &Server, inbox: &Inbox) -> (String, String) {
    let token = receiver(server).await;
    let id = pushed(server, &token, inbox).await;
    Browser::new(server).tokens("alice", &request()).await;
    inbox.answer(503, "");
    revoke(server, "alice").await;
    while inbox.turned_away() == 0 {
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    (token, id)
}

/// What it takes once it is back.
async fn back(server: &Server, inbox: &Inbox) -> Vec<Letter> {
    back_for(server, inbox, 0).await
}

/// The same, where so many letters have to come.
async fn back_for(server: &Server, inbox: &Inbox, count: usize) -> Vec<Letter> {
    inbox.answer(200, "");
    server.advance(600);
    inbox.wait_for(count).await;
    inbox.settle().await
}

async fn who_was_taken_out_is_not_spoken_of_in_what_waited(server: Server) {
    let inbox = Inbox::open().await;
    let own = away(&server, &inbox).await;

    take_out(&server, &own).await;

    assert!(back(&server, &inbox).await.is_empty());
}

async fn who_withdrew_what_they_allowed_is_not_spoken_of_in_what_waited(server: Server) {
    let inbox = Inbox::open().await;
    away(&server, &inbox).await;
    server.advance(1);

    withdraw(&server).await;

    assert!(back(&server, &inbox).await.is_empty());
}

async fn what_a_stream_asks_for_no_more_is_not_told_to_it(server: Server) {
    let inbox = Inbox::open().await;
    let (token, id) = away(&server, &inbox).await;

    let events = json!([format!("{CAEP}/credential-change")]);
    let change = json!({ "stream_id": id, "events_requested": events });
    let patched = ask(&server, Method::PATCH, "/ssf/streams", &token, change).await;

    assert_eq!(patched.status, 200, "{}", patched.body);
    assert!(back(&server, &inbox).await.is_empty());
}

async fn a_client_that_lost_the_scope_for_streams_is_told_nothing(server: Server) {
    let inbox = Inbox::open().await;
    away(&server, &inbox).await;

    let scopes = json!({ "scopes": ["openid"], "optional_scopes": [] });
    admin(&server, Method::PATCH, "clients/web", Some(scopes)).await;

    assert!(back(&server, &inbox).await.is_empty());
}

async fn what_waits_to_be_fetched_is_asked_again_too(server: Server) {
    let token = receiver(&server).await;
    let id = fetched(&server, &token).await;
    Browser::new(&server).tokens("alice", &request()).await;
    revoke(&server, "alice").await;
    let sets = async || {
        let answer = poll(&server, &token, &id, json!({})).await.json();
        answer["sets"].as_object().unwrap().len()
    };
    assert_eq!(sets().await, 1);

    take_out(&server, &(token.clone(), id.clone())).await;

    assert_eq!(sets().await, 0);
}

async fn what_is_withheld_keeps_nothing_back_that_waits_behind_it(server: Server) {
    let token = receiver(&server).await;
    let id = fetched(&server, &token).await;
    for who in ["alice", "alice", "bob"] {
        Browser::new(&server).tokens(who, &request()).await;
        revoke(&server, who).await;
    }
    take_out(&server, &(token.clone(), id.clone())).await;

    let one = poll(&server, &token, &id, json!({ "maxEvents": 1 })).await;

    let one = one.json();
    assert_eq!(one["sets"].as_object().unwrap().len(), 1, "{one}");
    assert_eq!(one["moreAvailable"], false);
    let whole = poll(&server, &token, &id, json!({})).await.json();
    assert_eq!(whole["sets"], one["sets"]);
}

async fn a_stream_that_is_paused_meanwhile_gets_no_more_of_what_is_being_sent(server: Server) {
    let inbox = Inbox::open().await;
    let (token, id) = away(&server, &inbox).await;
    Browser::new(&server).tokens("bob", &request()).await;
    revoke(&server, "bob").await;
    inbox.hold();
    server.advance(60);
    inbox.wait_until_held().await;

    let body = json!({ "stream_id": id, "status": "paused" });
    let paused = ask(&server, Method::POST, "/ssf/status", &token, body).await;

    assert_eq!(paused.status, 200, "{}", paused.body);
    inbox.let_go();
    inbox.wait_for(1).await;
    assert_eq!(inbox.settle().await.len(), 1);
}

/// What ended a consent is told to whom it was given.
async fn who_was_deleted_is_told_of_to_whom_knew_them(server: Server) {
    let inbox = Inbox::open().await;
    away(&server, &inbox).await;
    server.advance(1);

    admin(&server, Method::DELETE, "users/alice", None).await;

    let letters = back_for(&server, &inbox, 2).await;
    let told = letters.iter().map(|letter| claims(&letter.body));
    let names = told.map(|is| is["events"].as_object().unwrap().keys().next().cloned());
    let names: Vec<String> = names.map(Option::unwrap).collect();
    let purged = "https://schemas.openid.net/secevent/risc/event-type/account-purged";
    assert_eq!(
        names,
        [purged.to_owned(), format!("{CAEP}/session-revoked")]
    );
}

async fn a_client_hears_of_no_session_where_it_no_longer_wants_to(server: Server) {
    let inbox = Inbox::open().await;
    let at = |uri: Value| Some(json!({ "backchannel_logout_uri": uri }));
    let uri = json!(format!("{}/web", inbox.url));
    admin(&server, Method::PATCH, "clients/web", at(uri)).await;
    Browser::new(&server).tokens("alice", &request()).await;
    inbox.answer(503, "");
    revoke(&server, "alice").await;
    while inbox.turned_away() == 0 {
        tokio::time::sleep(Duration::from_millis(25)).await;
    }

    admin(&server, Method::PATCH, "clients/web", at(Value::Null)).await;

    assert!(back(&server, &inbox).await.is_empty());
}
