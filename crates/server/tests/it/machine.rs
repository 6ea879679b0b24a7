//! Clients that act for themselves.

use reqwest::Method;

use crate::harness::{ORDERS, SECRET, Server, VAULT, read};
use crate::on_both_engines;

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

on_both_engines! {
    a_service_gets_a_token_that_its_api_finds_active
    client_credentials_and_introspection_write_nothing
    scopes_and_resources_beyond_the_client_are_refused
    sensitive_scopes_are_not_given_by_default
    wrong_credentials_get_one_answer
    the_token_endpoint_takes_forms_by_post_alone
}

/// Attack: B071, C095
async fn a_service_gets_a_token_that_its_api_finds_active(server: Server) {
    let jwt = server
        .token("job", &[GRANT, ("scope", "read:orders")])
        .await;
    let opaque = server.token("job", &[GRANT, ("resource", VAULT)]).await;

    assert_eq!(
        (jwt.status, jwt.text("token_type").as_str()),
        (200, "Bearer"),
        "{}",
        jwt.body
    );
    assert_eq!(jwt.header("cache-control"), Some("no-store"));
    assert_eq!(jwt.text("scope"), "read:orders");
    let told = server
        .introspect("orders-api", &jwt.text("access_token"))
        .await;
    assert_eq!(
        (&told["active"], &told["aud"], &told["sub"]),
        (&true.into(), &ORDERS.into(), &"job".into())
    );
    assert!(opaque.text("access_token").starts_with("sym_at_"));
    assert!(opaque.text("access_token").len() <= 300);
    assert_eq!(
        server
            .introspect("vault-api", &opaque.text("access_token"))
            .await["scope"],
        "read:vault"
    );
    assert_eq!(
        server
            .introspect("orders-api", &opaque.text("access_token"))
            .await,
        serde_json::json!({ "active": false })
    );
    server.advance(601);
    assert!(!server.is_active(&jwt.text("access_token")).await);
    assert!(!server.is_active(&opaque.text("access_token")).await);
}

async fn client_credentials_and_introspection_write_nothing(server: Server) {
    let before = server.commits();

    let token = server.token("job", &[GRANT]).await.text("access_token");
    server.introspect("orders-api", &token).await;

    assert_eq!(server.commits(), before);
}

async fn scopes_and_resources_beyond_the_client_are_refused(server: Server) {
    let cases = [
        (("scope", "write:orders"), "invalid_scope"),
        (("scope", "openid"), "invalid_scope"),
        (("scope", "a\"b"), "invalid_scope"),
        (
            ("resource", "https://elsewhere.example.com"),
            "invalid_target",
        ),
        (
            ("resource", "https://orders.example.com/x"),
            "invalid_target",
        ),
        (("resource", "not a uri"), "invalid_target"),
    ];
    for (pair, error) in cases {
        let answer = server.token("job", &[GRANT, pair]).await;
        assert_eq!(
            (answer.status, &*answer.refusal()),
            (400, error),
            "{pair:?}"
        );
    }
    let two = server
        .token("job", &[GRANT, ("resource", ORDERS), ("resource", VAULT)])
        .await;
    assert_eq!(two.refusal(), "invalid_target");
    let alias = server
        .token("job", &[GRANT, ("resource", "https://orders.example.com/")])
        .await;
    assert_eq!(
        server
            .introspect("orders-api", &alias.text("access_token"))
            .await["aud"],
        ORDERS
    );
}

async fn sensitive_scopes_are_not_given_by_default(server: Server) {
    let silent = server.token("job", &[GRANT]).await;
    let asked = server
        .token("job", &[GRANT, ("scope", "delete:orders")])
        .await;

    assert_eq!(silent.text("scope"), "read:orders");
    assert_eq!(asked.text("scope"), "delete:orders");
}

/// Attack: D108, D109
async fn wrong_credentials_get_one_answer(server: Server) {
    let basic = |id: &'static str, secret: &'static str| {
        server
            .request(Method::POST, "/token")
            .basic_auth(id, Some(secret))
            .form(&[GRANT])
    };
    let mut bodies = Vec::new();
    for request in [
        basic("job", "wrong"),
        basic("nobody", SECRET),
        basic("job", ""),
        basic("job", "null"),
    ] {
        let answer = read(request.send().await.unwrap()).await;
        assert_eq!((answer.status, &*answer.refusal()), (401, "invalid_client"));
        assert!(
            answer
                .header("www-authenticate")
                .unwrap()
                .starts_with("Basic")
        );
        bodies.push(answer.text("error_description"));
    }
    bodies.dedup();
    assert_eq!(
        bodies.len(),
        1,
        "unknown client and wrong secret must not differ"
    );
    let nothing = read(
        server
            .request(Method::POST, "/token")
            .form(&[GRANT])
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (nothing.status, &*nothing.refusal()),
        (401, "invalid_client")
    );
    let two = server
        .request(Method::POST, "/token")
        .basic_auth("job", Some(SECRET));
    let two = two.form(&[GRANT, ("client_id", "job"), ("client_secret", SECRET)]);
    assert_eq!(
        read(two.send().await.unwrap()).await.refusal(),
        "invalid_request"
    );
    assert_eq!(server.token("job", &[GRANT]).await.status, 200);
}

/// Attack: B068, B070, B073, B074, D112, N361, N362
async fn the_token_endpoint_takes_forms_by_post_alone(server: Server) {
    let get = server.get("/token?grant_type=client_credentials").await;
    assert_eq!(get.status, 405);
    let query = format!(
        "/token?client_id=job&client_secret={}",
        SECRET.replace(' ', "+")
    );
    let in_query = server.request(Method::POST, &query).form(&[GRANT]);
    assert_eq!(
        read(in_query.send().await.unwrap()).await.refusal(),
        "invalid_request"
    );
    let json = server
        .request(Method::POST, "/token")
        .basic_auth("job", Some(SECRET))
        .json(&GRANT);
    assert_eq!(read(json.send().await.unwrap()).await.status, 415);
    let zipped = server
        .request(Method::POST, "/token")
        .header("content-encoding", "gzip")
        .body("x");
    assert_eq!(read(zipped.send().await.unwrap()).await.status, 415);
    let large = server
        .request(Method::POST, "/token")
        .basic_auth("job", Some(SECRET));
    let large = large.form(&[("x", "y".repeat(1_000_000))]);
    assert_eq!(read(large.send().await.unwrap()).await.status, 413);
    for (pair, error) in [
        (("grant_type", "password"), "unsupported_grant_type"),
        (("grant_type", "implicit"), "unsupported_grant_type"),
        (("grant_type", ""), "invalid_request"),
        (("grant_type", "authorization_code"), "unauthorized_client"),
    ] {
        assert_eq!(
            server.token("job", &[pair]).await.refusal(),
            error,
            "{pair:?}"
        );
    }
    for body in [
        "grant_type=client_credentials&grant_type=x",
        "code=%00",
        "a=%ff%fe",
    ] {
        let raw = server
            .request(Method::POST, "/token")
            .basic_auth("job", Some(SECRET));
        let raw = raw
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        assert_eq!(
            read(raw.send().await.unwrap()).await.refusal(),
            "invalid_request",
            "{body}"
        );
    }
    let unknown = server
        .token("job", &[GRANT, ("foo", "bar"), ("scope", "")])
        .await;
    assert_eq!(unknown.status, 200);
}
