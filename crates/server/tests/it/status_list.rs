//! Status lists, read by libraries that others wrote.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_server::app::Edge;
use symbolon_server::backup::{Existing, back_up, restore};
use symbolon_server::clock::SystemEntropy;
use symbolon_server::testing::purge;
use symbolon_testkit::Peer;

use crate::browser::{Browser, request};
use crate::harness::{Answer, SECRET, Server, read};
use crate::lifecycle::claims;
use crate::on_both_engines;

const LISTED: &str = "https://listed.example.com";

fn configuration() -> String {
    format!(
        r#"
[[resource]]
identifier = "{LISTED}"
scopes = ["read:listed"]
status_list = true

[[client]]
id = "lister"
secret = "{SECRET}"
redirect_uris = ["https://lister.example.com/callback"]
grants = ["client_credentials", "authorization_code", "refresh_token"]
scopes = ["openid", "offline_access", "read:listed", "read:orders"]
resources = ["{LISTED}", "https://orders.example.com"]
default_resource = "{LISTED}"
"#
    )
}

on_both_engines! {
    a_list_says_what_was_taken_back_by_whatever_act
    every_token_has_a_place_of_its_own
    what_is_no_list_is_refused
    a_token_that_needs_no_place_has_none_and_writes_nothing
    a_restore_begins_lists_of_its_own
}

async fn with_lists(server: Server) -> Server {
    match server.carries_nodes() {
        true => Server::on_postgres_with(&configuration()).await,
        false => Server::on_sqlite_with(&configuration()).await,
    }
}

async fn minted(server: &Server) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "read:listed"),
    ];
    let answer = server.token("lister", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.text("access_token")
}

/// The place of a token, and the path of its list.
fn place(server: &Server, token: &str) -> (u64, String) {
    let status = &claims(token)["status"]["status_list"];
    let uri = status["uri"].as_str().expect("a list");
    let path = uri.strip_prefix(&server.name()).expect("a list of ours");
    (status["idx"].as_u64().expect("a place"), path.to_owned())
}

async fn fetched(server: &Server, path: &str) -> Answer {
    let request = server
        .request(Method::GET, path)
        .header("accept", "application/statuslist+jwt");
    read(request.send().await.unwrap()).await
}

/// What the list says of tokens, as others read it.
async fn said(server: &Server, tokens: &[&str]) -> Value {
    let (_, path) = place(server, tokens[0]);
    let list = fetched(server, &path).await;
    assert_eq!(list.status, 200, "{}", list.body);
    assert_eq!(
        list.header("content-type"),
        Some("application/statuslist+jwt")
    );
    let places: Vec<u64> = tokens.iter().map(|own| place(server, own).0).collect();
    let keys = server.get("/.well-known/jwks.json").await.json();
    let mut peer = Peer::start("status_list_peer.py");
    let told = peer.ask(&json!({ "list": list.body, "keys": keys, "idx": places }));
    assert_eq!(told["header"]["typ"], "statuslist+jwt");
    assert_eq!(told["claims"]["sub"], format!("{}{path}", server.name()));
    let claims = &told["claims"];
    assert!(claims["exp"].as_i64() > claims["iat"].as_i64());
    assert!(claims["ttl"].as_u64().is_some_and(|ttl| ttl <= 10));
    told
}

async fn a_list_says_what_was_taken_back_by_whatever_act(server: Server) {
    let server = with_lists(server).await;
    let mut asked = request();
    for (name, value) in [
        ("client_id", "lister"),
        ("redirect_uri", "https://lister.example.com/callback"),
        ("scope", "openid offline_access read:listed"),
    ] {
        asked.insert(name.to_owned(), value.to_owned());
    }
    let of_person = |answer: Answer| answer.text("access_token");
    let alice = of_person(Browser::new(&server).tokens("alice", &asked).await);
    let (first, second) = (minted(&server).await, minted(&server).await);
    let all = [alice.as_str(), &first, &second];
    assert_eq!(said(&server, &all).await["statuses"], json!([0, 0, 0]));

    let taken = server.form("/revoke", "lister", &[("token", &first)]).await;
    assert_eq!(taken.status, 200);
    server.advance(2);
    assert_eq!(said(&server, &all).await["statuses"], json!([0, 1, 0]));

    let person = server
        .admin(Method::GET, "/admin/v1/users/alice", None)
        .await
        .json();
    let person = person["id"].as_str().unwrap().to_owned();
    let revoked = server
        .admin(
            Method::POST,
            "/admin/v1/revoke",
            Some(json!({ "subject": person })),
        )
        .await;
    assert!(revoked.status < 300, "{}", revoked.body);
    server.advance(2);
    assert_eq!(said(&server, &all).await["statuses"], json!([1, 1, 0]));

    let revoked = server
        .admin(
            Method::POST,
            "/admin/v1/revoke",
            Some(json!({ "client": "lister" })),
        )
        .await;
    assert!(revoked.status < 300, "{}", revoked.body);
    server.advance(2);
    assert_eq!(said(&server, &all).await["statuses"], json!([1, 1, 1]));
    let later = minted(&server).await;
    assert_eq!(said(&server, &[&later]).await["statuses"], json!([0]));

    // By the clock of whoever reads the list they may be good for a while yet.
    server.advance(620);
    purge(&server.running.as_ref().unwrap().app).await;
    assert_eq!(said(&server, &all).await["statuses"], json!([1, 1, 1]));
}

async fn every_token_has_a_place_of_its_own(server: Server) {
    let server = with_lists(server).await;
    let other = server.second_node().await;
    let other = other.as_ref().unwrap_or(&server);
    let mut places = Vec::new();
    for _ in 0..300 {
        places.push(place(&server, &minted(&server).await).0);
        places.push(place(other, &minted(other).await).0);
    }
    let in_order = places.windows(2).filter(|two| two[0] < two[1]).count();
    assert!((150..450).contains(&in_order), "{in_order} of 599 in order");
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 600);
    assert!(places.iter().all(|place| *place < 1 << 16));
}

async fn what_is_no_list_is_refused(server: Server) {
    let server = with_lists(server).await;
    assert_eq!(fetched(&server, "/status/0").await.status, 404);
    minted(&server).await;
    server.advance(2);
    assert_eq!(fetched(&server, "/status/0").await.status, 200);
    for path in [
        "/status/1",
        "/status/00",
        "/status/-1",
        "/status/+0",
        "/status/x",
        "/status/9223372036854775808",
    ] {
        assert_eq!(fetched(&server, path).await.status, 404, "{path}");
    }
    assert_eq!(fetched(&server, "/status/0?time=1").await.status, 501);
    let request = server.request(Method::GET, "/status/0");
    let refused = request.header("accept", "application/statuslist+cwt");
    assert_eq!(refused.send().await.unwrap().status(), 406);
}

/// A backup does not know what was taken back after it was made: a list of
/// before would say that such a token is good, and give its place to another.
async fn a_restore_begins_lists_of_its_own(server: Server) {
    let mut server = with_lists(server).await;
    let other = server.second_node().await;
    let edge = Edge {
        clock: Arc::clone(&server.clock) as _,
        entropy: Arc::new(SystemEntropy),
    };
    let (config, file) = (
        server.changed(|text| text),
        server.folder.join("one.backup"),
    );
    if server.carries_nodes() {
        back_up(&config, &edge, &file).await.unwrap();
    }
    let before = minted(&server).await;
    if let Some(other) = &other {
        minted(other).await;
    }
    server
        .form("/revoke", "lister", &[("token", &before)])
        .await;
    server.advance(2);
    assert_eq!(said(&server, &[&before]).await["statuses"], json!([1]));

    server.running.take().unwrap().stop().await;
    if !server.carries_nodes() {
        back_up(&config, &edge, &file).await.unwrap();
    }
    restore(&config, &edge, &file, Existing::Delete)
        .await
        .unwrap();
    let again = server.skewed_sibling(0).await;
    let mut nodes = vec![again];
    if let Some(other) = other {
        other.catch_up().await;
        nodes.push(other);
    }

    let (_, old) = place(&server, &before);
    for node in &nodes {
        assert_eq!(fetched(node, &old).await.status, 404);
        let new = minted(node).await;
        assert_ne!(place(node, &new).1, old);
        node.advance(2);
        assert_eq!(said(node, &[&new]).await["statuses"], json!([0]));
    }
}

async fn a_token_that_needs_no_place_has_none_and_writes_nothing(server: Server) {
    let server = with_lists(server).await;
    let before = server.commits();
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "read:orders"),
        ("resource", "https://orders.example.com"),
    ];
    let answer = server.token("lister", &form).await;
    assert!(claims(&answer.text("access_token")).get("status").is_none());
    assert_eq!(server.commits(), before);
    minted(&server).await;
    // A block of places, and the place of the token.
    assert_eq!(server.commits() - before, 2);
    minted(&server).await;
    assert_eq!(server.commits() - before, 3);
}
