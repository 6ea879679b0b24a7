//! What was exchanged dies with whatever it came from.

use reqwest::Method;
use serde_json::{Value, json};

use super::world::{Asked, SAFE, STOCK, claims, client, furnish, own_token, signed_in};
use crate::browser::{Browser, request};
use crate::harness::{Answer, Server};
use crate::on_both_engines;

on_both_engines! {
    whatever_is_taken_back_takes_its_descendants_along
    every_other_node_refuses_descendants_within_a_second
    what_was_taken_back_is_exchanged_for_nothing
    a_derived_token_is_taken_back_alone
    what_was_exchanged_for_a_refresh_token_dies_with_its_key
}

/// A token, what came of it, and what came of that in another format.
struct Chain {
    root: Answer,
    actor: String,
    derived: Vec<String>,
}

async fn chain(server: &Server, root: Answer) -> Chain {
    let actor = own_token(server, "orders-api").await;
    let first = Asked::of("access_token", &root.text("access_token"))
        .acting("access_token", &actor)
        .with("resource", STOCK)
        .token(server, "orders-api")
        .await;
    let second = Asked::of("access_token", &first)
        .with("resource", SAFE)
        .token(server, "orders-api")
        .await;
    Chain {
        root,
        actor,
        derived: vec![first, second],
    }
}

/// The id of something of alice's, by the admin API.
async fn id_of(server: &Server, what: &str) -> String {
    let list = server
        .admin(Method::GET, &format!("/admin/v1/{what}?user=alice"), None)
        .await;
    let list = list.json();
    let live = |item: &&Value| {
        ["ended", "withdrawn"]
            .iter()
            .all(|name| item.get(name).is_none_or(Value::is_null))
    };
    let found = list["items"].as_array().unwrap().iter().find(live);
    found.unwrap_or_else(|| panic!("{list}"))["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn whatever_is_taken_back_takes_its_descendants_along(server: Server) {
    furnish(&server).await;
    let mut plain = request();
    plain.insert("scope".into(), "openid read:orders".into());
    for what in [
        "token", "actor", "family", "grant", "session", "subject", "client", "holder",
    ] {
        let request = if what == "session" {
            plain.clone()
        } else {
            request()
        };
        let root = Browser::new(&server).tokens("alice", &request).await;
        let chain = chain(&server, root).await;
        let bystander = signed_in(&server, "bob").await.text("access_token");
        for token in &chain.derived {
            assert!(server.is_active(token).await, "{what}");
        }

        let revocation = match what {
            "token" => json!({ "token": chain.root.text("access_token") }),
            "actor" => json!({ "token": chain.actor }),
            "family" => json!({ "token": chain.root.text("refresh_token") }),
            "grant" => json!({ "grant": id_of(&server, "grants").await }),
            "session" => json!({ "session": claims(&chain.root.text("id_token"))["sid"] }),
            "subject" => json!({ "subject": "alice" }),
            "client" => json!({ "client": "web" }),
            _ => json!({ "client": "orders-api" }),
        };
        let answer = server
            .admin(Method::POST, "/admin/v1/revoke", Some(revocation))
            .await;

        assert_eq!(answer.status, 204, "{what}: {}", answer.body);
        for (depth, token) in chain.derived.iter().enumerate() {
            assert!(!server.is_active(token).await, "{what}, {depth} steps away");
            let again = Asked::of("access_token", token)
                .by(&server, "orders-api")
                .await;
            assert_eq!(again.refusal(), "invalid_request", "{what}");
        }
        assert_eq!(
            server.is_active(&bystander).await,
            what != "client",
            "{what}"
        );
    }
}

async fn every_other_node_refuses_descendants_within_a_second(server: Server) {
    let Some(other) = server.second_node().await else {
        return;
    };
    furnish(&server).await;
    let root = signed_in(&server, "alice").await;
    let chain = chain(&server, root).await;
    let last = &chain.derived[1];
    assert!(other.is_active(last).await);

    let revocation = json!({ "token": chain.root.text("access_token") });
    server
        .admin(Method::POST, "/admin/v1/revoke", Some(revocation))
        .await;

    let mut tries = 0;
    while other.is_active(last).await {
        tries += 1;
        assert!(tries < 100, "five times a second were not enough");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Attack: G192
async fn what_was_taken_back_is_exchanged_for_nothing(server: Server) {
    furnish(&server).await;
    let tokens = signed_in(&server, "alice").await;
    let asked = Asked::of("access_token", &tokens.text("access_token"));
    assert_eq!(asked.by(&server, "web").await.status, 200);

    server
        .form("/revoke", "web", &[("token", &tokens.text("access_token"))])
        .await;

    let answer = asked.by(&server, "web").await;
    assert_eq!(
        (answer.status, &*answer.refusal()),
        (400, "invalid_request")
    );
    client(
        &server,
        "web",
        json!({ "exchange": { "accepts": ["refresh_token"] } }),
    )
    .await;
    let refresh = Asked::of("refresh_token", &tokens.text("refresh_token"));
    assert_eq!(refresh.by(&server, "web").await.status, 200);
    server
        .form(
            "/revoke",
            "web",
            &[("token", &tokens.text("refresh_token"))],
        )
        .await;
    assert_eq!(
        refresh.by(&server, "web").await.refusal(),
        "invalid_request"
    );
}

async fn a_derived_token_is_taken_back_alone(server: Server) {
    furnish(&server).await;
    let root = signed_in(&server, "alice").await;
    let chain = chain(&server, root).await;

    let revoked = server
        .form("/revoke", "orders-api", &[("token", &chain.derived[0])])
        .await;

    assert_eq!(revoked.status, 200);
    assert!(!server.is_active(&chain.derived[0]).await);
    assert!(
        !server.is_active(&chain.derived[1]).await,
        "what came of it"
    );
    assert!(
        server.is_active(&chain.root.text("access_token")).await,
        "what it came from"
    );
}

async fn what_was_exchanged_for_a_refresh_token_dies_with_its_key(server: Server) {
    furnish(&server).await;
    let accepts = json!({ "exchange": { "accepts": ["access_token", "refresh_token"] } });
    client(&server, "web", accepts).await;
    let tokens = signed_in(&server, "alice").await;
    let derived = Asked::of("refresh_token", &tokens.text("refresh_token"))
        .token(&server, "web")
        .await;
    let again = Asked::of("access_token", &derived)
        .token(&server, "web")
        .await;
    let keys = server
        .admin(Method::GET, "/admin/v1/keys", None)
        .await
        .json();
    let of = |purpose: &str| {
        let mut all = keys["items"].as_array().unwrap().iter();
        let own = all.find(|key| key["purpose"] == purpose && key["state"] == "active");
        own.unwrap()["kid"].as_str().unwrap().to_owned()
    };
    let distrust = async |kid: String| {
        let path = format!("/admin/v1/keys/{kid}/distrust");
        let done = server.admin(Method::POST, &path, None).await;
        assert_eq!(done.status, 200, "{}", done.body);
    };
    distrust(of("access-token")).await;
    assert!(server.is_active(&derived).await, "another key's");

    distrust(of("refresh-token")).await;

    assert!(!server.is_active(&derived).await);
    assert!(!server.is_active(&again).await);
}
