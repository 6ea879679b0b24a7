//! A key exchanged for a short token, where a policy says so.

use reqwest::Method;
use serde_json::{Value, json};

use super::{call, done, make, set};
use crate::exchange::world::{Asked, EXCHANGE, STOCK, claims, client, furnish};
use crate::harness::{ORDERS, Server, VAULT};
use crate::on_both_engines;

on_both_engines! {
    a_key_is_exchanged_only_where_a_policy_says_so
    a_token_of_a_key_dies_with_the_key_and_with_what_is_cut
    a_key_is_not_moved_to_another_api_and_makes_no_other_kind
    a_key_that_a_token_could_not_stand_for_is_not_exchanged
    what_came_of_a_key_acts_at_the_keys_apis_alone
}

const KIND: &str = "urn:symbolon:params:oauth:token-type:api_key";

fn asked(key: &str) -> Asked {
    Asked::of("api_key", key).with("resource", ORDERS)
}

/// Lets `job` exchange its own keys.
async fn permit(server: &Server) {
    let policy = json!({
        "grants": ["client_credentials", EXCHANGE],
        "exchange": { "accepts": ["api_key", "access_token"], "issues": ["access_token", "jwt"] },
    });
    client(server, "job", policy).await;
}

async fn a_key_is_exchanged_only_where_a_policy_says_so(server: Server) {
    let (_, key) = make(&server, json!({ "lifetime": "5m" })).await;
    let grants = json!({ "grants": ["client_credentials", EXCHANGE] });
    client(&server, "job", grants).await;
    assert_eq!(
        asked(&key).by(&server, "job").await.refusal(),
        "invalid_request"
    );
    permit(&server).await;
    let (before, narrow) = (server.commits(), asked(&key).with("scope", "read:orders"));

    let issued = narrow.by(&server, "job").await;

    assert_eq!(issued.status, 200, "{}", issued.body);
    assert_eq!(server.commits(), before, "nothing is stored");
    assert_eq!(issued.text("scope"), "read:orders");
    assert_eq!(issued.json()["expires_in"], 300, "no longer than the key");
    let told = claims(&issued.text("access_token"));
    assert_eq!(
        (&told["sub"], &told["aud"]),
        (&"job".into(), &ORDERS.into())
    );
    assert!(server.is_active(&issued.text("access_token")).await);
    let wider = asked(&key)
        .with("scope", "delete:orders")
        .by(&server, "job")
        .await;
    assert_eq!(wider.refusal(), "invalid_scope");
    for (subject, kind) in [(&*key, "access_token"), ("sym_key_L", "x")] {
        let kind = match kind {
            "x" => KIND.to_owned(),
            kind => crate::exchange::world::urn(kind),
        };
        let other = Asked::of("access_token", subject).but("subject_token_type", &kind);
        assert_eq!(other.by(&server, "job").await.refusal(), "invalid_request");
    }
    let old = "urn:ietf:params:oauth:token-type:api_key";
    let no_such = asked(&key)
        .but("subject_token_type", old)
        .by(&server, "job")
        .await;
    assert_eq!(no_such.refusal(), "invalid_request");
    // Another client holds the key, and is not its own.
    let policy = json!({ "grants": ["client_credentials", EXCHANGE], "exchange": { "accepts": ["api_key"] }, "scopes": ["read:orders"], "resources": [ORDERS], "default_resource": ORDERS });
    client(&server, "other", policy).await;
    assert_eq!(
        asked(&key).by(&server, "other").await.refusal(),
        "invalid_request"
    );
}

async fn a_token_of_a_key_dies_with_the_key_and_with_what_is_cut(server: Server) {
    permit(&server).await;
    for verb in ["revoke", "disable", "cut", "rotate"] {
        let (id, key) = make(&server, json!({})).await;
        let token = asked(&key).token(&server, "job").await;
        let again = Asked::of("access_token", &token).with("resource", ORDERS);
        let again = again.token(&server, "job").await;
        assert!(server.is_active(&token).await && server.is_active(&again).await);

        let path = format!("/{id}");
        match verb {
            "revoke" => done(&server, Method::DELETE, &path, Value::Null).await,
            "disable" => {
                done(
                    &server,
                    Method::POST,
                    &format!("{path}/disable"),
                    Value::Null,
                )
                .await
            }
            "cut" => {
                done(
                    &server,
                    Method::PATCH,
                    &path,
                    json!({ "resources": [VAULT], "scopes": ["read:vault"] }),
                )
                .await
            }
            _ => {
                done(
                    &server,
                    Method::POST,
                    &format!("{path}/rotate"),
                    json!({ "overlap": "1m" }),
                )
                .await
            }
        };

        assert!(!server.is_active(&token).await, "{verb}");
        assert!(!server.is_active(&again).await, "{verb}");
        if verb == "revoke" {
            assert_eq!(
                asked(&key).by(&server, "job").await.refusal(),
                "invalid_request"
            );
        }
    }
}

async fn a_key_is_not_moved_to_another_api_and_makes_no_other_kind(server: Server) {
    furnish(&server).await;
    let path = format!(
        "/admin/v1/resources/{}",
        STOCK.replace(':', "%3A").replace('/', "%2F")
    );
    set(
        &server,
        Method::PATCH,
        &path,
        json!({ "exchange_from": ["job"] }),
    )
    .await;
    let policy = json!({
        "grants": ["client_credentials", EXCHANGE], "resources": [ORDERS, VAULT, STOCK],
        "exchange": {
            "accepts": ["api_key", "access_token"], "to": [STOCK],
            "issues": ["access_token", "jwt", "id_token", "saml2"],
        },
    });
    client(&server, "job", policy).await;
    let (_, key) = make(&server, json!({})).await;
    let once = asked(&key).token(&server, "job").await;
    let of_token = |token: &str| Asked::of("access_token", token).with("resource", ORDERS);
    let twice = of_token(&once).token(&server, "job").await;

    // Nor does what came of it, however often it was exchanged since.
    for own in [asked(&key), of_token(&once), of_token(&twice)] {
        let moved = own.clone().but("resource", STOCK);
        assert_eq!(moved.by(&server, "job").await.refusal(), "invalid_target");
        for kind in ["id_token", "saml2", "refresh_token"] {
            let kind = crate::exchange::world::urn(kind);
            let other = own.clone().with("requested_token_type", &kind);
            assert_eq!(
                other.by(&server, "job").await.refusal(),
                "invalid_request",
                "{kind}"
            );
        }
    }
    let made = asked(&key)
        .with("requested_token_type", KIND)
        .by(&server, "job")
        .await;
    assert_eq!(made.refusal(), "invalid_request");
    let never = json!({ "exchange": { "issues": ["api_key"] } });
    let refused = server
        .admin(Method::PATCH, "/admin/v1/clients/job", Some(never))
        .await;
    assert_eq!(refused.status, 400);
}

async fn a_key_that_a_token_could_not_stand_for_is_not_exchanged(server: Server) {
    permit(&server).await;
    let (_, near) = make(&server, json!({ "networks": ["127.0.0.0/8"] })).await;
    assert_eq!(
        asked(&near).by(&server, "job").await.refusal(),
        "invalid_request"
    );
    // By a token of its client it would have that one's plan.
    let (id, small) = make(&server, json!({ "plan": "small" })).await;
    let told = asked(&small).by(&server, "job").await;
    assert_eq!(told.refusal(), "invalid_request");
    let free = json!({ "plan": null });
    done(&server, Method::PATCH, &format!("/{id}"), free).await;
    assert_eq!(asked(&small).by(&server, "job").await.status, 200);
    let path = "/admin/v1/resources/https:%2F%2Forders.example.com";
    set(&server, Method::PATCH, path, json!({ "api_keys": "any" })).await;
    let trial = json!({ "environment": "test", "scopes": ["read:orders"], "resources": [ORDERS] });
    let (_, trial) = make(&server, trial).await;
    assert_eq!(
        asked(&trial).by(&server, "job").await.refusal(),
        "invalid_request"
    );

    set(&server, Method::PATCH, path, json!({ "api_keys": "test" })).await;

    assert_eq!(asked(&trial).by(&server, "job").await.status, 200);
    let gone = call(&server, Method::GET, "/key_0", Value::Null).await;
    assert_eq!(gone.status, 404);
}

async fn what_came_of_a_key_acts_at_the_keys_apis_alone(server: Server) {
    furnish(&server).await;
    let policy = json!({
        "grants": ["client_credentials", EXCHANGE], "resources": [ORDERS, VAULT, STOCK],
        "exchange": { "accepts": ["api_key", "access_token"] },
    });
    client(&server, "job", policy).await;
    let own = async || {
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", "read:orders"),
            ("resource", STOCK),
        ];
        server.token("job", &form).await.text("access_token")
    };
    let (_, key) = make(&server, json!({})).await;
    let of_key = asked(&key).token(&server, "job").await;
    let acting = async |actor: &str| {
        let subject = Asked::of("access_token", &own().await);
        let asked = subject
            .acting("access_token", actor)
            .with("resource", STOCK);
        asked.by(&server, "job").await
    };

    assert_eq!(acting(&own().await).await.status, 200);
    assert_eq!(acting(&of_key).await.refusal(), "invalid_target");
}
