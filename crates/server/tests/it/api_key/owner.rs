//! A key never has more than whoever it acts for.

use reqwest::Method;
use serde_json::{Value, json};

use super::{done, is_good, make, set};
use crate::harness::{ORDERS, Server};
use crate::on_both_engines;

on_both_engines! {
    a_key_has_what_its_client_may_have_now
    a_key_of_a_person_acts_for_them_through_a_client
    a_key_dies_with_whoever_it_acts_for_and_stays_dead
    a_key_for_an_organization_is_good_at_its_apis
    an_api_that_takes_bound_tokens_alone_takes_no_keys
}

const JOB: &str = "/admin/v1/clients/job";

/// Attack: C086
async fn a_key_has_what_its_client_may_have_now(server: Server) {
    let (_, key) = make(
        &server,
        json!({ "scopes": ["read:orders", "delete:orders"], "resources": [ORDERS] }),
    )
    .await;
    let both = server.introspect("orders-api", &key).await["scope"].to_string();
    assert!(both.contains("delete:orders") && both.contains("read:orders"));

    set(
        &server,
        Method::PATCH,
        JOB,
        json!({ "scopes": ["read:orders", "read:vault"] }),
    )
    .await;
    assert_eq!(
        server.introspect("orders-api", &key).await["scope"],
        "read:orders"
    );
    set(
        &server,
        Method::PATCH,
        JOB,
        json!({ "scopes": ["read:vault"] }),
    )
    .await;
    assert!(!is_good(&server, &key).await, "nothing is left of it");
    set(&server, Method::PATCH, JOB, json!({ "scopes": ["read:orders", "read:vault"], "resources": ["https://vault.example.com"], "default_resource": "https://vault.example.com" })).await;
    assert!(
        !is_good(&server, &key).await,
        "the client may not ask for the API"
    );

    set(
        &server,
        Method::PATCH,
        JOB,
        json!({ "resources": [ORDERS, "https://vault.example.com"] }),
    )
    .await;
    assert_eq!(
        server.introspect("orders-api", &key).await["scope"],
        "read:orders"
    );
}

async fn a_key_of_a_person_acts_for_them_through_a_client(server: Server) {
    let person = json!({
        "client": "web", "user": "alice", "organization": "acme", "scopes": ["read:orders"], "resources": [ORDERS],
    });
    let (_, key) = make(&server, person).await;

    let told = server.introspect("orders-api", &key).await;

    assert!(told["sub"].as_str().unwrap().starts_with("usr_"));
    assert_eq!(
        (&told["client_id"], &told["organization"]),
        (&"web".into(), &"acme".into())
    );
    assert_eq!(told["roles"], json!(["buyer"]));
    assert!(told["auth_time"].is_null(), "a key signs nobody in");
    let of_alice = done(&server, Method::GET, "?user=alice", Value::Null).await;
    assert_eq!(of_alice["items"].as_array().unwrap().len(), 1);
    let of_bob = done(&server, Method::GET, "?user=bob", Value::Null).await;
    assert_eq!(of_bob["items"], json!([]));
}

/// Attack: C084, C089, C090
async fn a_key_dies_with_whoever_it_acts_for_and_stays_dead(server: Server) {
    let member = json!({
        "client": "web", "user": "alice", "organization": "acme", "scopes": ["read:orders"], "resources": [ORDERS],
    });
    let (_, beside) = make(&server, json!({})).await;
    for (end, body, back, again) in endings() {
        let (id, key) = make(&server, member.clone()).await;
        assert!(is_good(&server, &key).await, "{end}");

        act(&server, &end, body).await;

        assert!(!is_good(&server, &key).await, "{end}");
        act(&server, &back, again).await;
        assert!(!is_good(&server, &key).await, "{back}");
        let shown = done(&server, Method::GET, &format!("/{id}"), Value::Null).await;
        assert_eq!(shown["status"], "revoked", "{end}");
        // The record is forgotten, the key is not.
        server.advance(200 * 24 * 3600);
        assert!(!is_good(&server, &key).await, "{end}");
    }
    assert!(!is_good(&server, &beside).await, "it has run out meanwhile");
}

/// What ends whatever alice does for acme through `web`, and what lets her act
/// again.
fn endings() -> Vec<(String, Value, String, Value)> {
    let members = "/admin/v1/organizations/acme/members/alice";
    let password = json!({ "password": crate::harness::PASSWORD });
    let nothing = || Value::Null;
    let web = "/admin/v1/clients/web";
    let (alice, acme) = ("/admin/v1/users/alice", "/admin/v1/organizations/acme");
    vec![
        (
            format!("POST {alice}/disable"),
            nothing(),
            format!("POST {alice}/enable"),
            nothing(),
        ),
        (
            format!("POST {alice}/password"),
            password,
            String::new(),
            nothing(),
        ),
        (
            format!("POST {web}/disable"),
            nothing(),
            format!("POST {web}/enable"),
            nothing(),
        ),
        (
            format!("POST {acme}/disable"),
            nothing(),
            format!("POST {acme}/enable"),
            nothing(),
        ),
        (
            "POST /admin/v1/revoke".to_owned(),
            json!({ "subject": "alice" }),
            String::new(),
            nothing(),
        ),
        (
            "POST /admin/v1/revoke".to_owned(),
            json!({ "client": "web" }),
            String::new(),
            nothing(),
        ),
        (
            "POST /admin/v1/revoke".to_owned(),
            json!({ "organization": "acme" }),
            String::new(),
            nothing(),
        ),
        (
            format!("PUT {members}"),
            json!({ "roles": [] }),
            format!("PUT {members}"),
            json!({ "roles": ["buyer"] }),
        ),
        (
            format!("DELETE {members}"),
            nothing(),
            format!("PUT {members}"),
            json!({ "roles": ["buyer"] }),
        ),
    ]
}

async fn act(server: &Server, what: &str, body: Value) {
    let Some((method, path)) = what.split_once(' ') else {
        return;
    };
    set(server, method.parse().unwrap(), path, body).await;
}

async fn a_key_for_an_organization_is_good_at_its_apis(server: Server) {
    let resource = json!({
        "identifier": "https://acme.example.com", "scopes": ["read:acme"],
        "organization": "acme", "introspection_client": "orders-api",
    });
    set(&server, Method::POST, "/admin/v1/resources", resource).await;
    let tenant = json!({
        "id": "acme-job", "kind": "service", "scopes": ["read:acme"], "organization": "acme",
        "resources": ["https://acme.example.com"],
    });
    set(&server, Method::POST, "/admin/v1/clients", tenant).await;
    let change = json!({ "client": "acme-job", "scopes": ["read:acme"], "resources": ["https://acme.example.com"] });

    let (_, key) = make(&server, change).await;

    let told = server.introspect("orders-api", &key).await;
    assert_eq!(
        (&told["active"], &told["organization"]),
        (&true.into(), &"acme".into())
    );
    let (_, other) = make(&server, json!({ "organization": "acme" })).await;
    let told = server.introspect("orders-api", &other).await;
    assert_eq!(
        (&told["sub"], &told["organization"]),
        (&"job".into(), &"acme".into())
    );
}

async fn an_api_that_takes_bound_tokens_alone_takes_no_keys(server: Server) {
    let (_, key) = make(
        &server,
        json!({ "scopes": ["read:orders"], "resources": [ORDERS] }),
    )
    .await;
    let path = "/admin/v1/resources/https:%2F%2Forders.example.com";

    set(
        &server,
        Method::PATCH,
        path,
        json!({ "require_key_binding": true }),
    )
    .await;

    assert!(!is_good(&server, &key).await);
    let refused = super::ask(
        &server,
        json!({ "scopes": ["read:orders"], "resources": [ORDERS] }),
    )
    .await;
    assert_eq!(refused.status, 400);
    set(
        &server,
        Method::PATCH,
        path,
        json!({ "require_key_binding": false }),
    )
    .await;
    assert!(is_good(&server, &key).await);
}
