//! Tokens that are exchanged after something was taken from whoever holds them:
//! nothing comes of them that their holder may not have now.

use reqwest::Method;
use serde_json::{Value, json};

use super::world::{Asked, EXCHANGE, STOCK, client, furnish};
use crate::browser::{Browser, request};
use crate::harness::{ORDERS, SECRET, Server, VAULT};
use crate::macaroon::{DESK, minted};
use crate::on_both_engines;

on_both_engines! {
    a_scope_that_was_taken_from_its_holder_is_not_exchanged
    a_scope_that_was_taken_from_its_api_is_not_exchanged
    a_token_for_an_api_that_was_taken_from_its_holder_is_not_exchanged
    a_refresh_token_carries_nothing_out_of_an_api_that_was_taken
    a_refresh_token_is_good_at_no_api_that_was_made_again
    a_token_for_an_api_of_another_organization_is_good_nowhere
    a_client_without_an_organization_acts_for_none
    a_caveat_is_made_for_what_the_client_may_still_have
}

/// The API whose tokens come in.
const DEED: &str = "https://deed.example.com";

async fn set(server: &Server, method: Method, path: &str, body: Value) {
    let path = format!("/admin/v1/{path}");
    let answer = server.admin(method, &path, Some(body)).await;
    assert!(answer.status < 300, "{path}: {}", answer.body);
}

async fn resource(server: &Server, identifier: &str, patch: Value) {
    let path = format!("resources/{}", identifier.replace('/', "%2F"));
    set(server, Method::PATCH, &path, patch).await;
}

/// A client and an API of which `orders-api` may carry requests on.
async fn furnish_deed(server: &Server) {
    furnish(server).await;
    let api = json!({
        "identifier": DEED, "introspection_client": "vault-api",
        "scopes": ["read:orders", "read:stock"],
    });
    set(server, Method::POST, "resources", api).await;
    let holder = json!({
        "id": "holder", "kind": "service", "secret": SECRET, "grants": ["client_credentials", EXCHANGE],
        "scopes": ["read:orders", "read:stock"], "resources": [DEED, VAULT],
    });
    set(server, Method::POST, "clients", holder).await;
    let policy = json!({ "exchange": { "from": [DEED], "to": [STOCK], "impersonate": true } });
    client(server, "orders-api", policy).await;
}

/// A token that the holder has for itself.
async fn held(server: &Server) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "read:orders read:stock"),
        ("resource", DEED),
    ];
    let answer = server.token("holder", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.text("access_token")
}

/// The scopes that an exchange gives behind that API, or why there are none.
async fn moved(server: &Server, subject: &str) -> String {
    let asked = Asked::of("access_token", subject).with("resource", STOCK);
    let answer = asked.by(server, "orders-api").await;
    match answer.status {
        200 => answer.text("scope"),
        _ => answer.refusal(),
    }
}

async fn a_scope_that_was_taken_from_its_holder_is_not_exchanged(server: Server) {
    furnish_deed(&server).await;
    for format in ["jwt", "opaque"] {
        client(
            &server,
            "holder",
            json!({ "scopes": ["read:orders", "read:stock"] }),
        )
        .await;
        resource(&server, DEED, json!({ "token_format": format })).await;
        let token = held(&server).await;
        assert_eq!(moved(&server, &token).await, "read:orders read:stock");

        client(&server, "holder", json!({ "scopes": ["read:stock"] })).await;

        assert_eq!(moved(&server, &token).await, "read:stock", "{format}");
        let whole = Asked::of("access_token", &token)
            .with("resource", STOCK)
            .with("scope", "read:orders");
        let refused = whole.by(&server, "orders-api").await;
        assert_eq!(refused.refusal(), "invalid_scope", "{format}");
        let told = server.introspect("vault-api", &token).await;
        assert_eq!(told["scope"], "read:stock", "{format}");
    }
}

async fn a_scope_that_was_taken_from_its_api_is_not_exchanged(server: Server) {
    furnish_deed(&server).await;
    for format in ["jwt", "opaque"] {
        let all = json!({ "token_format": format, "scopes": ["read:orders", "read:stock"] });
        resource(&server, DEED, all).await;
        let token = held(&server).await;

        resource(&server, DEED, json!({ "scopes": ["read:stock"] })).await;

        assert_eq!(moved(&server, &token).await, "read:stock", "{format}");
        resource(&server, DEED, json!({ "scopes": [] })).await;
        assert_eq!(moved(&server, &token).await, "invalid_scope", "{format}");
    }
}

async fn a_token_for_an_api_that_was_taken_from_its_holder_is_not_exchanged(server: Server) {
    furnish_deed(&server).await;
    let token = held(&server).await;

    client(&server, "holder", json!({ "resources": [VAULT] })).await;

    assert_eq!(moved(&server, &token).await, "invalid_request");
    client(&server, "holder", json!({ "resources": [DEED] })).await;
    assert_eq!(moved(&server, &token).await, "read:orders read:stock");
}

async fn a_refresh_token_carries_nothing_out_of_an_api_that_was_taken(server: Server) {
    furnish(&server).await;
    resource(&server, STOCK, json!({ "exchange_from": ["web"] })).await;
    let policy = json!({
        "resources": [ORDERS, VAULT, STOCK],
        "exchange": { "accepts": ["refresh_token"], "to": [STOCK] },
    });
    client(&server, "web", policy).await;
    let mut asking = request();
    asking.insert("scope".into(), "offline_access read:orders".into());
    asking.insert("resource".into(), ORDERS.into());
    let tokens = Browser::new(&server).tokens("alice", &asking).await;
    let refresh = tokens.text("refresh_token");
    let asked = Asked::of("refresh_token", &refresh).with("resource", STOCK);
    let answer = asked.by(&server, "web").await;
    assert_eq!(answer.text("scope"), "read:orders", "{}", answer.body);

    let others = json!({ "resources": [VAULT, STOCK], "default_resource": VAULT });
    client(&server, "web", others).await;

    assert_eq!(asked.by(&server, "web").await.refusal(), "invalid_request");
    let told = server.introspect("web", &refresh).await;
    assert_eq!(told["active"], false);
}

async fn a_refresh_token_is_good_at_no_api_that_was_made_again(server: Server) {
    furnish(&server).await;
    // For two APIs, neither of which is the one that it is moved to.
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    resource(&server, STOCK, json!({ "exchange_from": ["web"] })).await;
    let policy = json!({
        "resources": [ORDERS, VAULT, STOCK],
        "exchange": { "accepts": ["refresh_token"], "to": [STOCK] },
    });
    client(&server, "web", policy).await;
    let refresh = tokens.text("refresh_token");
    let asked = Asked::of("refresh_token", &refresh)
        .with("resource", STOCK)
        .with("scope", "read:orders");
    let answer = asked.by(&server, "web").await;
    assert_eq!(answer.text("scope"), "read:orders", "{}", answer.body);

    let path = format!("/admin/v1/resources/{}", ORDERS.replace('/', "%2F"));
    let deleted = server.admin(Method::DELETE, &path, None).await;
    assert!(deleted.status < 300, "{}", deleted.body);
    let again = json!({ "identifier": ORDERS, "introspection_client": "orders-api", "scopes": ["read:orders"] });
    set(&server, Method::POST, "resources", again).await;
    let all = json!({ "resources": [ORDERS, VAULT, STOCK], "default_resource": ORDERS });
    client(&server, "web", all).await;

    let refused = asked.by(&server, "web").await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let told = server.introspect("web", &refresh).await;
    let scope = told["scope"].as_str().unwrap_or_default();
    assert!(!scope.contains("read:orders"), "{told}");
}

async fn a_token_for_an_api_of_another_organization_is_good_nowhere(server: Server) {
    furnish_deed(&server).await;
    let token = held(&server).await;
    let acme = json!({ "organization": "acme" });
    client(&server, "holder", acme.clone()).await;
    assert_eq!(moved(&server, &token).await, "read:orders read:stock");

    resource(&server, DEED, acme).await;

    assert_eq!(moved(&server, &token).await, "invalid_request");
    assert!(!server.is_active(&token).await);
    assert!(server.is_active(&held(&server).await).await);
}

async fn a_client_without_an_organization_acts_for_none(server: Server) {
    furnish_deed(&server).await;
    let acme = json!({ "organization": "acme" });
    client(&server, "holder", acme).await;
    let token = held(&server).await;
    assert!(server.is_active(&token).await);

    client(&server, "holder", json!({ "organization": null })).await;

    assert_eq!(moved(&server, &token).await, "invalid_request");
    assert!(!server.is_active(&token).await);
    assert!(server.is_active(&held(&server).await).await);
}

async fn a_caveat_is_made_for_what_the_client_may_still_have(server: Server) {
    let token = minted(&server, &[]).await;
    let form = [
        ("token", &*token),
        ("require", "approval"),
        ("person", "alice"),
    ];
    let made = server.form("/discharge/caveats", "baker", &form).await;
    assert_eq!(made.status, 200, "{}", made.body);

    let others = json!({ "resources": [DESK], "default_resource": DESK });
    client(&server, "baker", others).await;

    let refused = server.form("/discharge/caveats", "baker", &form).await;
    assert_eq!(refused.refusal(), "invalid_grant");
}
