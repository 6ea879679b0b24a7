//! An API that was deleted and made again under its identifier is another one:
//! what was said of the first says nothing of it, however long ago that was.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api_key::make;
use crate::browser::{Browser, response};
use crate::harness::{ORDERS, Server};
use crate::on_both_engines;
use crate::setting::{NORTH, SOUTH, by};

on_both_engines! {
    a_consent_is_none_to_an_api_that_was_made_again
    a_key_is_good_at_no_api_that_was_made_again
}

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
