//! joserfc and Authlib check what is sent: logout tokens and security events.
//!
//! Spec: OpenID Connect Back-Channel Logout 1.0 §2.6
//! Spec: RFC 8417 §2

use reqwest::Method;
use serde_json::json;
use symbolon_testkit::Peer;

use super::admin;
use super::inbox::Inbox;
use super::stream::{pushed, receiver};
use crate::browser::{Browser, request};
use crate::harness::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joserfc_and_authlib_take_what_receivers_are_sent() {
    let server = Server::on_sqlite().await;
    let (logouts, events) = (Inbox::open().await, Inbox::open().await);
    let token = receiver(&server).await;
    pushed(&server, &token, &events).await;
    let uri = json!({ "backchannel_logout_uri": format!("{}/out", logouts.url) });
    admin(&server, Method::PATCH, "clients/web", Some(uri)).await;
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    let mut peer = Peer::start("signals_peer.py");
    let keys = server.get("/.well-known/jwks.json").await.json();

    admin(&server, Method::POST, "users/alice/disable", None).await;

    let logout = logouts.wait_for(1).await[0].logout_token();
    let read = peer.ask(&json!({
        "do": "logout", "token": logout, "keys": keys, "iss": server.name(), "aud": "web",
        "id_token": tokens.text("id_token"),
    }));
    assert_eq!(read["problems"], json!([]), "{read}");
    for letter in events.wait_for(2).await {
        let read = peer.ask(&json!({
            "do": "event", "token": letter.body, "keys": keys, "iss": server.name(), "aud": "web",
        }));
        assert_eq!(read["problems"], json!([]), "{read}");
    }
    let (signed, signature) = logout.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let changed = format!("{signed}.{first}{}", &signature[1..]);
    let read = peer.ask(&json!({
        "do": "logout", "token": changed, "keys": keys, "iss": server.name(), "aud": "web",
        "id_token": tokens.text("id_token"),
    }));
    assert_ne!(read["problems"], json!([]), "it does check");
}
