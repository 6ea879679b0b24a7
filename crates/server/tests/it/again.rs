//! An API that was deleted and made again under its identifier is another one:
//! what was said of the first says nothing of it, however long ago that was.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api_key::{call, make};
use crate::browser::{Browser, redemption, request, response};
use crate::exchange::world::{Asked, EXCHANGE, client as client_of};
use crate::harness::{CALLBACK, ORDERS, Server, VAULT};
use crate::on_both_engines;
use crate::setting::{NORTH, SOUTH, by};

on_both_engines! {
    a_consent_is_none_to_an_api_that_was_made_again
    a_key_is_good_at_no_api_that_was_made_again
    a_key_that_is_replaced_or_enabled_is_good_at_no_api_that_was_made_again
    a_key_is_good_at_an_api_that_came_after_it_once_it_names_it
    a_key_that_names_an_api_that_was_made_again_is_good_there
    a_code_opens_no_api_that_was_made_again
}

/// An API that nobody had before.
const NEW: &str = "https://new.example.com";
/// Longer than anything that expires.
const YEARS: u64 = 3 * 365 * 24 * 60 * 60;

/// Deletes an API, and makes another of its name with the same scope.
async fn make_again(server: &Server, identifier: &str, scope: &str) {
    let path = format!("/admin/v1/resources/{}", identifier.replace('/', "%2F"));
    let deleted = server.admin(Method::DELETE, &path, None).await;
    assert!(deleted.status < 300, "{}", deleted.body);
    let body = json!({
        "identifier": identifier, "scopes": [scope], "introspection_client": "orders-api",
    });
    let made = server
        .admin(Method::POST, "/admin/v1/resources", Some(body))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
}

/// Until every record of what was taken back is gone.
async fn forget(server: &Server) {
    server.advance(YEARS);
    let app = &server.running.as_ref().unwrap().app;
    for _ in 0..2 {
        symbolon_server::testing::purge(app).await;
    }
    server.catch_up().await;
}

/// What comes of asking without any page.
async fn silently(browser: &mut Browser<'_>, place: &str) -> String {
    let pairs = [("scope", "read"), ("resource", place), ("prompt", "none")];
    let response = response(&browser.authorize(&by("both", &pairs)).await);
    let error = response.get("error").cloned();
    error.unwrap_or_else(|| "agreed".to_owned())
}

async fn a_consent_is_none_to_an_api_that_was_made_again(server: Server) {
    let mut browser = Browser::new(&server);
    for place in [NORTH, SOUTH] {
        let asked = by("both", &[("scope", "read"), ("resource", place)]);
        browser.code("alice", &asked).await;
        assert_eq!(silently(&mut browser, place).await, "agreed");
    }

    make_again(&server, NORTH, "read").await;

    assert_eq!(silently(&mut browser, NORTH).await, "consent_required");
    assert_eq!(silently(&mut browser, SOUTH).await, "agreed");

    forget(&server).await;
    // Signs in, and agrees to nothing.
    let asked = by("both", &[("scope", "read"), ("resource", SOUTH)]);
    browser.code("alice", &asked).await;

    assert_eq!(silently(&mut browser, NORTH).await, "consent_required");
    assert_eq!(silently(&mut browser, SOUTH).await, "agreed");
    let asked = by("both", &[("scope", "read"), ("resource", NORTH)]);
    browser.code("alice", &asked).await;
    for place in [NORTH, SOUTH] {
        assert_eq!(silently(&mut browser, place).await, "agreed");
    }
}

async fn a_key_is_good_at_no_api_that_was_made_again(server: Server) {
    let (_, key) = make(&server, json!({ "expires": "never" })).await;
    let is_active = async |reader| server.introspect(reader, &key).await["active"].clone();
    for reader in ["orders-api", "vault-api"] {
        assert_eq!(is_active(reader).await, true, "{reader}");
    }

    make_again(&server, ORDERS, "read:orders").await;

    for _ in 0..2 {
        assert_eq!(is_active("orders-api").await, Value::Bool(false));
        assert_eq!(is_active("vault-api").await, true, "the other one stands");
        forget(&server).await;
    }
    let (_, later) = make(&server, json!({})).await;
    let told = server.introspect("orders-api", &later).await;
    assert_eq!(told["active"], true, "{told}");
}

async fn a_key_that_is_replaced_or_enabled_is_good_at_no_api_that_was_made_again(server: Server) {
    let (rotated, _) = make(&server, json!({ "expires": "never" })).await;
    let (stopped, key) = make(&server, json!({ "expires": "never" })).await;
    let (narrow, _) = make(
        &server,
        json!({ "resources": [ORDERS], "scopes": ["read:orders"] }),
    )
    .await;
    make_again(&server, ORDERS, "read:orders").await;

    let path = format!("/{rotated}/rotate");
    let next = call(&server, Method::POST, &path, json!({})).await;
    for verb in ["disable", "enable"] {
        let path = format!("/{stopped}/{verb}");
        let answer = call(&server, Method::POST, &path, Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    for key in [next.text("key"), key] {
        let told = server.introspect("orders-api", &key).await;
        assert_eq!(told["active"], false, "{told}");
        let told = server.introspect("vault-api", &key).await;
        assert_eq!(told["active"], true, "{told}");
    }
    // Nothing would be left of it.
    let path = format!("/{narrow}/rotate");
    let refused = call(&server, Method::POST, &path, json!({})).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
}

async fn a_key_is_good_at_an_api_that_came_after_it_once_it_names_it(server: Server) {
    let (id, key) = make(&server, json!({})).await;
    let (other, _) = make(&server, json!({})).await;
    let gone = call(&server, Method::DELETE, &format!("/{other}"), Value::Null).await;
    assert_eq!(gone.status, 204, "the feed goes on: {}", gone.body);
    let body = json!({
        "identifier": NEW, "scopes": ["read:vault"], "introspection_client": "orders-api",
    });
    let made = server
        .admin(Method::POST, "/admin/v1/resources", Some(body))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let all = json!({ "resources": [ORDERS, VAULT, NEW] });
    let client = server
        .admin(Method::PATCH, "/admin/v1/clients/job", Some(all.clone()))
        .await;
    assert_eq!(client.status, 200, "{}", client.body);

    let named = call(&server, Method::PATCH, &format!("/{id}"), all).await;

    assert_eq!(named.status, 200, "{}", named.body);
    assert!(named.json().get("named").is_none());
    let told = server.introspect("orders-api", &key).await;
    assert_eq!(told["active"], true, "{told}");
    let asked = Asked::of("api_key", &key).with("resource", NEW);
    let policy = json!({
        "grants": ["client_credentials", EXCHANGE], "exchange": { "accepts": ["api_key"] },
    });
    client_of(&server, "job", policy).await;
    let token = asked.by(&server, "job").await;
    assert_eq!(token.text("scope"), "read:vault", "{}", token.body);
}

async fn a_key_that_names_an_api_that_was_made_again_is_good_there(server: Server) {
    for resources in [json!([ORDERS]), json!([ORDERS, VAULT])] {
        let (id, key) = make(
            &server,
            json!({ "scopes": ["read:orders"], "resources": resources }),
        )
        .await;
        make_again(&server, ORDERS, "read:orders").await;
        assert_eq!(server.introspect("orders-api", &key).await["active"], false);

        let named = json!({ "resources": resources });
        let named = call(&server, Method::PATCH, &format!("/{id}"), named).await;

        assert_eq!(named.status, 200, "{}", named.body);
        let told = server.introspect("orders-api", &key).await;
        assert_eq!(told["active"], true, "{told}");
        make_again(&server, ORDERS, "read:orders").await;
        assert_eq!(server.introspect("orders-api", &key).await["active"], false);
    }
}

async fn a_code_opens_no_api_that_was_made_again(server: Server) {
    let mut asked = request();
    asked.insert(
        "scope".into(),
        "offline_access read:orders read:vault".into(),
    );
    let code = Browser::new(&server).code("alice", &asked).await;
    make_again(&server, ORDERS, "read:orders").await;
    let mut form = redemption(&code, CALLBACK);
    form.push(("resource", VAULT));
    let tokens = server.token("web", &form).await;
    assert_eq!(tokens.status, 200, "{}", tokens.body);

    let refresh = tokens.text("refresh_token");
    let form = |place| {
        [
            ("grant_type", "refresh_token"),
            ("refresh_token", &*refresh),
            ("resource", place),
        ]
    };
    let refused = server.token("web", &form(ORDERS)).await;

    assert_eq!(refused.refusal(), "invalid_target", "{}", refused.body);
    assert_eq!(server.token("web", &form(VAULT)).await.status, 200);
}
