//! What was given to a client, and what an administrator changed since: no way
//! to use it gives more than the client may have now.

use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::{Browser, redemption, request};
use crate::exchange::world::{Asked, EXCHANGE, claims, client};
use crate::harness::{Answer, CALLBACK, ORDERS, SECRET, Server, VAULT};
use crate::on_both_engines;

on_both_engines! {
    an_id_token_tells_nothing_that_was_taken_from_its_client
    a_refresh_token_without_offline_access_is_good_on_no_path
    a_client_acts_for_no_organization_that_it_has_left
    a_token_for_an_api_that_was_taken_from_its_client_is_inactive
    an_api_has_one_name_in_tokens_whichever_was_registered
}

/// Everything that `web` may ask for.
const ALL: [&str; 6] = [
    "openid",
    "profile",
    "email",
    "offline_access",
    "read:orders",
    "read:vault",
];

async fn scopes(server: &Server, scopes: &[&str]) {
    let optional: &[&str] = match scopes.contains(&"email") {
        true => &["email"],
        false => &[],
    };
    let patch = json!({ "scopes": scopes, "optional_scopes": optional });
    client(server, "web", patch).await;
}

fn all_but(taken: &str) -> Vec<&'static str> {
    ALL.into_iter().filter(|own| *own != taken).collect()
}

async fn refresh(server: &Server, token: &str) -> Answer {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    server.token("web", &form).await
}

async fn told(server: &Server, token: &str) -> Value {
    server.introspect("web", token).await
}

/// What an administrator is told of a token that is refused.
async fn why(server: &Server, token: &str) -> String {
    let path = "/admin/v1/tokens:explain";
    let question = json!({ "token": token });
    let told = server.admin(Method::POST, path, Some(question)).await;
    told.text("code")
}

/// Attack: C086
async fn an_id_token_tells_nothing_that_was_taken_from_its_client(server: Server) {
    client(&server, "web", json!({ "claims": { "mail": "email" } })).await;
    let mut asking = request();
    asking.insert("scope".into(), "openid email offline_access".into());
    let mut browser = Browser::new(&server);
    let tokens = browser.tokens("alice", &asking).await;
    let renewed = refresh(&server, &tokens.text("refresh_token")).await;
    for answer in [&tokens, &renewed] {
        assert_eq!(
            claims(&answer.text("id_token"))["mail"],
            "alice@example.com"
        );
    }
    let code = browser.code("alice", &asking).await;

    scopes(&server, &all_but("email")).await;

    let redeemed = server.token("web", &redemption(&code, CALLBACK)).await;
    let later = refresh(&server, &renewed.text("refresh_token")).await;
    for answer in [&redeemed, &later] {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let is = claims(&answer.text("id_token"));
        assert_eq!(is.get("mail"), None, "{is:?}");
    }
    let current = later.text("refresh_token");
    assert_eq!(
        told(&server, &current).await["scope"],
        "offline_access openid"
    );
    scopes(&server, &all_but("openid")).await;
    let bare = refresh(&server, &current).await;
    assert_eq!(bare.status, 200, "{}", bare.body);
    assert_eq!(bare.json().get("id_token"), None, "{}", bare.body);
}

/// Attack: C086
async fn a_refresh_token_without_offline_access_is_good_on_no_path(server: Server) {
    let policy = json!({
        "grants": ["authorization_code", "refresh_token", EXCHANGE],
        "exchange": { "accepts": ["refresh_token"] },
    });
    client(&server, "web", policy).await;
    let mut browser = Browser::new(&server);
    let tokens = browser.tokens("alice", &request()).await;
    let token = tokens.text("refresh_token");
    let asked = Asked::of("refresh_token", &token).with("resource", ORDERS);
    assert_eq!(asked.by(&server, "web").await.status, 200);
    assert_eq!(told(&server, &token).await["active"], true);

    scopes(&server, &all_but("offline_access")).await;

    assert_eq!(
        asked.by(&server, "web").await.refusal(),
        "invalid_request",
        "it is not turned into another token either"
    );
    assert_eq!(told(&server, &token).await, json!({ "active": false }));
    assert_eq!(refresh(&server, &token).await.refusal(), "invalid_grant");
    scopes(&server, &ALL).await;
    assert_eq!(
        refresh(&server, &token).await.status,
        200,
        "it was not lost"
    );
}

/// Attack: P389
async fn a_client_acts_for_no_organization_that_it_has_left(server: Server) {
    let organization = json!({ "id": "zeta", "name": "Zeta" });
    let path = "/admin/v1/organizations";
    let made = server.admin(Method::POST, path, Some(organization)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    client(&server, "web", json!({ "organization": "acme" })).await;
    let mut asking = request();
    asking.insert("scope".into(), "offline_access read:vault".into());
    asking.insert("resource".into(), VAULT.into());
    let mut browser = Browser::new(&server);
    let tokens = browser.tokens("alice", &asking).await;
    let renewed = refresh(&server, &tokens.text("refresh_token")).await;
    let (access, current) = (renewed.text("access_token"), renewed.text("refresh_token"));
    let is = server.introspect("vault-api", &access).await;
    assert_eq!(is["organization"], "acme");
    let code = browser.code("alice", &asking).await;

    client(&server, "web", json!({ "organization": "zeta" })).await;

    assert_eq!(refresh(&server, &current).await.refusal(), "invalid_grant");
    let redeemed = server.token("web", &redemption(&code, CALLBACK)).await;
    assert_eq!(redeemed.refusal(), "invalid_grant");
    for token in [&access, &current] {
        for api in ["vault-api", "web"] {
            let is = server.introspect(api, token).await;
            assert_eq!(is, json!({ "active": false }), "{api}");
        }
    }
    assert_eq!(why(&server, &access).await, "not_allowed_now");
    client(&server, "web", json!({ "organization": "acme" })).await;
    assert_eq!(refresh(&server, &current).await.status, 200);
    assert!(server.is_active(&access).await);
}

async fn a_token_for_an_api_that_was_taken_from_its_client_is_inactive(server: Server) {
    let mut asking = request();
    asking.insert("scope".into(), "read:orders read:vault".into());
    let code = Browser::new(&server).code("alice", &asking).await;
    let mut form = redemption(&code, CALLBACK);
    form.push(("resource", VAULT));
    let tokens = server.token("web", &form).await;
    let vault = tokens.text("access_token");
    let orders = refresh(&server, &tokens.text("refresh_token")).await;
    let orders = orders.text("access_token");
    assert!(server.is_active(&vault).await && server.is_active(&orders).await);

    client(&server, "web", json!({ "resources": [ORDERS] })).await;

    assert!(!server.is_active(&vault).await);
    assert!(
        server.is_active(&orders).await,
        "the others are as they were"
    );
    assert_eq!(why(&server, &vault).await, "not_allowed_now");
    client(&server, "web", json!({ "resources": [ORDERS, VAULT] })).await;
    assert!(server.is_active(&vault).await);
}

async fn an_api_has_one_name_in_tokens_whichever_was_registered(server: Server) {
    let alias = &*format!("{ORDERS}/");
    let service = json!({
        "id": "nightly", "kind": "service", "secret": SECRET, "scopes": ["read:orders"],
        "resources": [alias], "default_resource": alias,
    });
    let made = server
        .admin(Method::POST, "/admin/v1/clients", Some(service))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    client(
        &server,
        "web",
        json!({ "resources": [alias], "default_resource": alias }),
    )
    .await;

    for named in [None, Some(ORDERS), Some(alias)] {
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(named.map(|named| ("resource", named)));
        let answer = server.token("nightly", &form).await;
        assert_eq!(answer.status, 200, "{named:?}: {}", answer.body);
        let token = answer.text("access_token");
        assert_eq!(claims(&token)["aud"], ORDERS, "{named:?}");
        assert!(server.is_active(&token).await, "{named:?}");
    }
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    assert_eq!(claims(&tokens.text("access_token"))["aud"], ORDERS);
}
