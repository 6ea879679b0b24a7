//! A client is disabled by a node that stops amid it: whoever goes on ends the
//! keys that are left, however few or many they are.

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_server::app::App;
use symbolon_server::testing::{crowd, disable_in_part, purge, withdraw_all};

use super::{done, is_good, make, set};
use crate::harness::Server;
use crate::on_both_engines;

on_both_engines! {
    who_disables_again_ends_what_is_left_of_a_great_many
    who_disables_again_ends_what_is_left_where_that_is_little
    a_client_that_goes_on_takes_nothing_along_that_was_left
    a_file_that_is_read_again_ends_what_is_left
    a_file_that_lets_a_client_go_on_ends_what_was_left
    a_client_with_keys_alone_ends_with_them
}

const JOB: &str = "/admin/v1/clients/job";
const DAY: u64 = 24 * 60 * 60;

fn app(server: &Server) -> &App {
    &server.running.as_ref().unwrap().app
}

/// A key of a client that a great many people use, and that was disabled by a
/// node that stopped then.
async fn interrupted(server: &Server) -> String {
    let (id, _) = make(server, json!({ "expires": "never" })).await;
    let job = "job".parse().unwrap();
    crowd(app(server), &job).await;
    disable_in_part(app(server), &job).await;
    assert_eq!(status(server, &id).await, "live");
    id
}

/// All others are gone, and forgotten.
async fn forget_others(server: &Server) {
    withdraw_all(app(server), &"job".parse().unwrap()).await;
    server.advance(2 * DAY);
    for _ in 0..2 {
        purge(app(server)).await;
    }
}

async fn status(server: &Server, id: &str) -> Value {
    let key = done(server, Method::GET, &format!("/{id}"), Value::Null).await;
    key["status"].clone()
}

async fn tell(server: &Server, what: &str) {
    let path = format!("{JOB}/{what}");
    set(server, Method::POST, &path, Value::Null).await;
}

async fn who_disables_again_ends_what_is_left_of_a_great_many(server: Server) {
    let id = interrupted(&server).await;

    tell(&server, "disable").await;

    assert_eq!(status(&server, &id).await, "revoked");
}

async fn who_disables_again_ends_what_is_left_where_that_is_little(server: Server) {
    let id = interrupted(&server).await;
    forget_others(&server).await;

    tell(&server, "disable").await;

    assert_eq!(status(&server, &id).await, "revoked");
}

async fn a_client_that_goes_on_takes_nothing_along_that_was_left(server: Server) {
    let id = interrupted(&server).await;
    forget_others(&server).await;
    server.advance(400 * DAY);
    purge(app(&server)).await;

    tell(&server, "enable").await;

    assert_eq!(status(&server, &id).await, "revoked");
    let (_, key) = make(&server, json!({})).await;
    assert!(is_good(&server, &key).await, "what comes later is good");
}

async fn a_file_that_is_read_again_ends_what_is_left(server: Server) {
    let id = interrupted(&server).await;
    forget_others(&server).await;
    let stopped = "id = \"job\"\nenabled = false\nenforce = true\n";
    let config = server.changed(|text| text.replace("id = \"job\"\n", stopped));

    let running = server.running.as_ref().unwrap();
    running.reload(&config).await.unwrap();

    assert_eq!(status(&server, &id).await, "revoked");
}

async fn a_file_that_lets_a_client_go_on_ends_what_was_left(server: Server) {
    let id = interrupted(&server).await;
    let let_go_on = "id = \"job\"\nenabled = true\nenforce = true\n";
    let config = server.changed(|text| text.replace("id = \"job\"\n", let_go_on));

    let running = server.running.as_ref().unwrap();
    running.reload(&config).await.unwrap();

    assert_eq!(status(&server, &id).await, "revoked");
    let (_, key) = make(&server, json!({})).await;
    assert!(is_good(&server, &key).await, "what comes later is good");
}

async fn a_client_with_keys_alone_ends_with_them(server: Server) {
    let (id, key) = make(&server, json!({})).await;

    tell(&server, "disable").await;
    tell(&server, "enable").await;

    assert_eq!(status(&server, &id).await, "revoked");
    assert!(!is_good(&server, &key).await);
}
