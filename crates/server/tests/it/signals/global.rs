//! One call that takes back all that a person has running.
//!
//! Spec: draft-parecki-oauth-global-token-revocation-05

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_protocol::SigningAlgorithm;
use symbolon_token::jose::SigningKey;

use super::{admin, call, machine, token_of};
use crate::browser::{Browser, request};
use crate::exchange::world::now;
use crate::harness::{Answer, Server};
use crate::on_both_engines;

on_both_engines! {
    everything_of_a_person_is_taken_back_at_once_and_again
    whoever_may_not_take_back_takes_nothing_back
    a_client_with_a_key_needs_no_token
    a_client_of_an_organization_reaches_its_members_alone
}

const SCOPE: &str = "global-token-revocation";

async fn revoke(server: &Server, token: &str, subject: Value) -> Answer {
    let body = json!({ "sub_id": subject });
    let path = "/global-token-revocation";
    call(server, Method::POST, path, (token, Some(&body))).await
}

fn alice() -> Value {
    json!({ "format": "email", "email": "alice@example.com" })
}

async fn everything_of_a_person_is_taken_back_at_once_and_again(server: Server) {
    machine(&server, "okta", SCOPE).await;
    let token = token_of(&server, "okta").await;
    let about = server
        .get("/.well-known/oauth-authorization-server")
        .await
        .json();
    let endpoint = format!("{}/global-token-revocation", server.name());
    assert_eq!(about["global_token_revocation_endpoint"], endpoint);
    let person = admin(&server, Method::GET, "users/alice", None)
        .await
        .text("id");
    let by_subject = json!({ "format": "iss_sub", "iss": server.name(), "sub": person });
    for subject in [
        alice(),
        by_subject,
        json!({ "format": "opaque", "id": person }),
    ] {
        let mut browser = Browser::new(&server);
        let tokens = browser.tokens("alice", &request()).await;
        let bystander = Browser::new(&server).tokens("bob", &request()).await;

        let answer = revoke(&server, &token, subject.clone()).await;

        assert_eq!((answer.status, &*answer.body), (204, ""), "{subject}");
        assert!(!server.is_active(&tokens.text("access_token")).await);
        let refresh = tokens.text("refresh_token");
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &*refresh),
        ];
        assert_eq!(server.token("web", &form).await.refusal(), "invalid_grant");
        let page = browser.authorize(&request()).await;
        assert!(page.body.contains(r#"id="login-submit""#), "signed out");
        assert!(server.is_active(&bystander.text("access_token")).await);
        assert_eq!(revoke(&server, &token, subject).await.status, 204);
    }
}

async fn whoever_may_not_take_back_takes_nothing_back(server: Server) {
    machine(&server, "okta", SCOPE).await;
    machine(&server, "looker", "ssf.read").await;
    let (okta, looker) = (
        token_of(&server, "okta").await,
        token_of(&server, "looker").await,
    );
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    let access = tokens.text("access_token");
    for (token, status) in [
        ("", 401),
        ("nonsense", 401),
        (&*access, 401),
        (&*looker, 403),
    ] {
        assert_eq!(
            revoke(&server, token, alice()).await.status,
            status,
            "{token}"
        );
    }
    let iss = |iss: &str| json!({ "format": "iss_sub", "iss": iss, "sub": "alice" });
    for (subject, status) in [
        (
            json!({ "format": "email", "email": "nobody@example.com" }),
            404,
        ),
        (
            json!({ "format": "email", "email": "bob@example.com" }),
            404,
        ),
        (iss("https://other.example.com"), 404),
        (iss(&server.name()), 404),
        (json!({ "format": "smoke" }), 400),
        (json!({ "format": "email" }), 400),
        (json!("alice"), 400),
        (json!({ "format": "complex", "user": alice() }), 400),
        (Value::Null, 400),
    ] {
        let answer = revoke(&server, &okta, subject.clone()).await;
        assert_eq!(answer.status, status, "{subject}: {}", answer.body);
    }
    assert!(server.is_active(&access).await);
}

async fn a_client_with_a_key_needs_no_token(server: Server) {
    let document = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let key = SigningKey::from_pkcs8(SigningAlgorithm::Es256, &document).unwrap();
    let client = |id: &str, scopes: Value| {
        json!({
            "id": id, "kind": "service", "grants": ["client_credentials"], "scopes": scopes,
            "authentication": "private_key_jwt", "jwks": { "keys": [key.public_jwk()] },
        })
    };
    for (id, scopes) in [
        ("okta", json!([SCOPE])),
        ("other-key", json!(["read:orders"])),
    ] {
        admin(&server, Method::POST, "clients", Some(client(id, scopes))).await;
    }
    let assertion = |id: &str, jti: &str| {
        let now = now(&server);
        let claims = json!({
            "iss": id, "sub": id, "aud": server.name(), "jti": jti, "iat": now, "exp": now + 60,
        });
        key.sign("JWT", claims.to_string().as_bytes())
    };
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    let access = tokens.text("access_token");
    let lacks = revoke(&server, &assertion("other-key", "1"), alice()).await;
    assert_eq!((lacks.status, &*lacks.refusal()), (403, "access_denied"));
    let unknown = revoke(&server, &assertion("nobody", "2"), alice()).await;
    assert_eq!(unknown.status, 401);
    assert!(server.is_active(&access).await);
    let good = assertion("okta", "3");

    let answer = revoke(&server, &good, alice()).await;

    assert_eq!(answer.status, 204, "{}", answer.body);
    assert!(!server.is_active(&access).await);
    let replayed = revoke(&server, &good, alice()).await;
    assert_eq!(replayed.status, 401, "an assertion is good once");
}

async fn a_client_of_an_organization_reaches_its_members_alone(server: Server) {
    machine(&server, "okta", SCOPE).await;
    let of_acme = json!({ "organization": "acme" });
    admin(&server, Method::PATCH, "clients/okta", Some(of_acme)).await;
    let token = token_of(&server, "okta").await;
    let bob = admin(&server, Method::GET, "users/bob", None)
        .await
        .text("id");
    let subject = json!({ "format": "iss_sub", "iss": server.name(), "sub": bob });

    assert_eq!(revoke(&server, &token, subject).await.status, 404);
    assert_eq!(revoke(&server, &token, alice()).await.status, 204);
}
