//! Clients that prove themselves by an assertion, over HTTP.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use symbolon_protocol::SigningAlgorithm;
use symbolon_testkit::START;
use symbolon_token::Digest;
use symbolon_token::jose::SigningKey;

use crate::harness::{Answer, ORDERS, SECRET, Server, read};
use crate::on_both_engines;

on_both_engines! {
    an_assertion_proves_a_client_once_and_adds_one_write
    whatever_else_an_assertion_says_it_proves_nothing
    nobody_finds_a_key_by_trying_so_nobody_is_refused_for_it
    a_secret_that_is_signed_with_is_guessed_no_further_than_one_that_is_sent
}

const BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn key() -> SigningKey {
    let algorithm = SigningAlgorithm::Es256;
    SigningKey::from_pkcs8(algorithm, &SigningKey::generate(algorithm).unwrap()).unwrap()
}

/// A client that has no secret but a key.
async fn partner(server: &Server) -> Arc<SigningKey> {
    let key = key();
    let client = json!({
        "id": "partner", "kind": "service", "authentication": "private_key_jwt",
        "jwks": { "keys": [key.public_jwk()] }, "grants": ["client_credentials"],
        "scopes": ["read:orders"], "resources": [ORDERS],
    });
    let made = server
        .admin(Method::POST, "/admin/v1/clients", Some(client))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    Arc::new(key)
}

fn claims(server: &Server, jti: &str) -> Value {
    let now = START.seconds();
    json!({
        "iss": "partner", "sub": "partner", "aud": server.name(), "jti": jti,
        "iat": now, "exp": now + 60,
    })
}

pub(crate) async fn show(server: &Server, assertion: &str) -> Answer {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", BEARER),
        ("client_assertion", assertion),
    ];
    let request = server.request(Method::POST, "/token").form(&form);
    read(request.send().await.unwrap()).await
}

/// Client credentials write nothing; the `jti` of an assertion adds one.
async fn an_assertion_proves_a_client_once_and_adds_one_write(server: Server) {
    let key = partner(&server).await;
    let assertion = key.sign("JWT", claims(&server, "one").to_string().as_bytes());
    let other = server.second_node().await;
    let before = server.commits();

    let first = show(&server, &assertion).await;

    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(server.commits() - before, 1);
    let token = first.text("access_token");
    assert_eq!(
        server.introspect("orders-api", &token).await["active"],
        true
    );
    for node in other.iter().chain([&server]) {
        let again = show(node, &assertion).await;
        assert_eq!((again.status, &*again.refusal()), (401, "invalid_client"));
    }
    drop(other);
    let server = server.restart().await;
    assert_eq!(show(&server, &assertion).await.refusal(), "invalid_client");
    let next = key.sign("JWT", claims(&server, "two").to_string().as_bytes());
    assert_eq!(show(&server, &next).await.status, 200);
}

async fn nobody_finds_a_key_by_trying_so_nobody_is_refused_for_it(server: Server) {
    let key = partner(&server).await;
    let sign = |key: &SigningKey, jti: &str| {
        let claims = claims(&server, jti).to_string();
        key.sign("JWT", claims.as_bytes())
    };
    for number in 0..20 {
        let wrong = sign(&self::key(), &format!("wrong-{number}"));
        assert_eq!(show(&server, &wrong).await.status, 401);
    }
    let limited = show(&server, &sign(&self::key(), "one more")).await;
    assert_eq!(limited.status, 429, "{}", limited.body);

    let right = show(&server, &sign(&key, "right")).await;

    assert_eq!(right.status, 200, "{}", right.body);
}

/// A JWT by HS256 (RFC 7518 §3.2), its HMAC as RFC 2104 §2 has it.
pub(crate) fn by_secret(secret: &str, claims: &Value) -> String {
    let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
    let signed = format!("{header}.{claims}");
    let mut key = [0; 64];
    key[..secret.len()].copy_from_slice(secret.as_bytes());
    let hash = |pad: u8, rest: &[u8]| {
        let padded = key.map(|byte| byte ^ pad);
        *Digest::of(&[&padded, rest].concat()).as_bytes()
    };
    let mac = hash(0x5c, &hash(0x36, signed.as_bytes()));
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac))
}

async fn a_secret_that_is_signed_with_is_guessed_no_further_than_one_that_is_sent(server: Server) {
    for id in ["partner", "running"] {
        let client = json!({
            "id": id, "kind": "service", "authentication": "client_secret_jwt",
            "secret": SECRET, "scopes": ["read:orders"], "resources": [ORDERS],
        });
        let made = server
            .admin(Method::POST, "/admin/v1/clients", Some(client))
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    let prove = async |id: &str, secret: &str, jti: &str| {
        let mut claims = claims(&server, jti);
        (claims["iss"], claims["sub"]) = (id.into(), id.into());
        show(&server, &by_secret(secret, &claims)).await.status
    };
    assert_eq!(prove("running", SECRET, "first").await, 200);
    for id in ["partner", "running"] {
        for number in 0..20 {
            let jti = format!("wrong-{number}");
            assert_eq!(prove(id, "another secret", &jti).await, 401);
        }
        assert_eq!(prove(id, "another secret", "one more").await, 429);
    }

    let found = prove("partner", SECRET, "right").await;

    assert_eq!(found, 429, "the right one is not told from the wrong ones");
    assert_eq!(prove("running", SECRET, "second").await, 200);
}

/// Attack: D114, D115, D117, D118
async fn whatever_else_an_assertion_says_it_proves_nothing(server: Server) {
    let key = partner(&server).await;
    let now = START.seconds();
    let endpoint = format!("{}/token", server.name());
    let changed = [
        ("aud", json!(endpoint)),
        ("aud", json!([server.name(), "https://evil.example"])),
        ("aud", json!([])),
        ("aud", json!(format!("{}/", server.name()))),
        ("iss", json!("other")),
        ("sub", json!("other")),
        ("sub", json!("")),
        ("jti", Value::Null),
        ("jti", json!("")),
        ("exp", Value::Null),
        ("exp", json!(now + 86_400)),
        ("exp", json!(now - 60)),
        ("exp", json!("soon")),
        ("nbf", json!(now + 60)),
        ("iat", json!(now + 60)),
    ];
    for (number, (name, value)) in changed.into_iter().enumerate() {
        let mut wrong = claims(&server, &format!("wrong-{number}"));
        if value.is_null() {
            wrong.as_object_mut().unwrap().remove(name);
        } else {
            wrong[name] = value;
        }
        let answer = show(&server, &key.sign("JWT", wrong.to_string().as_bytes())).await;
        assert_eq!(
            (answer.status, &*answer.refusal()),
            (401, "invalid_client"),
            "{wrong}"
        );
    }
    let good = claims(&server, "good").to_string();
    for (typ, by) in [
        ("at+jwt", &*key),
        ("logout+jwt", &key),
        ("JWT", &self::key()),
    ] {
        let answer = show(&server, &by.sign(typ, good.as_bytes())).await;
        assert_eq!(answer.status, 401, "{typ}");
    }

    let right = show(&server, &key.sign("JWT", good.as_bytes())).await;

    assert_eq!(right.status, 200, "{}", right.body);
    let mut list = claims(&server, "list");
    list["aud"] = json!([server.name()]);
    let list = key.sign("client-authentication+jwt", list.to_string().as_bytes());
    assert_eq!(show(&server, &list).await.status, 200);
}
