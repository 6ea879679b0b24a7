//! A receiver that waits for events, and loses meanwhile what let it ask.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::stream::{fetched, poll, receiver};
use super::{admin, machine, token_of};
use crate::harness::Server;
use crate::on_both_engines;

on_both_engines! {
    whoever_waits_is_told_nothing_once_the_token_is_taken_back
    whoever_waits_is_told_nothing_once_the_client_is_disabled
    whoever_waits_is_told_nothing_once_the_scope_is_taken
    whoever_waits_is_told_that_the_stream_is_gone
}

/// What somebody who waits is answered, while something happens.
async fn answered(server: &Server, happens: impl Future<Output = ()>) -> u16 {
    machine(server, "watcher", "ssf.manage").await;
    let token = token_of(server, "watcher").await;
    let id = fetched(server, &token).await;
    let began = Instant::now();
    let waiting = poll(server, &token, &id, json!({ "returnImmediately": false }));
    let later = async {
        sleep(Duration::from_millis(300)).await;
        happens.await;
    };
    let (answer, ()) = tokio::join!(waiting, later);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "it went on waiting"
    );
    answer.status
}

async fn whoever_waits_is_told_nothing_once_the_token_is_taken_back(server: Server) {
    let taking_back = async {
        let body = Some(json!({ "client": "watcher" }));
        admin(&server, Method::POST, "revoke", body).await;
    };
    assert_eq!(answered(&server, taking_back).await, 401);
}

async fn whoever_waits_is_told_nothing_once_the_client_is_disabled(server: Server) {
    let disabling = async {
        admin(&server, Method::POST, "clients/watcher/disable", None).await;
    };
    assert_eq!(answered(&server, disabling).await, 401);
}

async fn whoever_waits_is_told_nothing_once_the_scope_is_taken(server: Server) {
    let taking = async {
        let none = Some(json!({ "scopes": [] }));
        admin(&server, Method::PATCH, "clients/watcher", none).await;
    };
    assert_eq!(answered(&server, taking).await, 403);
}

async fn whoever_waits_is_told_that_the_stream_is_gone(server: Server) {
    let token = receiver(&server).await;
    let id = fetched(&server, &token).await;
    let waiting = poll(&server, &token, &id, json!({ "returnImmediately": false }));
    let deleting = async {
        sleep(Duration::from_millis(300)).await;
        let request = server.request(Method::DELETE, &format!("/ssf/streams?stream_id={id}"));
        let answer = request.bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.status(), 204);
    };
    let (answer, ()) = tokio::join!(waiting, deleting);
    assert_eq!(answer.status, 404);
}
