//! Who may exchange what, and who may act for whom.

use serde_json::json;

use super::world::{Asked, EXCHANGE, SAFE, STOCK, claims, client, furnish, own_token, signed_in};
use crate::browser::{Browser, request};
use crate::harness::{ORDERS, Server};
use crate::on_both_engines;

on_both_engines! {
    an_exchange_is_denied_by_default
    a_public_client_is_named_by_its_policy_or_refused
    a_token_moves_only_where_both_sides_agree
    to_act_as_another_needs_the_policy
    nobody_acts_in_a_name_that_is_not_theirs
    a_person_may_act_by_an_id_token
    organizations_do_not_mix
    a_person_is_made_known_to_no_client_by_a_second_exchange
    an_id_token_of_one_who_is_no_member_any_more_is_worth_nothing
}

/// Attack: G195
async fn an_exchange_is_denied_by_default(server: Server) {
    furnish(&server).await;
    let subject = signed_in(&server, "alice").await.text("access_token");
    let asked = Asked::of("access_token", &subject);
    assert_eq!(asked.by(&server, "web").await.status, 200);

    let without = asked.by(&server, "job").await;
    client(
        &server,
        "job",
        json!({ "grants": ["client_credentials", EXCHANGE] }),
    )
    .await;
    let bare = asked.by(&server, "job").await;
    client(
        &server,
        "job",
        json!({ "exchange": { "impersonate": true } }),
    )
    .await;
    let elsewhere = asked.by(&server, "job").await;
    client(&server, "job", json!({ "exchange": { "from": [ORDERS] } })).await;
    let allowed = asked.by(&server, "job").await;

    assert_eq!(without.refusal(), "unauthorized_client");
    assert_eq!(bare.refusal(), "invalid_request");
    assert_eq!(elsewhere.refusal(), "invalid_request");
    assert_eq!(allowed.status, 200, "{}", allowed.body);
}

async fn a_public_client_is_named_by_its_policy_or_refused(server: Server) {
    furnish(&server).await;
    let mut own = request();
    own.insert("client_id".into(), "cli".into());
    own.insert("redirect_uri".into(), "http://127.0.0.1/callback".into());
    own.insert("scope".into(), "openid read:orders".into());
    let tokens = Browser::new(&server).tokens("alice", &own).await;
    let asked = Asked::of("access_token", &tokens.text("access_token"));
    client(
        &server,
        "cli",
        json!({ "grants": ["authorization_code", EXCHANGE] }),
    )
    .await;

    let unnamed = asked.by(&server, "cli").await;
    client(&server, "cli", json!({ "exchange": { "public": true } })).await;
    let named = asked.by(&server, "cli").await;

    assert_eq!(unnamed.refusal(), "unauthorized_client");
    assert_eq!(named.status, 200, "{}", named.body);
    let other = signed_in(&server, "alice").await.text("access_token");
    let other = Asked::of("access_token", &other).by(&server, "cli").await;
    assert_eq!(other.refusal(), "invalid_request");
}

/// Attack: G196
async fn a_token_moves_only_where_both_sides_agree(server: Server) {
    furnish(&server).await;
    let subject = signed_in(&server, "alice").await.text("access_token");
    let actor = own_token(&server, "orders-api").await;
    let asked = Asked::of("access_token", &subject)
        .acting("access_token", &actor)
        .with("resource", STOCK);
    assert_eq!(asked.by(&server, "orders-api").await.status, 200);

    client(
        &server,
        "orders-api",
        json!({ "exchange": { "to": [SAFE] } }),
    )
    .await;
    let client_says_no = asked.by(&server, "orders-api").await;
    client(
        &server,
        "orders-api",
        json!({ "exchange": { "to": [STOCK] } }),
    )
    .await;
    let path = format!(
        "/admin/v1/resources/{}",
        STOCK.replace(':', "%3A").replace('/', "%2F")
    );
    let close = |from: serde_json::Value| {
        let body = json!({ "exchange_from": from });
        server.admin(reqwest::Method::PATCH, &path, Some(body))
    };
    close(json!(["job", SAFE])).await;
    let resource_says_no = asked.by(&server, "orders-api").await;
    close(json!([ORDERS])).await;
    let by_audience = asked.by(&server, "orders-api").await;

    assert_eq!(client_says_no.refusal(), "invalid_target");
    assert_eq!(resource_says_no.refusal(), "invalid_target");
    assert_eq!(by_audience.status, 200, "{}", by_audience.body);
    let back = Asked::of("access_token", &by_audience.text("access_token")).with("resource", SAFE);
    assert_eq!(
        back.by(&server, "orders-api").await.refusal(),
        "invalid_target"
    );
}

async fn to_act_as_another_needs_the_policy(server: Server) {
    furnish(&server).await;
    let subject = signed_in(&server, "alice").await.text("access_token");
    let asked = Asked::of("access_token", &subject).with("resource", STOCK);

    let refused = asked.by(&server, "orders-api").await;
    client(
        &server,
        "orders-api",
        json!({ "exchange": { "impersonate": true } }),
    )
    .await;
    let allowed = asked.by(&server, "orders-api").await;

    assert_eq!(refused.refusal(), "invalid_request");
    let is = claims(&allowed.text("access_token"));
    assert_eq!(
        (&is["client_id"], is.get("act")),
        (&json!("orders-api"), None)
    );
    let record = is["rev"]["a"].as_array().unwrap();
    assert!(
        record
            .iter()
            .any(|own| own.as_str().unwrap().starts_with("06")),
        "the client that it came from"
    );
}

async fn nobody_acts_in_a_name_that_is_not_theirs(server: Server) {
    furnish(&server).await;
    let tokens = signed_in(&server, "alice").await;
    let subject = tokens.text("access_token");
    let asked = |kind: &str, actor: &str| {
        Asked::of("access_token", &subject)
            .acting(kind, actor)
            .with("resource", STOCK)
    };
    let own = own_token(&server, "orders-api").await;
    assert_eq!(
        asked("access_token", &own)
            .by(&server, "orders-api")
            .await
            .status,
        200
    );

    let job = own_token(&server, "job").await;
    for (kind, actor) in [
        ("access_token", job.as_str()),
        ("access_token", &subject),
        ("access_token", &tokens.text("id_token")),
        ("id_token", &tokens.text("id_token")),
        ("refresh_token", &tokens.text("refresh_token")),
        ("access_token", "nonsense"),
    ] {
        let answer = asked(kind, actor).by(&server, "orders-api").await;
        assert_eq!(
            (answer.status, &*answer.refusal()),
            (400, "invalid_request"),
            "{kind} {actor}"
        );
    }
    server
        .form("/revoke", "orders-api", &[("token", &own)])
        .await;
    let revoked = asked("access_token", &own).by(&server, "orders-api").await;
    assert_eq!(revoked.refusal(), "invalid_request");
}

async fn a_person_may_act_by_an_id_token(server: Server) {
    furnish(&server).await;
    let accepts = json!({ "exchange": { "accepts": ["access_token", "id_token"] } });
    client(&server, "web", accepts).await;
    let alice = signed_in(&server, "alice").await;
    let bob = signed_in(&server, "bob").await;

    let asked = Asked::of("access_token", &alice.text("access_token"))
        .acting("id_token", &bob.text("id_token"));
    let token = asked.token(&server, "web").await;

    let is = claims(&token);
    assert_eq!(is["sub"], claims(&alice.text("access_token"))["sub"]);
    assert_eq!(is["act"]["sub"], claims(&bob.text("id_token"))["sub"]);
    let bob = is["act"]["sub"].as_str().unwrap().to_owned();
    let revoke = json!({ "subject": bob });
    server
        .admin(reqwest::Method::POST, "/admin/v1/revoke", Some(revoke))
        .await;
    assert!(!server.is_active(&token).await, "it ends with whoever acts");
    assert_eq!(asked.by(&server, "web").await.refusal(), "invalid_request");
}

/// Attack: G193
async fn organizations_do_not_mix(server: Server) {
    furnish(&server).await;
    let other = json!({ "id": "umbrella" });
    server
        .admin(
            reqwest::Method::POST,
            "/admin/v1/organizations",
            Some(other),
        )
        .await;
    client(
        &server,
        "job",
        json!({ "grants": ["client_credentials", EXCHANGE], "organization": "umbrella" }),
    )
    .await;
    let theirs = own_token(&server, "job").await;
    let asked = Asked::of("access_token", &theirs);
    assert_eq!(asked.by(&server, "job").await.status, 200);

    client(
        &server,
        "orders-api",
        json!({ "organization": "acme", "exchange": { "impersonate": true } }),
    )
    .await;
    let foreign = asked.by(&server, "orders-api").await;
    client(&server, "orders-api", json!({ "organization": "umbrella" })).await;
    let shared = asked.by(&server, "orders-api").await;

    assert_eq!(foreign.refusal(), "invalid_request");
    assert_eq!(shared.status, 200, "{}", shared.body);
}

async fn a_person_is_made_known_to_no_client_by_a_second_exchange(server: Server) {
    furnish(&server).await;
    let shown = signed_in(&server, "alice").await.text("access_token");
    let tells = json!({
        "scopes": ["openid", "read:orders", "read:stock"],
        "exchange": { "from": [ORDERS], "impersonate": true, "issues": ["access_token", "id_token"] },
    });
    client(&server, "orders-api", tells).await;
    let openid = |token: &str| {
        Asked::of("access_token", token)
            .with("requested_token_type", &super::world::urn("id_token"))
            .with("scope", "openid")
    };
    let at_once = openid(&shown).by(&server, "orders-api").await;
    let first = Asked::of("access_token", &shown)
        .with("scope", "openid read:orders")
        .token(&server, "orders-api")
        .await;

    let second = openid(&first).by(&server, "orders-api").await;

    assert_eq!(at_once.refusal(), "invalid_request");
    assert_eq!(second.refusal(), "invalid_request", "{}", second.body);
    let own = json!({ "exchange": { "issues": ["access_token", "id_token"] } });
    client(&server, "web", own).await;
    let again = openid(&shown).by(&server, "web").await;
    assert_eq!(again.status, 200, "its own sign-in: {}", again.body);
}

async fn an_id_token_of_one_who_is_no_member_any_more_is_worth_nothing(server: Server) {
    furnish(&server).await;
    let policy = json!({
        "organization": "acme", "resources": [ORDERS, "https://vault.example.com", SAFE],
        "exchange": { "accepts": ["id_token"], "to": [SAFE] },
    });
    client(&server, "web", policy).await;
    // An API without scopes: an ID token has none.
    let taken = json!({ "exchange_from": ["web"], "scopes": [], "sensitive_scopes": [] });
    let safe = "/admin/v1/resources/https:%2F%2Fsafe.example.com";
    let changed = server
        .admin(reqwest::Method::PATCH, safe, Some(taken))
        .await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let id_token = signed_in(&server, "alice").await.text("id_token");
    let asked = Asked::of("id_token", &id_token).with("resource", SAFE);
    let ours = asked.by(&server, "web").await;
    assert_eq!(ours.status, 200, "{}", ours.body);
    let member = "/admin/v1/organizations/acme/members/alice";
    let removed = server.admin(reqwest::Method::DELETE, member, None).await;
    assert_eq!(removed.status, 204, "{}", removed.body);

    let refused = asked.by(&server, "web").await;

    assert_eq!(refused.refusal(), "invalid_request", "{}", refused.body);
    assert!(!server.is_active(&ours.text("access_token")).await);
}
