//! JWTs of trusted issuers as grants.

use serde_json::{Value, json};
use symbolon_testkit::Row;

use super::world::{Asked, BEARER, EXCHANGE, Partner, claims, client, furnish, now, own_token};
use crate::crowd::{at_once, has_one_winner};
use crate::harness::{Answer, ORDERS, Server, VAULT};
use crate::on_both_engines;

on_both_engines! {
    an_assertion_is_good_once
    an_assertion_is_for_this_server_alone_and_soon_over
    what_is_no_assertion_is_refused
    an_assertion_gives_what_its_issuer_is_registered_for
    an_assertion_gives_no_scope_that_it_does_not_name
    an_assertion_is_a_grant_for_whom_it_lets_act
    what_was_a_grant_is_no_token_any_more
    an_assertion_gets_around_nobody
    of_parallel_presentations_one_gets_a_token
    the_metadata_names_the_grants
}

async fn present(server: &Server, client: &str, assertion: &str) -> Answer {
    present_with(server, client, &[("assertion", assertion)]).await
}

async fn present_with(server: &Server, client: &str, more: &[(&str, &str)]) -> Answer {
    server
        .token(client, &[&[("grant_type", BEARER)], more].concat())
        .await
}

async fn an_assertion_is_good_once(server: Server) {
    let other = server.second_node().await;
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    let second = json!({ "grants": ["client_credentials", BEARER], "exchange": { "issuers": [partner.issuer] } });
    client(&server, "job", second).await;
    let jwt = partner.older_jwt(&server, "one");
    let before = server.commits();

    let first = present(&server, "orders-api", &jwt).await;

    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(server.commits() - before, 1, "its name, and nothing else");
    let is = claims(&first.text("access_token"));
    assert_eq!(is["sub"], format!("ext_{}|carol", partner.issuer));
    assert_eq!(
        (&is["aud"], &is["organization"]),
        (&json!(ORDERS), &json!("acme"))
    );
    assert_eq!(first.json().get("refresh_token"), None);
    assert_eq!(first.json().get("issued_token_type"), None);
    for who in ["orders-api", "job"] {
        assert_eq!(
            present(&server, who, &jwt).await.refusal(),
            "invalid_grant",
            "{who}"
        );
    }
    let renamed = partner.jwt(&server, json!({ "jti": "two" }));
    assert_eq!(present(&server, "job", &renamed).await.status, 200);
    if let Some(other) = other {
        let fresh = partner.older_jwt(&server, "four");
        let mut tries = 0;
        while present(&other, "orders-api", &fresh).await.status != 200 {
            tries += 1;
            assert!(tries < 100, "the other node never heard of it");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(
            present(&other, "orders-api", &jwt).await.refusal(),
            "invalid_grant"
        );
        assert_eq!(
            present(&server, "orders-api", &fresh).await.refusal(),
            "invalid_grant"
        );
    }
    let server = server.restart().await;
    // The file's blocks are applied again at start.
    let policy = json!({ "grants": ["client_credentials", BEARER], "resources": [ORDERS], "scopes": ["read:orders"],
        "exchange": { "issuers": [partner.issuer] } });
    client(&server, "orders-api", policy).await;
    let other = partner.jwt(&server, json!({ "jti": "three" }));
    assert_eq!(present(&server, "orders-api", &other).await.status, 200);
    assert_eq!(
        present(&server, "orders-api", &jwt).await.refusal(),
        "invalid_grant"
    );
}

async fn an_assertion_is_for_this_server_alone_and_soon_over(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    let at = |seconds: i64| now(&server) + seconds;
    let good = [
        json!({ "aud": [server.name()], "jti": "a" }),
        json!({ "exp": at(3600), "jti": "b" }),
        json!({ "iat": at(8), "nbf": at(8), "jti": "c" }),
    ];
    for change in good {
        let jwt = partner.jwt(&server, change.clone());
        assert_eq!(
            present(&server, "orders-api", &jwt).await.status,
            200,
            "{change}"
        );
    }
    for change in [
        json!({ "aud": [server.name(), "https://elsewhere.example.com"] }),
        json!({ "aud": format!("{}/token", server.name()) }),
        json!({ "aud": ORDERS }),
        json!({ "aud": null }),
        json!({ "exp": at(3700) }),
        json!({ "exp": at(86_400) }),
        json!({ "exp": at(0) }),
        json!({ "exp": null }),
        json!({ "iat": at(60) }),
        json!({ "nbf": at(60) }),
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "iss": null }),
        json!({ "iss": server.name() }),
        json!({ "iss": "orders-api" }),
        json!({ "jti": null }),
        json!({ "jti": "" }),
        json!({ "jti": 7 }),
        json!({ "cnf": { "jwk": { "kty": "EC" } } }),
        json!({ "cnf": {} }),
    ] {
        let mut change = change;
        if change.get("jti").is_none() {
            change["jti"] = json!(change.to_string());
        }
        let jwt = partner.jwt(&server, change.clone());
        let answer = present(&server, "orders-api", &jwt).await;
        assert_eq!(
            (answer.status, &*answer.refusal()),
            (400, "invalid_grant"),
            "{change}"
        );
    }
}

async fn what_is_no_assertion_is_refused(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    for typ in ["at+jwt", "client-authentication+jwt", "logout+jwt"] {
        let jwt = partner
            .key
            .sign(typ, partner.claims(&server).to_string().as_bytes());
        assert_eq!(
            present(&server, "orders-api", &jwt).await.refusal(),
            "invalid_grant",
            "{typ}"
        );
    }
    for (assertion, error) in [
        ("", "invalid_request"),
        ("x", "invalid_grant"),
        ("a.b.c", "invalid_grant"),
    ] {
        assert_eq!(
            present(&server, "orders-api", assertion).await.refusal(),
            error
        );
    }
}

async fn an_assertion_gives_what_its_issuer_is_registered_for(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    let asked = async |name: &str, value: &str, jti: &str| {
        let jwt = partner.jwt(&server, json!({ "jti": jti }));
        present_with(&server, "orders-api", &[("assertion", &jwt), (name, value)]).await
    };

    assert_eq!(
        asked("scope", "read:orders", "a").await.text("scope"),
        "read:orders"
    );
    assert_eq!(asked("resource", ORDERS, "b").await.status, 200);
    assert_eq!(
        asked("scope", "write:orders", "c").await.refusal(),
        "invalid_scope"
    );
    assert_eq!(
        asked("scope", "openid", "c").await.refusal(),
        "invalid_scope"
    );
    assert_eq!(
        asked("resource", VAULT, "c").await.refusal(),
        "invalid_target"
    );
    assert_eq!(
        asked("scope", "read:orders", "c").await.status,
        200,
        "a refusal used nothing up"
    );
}

async fn an_assertion_gives_no_scope_that_it_does_not_name(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    for other in ["", "profile", "write", "their.own words"] {
        let jwt = partner.jwt(
            &server,
            json!({ "scope": other, "jti": format!("of {other}") }),
        );
        for more in [&[][..], &[("scope", "read:orders")]] {
            let form = [&[("assertion", &*jwt)], more].concat();
            let answer = present_with(&server, "orders-api", &form).await;
            assert_eq!(answer.refusal(), "invalid_scope", "{other}");
        }
    }
    let named = json!({ "scope": "read:orders write", "jti": "named" });

    let answer = present(&server, "orders-api", &partner.jwt(&server, named)).await;

    assert_eq!(answer.text("scope"), "read:orders");
}

async fn an_assertion_is_a_grant_for_whom_it_lets_act(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    for party in [
        json!({ "sub": "somebody", "iss": server.name() }),
        json!({ "sub": "orders-api" }),
        json!({ "sub": "orders-api", "iss": partner.issuer }),
    ] {
        let jwt = partner.jwt(&server, json!({ "may_act": party, "jti": "other" }));
        let answer = present(&server, "orders-api", &jwt).await;
        assert_eq!(answer.refusal(), "invalid_grant", "{party}");
    }
    let ours = json!({ "sub": "orders-api", "iss": server.name() });
    let jwt = partner.jwt(&server, json!({ "may_act": ours, "jti": "ours" }));

    let answer = present(&server, "orders-api", &jwt).await;

    assert_eq!(answer.status, 200, "{}", answer.body);
    let token = answer.text("access_token");
    let told = server.introspect("orders-api", &token).await;
    assert_eq!(told["may_act"], ours, "and so is all that comes of it");
}

/// In either role of an exchange, on every node.
async fn what_was_a_grant_is_no_token_any_more(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    let own = own_token(&server, "orders-api").await;
    let jwt = partner.jwt(&server, json!({}));
    let as_subject = Asked::of("jwt", &jwt);
    let as_actor = Asked::of("access_token", &own).acting("jwt", &jwt);
    for asked in [&as_subject, &as_actor] {
        let before = asked.by(&server, "orders-api").await;
        assert_eq!(before.status, 200, "{}", before.body);
    }

    assert_eq!(present(&server, "orders-api", &jwt).await.status, 200);

    for asked in [&as_subject, &as_actor] {
        let after = asked.by(&server, "orders-api").await;
        assert_eq!(after.refusal(), "invalid_request", "{}", after.body);
    }
    let again = partner.jwt(&server, json!({ "sub": "dave" }));
    let renamed = Asked::of("jwt", &again).by(&server, "orders-api").await;
    assert_eq!(renamed.refusal(), "invalid_request", "its name was used up");
    for other in [json!({ "jti": "two" }), json!({ "jti": null })] {
        let jwt = partner.jwt(&server, other);
        let answer = Asked::of("jwt", &jwt).by(&server, "orders-api").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

/// Attack: G199
async fn an_assertion_gets_around_nobody(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    let jwt = partner.jwt(&server, json!({}));
    client(
        &server,
        "job",
        json!({ "grants": ["client_credentials", EXCHANGE] }),
    )
    .await;
    assert_eq!(
        present(&server, "job", &jwt).await.refusal(),
        "unauthorized_client"
    );
    client(
        &server,
        "job",
        json!({ "grants": ["client_credentials", BEARER] }),
    )
    .await;
    assert_eq!(
        present(&server, "job", &jwt).await.refusal(),
        "invalid_grant",
        "no policy names the issuer"
    );
    let asks = json!({ "grants": ["authorization_code", BEARER], "exchange": { "issuers": [partner.issuer] } });
    let path = "/admin/v1/clients/other";
    let refused = server.admin(reqwest::Method::PATCH, path, Some(asks)).await;
    assert_eq!(
        refused.status, 400,
        "people would not be asked: {}",
        refused.body
    );
    let public = json!({ "grants": ["authorization_code", BEARER], "consent": "first_party",
        "exchange": { "issuers": [partner.issuer], "public": true } });
    let refused = server
        .admin(
            reqwest::Method::PATCH,
            "/admin/v1/clients/spa",
            Some(public),
        )
        .await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert_eq!(present(&server, "orders-api", &jwt).await.status, 200);
}

async fn of_parallel_presentations_one_gets_a_token(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    let jwt = partner.jwt(&server, json!({}));

    let all = (0..64).map(|_| async || present(&server, "orders-api", &jwt).await);
    let (answers, turned_away) = at_once(Row::R07, all).await;

    let good = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.status == 400).count();
    assert!(has_one_winner(good, turned_away), "{good}");
    assert_eq!(good + refused, 64);
}

async fn the_metadata_names_the_grants(server: Server) {
    let metadata = server
        .get("/.well-known/oauth-authorization-server")
        .await
        .json();
    let grants = metadata["grant_types_supported"].as_array().unwrap();
    for grant in [EXCHANGE, BEARER] {
        assert!(grants.contains(&Value::from(grant)), "{grant}");
    }
}
