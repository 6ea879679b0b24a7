//! What becomes of tokens when what they came from changes: people, clients,
//! organizations, scopes, names.

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_token::jose::Unverified;

use crate::browser::{Browser, request};
use crate::harness::{Answer, ORDERS, PASSWORD, Server};
use crate::on_both_engines;
use symbolon_server::testing::{crowd, follow_directory, follow_feed, purge};

on_both_engines! {
    a_person_who_is_disabled_renews_nothing_and_may_begin_again
    offline_access_that_a_client_lost_renews_nothing
    a_disabled_client_gets_nothing
    a_client_is_disabled_whichever_half_a_node_reads_first
    a_disabled_organization_ends_what_is_done_for_it
    what_was_taken_back_is_remembered_as_long_as_the_longest_family
    a_role_that_was_taken_away_ends_tokens_that_carry_it
    nothing_that_is_said_of_a_person_replaces_a_claim_of_the_server
    a_form_of_a_persons_own_changes_nothing_that_is_said_of_them
    a_name_that_is_given_again_is_another_person
    a_client_of_very_many_people_is_taken_back_and_deleted_whole
}

async fn refresh(server: &Server, token: &str) -> Answer {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    server.token("web", &form).await
}

async fn act(server: &Server, method: Method, path: &str, body: Option<Value>) -> Answer {
    let path = format!("/admin/v1/{path}");
    let answer = server.admin(method, &path, body).await;
    assert!(answer.status < 300, "{path}: {}", answer.body);
    answer
}

async fn tell(server: &Server, path: &str) {
    act(server, Method::POST, path, None).await;
}

fn with(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    let mut changed = request();
    for (name, value) in pairs {
        changed.insert((*name).to_owned(), (*value).to_owned());
    }
    changed
}

pub(crate) fn claims(jwt: &str) -> Value {
    let token = Unverified::parse(jwt).unwrap();
    Value::Object(token.dangerous_claims_without_key().unwrap())
}

/// Attack: C084
async fn a_person_who_is_disabled_renews_nothing_and_may_begin_again(server: Server) {
    let mut browser = Browser::new(&server);
    let tokens = browser.tokens("alice", &request()).await;

    tell(&server, "users/alice/disable").await;

    let renewed = refresh(&server, &tokens.text("refresh_token")).await;
    assert_eq!(
        (renewed.status, &*renewed.refusal()),
        (400, "invalid_grant")
    );
    assert!(!server.is_active(&tokens.text("access_token")).await);
    assert_eq!(
        server.userinfo(&tokens.text("access_token")).await.status,
        401
    );
    let page = browser.authorize(&request()).await;
    let page = browser.sign_in(&page, "alice", PASSWORD).await;
    assert!(page.body.contains(r#"id="login-submit""#), "kept out");
    tell(&server, "users/alice/enable").await;
    let renewed = refresh(&server, &tokens.text("refresh_token")).await;
    assert_eq!(renewed.refusal(), "invalid_grant", "what died stays dead");
    let again = Browser::new(&server).tokens("alice", &request()).await;
    assert_eq!(
        refresh(&server, &again.text("refresh_token")).await.status,
        200
    );
}

/// Attack: C086
async fn offline_access_that_a_client_lost_renews_nothing(server: Server) {
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    let client = act(&server, Method::GET, "clients/web", None).await.json();
    let less: Vec<_> = client["scopes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|scope| **scope != "offline_access")
        .collect();

    act(
        &server,
        Method::PATCH,
        "clients/web",
        Some(json!({ "scopes": less })),
    )
    .await;

    let renewed = refresh(&server, &tokens.text("refresh_token")).await;
    assert_eq!(
        (renewed.status, &*renewed.refusal()),
        (400, "invalid_grant")
    );
    let all = json!({ "scopes": client["scopes"] });
    act(&server, Method::PATCH, "clients/web", Some(all)).await;
    let renewed = refresh(&server, &tokens.text("refresh_token")).await;
    assert_eq!(renewed.status, 200, "a refusal rotates nothing");
    let order = "openid profile email address phone offline_access delete:orders read:vault";
    let order: Vec<_> = order.split(' ').collect();
    act(
        &server,
        Method::PATCH,
        "clients/web",
        Some(json!({ "scopes": order })),
    )
    .await;
    let narrowed = refresh(&server, &renewed.text("refresh_token")).await;
    assert!(!narrowed.body.contains("read:orders"), "{}", narrowed.body);
}

/// Attack: C089
async fn a_disabled_client_gets_nothing(server: Server) {
    let service = [("grant_type", "client_credentials")];
    let token = server.token("job", &service).await.text("access_token");

    tell(&server, "clients/job/disable").await;

    let refused = server.token("job", &service).await;
    assert_eq!(
        (refused.status, &*refused.refusal()),
        (401, "invalid_client")
    );
    assert!(!server.is_active(&token).await);
    let asked = server
        .form("/introspect", "job", &[("token", &token)])
        .await;
    assert_eq!(asked.status, 401);
    tell(&server, "clients/web/disable").await;
    let page = Browser::new(&server).authorize(&request()).await;
    assert_eq!((page.status, page.header("location")), (400, None));
    tell(&server, "clients/job/enable").await;
    assert!(!server.is_active(&token).await, "what died stays dead");
    let again = server.token("job", &service).await.text("access_token");
    assert!(server.is_active(&again).await);
}

/// Attack: C090
async fn a_disabled_organization_ends_what_is_done_for_it(server: Server) {
    let inside = with(&[("organization", "acme")]);
    let mut browser = Browser::new(&server);
    let tokens = browser.tokens("alice", &inside).await;
    let outside = Browser::new(&server).tokens("alice", &request()).await;

    tell(&server, "organizations/acme/disable").await;

    let access = tokens.text("access_token");
    assert_eq!(
        server.introspect("orders-api", &access).await,
        json!({ "active": false })
    );
    let renewed = refresh(&server, &tokens.text("refresh_token")).await;
    assert_eq!(
        (renewed.status, &*renewed.refusal()),
        (400, "invalid_grant")
    );
    let refused = browser.grant("alice", &inside).await;
    let refused = crate::browser::response(&refused);
    assert_eq!(refused["error"], "access_denied");
    assert!(server.is_active(&outside.text("access_token")).await);
    tell(&server, "organizations/acme/enable").await;
    let again = browser.tokens("alice", &inside).await;
    assert!(server.is_active(&again.text("access_token")).await);
}

/// Attack: C104
async fn a_role_that_was_taken_away_ends_tokens_that_carry_it(server: Server) {
    let member = "organizations/acme/members/alice";
    let inside = with(&[("organization", "acme")]);
    act(
        &server,
        Method::PUT,
        member,
        Some(json!({ "roles": ["buyer", "admin"] })),
    )
    .await;
    let tokens = Browser::new(&server).tokens("alice", &inside).await;
    let access = tokens.text("access_token");
    assert!(server.is_active(&access).await);

    act(
        &server,
        Method::PUT,
        member,
        Some(json!({ "roles": ["buyer"] })),
    )
    .await;

    assert!(!server.is_active(&access).await);
    let again = Browser::new(&server).tokens("alice", &inside).await;
    let told = server
        .introspect("orders-api", &again.text("access_token"))
        .await;
    assert_eq!(told["roles"], json!(["buyer"]));
}

/// Attack: C105
async fn nothing_that_is_said_of_a_person_replaces_a_claim_of_the_server(server: Server) {
    const RESERVED: [&str; 13] = [
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "nbf",
        "jti",
        "cnf",
        "act",
        "scope",
        "client_id",
        "acr",
        "rev",
    ];
    for name in RESERVED {
        let refused = server
            .admin(
                Method::PATCH,
                "/admin/v1/users/alice",
                Some(json!({ name: "root" })),
            )
            .await;
        assert_eq!(refused.status, 400, "{name}: {}", refused.body);
    }
    act(
        &server,
        Method::PATCH,
        "users/alice",
        Some(json!({ "nickname": "root" })),
    )
    .await;
    let wanted: serde_json::Map<_, _> = RESERVED
        .iter()
        .filter(|name| !["sub", "acr"].contains(name))
        .map(|name| {
            (
                (*name).to_owned(),
                json!({ "essential": true, "value": "root" }),
            )
        })
        .collect();
    let asked = json!({ "id_token": wanted, "userinfo": wanted }).to_string();
    let asked = with(&[("claims", &asked)]);

    let tokens = Browser::new(&server).tokens("alice", &asked).await;

    let (id, access) = (
        claims(&tokens.text("id_token")),
        claims(&tokens.text("access_token")),
    );
    assert_eq!(
        (&id["iss"], &id["aud"]),
        (&json!(server.name()), &json!("web"))
    );
    assert_eq!(
        (&access["aud"], &access["client_id"]),
        (&json!(ORDERS), &json!("web"))
    );
    let told = server.userinfo(&tokens.text("access_token")).await.body;
    for document in [id.to_string(), access.to_string(), told] {
        assert!(!document.contains("root"), "{document}");
    }
}

/// Attack: K313
async fn a_form_of_a_persons_own_changes_nothing_that_is_said_of_them(server: Server) {
    let mut browser = Browser::new(&server);
    let page = browser.authorize(&request()).await;
    let page = browser.sign_in(&page, "bob", PASSWORD).await;
    let form = [
        ("decision", "allow"),
        ("email_verified", "true"),
        ("sub", "root"),
    ];
    browser.submit("/consent", &page, &form).await;
    let bob = act(&server, Method::GET, "users/bob", None).await.json();
    assert_ne!(bob["email_verified"], json!(true));
}

/// Attack: C107
async fn a_name_that_is_given_again_is_another_person(server: Server) {
    let person = || Some(json!({ "username": "zoe", "password": PASSWORD }));
    let made = act(&server, Method::POST, "users", person()).await;
    let mut browser = Browser::new(&server);
    let old = browser.tokens("zoe", &request()).await;
    act(&server, Method::DELETE, "users/zoe", None).await;

    let again = act(&server, Method::POST, "users", person()).await;

    assert_ne!(made.text("id"), again.text("id"));
    let (access, renew) = (old.text("access_token"), old.text("refresh_token"));
    assert!(!server.is_active(&access).await);
    assert_eq!(server.userinfo(&access).await.status, 401);
    assert_eq!(refresh(&server, &renew).await.refusal(), "invalid_grant");
    let page = browser.authorize(&request()).await;
    assert!(
        page.body.contains(r#"id="login-submit""#),
        "the session is dead"
    );
    let page = browser.sign_in(&page, "zoe", PASSWORD).await;
    assert!(
        page.body.contains(r#"id="consent-allow""#),
        "nothing is agreed to yet"
    );
    let new = Browser::new(&server).tokens("zoe", &request()).await;
    assert_ne!(
        claims(&old.text("id_token"))["sub"],
        claims(&new.text("id_token"))["sub"]
    );
    let hint = with(&[("prompt", "none"), ("id_token_hint", &old.text("id_token"))]);
    let mut present = Browser::new(&server);
    present.code("zoe", &request()).await;
    let answer = crate::browser::response(&present.authorize(&hint).await);
    assert!(!answer.contains_key("code"), "{answer:?}");
}

/// The record of what was taken back and the client itself are read one after
/// the other. A node that has one of them gives nothing to the client, and
/// believes nothing that it was given.
async fn a_client_is_disabled_whichever_half_a_node_reads_first(server: Server) {
    let form = [("grant_type", "client_credentials")];
    for is_feed_first in [true, false] {
        let Some(other) = server.second_node().await else {
            return;
        };
        let node = other.running.as_ref().unwrap();
        let before = other.token("job", &form).await.text("access_token");
        assert!(other.is_active(&before).await);
        node.stop_following();
        tell(&server, "clients/job/disable").await;
        let late = other.token("job", &form).await.text("access_token");

        match is_feed_first {
            true => follow_feed(&node.app).await,
            false => follow_directory(&node.app).await,
        }

        let asked = other.token("job", &form).await;
        assert_eq!(
            (asked.status, &*asked.refusal()),
            (401, "invalid_client"),
            "{}",
            asked.body
        );
        for token in [&before, &late] {
            assert!(!other.is_active(token).await, "feed first: {is_feed_first}");
        }
        let twin = [
            ("grant_type", "client_credentials"),
            ("scope", "read:orders"),
        ];
        let twin = other.token("other", &twin).await;
        assert_eq!(twin.status, 200, "another client goes on: {}", twin.body);
        node.app.catch_up().await.unwrap();
        assert_eq!(other.token("job", &form).await.refusal(), "invalid_client");
        assert!(!other.is_active(&before).await && !other.is_active(&late).await);
        tell(&server, "clients/job/enable").await;
        node.app.catch_up().await.unwrap();
        let again = other.token("job", &form).await.text("access_token");
        assert!(other.is_active(&again).await && server.is_active(&again).await);
    }
}

/// A client whose refresh tokens live longer than the configuration says.
async fn what_was_taken_back_is_remembered_as_long_as_the_longest_family(server: Server) {
    let long = json!({ "refresh_token_absolute": "300d", "refresh_token_idle": "300d" });
    act(&server, Method::PATCH, "clients/web", Some(long)).await;
    let asked = with(&[("scope", "openid offline_access read:orders")]);
    let tokens = async |name: &str| {
        let tokens = Browser::new(&server).tokens(name, &asked).await;
        tokens.text("refresh_token")
    };
    let (alices, bobs) = (tokens("alice").await, tokens("bob").await);
    let revoke = json!({ "subject": "alice" });
    act(&server, Method::POST, "revoke", Some(revoke)).await;

    server.advance(200 * 24 * 60 * 60);
    purge(&server.running.as_ref().unwrap().app).await;

    assert_eq!(refresh(&server, &alices).await.refusal(), "invalid_grant");
    assert_eq!(
        refresh(&server, &bobs).await.status,
        200,
        "the twin lives so long"
    );
    let server = server.restart().await;
    let long = json!({ "refresh_token_absolute": "300d", "refresh_token_idle": "300d" });
    act(&server, Method::PATCH, "clients/web", Some(long)).await;
    assert_eq!(refresh(&server, &alices).await.refusal(), "invalid_grant");
}

/// Attack: C107
async fn a_client_of_very_many_people_is_taken_back_and_deleted_whole(server: Server) {
    let web = "web".parse().unwrap();
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    crowd(&server.running.as_ref().unwrap().app, &web).await;
    let agreed = async || {
        let list = act(&server, Method::GET, "grants?client=web", None).await;
        list.json()["items"].as_array().unwrap().len()
    };
    assert!(agreed().await > 1);

    act(
        &server,
        Method::POST,
        "revoke",
        Some(json!({ "client": "web" })),
    )
    .await;

    let access = tokens.text("access_token");
    assert!(!server.is_active(&access).await);
    let dead = refresh(&server, &tokens.text("refresh_token")).await;
    assert_eq!(dead.refusal(), "invalid_grant");
    assert!(agreed().await > 1, "what people said stands");
    let again = Browser::new(&server).tokens("alice", &request()).await;
    assert!(server.is_active(&again.text("access_token")).await);

    act(&server, Method::DELETE, "clients/web", None).await;
    assert!(!server.is_active(&again.text("access_token")).await);
    assert_eq!(agreed().await, 0, "the next of that name finds nothing");
}

/// A client, or a new secret, is good on every node as soon as whoever made it
/// was answered, and not only once each has looked by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_was_just_made_is_known_on_every_node() {
    let server = Server::on_postgres().await;
    let other = server.sibling().await;
    for number in 0..5 {
        let id = format!("made-{number}");
        let body = json!({
            "id": id, "kind": "service", "grants": ["client_credentials"],
            "scopes": ["read:orders"], "resources": [ORDERS],
        });
        let made = act(&server, Method::POST, "clients", Some(body)).await;
        let first = made.text("secret");
        assert_eq!(issue(&other, &id, &first).await.status, 200);

        let path = format!("clients/{id}/secret");
        let again = act(&server, Method::POST, &path, None).await;
        let second = again.text("secret");
        assert_eq!(issue(&other, &id, &second).await.status, 200);

        let wrong = issue(&other, &id, "a secret that nobody has given to it").await;
        assert_eq!(
            (wrong.status, wrong.refusal()),
            (401, "invalid_client".to_owned())
        );
    }
}

async fn issue(server: &Server, client: &str, secret: &str) -> Answer {
    let form = [("grant_type", "client_credentials"), ("resource", ORDERS)];
    let sent = server.request(Method::POST, "/token").form(&form);
    let sent = sent.basic_auth(client, Some(secret)).send().await.unwrap();
    symbolon_server::testing::read(sent).await
}
