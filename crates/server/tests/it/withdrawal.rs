//! Taking back: each act, and what it must have stopped by its answer.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_testkit::Row;
use tokio::time::Instant;

use crate::browser::{Browser, request};
use crate::harness::{Answer, Server};
use crate::on_both_engines;

on_both_engines! {
    a_client_takes_back_its_own_tokens
    a_public_client_takes_back_what_it_was_given
    each_act_stops_what_a_person_would_expect_on_every_node
    taking_back_needs_exactly_one_thing_that_there_is
    what_was_taken_back_stays_dead_after_a_restart
    tokens_shown_to_the_wrong_endpoint_say_nothing
}

async fn revoke(server: &Server, client: &str, token: &str) -> Answer {
    server.form("/revoke", client, &[("token", token)]).await
}

async fn can_refresh(server: &Server, tokens: &Answer) -> bool {
    let token = tokens.text("refresh_token");
    server
        .token(
            "web",
            &[("grant_type", "refresh_token"), ("refresh_token", &token)],
        )
        .await
        .status
        == 200
}

/// Attack: C093
async fn a_client_takes_back_its_own_tokens(server: Server) {
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    let access = tokens.text("access_token");
    assert_eq!(
        revoke(&server, "other", &access).await.refusal(),
        "invalid_grant"
    );
    assert!(server.is_active(&access).await);
    let before = server.commits();

    assert_eq!(revoke(&server, "web", &access).await.status, 200);

    assert_eq!(server.commits() - before, 1);
    assert!(!server.is_active(&access).await);
    assert_eq!(server.userinfo(&access).await.status, 401);
    assert!(
        can_refresh(&server, &tokens).await,
        "one token is not the family"
    );
    for harmless in ["nonsense", "sym_at_AAAA", "a.b.c", &access] {
        assert_eq!(revoke(&server, "web", harmless).await.status, 200);
    }
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    assert_eq!(
        revoke(&server, "web", &tokens.text("refresh_token"))
            .await
            .status,
        200
    );
    assert!(!server.is_active(&tokens.text("access_token")).await);
    assert!(!can_refresh(&server, &tokens).await);
}

/// The grant of alice's to a client, in no organization.
pub(crate) async fn grant_of_alice(server: &Server, client: &str) -> Value {
    let path = "/admin/v1/grants?user=alice";
    let list = server.admin(Method::GET, path, None).await.json();
    let is_it = |grant: &&Value| {
        grant["client"] == client && grant["organization"].is_null() && grant["withdrawn"].is_null()
    };
    let found = list["items"].as_array().unwrap().iter().find(is_it);
    found.unwrap_or_else(|| panic!("{list}"))["id"].clone()
}

/// Attack: C092
async fn a_public_client_takes_back_what_it_was_given(server: Server) {
    let mut asked = request();
    asked.insert("client_id".into(), "spa".into());
    asked.insert(
        "redirect_uri".into(),
        "https://spa.example.com/callback".into(),
    );
    let tokens = Browser::new(&server).tokens("alice", &asked).await;
    let other = Browser::new(&server).tokens("alice", &request()).await;
    let access = tokens.text("access_token");
    let foreign = revoke(&server, "spa", &other.text("access_token")).await;
    assert_eq!(foreign.refusal(), "invalid_grant");
    let unnamed = server.request(Method::POST, "/revoke");
    let unnamed = unnamed.form(&[("token", &access)]).send().await.unwrap();
    assert_eq!(unnamed.status(), 401);

    assert_eq!(revoke(&server, "spa", &access).await.status, 200);

    assert!(!server.is_active(&access).await);
    assert!(server.is_active(&other.text("access_token")).await);
}

/// The session that an ID token names.
fn sid(tokens: &Answer) -> String {
    let jwt = tokens.text("id_token");
    let claims = symbolon_token::jose::Unverified::parse(&jwt)
        .unwrap()
        .dangerous_claims_without_key()
        .unwrap();
    claims["sid"].as_str().unwrap().to_owned()
}

/// What can be taken back, by the member of `POST /admin/v1/revoke`.
const ACTS: [&str; 8] = [
    "token",
    "family",
    "grant",
    "session",
    "subject",
    "client",
    "membership",
    "organization",
];

/// How soon every other node has to know: within a second. The short form
/// runs beside other tests, on a machine that they fill.
pub(crate) fn soon() -> Duration {
    Row::R13.size(Duration::from_secs(5), Duration::from_secs(1))
}

/// Somebody's tokens, and the client that holds them.
struct Held {
    client: &'static str,
    access: String,
    refresh: String,
    /// The session that an ID token names.
    session: String,
}

impl Held {
    fn of(client: &'static str, tokens: &Answer) -> Self {
        Self {
            client,
            access: tokens.text("access_token"),
            refresh: tokens.text("refresh_token"),
            session: sid(tokens),
        }
    }

    /// The family, as its tokens name it.
    fn family(&self, server: &Server) -> String {
        let app = &server.running.as_ref().unwrap().app;
        let family = symbolon_server::testing::family_of(app, &self.refresh);
        family.unwrap().to_string()
    }

    /// Which of the three that have to obey still take it, on one node.
    async fn taken_by(&mut self, node: &Server, act: &str) -> Vec<&'static str> {
        let mut taken = Vec::new();
        if node.is_active(&self.access).await {
            taken.push("introspection");
        }
        if node.userinfo(&self.access).await.status != 401 {
            taken.push("userinfo");
        }
        // One token is not its family.
        if act != "token" {
            let form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", &*self.refresh),
            ];
            let renewed = node.token(self.client, &form).await;
            if renewed.status == 200 {
                taken.push("refresh");
                self.refresh = renewed.text("refresh_token");
                self.access = renewed.text("access_token");
            } else if renewed.status == 503 {
                // Nothing was decided: it has to be, as soon as the rest.
                taken.push("nobody can know");
            } else {
                assert_eq!(renewed.refusal(), "invalid_grant", "{act}");
            }
        }
        taken
    }

    /// The document that takes an act's part of it back.
    async fn document(&self, server: &Server, act: &str) -> Value {
        match act {
            "token" => json!({ "token": self.access }),
            "family" => json!({ "family": self.family(server) }),
            "grant" => json!({ "grant": grant_of_alice(server, self.client).await }),
            "session" => json!({ "session": self.session }),
            "subject" => json!({ "subject": "alice" }),
            "client" => json!({ "client": self.client }),
            "membership" => json!({ "membership": { "organization": "acme", "user": "alice" } }),
            _ => json!({ "organization": "acme" }),
        }
    }
}

/// Signs a person in as an act needs it: what a session carries ends with it
/// where nothing was agreed to that outlives it.
async fn held(server: &Server, username: &str, act: &str) -> Held {
    let mut asked = request();
    let mut put = |name: &str, value: &str| asked.insert(name.to_owned(), value.to_owned());
    let client = if act == "session" {
        put("client_id", "cli");
        put("redirect_uri", "http://127.0.0.1/callback");
        put("scope", "openid read:orders");
        "cli"
    } else {
        "web"
    };
    if ["membership", "organization"].contains(&act) && username == "alice" {
        put("organization", "acme");
    }
    let tokens = Browser::new(server).tokens(username, &asked).await;
    Held::of(client, &tokens)
}

async fn revoke_by_admin(server: &Server, document: Value) -> Answer {
    let path = "/admin/v1/revoke";
    server.admin(Method::POST, path, Some(document)).await
}

/// Row R13 of the reliability catalogue: at once where it was taken back, and
/// within a second on every other node.
///
/// Attack: C084
async fn each_act_stops_what_a_person_would_expect_on_every_node(server: Server) {
    let other = server.second_node().await;
    for act in ACTS.into_iter().cycle().take(8 * Row::R13.size(1, 20)) {
        // A person opens no more than so many sessions in a while.
        server.advance(60);
        other.iter().for_each(Server::believe);
        let mut own = held(&server, "alice", act).await;
        let mut bystander = held(&server, "bob", act).await;
        let before = own.access.clone();
        for node in other.iter().chain([&server]) {
            assert!(node.is_active(&own.access).await, "{act}");
            assert_eq!(node.userinfo(&own.access).await.status, 200, "{act}");
        }
        let document = own.document(&server, act).await;

        let answer = revoke_by_admin(&server, document).await;

        let taken_back = Instant::now();
        assert_eq!(answer.status, 204, "{act}: {}", answer.body);
        for node in other.iter() {
            loop {
                let taken = own.taken_by(node, act).await;
                if taken.is_empty() && !node.is_active(&before).await {
                    break;
                }
                let waited = taken_back.elapsed();
                assert!(waited < soon(), "{act}: {taken:?} after {waited:?}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        assert_eq!(own.taken_by(&server, act).await, [""; 0], "{act}");
        assert!(!server.is_active(&before).await, "{act}");
        for node in other.iter().chain([&server]) {
            let spared = bystander.taken_by(node, "token").await;
            let expected = if act == "client" { 0 } else { 2 };
            assert_eq!(spared.len(), expected, "{act}: {spared:?}");
        }
        if act == "membership" {
            let member = "/admin/v1/organizations/acme/members/alice";
            let roles = json!({ "roles": ["buyer"] });
            let again = server.admin(Method::PUT, member, Some(roles)).await;
            assert_eq!(again.status, 200, "{}", again.body);
        }
        let again = held(&server, "alice", act).await;
        assert!(
            server.is_active(&again.access).await,
            "{act}: a new sign-in works"
        );
    }
}

async fn taking_back_needs_exactly_one_thing_that_there_is(server: Server) {
    let own = held(&server, "alice", "grant").await;
    let missing = [
        json!({ "family": "fam_1" }),
        json!({ "grant": "grt_0000000000000000000000" }),
        json!({ "session": "ses_0000000000000000000000" }),
        json!({ "subject": "nobody" }),
        json!({ "client": "nobody" }),
        json!({ "organization": "nowhere" }),
        json!({ "membership": { "organization": "acme", "user": "bob" } }),
        json!({ "membership": { "organization": "nowhere", "user": "alice" } }),
    ];
    let malformed = [
        json!({}),
        json!({ "subject": null }),
        json!({ "subject": "alice", "client": "web" }),
        json!({ "subject": ["alice"] }),
        json!({ "person": "alice" }),
        json!({ "membership": { "organization": "acme" } }),
        json!({ "membership": { "organization": "acme", "user": "alice", "role": "buyer" } }),
    ];

    for document in missing.into_iter().chain(malformed) {
        let answer = revoke_by_admin(&server, document.clone()).await;
        assert!(
            [400, 404].contains(&answer.status),
            "{document} {}",
            answer.body
        );
    }

    assert!(server.is_active(&own.access).await);
}

async fn what_was_taken_back_stays_dead_after_a_restart(server: Server) {
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    revoke(&server, "web", &tokens.text("refresh_token")).await;

    let server = server.restart().await;

    assert!(!server.is_active(&tokens.text("access_token")).await);
    assert!(!can_refresh(&server, &tokens).await);
}

/// Attack: C095, C096, C099, E164
async fn tokens_shown_to_the_wrong_endpoint_say_nothing(server: Server) {
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    let inactive = json!({ "active": false });
    for shown in [
        &tokens.text("id_token"),
        &tokens.text("refresh_token"),
        "x",
        "sym_at_x",
        "a.b.c",
    ] {
        assert_eq!(server.introspect("orders-api", shown).await, inactive);
        if *shown != tokens.text("refresh_token") {
            assert_eq!(server.userinfo(shown).await.refusal(), "invalid_token");
        }
    }
    let access = [("token", tokens.text("access_token"))];
    let unnamed = server.request(Method::POST, "/introspect").form(&access);
    assert_eq!(unnamed.send().await.unwrap().status(), 401);
    let public = [("token", &*access[0].1)];
    let public = server.form("/introspect", "spa", &public).await;
    assert_eq!((public.status, &*public.refusal()), (401, "invalid_client"));
    assert_eq!(
        server
            .introspect("vault-api", &tokens.text("access_token"))
            .await,
        inactive,
        "another audience"
    );
    let machine = server
        .token("job", &[("grant_type", "client_credentials")])
        .await
        .text("access_token");
    let userinfo = server.userinfo(&machine).await;
    assert_eq!(
        (userinfo.status, &*userinfo.refusal()),
        (403, "insufficient_scope")
    );
    let nothing = server.get("/userinfo").await;
    let challenge = nothing.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer, DPoP algs="), "{challenge}");
    assert!(!challenge.contains("error"), "{challenge}");
    assert_eq!(nothing.status, 401);
}
