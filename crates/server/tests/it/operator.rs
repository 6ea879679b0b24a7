//! What an operator sees: answers that say what was done, and what was not.

use argon2::PasswordHasher;
use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::{Browser, request};
use crate::harness::{ORDERS, PASSWORD, Server, read};
use crate::on_both_engines;

on_both_engines! {
    what_is_no_token_of_this_server_is_not_said_to_be_taken_back
    a_client_is_registered_under_the_names_of_registration
    a_weak_hash_is_made_anew_at_the_next_sign_in
    every_key_that_was_made_is_named_in_the_audit_trail
    public_documents_are_read_from_any_origin_and_others_by_registered_ones
    a_person_at_a_wrong_address_is_shown_a_page
    a_new_secret_is_answered_beside_what_stands_there
}

async fn what_is_no_token_of_this_server_is_not_said_to_be_taken_back(server: Server) {
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    let access = tokens.text("access_token");
    let refresh = tokens.text("refresh_token");
    let revoke = async |token: &str| {
        let body = Some(json!({ "token": token }));
        server.admin(Method::POST, "/admin/v1/revoke", body).await
    };
    let before = server.commits();
    let cut = &access[..access.len() - 4];
    let cut_too = &refresh[..refresh.len() - 4];
    for nonsense in [
        "abc",
        "a.b.c",
        "sym_at_AAAA",
        "sym_rt_AAAA",
        "sym_cs_AAAA",
        cut,
        cut_too,
    ] {
        let refused = revoke(nonsense).await;
        assert_eq!(
            (refused.status, &*refused.refusal()),
            (404, "not_found"),
            "{nonsense}"
        );
    }
    assert_eq!(server.commits(), before);
    assert!(server.is_active(&access).await);

    assert_eq!(revoke(&access).await.status, 204);
    assert!(!server.is_active(&access).await);
    assert_eq!(revoke(&refresh).await.status, 204);
    // What is dead already is dead: that is no mistake.
    server.advance(700);
    assert_eq!(revoke(&access).await.status, 204);
}

async fn a_client_is_registered_under_the_names_of_registration(server: Server) {
    let secret = "a secret that another server made for it";
    let exported = json!({
        "client_id": "moved", "client_name": "Moved", "client_name#fr": "Déménagé",
        "client_secret": secret, "client_id_issued_at": 1, "client_secret_expires_at": 0,
        "token_endpoint_auth_method": "client_secret_post", "grant_types": ["client_credentials"],
        "scope": "read:orders", "resources": ["https://orders.example.com"],
        "application_type": "web", "userinfo_signed_response_alg": "none",
        "initiate_login_uri": "https://moved.example.com/login",
        "dpop_bound_access_tokens": false, "request_uris": [],
        "frontchannel_logout_session_required": false,
    });

    let made = server
        .admin(Method::POST, "/admin/v1/clients", Some(exported))
        .await;

    assert_eq!(made.status, 201, "{}", made.body);
    assert!(made.json().get("secret").is_none(), "it is known already");
    assert_eq!(made.json()["client_name#fr"], "Déménagé");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "moved"),
        ("client_secret", secret),
    ];
    let token = server.request(Method::POST, "/token").form(&form);
    assert_eq!(read(token.send().await.unwrap()).await.status, 200);
    let native = json!({ "client_id": "app", "application_type": "native", "redirect_uris": ["com.example.app:/cb"] });
    let native = server
        .admin(Method::POST, "/admin/v1/clients", Some(native))
        .await;
    assert_eq!(native.text("kind"), "native");
    for bound in [
        "require_pushed_authorization_requests",
        "frontchannel_logout_session_required",
    ] {
        let asks = json!({ "id": "x", "redirect_uris": ["https://x.example/"], bound: true });
        let refused = server
            .admin(Method::POST, "/admin/v1/clients", Some(asks))
            .await;
        assert!(
            refused.text("error_description").contains("not built yet"),
            "{}",
            refused.body
        );
    }
}

async fn a_weak_hash_is_made_anew_at_the_next_sign_in(server: Server) {
    // The first consent writes more than every later one.
    Browser::new(&server).tokens("alice", &request()).await;
    let sign_in_after = async |given: Value| {
        let path = "/admin/v1/users/alice/password";
        let set = server.admin(Method::POST, path, Some(given)).await;
        assert_eq!(set.status, 200, "{}", set.body);
        let before = server.commits();
        let tokens = Browser::new(&server).tokens("alice", &request()).await;
        assert_eq!(tokens.status, 200);
        server.commits() - before
    };

    let strong = sign_in_after(json!({ "password": PASSWORD })).await;
    let weak = sign_in_after(json!({ "password_hash": weak_hash() })).await;

    assert_eq!(weak, strong + 1, "one write: the hash");
    let again = Browser::new(&server).tokens("alice", &request()).await;
    assert_eq!(again.status, 200, "and it is one of the same password");
}

/// The password that everybody has here, at a tenth of today's cost.
fn weak_hash() -> String {
    let params = argon2::Params::new(2 * 1024, 1, 1, None).unwrap();
    let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let hashed = argon.hash_password_with_salt(PASSWORD.as_bytes(), b"sixteen bytes 16");
    hashed.unwrap().to_string()
}

async fn every_key_that_was_made_is_named_in_the_audit_trail(server: Server) {
    let path = "/admin/v1/audit?action=key.create&limit=1000";
    let listed = server.admin(Method::GET, path, None).await.json();
    let entries = listed["items"].as_array().unwrap();
    let keys = server
        .admin(Method::GET, "/admin/v1/keys", None)
        .await
        .json();
    for key in keys["items"].as_array().unwrap() {
        let (kid, algorithm) = (key["kid"].as_str().unwrap(), &key["algorithm"]);
        let names = |entry: &&Value| {
            let detail = &entry["detail"];
            let names = [format!("signing:{kid}"), kid.to_owned()];
            let is_named = names.iter().any(|name| detail["key"] == **name);
            is_named && detail["algorithm"] == *algorithm
        };
        assert_eq!(entries.iter().filter(names).count(), 1, "{kid}");
    }
    assert!(
        entries
            .iter()
            .all(|entry| entry["detail"]["purpose"].is_string())
    );
}

async fn public_documents_are_read_from_any_origin_and_others_by_registered_ones(server: Server) {
    let ask = async |method: Method, path: &str, origin: &str| {
        let asked = server
            .request(method, path)
            .header("origin", origin)
            .header("access-control-request-headers", "mcp-protocol-version");
        read(asked.send().await.unwrap()).await
    };
    for path in [
        "openid-configuration",
        "oauth-authorization-server",
        "jwks.json",
    ] {
        let path = format!("/.well-known/{path}");
        let preflight = ask(Method::OPTIONS, &path, "https://anyone.example").await;
        assert_eq!(preflight.status, 204);
        assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
        assert_eq!(
            preflight.header("access-control-allow-headers"),
            Some("mcp-protocol-version")
        );
        let document = ask(Method::GET, &path, "https://anyone.example").await;
        assert_eq!(document.header("access-control-allow-origin"), Some("*"));
        assert!(
            document
                .header("access-control-allow-credentials")
                .is_none()
        );
    }
    let own = "https://spa.example.com";
    let wrong = ask(Method::GET, "/token", own).await;
    assert_eq!(
        (wrong.status, wrong.header("access-control-allow-origin")),
        (405, Some(own))
    );
    for (method, origin) in [
        (Method::GET, "https://evil.example"),
        (Method::POST, "https://evil.example"),
    ] {
        let foreign = ask(method, "/token", origin).await;
        assert_eq!(foreign.header("access-control-allow-origin"), None);
        assert_eq!(foreign.header("vary"), Some("Origin"));
    }
    let wrong = ask(Method::DELETE, "/authorize", own).await;
    assert_eq!(
        (wrong.status, wrong.header("access-control-allow-origin")),
        (405, None)
    );
    let methods = server.get("/.well-known/openid-configuration").await.json();
    let algorithms = &methods["token_endpoint_auth_signing_alg_values_supported"];
    assert!(algorithms.as_array().unwrap().contains(&"Ed25519".into()));
}

async fn a_person_at_a_wrong_address_is_shown_a_page(server: Server) {
    let browser = server
        .request(Method::GET, "/nowhere")
        .header("accept", "text/html,application/xhtml+xml;q=0.9");
    let page = read(browser.send().await.unwrap()).await;
    assert_eq!(page.status, 404);
    assert!(page.body.contains("error-description"), "{}", page.body);
    assert!(page.header("content-security-policy").is_some());
    assert_eq!(server.get("/nowhere").await.refusal(), "invalid_request");
}

/// Nothing has to be read once more for it.
async fn a_new_secret_is_answered_beside_what_stands_there(server: Server) {
    let client = json!({ "id": "new", "kind": "service", "grants": ["client_credentials"] });
    let key = json!({
        "name": "new", "client": "job", "scopes": ["read:orders"], "resources": [ORDERS],
    });
    for (path, body, shown_once, id) in [
        ("clients", client, "secret", "id"),
        ("clients/new/secret", json!({}), "secret", "id"),
        ("api-keys", key, "key", "id"),
    ] {
        let path = format!("/admin/v1/{path}");
        let made = server.admin(Method::POST, &path, Some(body)).await;

        assert_eq!(made.status, 201, "{}", made.body);
        let mut made = made.json();
        let text = made.as_object_mut().unwrap().remove(shown_once);
        assert!(text.is_some_and(|text| text.is_string()));
        let kind = path.split('/').nth(3).unwrap();
        let path = format!("/admin/v1/{kind}/{}", made[id].as_str().unwrap());
        let stored = server.admin(Method::GET, &path, None).await.json();
        assert_eq!(made, stored);
    }
}
