//! Taking back: each act, and what it must have stopped by its answer.

use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::{Browser, request};
use crate::harness::{Answer, Server};
use crate::on_both_engines;

on_both_engines! {
    a_client_takes_back_its_own_tokens
    each_act_stops_what_a_person_would_expect
    every_other_node_obeys_within_a_second
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

/// The id of something of alice's, by the admin API.
async fn id_of(server: &Server, what: &str) -> String {
    let list = server
        .admin(Method::GET, &format!("/admin/v1/{what}?user=alice"), None)
        .await;
    let items = list.json();
    let items = items["items"]
        .as_array()
        .unwrap_or_else(|| panic!("{}", list.body))
        .clone();
    let live = items.iter().find(|item| {
        item.get("ended").is_none_or(Value::is_null)
            && item.get("withdrawn").is_none_or(Value::is_null)
    });
    live.unwrap_or_else(|| panic!("{}", list.body))["id"]
        .as_str()
        .unwrap()
        .to_owned()
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

async fn each_act_stops_what_a_person_would_expect(server: Server) {
    let mut plain = request();
    plain.insert("scope".into(), "openid read:orders".into());
    for act in ["grant", "session", "subject", "client"] {
        let mut browser = Browser::new(&server);
        let tokens = browser.tokens("alice", &request()).await;
        let short = browser.tokens("alice", &plain).await;
        let bystander = Browser::new(&server).tokens("bob", &request()).await;
        let value = match act {
            "grant" => id_of(&server, "grants").await,
            "session" => sid(&short),
            "subject" => server
                .introspect("orders-api", &tokens.text("access_token"))
                .await["sub"]
                .as_str()
                .unwrap()
                .to_owned(),
            _ => "web".to_owned(),
        };

        let answer = server
            .admin(
                Method::POST,
                "/admin/v1/revoke",
                Some(json!({ act: value })),
            )
            .await;

        assert!(answer.status < 300, "{act}: {}", answer.body);
        // A session takes with it what hangs on it, never what was granted for longer.
        let survives = act == "session";
        assert_eq!(
            server.is_active(&tokens.text("access_token")).await,
            survives,
            "{act}"
        );
        assert_eq!(can_refresh(&server, &tokens).await, survives, "{act}");
        assert!(
            !server.is_active(&short.text("access_token")).await,
            "{act}"
        );
        assert_eq!(
            server.is_active(&bystander.text("access_token")).await,
            act != "client",
            "{act}"
        );
        let again = Browser::new(&server).tokens("alice", &request()).await;
        assert!(
            server.is_active(&again.text("access_token")).await,
            "{act}: a new sign-in works"
        );
    }
}

async fn every_other_node_obeys_within_a_second(server: Server) {
    let Some(other) = server.second_node().await else {
        return;
    };
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    let access = tokens.text("access_token");
    assert!(other.is_active(&access).await);

    assert_eq!(
        revoke(&server, "web", &tokens.text("refresh_token"))
            .await
            .status,
        200
    );

    assert!(!server.is_active(&access).await);
    for _ in 0..50 {
        if !other.is_active(&access).await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("five times a second were not enough");
}

async fn what_was_taken_back_stays_dead_after_a_restart(server: Server) {
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    revoke(&server, "web", &tokens.text("refresh_token")).await;

    let server = server.restart().await;

    assert!(!server.is_active(&tokens.text("access_token")).await);
    assert!(!can_refresh(&server, &tokens).await);
}

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
    assert_eq!(
        (nothing.status, nothing.header("www-authenticate")),
        (401, Some("Bearer"))
    );
}
