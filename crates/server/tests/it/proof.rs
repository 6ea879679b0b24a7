//! Clients that prove themselves, and what strangers learn by trying.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;

use crate::browser::{Browser, request};
use crate::harness::{Answer, SECRET, Server, read};
use crate::on_both_engines;

on_both_engines! {
    whoever_showed_the_right_secret_passes_after_any_number_of_wrong_ones
    wrong_proofs_look_alike_whether_the_client_exists_or_not
    an_unknown_client_costs_no_read_and_a_new_one_is_known_at_once
    a_signature_that_was_registered_is_given_unless_plain_json_is_asked_for
}

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

async fn by_secret(server: &Server, client: &str, secret: &str) -> Answer {
    let request = server
        .request(reqwest::Method::POST, "/token")
        .form(&[GRANT]);
    read(
        request
            .basic_auth(client, Some(secret))
            .send()
            .await
            .unwrap(),
    )
    .await
}

async fn by_assertion(server: &Server, client: &str) -> Answer {
    let part = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({ "alg": "HS256" }));
    let claims =
        part(json!({ "iss": client, "sub": client, "aud": server.name(), "exp": 1, "jti": "j" }));
    let assertion = format!(
        "{header}.{claims}.{}",
        BASE64_URL_SAFE_NO_PAD.encode([7; 32])
    );
    let form = [
        GRANT,
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", &*assertion),
    ];
    let request = server.request(reqwest::Method::POST, "/token").form(&form);
    read(request.send().await.unwrap()).await
}

/// One who was never right from here waits (`guesses`); who was right is not
/// locked out by a neighbour who guesses.
async fn whoever_showed_the_right_secret_passes_after_any_number_of_wrong_ones(server: Server) {
    assert_eq!(by_secret(&server, "job", SECRET).await.status, 200);
    let mut statuses = Vec::new();
    for _ in 0..25 {
        statuses.push(by_secret(&server, "job", "a wrong secret").await.status);
    }

    let right = by_secret(&server, "job", SECRET).await;

    assert_eq!(statuses[..20], [401; 20]);
    assert_eq!(statuses[20..], [429; 5]);
    assert_eq!(
        right.status, 200,
        "nobody locks a client out: {}",
        right.body
    );
    assert_eq!(
        by_secret(&server, "job", "a wrong secret").await.status,
        429
    );
}

/// Attack: D123
async fn wrong_proofs_look_alike_whether_the_client_exists_or_not(server: Server) {
    let shape = |answer: &Answer| (answer.status, answer.json()["error_description"].clone());
    let mut all = Vec::new();
    for client in ["maker", "job", "spa", "unknown"] {
        let mut one = Vec::new();
        for _ in 0..22 {
            one.push(shape(&by_assertion(&server, client).await));
        }
        assert_eq!(
            (one[0].0, one[19].0, one[21].0),
            (401, 401, 429),
            "{client}"
        );
        all.push(one);
    }
    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");

    let mut secrets = Vec::new();
    for client in ["vault-api", "maker", "never"] {
        let mut one = Vec::new();
        for _ in 0..22 {
            one.push(shape(&by_secret(&server, client, "wrong").await));
        }
        secrets.push(one);
    }
    assert_eq!(secrets[0], secrets[2]);
}

async fn an_unknown_client_costs_no_read_and_a_new_one_is_known_at_once(server: Server) {
    let unknown = by_secret(&server, "later", SECRET).await;
    assert_eq!(unknown.status, 401);
    let client = json!({
        "id": "later", "kind": "service", "grants": ["client_credentials"],
        "scopes": ["read:orders"], "resources": ["https://orders.example.com"],
    });

    let made = server
        .admin(reqwest::Method::POST, "/admin/v1/clients", Some(client))
        .await;

    let secret = made.text("secret");
    assert_eq!(by_secret(&server, "later", &secret).await.status, 200);
    let path = "/admin/v1/clients/later";
    server.admin(reqwest::Method::DELETE, path, None).await;
    assert_eq!(by_secret(&server, "later", &secret).await.status, 401);
}

async fn a_signature_that_was_registered_is_given_unless_plain_json_is_asked_for(server: Server) {
    let token = by_secret(&server, "signed", SECRET)
        .await
        .text("access_token");
    let signed = "application/token-introspection+jwt";
    for (accept, expected) in [
        (None, signed),
        (Some("*/*"), signed),
        (Some("text/html, */*;q=0.1"), signed),
        (Some("application/json"), "application/json"),
        (
            Some("application/json, application/token-introspection+jwt"),
            signed,
        ),
        // What has no weight is not wanted (RFC 9110 §12.4.2).
        (Some("application/json;q=0"), signed),
        (Some("application/json; Q=0.000, */*"), signed),
        (
            Some("application/json, application/token-introspection+jwt;q=0"),
            "application/json",
        ),
        (Some("application/json;q=0.001"), "application/json"),
    ] {
        let mut request = server
            .request(reqwest::Method::POST, "/introspect")
            .basic_auth("signed", Some(SECRET))
            .form(&[("token", &token)]);
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        let answer = read(request.send().await.unwrap()).await;
        assert_eq!(answer.header("content-type"), Some(expected), "{accept:?}");
    }
}

/// A database that was put back to an earlier day knows no family of later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_of_a_family_that_is_gone_is_revoked_with_200() {
    let mut server = Server::on_sqlite().await;
    let files = ["symbolon.db", "symbolon.db-wal", "symbolon.db-shm"];
    for file in files {
        let from = server.folder.join(file);
        if from.exists() {
            std::fs::copy(from, server.folder.join(format!("{file}.early"))).unwrap();
        }
    }
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    server.running.take().unwrap().stop().await;
    for file in files {
        let early = server.folder.join(format!("{file}.early"));
        let _ = std::fs::remove_file(server.folder.join(file));
        if early.exists() {
            std::fs::copy(early, server.folder.join(file)).unwrap();
        }
    }
    let server = server.sibling().await;

    let token = tokens.text("refresh_token");
    let gone = server.form("/revoke", "web", &[("token", &token)]).await;

    assert_eq!(gone.status, 200, "{}", gone.body);
    let live = Browser::new(&server).tokens("alice", &request()).await;
    let live = live.text("refresh_token");
    let other = server.form("/revoke", "other", &[("token", &live)]).await;
    assert_eq!(other.refusal(), "invalid_grant");
}
