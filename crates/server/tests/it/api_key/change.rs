//! What becomes of a key, and of what was made of it, when something changes.

use reqwest::Method;
use serde_json::{Value, json};

use super::{call, done, is_good, make, set};
use crate::harness::{ORDERS, Server, VAULT};
use crate::on_both_engines;

on_both_engines! {
    a_rotated_key_holds_for_the_overlap_and_then_is_dead
    a_key_that_is_taken_back_is_dead_on_every_node
    a_key_that_is_disabled_waits_until_it_is_enabled
    a_key_that_is_cut_permits_less_at_once
    a_client_takes_back_its_own_key_and_no_other_does
    a_key_says_its_plan_and_another_plan_kills_what_was_made_of_it
    a_dead_key_stays_dead_whatever_is_done
    an_administrator_takes_a_key_back_by_its_text
}

/// Attack: D124
async fn a_rotated_key_holds_for_the_overlap_and_then_is_dead(server: Server) {
    let (id, old) = make(&server, json!({ "lifetime": "30d" })).await;

    let next = done(
        &server,
        Method::POST,
        &format!("/{id}/rotate"),
        json!({ "overlap": "1h" }),
    )
    .await;

    let new = next["key"].as_str().unwrap().to_owned();
    assert_eq!(
        (&next["replaces"], &next["status"]),
        (&id.clone().into(), &"live".into())
    );
    assert_eq!(
        next["expires"], "2026-01-31T00:00:00Z",
        "it lives as long as the old one"
    );
    assert!(is_good(&server, &old).await && is_good(&server, &new).await);
    let list = done(&server, Method::GET, "?client=job", Value::Null).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let again = call(&server, Method::POST, &format!("/{id}/rotate"), Value::Null).await;
    assert_eq!(again.status, 409, "a key has one successor");
    server.advance(3599);
    assert!(is_good(&server, &old).await);
    server.advance(1);
    assert!(!is_good(&server, &old).await && is_good(&server, &new).await);
    let by_default = next["id"].as_str().unwrap();
    done(
        &server,
        Method::POST,
        &format!("/{by_default}/rotate"),
        Value::Null,
    )
    .await;
    server.advance(24 * 3600 - 1);
    assert!(is_good(&server, &new).await);
    server.advance(1);
    assert!(!is_good(&server, &new).await);
    let long = call(
        &server,
        Method::POST,
        &format!("/{id}/rotate"),
        json!({ "overlap": "91d" }),
    )
    .await;
    assert_eq!(long.status, 400);
}

async fn a_key_that_is_taken_back_is_dead_on_every_node(server: Server) {
    let other = server.second_node().await;
    let (id, key) = make(&server, json!({})).await;
    let (_, beside) = make(&server, json!({})).await;
    for node in other.iter().chain([&server]) {
        assert!(is_good(node, &key).await);
    }

    done(&server, Method::DELETE, &format!("/{id}"), Value::Null).await;

    assert!(
        !is_good(&server, &key).await,
        "the node that did it knows at once"
    );
    if let Some(other) = &other {
        other.catch_up().await;
        assert!(!is_good(other, &key).await);
        assert!(is_good(other, &beside).await);
    }
    assert!(is_good(&server, &beside).await);
    let shown = done(&server, Method::GET, &format!("/{id}"), Value::Null).await;
    assert_eq!(shown["status"], "revoked");
}

async fn a_key_that_is_disabled_waits_until_it_is_enabled(server: Server) {
    let (id, key) = make(&server, json!({})).await;

    done(
        &server,
        Method::POST,
        &format!("/{id}/disable"),
        Value::Null,
    )
    .await;
    let disabled = is_good(&server, &key).await;
    done(&server, Method::POST, &format!("/{id}/enable"), Value::Null).await;

    assert!(!disabled);
    assert!(is_good(&server, &key).await);
}

async fn a_key_that_is_cut_permits_less_at_once(server: Server) {
    let (id, key) = make(&server, json!({})).await;
    let path = format!("/{id}");
    let vault = server.introspect("vault-api", &key).await;
    assert_eq!(vault["active"], true);

    let fewer = json!({ "resources": [ORDERS], "scopes": ["read:orders"], "name": "less" });
    done(&server, Method::PATCH, &path, fewer).await;

    assert!(is_good(&server, &key).await, "what is left is good");
    let gone = server.introspect("vault-api", &key).await;
    assert_eq!(gone, json!({ "active": false }));
    let told = server.introspect("orders-api", &key).await;
    assert_ne!(
        told["rev"]["f"], vault["rev"]["f"],
        "answers that others keep die"
    );
    // More again, and nothing that was there has to die for it.
    let more = json!({ "resources": [ORDERS, VAULT], "scopes": ["read:orders", "read:vault"] });
    done(&server, Method::PATCH, &path, more).await;
    let after = server.introspect("vault-api", &key).await;
    assert_eq!(after["rev"]["f"], told["rev"]["f"]);
    done(
        &server,
        Method::PATCH,
        &path,
        json!({ "expires": "2026-01-01T00:10:00Z" }),
    )
    .await;
    server.advance(600);
    assert!(!is_good(&server, &key).await);
    for (patch, member) in [
        (json!({ "client": "web" }), "client"),
        (json!({ "environment": "test" }), "environment"),
        (json!({ "imported": true }), "imported"),
        (json!({ "replaces": null }), "replaces"),
        (json!({ "enabled": true }), "enabled"),
    ] {
        let refused = call(&server, Method::PATCH, &path, patch).await;
        assert_eq!(refused.status, 400);
        assert!(refused.text("error_description").contains(member));
    }
}

/// Attack: C093
async fn a_client_takes_back_its_own_key_and_no_other_does(server: Server) {
    let (_, key) = make(&server, json!({})).await;

    let other = server.form("/revoke", "web", &[("token", &key)]).await;
    assert_eq!(other.refusal(), "invalid_grant");
    assert!(is_good(&server, &key).await);
    let own = server.form("/revoke", "job", &[("token", &key)]).await;

    assert_eq!(own.status, 200);
    assert!(!is_good(&server, &key).await);
    let again = server.form("/revoke", "job", &[("token", &key)]).await;
    assert_eq!(again.status, 200);
    let audit = "/admin/v1/audit?action=api_key.revoke";
    let audit = server.admin(Method::GET, audit, None).await.json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 1);
    assert_eq!(audit["items"][0]["actor"], "job");
}

async fn a_key_says_its_plan_and_another_plan_kills_what_was_made_of_it(server: Server) {
    let (id, key) = make(&server, json!({ "plan": "pro" })).await;
    let path = format!("/{id}");
    let before = server.introspect("orders-api", &key).await;
    assert_eq!(before["api_key"]["plan"], "pro");

    done(&server, Method::PATCH, &path, json!({ "plan": "free" })).await;

    let after = server.introspect("orders-api", &key).await;
    assert_eq!(after["api_key"]["plan"], "free");
    assert_ne!(
        after["rev"]["f"], before["rev"]["f"],
        "answers that gateways remember die"
    );
    done(&server, Method::PATCH, &path, json!({ "plan": null })).await;
    let none = server.introspect("orders-api", &key).await;
    assert_eq!(none["api_key"].get("plan"), None);
    for bad in ["", "a b", "a\"b"] {
        let refused = call(&server, Method::PATCH, &path, json!({ "plan": bad })).await;
        assert_eq!(refused.status, 400, "{bad}");
    }
}

async fn a_dead_key_stays_dead_whatever_is_done(server: Server) {
    let (id, key) = make(&server, json!({})).await;
    done(&server, Method::DELETE, &format!("/{id}"), Value::Null).await;

    for (method, path, body) in [
        (Method::PATCH, format!("/{id}"), json!({ "expires": null })),
        (Method::POST, format!("/{id}/disable"), Value::Null),
        (Method::POST, format!("/{id}/enable"), Value::Null),
        (Method::POST, format!("/{id}/rotate"), Value::Null),
    ] {
        let refused = call(&server, method, &path, body).await;
        assert_eq!(refused.status, 409, "{path}: {}", refused.body);
    }

    done(&server, Method::DELETE, &format!("/{id}"), Value::Null).await;
    assert!(!is_good(&server, &key).await);
    let server = server.restart().await;
    assert!(!is_good(&server, &key).await);
}

async fn an_administrator_takes_a_key_back_by_its_text(server: Server) {
    let (_, key) = make(&server, json!({})).await;
    let cut = json!({ "token": &key[..50] });
    let refused = server
        .admin(Method::POST, "/admin/v1/revoke", Some(cut))
        .await;
    assert_eq!(refused.status, 404, "half a key takes nothing back");

    set(
        &server,
        Method::POST,
        "/admin/v1/revoke",
        json!({ "token": key }),
    )
    .await;

    assert!(!is_good(&server, &key).await);
}
