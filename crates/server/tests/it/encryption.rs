//! Tokens and answers that are signed and then encrypted to whoever registered
//! a key.
//!
//! Spec: OpenID Connect Core 1.0 §10.2
//! Spec: RFC 9701 §6
//! Spec: RFC 9068 §6

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_protocol::{ContentEncryption, KeyManagement};
use symbolon_server::clock::SystemEntropy;
use symbolon_token::jose::jwe::{Content, DecryptionKey, EncryptionKey, claimed_header};
use symbolon_token::jose::{KeySet, SigningKey, Unverified};
use symbolon_token::{Digest, Secret};
use symbolon_verify::{Algorithm, Requirement, Verifier};

use crate::browser::{Browser, hidden, redemption, request, response};
use crate::exchange::world::{Asked, EXCHANGE, urn};
use crate::harness::{Answer, CALLBACK, ORDERS, SECRET, Server, read};

/// A private key on P-256 (RFC 7518, appendix C), without its algorithm.
const KEY: &str = r#"{"kty":"EC","crv":"P-256","kid":"bob","use":"enc",
    "x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
    "d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}"#;

/// The algorithms for which the key is.
const CURVES: [KeyManagement; 2] = [KeyManagement::EcdhEs, KeyManagement::EcdhEsA256Kw];

fn private(alg: KeyManagement) -> String {
    let mut jwk: Value = serde_json::from_str(KEY).unwrap();
    jwk["alg"] = alg.as_str().into();
    jwk.to_string()
}

pub(crate) fn opener(alg: KeyManagement) -> DecryptionKey {
    DecryptionKey::from_jwk(&Secret::from(private(alg))).unwrap()
}

pub(crate) fn public() -> Value {
    let mut jwk: Value = serde_json::from_str(KEY).unwrap();
    jwk.as_object_mut().unwrap().remove("d");
    json!({ "keys": [jwk] })
}

async fn patch(server: &Server, path: &str, patch: Value) -> Answer {
    server
        .admin(Method::PATCH, &format!("/admin/v1/{path}"), Some(patch))
        .await
}

/// Changes a client, which must be let.
pub(crate) async fn client(server: &Server, id: &str, change: Value) {
    let answer = patch(server, &format!("clients/{id}"), change).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

pub(crate) fn at_resource(identifier: &str) -> String {
    let identifier = identifier.replace(':', "%3A").replace('/', "%2F");
    format!("resources/{identifier}")
}

/// Changes a resource, which must be let.
pub(crate) async fn resource(server: &Server, identifier: &str, change: Value) {
    let answer = patch(server, &at_resource(identifier), change).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// Has the tokens of an API encrypted.
async fn encrypt_orders(server: &Server, alg: KeyManagement) {
    let wanted = json!({ "jwks": public(), "access_token_encrypted_response_alg": alg });
    resource(server, ORDERS, wanted).await;
}

/// The claims of a JWT of this server, whose signature must be good.
async fn claims(server: &Server, jwt: &str) -> Value {
    let token = Unverified::parse(jwt).unwrap();
    let keys = server.get("/.well-known/jwks.json").await.body;
    let keys = KeySet::parse(keys.as_bytes()).unwrap();
    let key = keys
        .candidates(token.claimed_kid(), token.algorithm().unwrap())
        .next();
    Value::Object(token.verify(key.unwrap()).unwrap())
}

fn form(refresh: &str) -> [(&'static str, &str); 2] {
    [("grant_type", "refresh_token"), ("refresh_token", refresh)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_token_is_signed_and_then_encrypted_as_the_client_says() {
    let server = Server::on_sqlite().await;
    let mut browser = Browser::new(&server);
    for alg in CURVES {
        for enc in ContentEncryption::ALL {
            let wanted = json!({ "jwks": public(), "id_token_encrypted_response_alg": alg,
                "id_token_encrypted_response_enc": enc });
            client(&server, "web", wanted).await;

            let tokens = browser.tokens("alice", &request()).await;

            let text = tokens.text("id_token");
            let header = claimed_header(&text).unwrap();
            assert_eq!(header["cty"], "JWT");
            assert_eq!((&header["alg"], &header["enc"]), (&json!(alg), &json!(enc)));
            assert_eq!(header["kid"], "bob");
            let inner = opener(alg).open_nested(&text).unwrap();
            let told = claims(&server, &inner).await;
            assert_eq!(
                (&told["aud"], &told["nonce"]),
                (&json!("web"), &json!("the nonce"))
            );
            let digest = Digest::of(tokens.text("access_token").as_bytes());
            let half = base64::Engine::encode(
                &base64::prelude::BASE64_URL_SAFE_NO_PAD,
                &digest.as_bytes()[..16],
            );
            assert_eq!(told["at_hash"], json!(half));
            let renewed = server
                .token("web", &form(&tokens.text("refresh_token")))
                .await;
            assert!(opener(alg).open_nested(&renewed.text("id_token")).is_ok());
        }
    }
    let plain =
        json!({ "id_token_encrypted_response_alg": "", "id_token_encrypted_response_enc": "" });
    client(&server, "web", plain).await;
    let tokens = browser.tokens("alice", &request()).await;
    assert_eq!(
        claims(&server, &tokens.text("id_token")).await["aud"],
        "web"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn userinfo_and_introspection_are_never_answered_in_the_open() {
    let server = Server::on_sqlite().await;
    let alg = KeyManagement::EcdhEsA256Kw;
    let access = Browser::new(&server)
        .tokens("alice", &request())
        .await
        .text("access_token");
    assert!(server.userinfo(&access).await.json()["sub"].is_string());
    let wanted = json!({ "jwks": public(), "userinfo_encrypted_response_alg": alg });
    client(&server, "web", wanted).await;
    let wanted = json!({ "jwks": public(), "introspection_encrypted_response_alg": alg,
        "introspection_encrypted_response_enc": "A128GCM" });
    client(&server, "orders-api", wanted).await;

    let userinfo = server.userinfo(&access).await;

    assert_eq!(userinfo.header("content-type"), Some("application/jwt"));
    assert_eq!(claimed_header(&userinfo.body).unwrap()["enc"], "A256GCM");
    let inner = opener(alg).open_nested(&userinfo.body).unwrap();
    let told = claims(&server, &inner).await;
    assert_eq!(
        (&told["iss"], &told["aud"]),
        (&json!(server.name()), &json!("web"))
    );
    for accept in [
        "application/json",
        "*/*",
        "application/token-introspection+jwt",
    ] {
        for (token, active) in [(&*access, true), ("nonsense", false)] {
            let asked = server
                .request(Method::POST, "/introspect")
                .basic_auth("orders-api", Some(SECRET))
                .header("accept", accept)
                .form(&[("token", token)]);
            let answer = read(asked.send().await.unwrap()).await;
            let kind = answer.header("content-type").map(str::to_owned);
            assert_eq!(kind.as_deref(), Some("application/token-introspection+jwt"));
            let inner = opener(alg).open_nested(&answer.body).unwrap();
            let header = Unverified::parse(&inner).unwrap();
            assert_eq!(header.claimed_type(), Some("token-introspection+jwt"));
            let told = claims(&server, &inner).await;
            assert_eq!(told["token_introspection"]["active"], active, "{accept}");
            assert_eq!(told["aud"], "orders-api");
        }
    }
}

/// A code is not spent by what could not be encrypted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_nothing_is_issued_and_nothing_is_lost() {
    let server = Server::on_sqlite().await;
    let away = json!({ "jwks_uri": "http://127.0.0.1:1/jwks",
        "id_token_encrypted_response_alg": "ECDH-ES", "userinfo_encrypted_response_alg": "ECDH-ES" });
    client(&server, "web", away).await;
    let code = Browser::new(&server).code("alice", &request()).await;

    let refused = server.token("web", &redemption(&code, CALLBACK)).await;

    assert_eq!(
        (refused.status, &*refused.refusal()),
        (400, "invalid_client_metadata")
    );
    assert!(!refused.body.contains("eyJ"), "{}", refused.body);
    let here = json!({ "jwks_uri": null, "jwks": public() });
    client(&server, "web", here).await;
    let tokens = server.token("web", &redemption(&code, CALLBACK)).await;
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    let access = tokens.text("access_token");
    assert_eq!(
        server.userinfo(&access).await.header("content-type"),
        Some("application/jwt")
    );
    client(
        &server,
        "web",
        json!({ "jwks_uri": "http://127.0.0.1:1/jwks", "jwks": null }),
    )
    .await;
    assert_eq!(server.userinfo(&access).await.status, 400);

    let away = json!({ "jwks_uri": "http://127.0.0.1:1/jwks",
        "access_token_encrypted_response_alg": "ECDH-ES" });
    resource(&server, ORDERS, away).await;
    let machine = [("grant_type", "client_credentials")];
    let refused = server.token("job", &machine).await;
    assert_eq!(
        (refused.status, &*refused.refusal()),
        (400, "invalid_target")
    );
    resource(
        &server,
        ORDERS,
        json!({ "jwks_uri": null, "jwks": public() }),
    )
    .await;
    assert_eq!(server.token("job", &machine).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_access_token_lives_and_dies_like_any_other() {
    let mut server = Server::on_sqlite().await;
    for alg in CURVES {
        // The file is applied anew at each start.
        client(
            &server,
            "web",
            json!({ "grants": ["authorization_code", "refresh_token", EXCHANGE] }),
        )
        .await;
        encrypt_orders(&server, alg).await;
        let tokens = Browser::new(&server).tokens("alice", &request()).await;
        let access = tokens.text("access_token");

        let inner = opener(alg).open_nested(&access).unwrap();

        let told = claims(&server, &inner).await;
        assert_eq!(
            Unverified::parse(&inner).unwrap().claimed_type(),
            Some("at+jwt")
        );
        for shown in [&access, &inner] {
            let answer = server.introspect("orders-api", shown).await;
            assert_eq!(
                (&answer["active"], &answer["jti"]),
                (&json!(true), &told["jti"])
            );
        }
        assert_eq!(server.userinfo(&access).await.status, 200);
        let narrower = Asked::of("access_token", &access).by(&server, "web").await;
        assert_eq!(narrower.status, 200, "{}", narrower.body);
        let narrower = narrower.text("access_token");
        assert!(opener(alg).open_nested(&narrower).is_ok());
        let again = Asked::of("jwt", &access).by(&server, "web").await;
        assert_eq!(again.status, 200, "{}", again.body);
        let renewed = server
            .token("web", &form(&tokens.text("refresh_token")))
            .await;
        assert!(
            opener(alg)
                .open_nested(&renewed.text("access_token"))
                .is_ok()
        );
        server = server.restart().await;
        assert!(server.is_active(&access).await, "after a restart");
        let taken = server.form("/revoke", "web", &[("token", &access)]).await;
        assert_eq!(taken.status, 200, "{}", taken.body);
        for shown in [&access, &inner, &narrower] {
            assert_eq!(
                server.introspect("orders-api", shown).await,
                json!({ "active": false })
            );
        }
        assert_eq!(server.userinfo(&access).await.status, 401);
    }
}

/// Attack: E152
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_encrypt_to_an_api_is_no_token_of_this_server() {
    let server = Server::on_sqlite().await;
    let alg = KeyManagement::EcdhEsA256Kw;
    encrypt_orders(&server, alg).await;
    let machine = [("grant_type", "client_credentials")];
    let access = server.token("job", &machine).await.text("access_token");
    assert!(server.is_active(&access).await);
    let inner = opener(alg).open_nested(&access).unwrap();
    let jwk = public()["keys"][0].clone();
    let key = EncryptionKey::from_jwk(jwk.as_object().unwrap(), alg).unwrap();
    let claims = json!({ "iss": server.name(), "sub": "root", "aud": ORDERS, "scope": "all" });

    for inside in [inner, claims.to_string()] {
        let content = Content::nested(&inside);
        let forged = key
            .encrypt(ContentEncryption::A256Gcm, content, &SystemEntropy)
            .unwrap();
        assert!(!server.is_active(&forged).await);
        assert_eq!(server.userinfo(&forged).await.status, 401);
        let done = server.form("/revoke", "job", &[("token", &forged)]).await;
        assert_eq!(done.status, 200);
    }
    for at in (0..access.len()).step_by(97) {
        let mut bytes = access.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(!server.is_active(&changed).await, "{at}");
    }
    assert!(server.is_active(&access).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_with_the_key_takes_the_token_and_obeys_what_is_taken_back() {
    let server = Server::on_sqlite().await;
    let alg = KeyManagement::EcdhEs;
    encrypt_orders(&server, alg).await;
    let verifier = || {
        let made = Verifier::new(&server.name(), ORDERS, [Algorithm::Es256]).unwrap();
        made.with_clock(Arc::clone(&server.clock) as _)
            .decrypt_with(private(alg))
            .unwrap()
            .introspect_as("orders-api", SECRET)
            .unwrap()
    };
    let machine = [
        ("grant_type", "client_credentials"),
        ("scope", "read:orders"),
    ];
    let access = server.token("job", &machine).await.text("access_token");
    let needed = Requirement::all(["read:orders"]);

    let principal = verifier().check(&access, &needed).await.unwrap();

    assert_eq!(principal.client(), "job");
    server.form("/revoke", "job", &[("token", &access)]).await;
    // Another one, which remembers no answer.
    let refusal = verifier().check(&access, &needed).await.unwrap_err();
    assert_eq!(refusal.code(), "inactive");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_hint_is_refused_with_what_to_send_instead() {
    let server = Server::on_sqlite().await;
    let alg = KeyManagement::EcdhEs;
    let wanted = json!({ "jwks": public(), "id_token_encrypted_response_alg": alg });
    client(&server, "web", wanted).await;
    let mut browser = Browser::new(&server);
    let hint = browser.tokens("alice", &request()).await.text("id_token");
    let inner = opener(alg).open_nested(&hint).unwrap();
    let asked = |hint: &str| {
        let mut asked = request();
        asked.insert("prompt".into(), "none".into());
        asked.insert("id_token_hint".into(), hint.into());
        asked
    };

    let refused = response(&browser.authorize(&asked(&hint)).await);

    assert_eq!(refused["error"], "invalid_request");
    assert!(
        refused["error_description"].contains("decrypt it"),
        "{refused:?}"
    );
    assert!(response(&browser.authorize(&asked(&inner)).await).contains_key("code"));
    let out = browser.get(&format!("/logout?id_token_hint={hint}")).await;
    assert!(out.body.contains("decrypt it"), "{}", out.body);
    let out = browser.get(&format!("/logout?id_token_hint={inner}")).await;
    assert!(
        out.status < 400 && hidden(&out.body, "id_token_hint").is_none(),
        "{}",
        out.body
    );
}

#[cfg(feature = "saml")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_assertion_tells_in_the_open_what_tokens_keep_to_themselves() {
    let server = Server::on_sqlite().await;
    let policy = json!({ "grants": ["authorization_code", "refresh_token", EXCHANGE],
        "exchange": { "issues": ["access_token", "saml2"] } });
    client(&server, "web", policy).await;
    let access = Browser::new(&server)
        .tokens("alice", &request())
        .await
        .text("access_token");
    let asked = Asked::of("access_token", &access).with("requested_token_type", &urn("saml2"));
    let open = asked.by(&server, "web").await;
    assert_eq!(open.status, 200, "{}", open.body);
    encrypt_orders(&server, KeyManagement::EcdhEs).await;

    let refused = asked.by(&server, "web").await;

    assert_eq!(refused.refusal(), "invalid_target");
}

/// Attack: E155
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_encrypted_to_is_refused_where_it_is_registered() {
    let server = Server::on_sqlite().await;
    let mut signing = public();
    signing["keys"][0]["use"] = "sig".into();
    let mut whole: Value = serde_json::from_str(KEY).unwrap();
    whole["use"] = "enc".into();
    let private = json!({ "keys": [whole] });
    let alg = "id_token_encrypted_response_alg";
    let enc = "id_token_encrypted_response_enc";
    for (change, word) in [
        (json!({ alg: "RSA1_5", "jwks": public() }), "RSA-OAEP-256"),
        (json!({ alg: "dir", "jwks": public() }), "ECDH-ES+A256KW"),
        (
            json!({ alg: "ECDH-ES", enc: "A128CBC-HS256", "jwks": public() }),
            "A256CBC-HS512",
        ),
        (json!({ alg: "RSA-OAEP-256", "jwks": public() }), "`RSA`"),
        (json!({ alg: "ECDH-ES", "jwks": signing }), "use = \"enc\""),
        (json!({ alg: "ECDH-ES", "jwks": private }), "private"),
        (json!({ alg: "ECDH-ES" }), "`jwks_uri`"),
        (json!({ enc: "A256GCM", "jwks": public() }), alg),
        (
            json!({ alg: "ECDH-ES", "jwks_uri": "ftp://a.example/jwks" }),
            "https",
        ),
    ] {
        let refused = patch(&server, "clients/web", change.clone()).await;
        assert_eq!(refused.status, 400, "{change} {}", refused.body);
        let told = refused.json()["error_description"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(told.contains(word), "{told}");
    }
    let alg = "access_token_encrypted_response_alg";
    let opaque = json!({ alg: "ECDH-ES", "jwks": public(), "token_format": "opaque" });
    for (change, word) in [
        (json!({ alg: "RSA1_5", "jwks": public() }), "RSA-OAEP-256"),
        (json!({ alg: "RSA-OAEP-256", "jwks": public() }), "`RSA`"),
        (json!({ alg: "ECDH-ES" }), "`jwks_uri`"),
        (
            json!({ alg: "ECDH-ES", "jwks": { "keys": [whole] } }),
            "private",
        ),
        (opaque, "token_format"),
    ] {
        let refused = patch(&server, &at_resource(ORDERS), change.clone()).await;
        assert_eq!(refused.status, 400, "{change} {}", refused.body);
        assert!(refused.body.contains(word), "{word}: {}", refused.body);
    }
    encrypt_orders(&server, KeyManagement::EcdhEs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_names_what_there_is_and_nothing_else() {
    let server = Server::on_sqlite().await;

    let document = server.get("/.well-known/openid-configuration").await.json();

    for answer in ["id_token", "userinfo", "introspection"] {
        let alg = &document[format!("{answer}_encryption_alg_values_supported")];
        assert_eq!(
            *alg,
            json!(["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A256KW"]),
            "{answer}"
        );
        let enc = &document[format!("{answer}_encryption_enc_values_supported")];
        assert_eq!(
            *enc,
            json!(["A128GCM", "A256GCM", "A256CBC-HS512"]),
            "{answer}"
        );
    }
}

/// A key that was made for this test.
fn rsa() -> Value {
    let pair = SigningKey::generate(symbolon_protocol::SigningAlgorithm::Rs256).unwrap();
    let pair = SigningKey::from_pkcs8(symbolon_protocol::SigningAlgorithm::Rs256, &pair).unwrap();
    let mut jwk = pair.bare_jwk().clone();
    jwk["use"] = "enc".into();
    json!({ "keys": [jwk] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_rsa_wrapped_is_part_of_the_token_for_the_server_too() {
    let server = Server::on_sqlite().await;
    let alg = KeyManagement::RsaOaep256;
    for enc in ContentEncryption::ALL {
        let wanted = json!({ "jwks": rsa(), "access_token_encrypted_response_alg": alg,
            "access_token_encrypted_response_enc": enc });
        resource(&server, ORDERS, wanted).await;
        let token = crate::exchange::world::own_token(&server, "job").await;
        let with = |wrapped: &str| {
            let mut parts: Vec<&str> = token.split('.').collect();
            parts[1] = wrapped;
            parts.join(".")
        };

        assert!(server.is_active(&token).await, "{enc}");
        for wrapped in ["", "AAAA", &"A".repeat(342)] {
            assert!(!server.is_active(&with(wrapped)).await, "{enc} {wrapped}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_access_token_is_explained_as_what_is_inside() {
    let server = Server::on_sqlite().await;
    encrypt_orders(&server, KeyManagement::EcdhEs).await;
    let token = crate::exchange::world::own_token(&server, "job").await;
    let explain = async |token: &str| {
        let question = json!({ "token": token, "audience": ORDERS, "scopes": ["read:orders"] });
        let path = "/admin/v1/tokens:explain";
        let answer = server.admin(Method::POST, path, Some(question)).await;
        answer.json()
    };

    let good = explain(&token).await;
    let changed = format!("{}AAAA", &token[..token.len() - 4]);
    let foreign = explain(&changed).await;
    let done = server
        .admin(
            Method::POST,
            "/admin/v1/revoke",
            Some(json!({ "token": token })),
        )
        .await;
    let dead = explain(&token).await;

    assert_eq!(
        (&good["verdict"], &good["known"]["client"]),
        (&json!("valid"), &json!("job"))
    );
    assert_eq!(good["shown"], "encrypted_token");
    assert_eq!(
        foreign["root"], "encrypted_token",
        "nobody here can read it"
    );
    assert_eq!(done.status, 204, "{}", done.body);
    assert_eq!(dead["code"], "revoked", "{dead}");
    assert_ne!(dead["taken_back"], json!([]));
}
