//! The code flow, and everything that must not work about it.

use std::time::Duration;

use serde_json::json;
use symbolon_testkit::Row;
use tokio::time::Instant;

use crate::browser::{Browser, redemption, request, response};
use crate::crowd::{at_once, has_one_winner};
use crate::exchange::world::client;
use crate::harness::{CALLBACK, ORDERS, Server};
use crate::on_both_engines;

on_both_engines! {
    a_person_signs_in_agrees_and_the_application_gets_tokens
    a_code_flow_writes_twice_between_consent_and_tokens
    a_code_shown_without_its_bindings_harms_nobody
    a_code_used_twice_ends_what_it_made_and_nothing_else
    of_64_parallel_redemptions_one_succeeds_and_its_tokens_are_dead
    a_code_expires_after_a_minute
    a_code_is_worth_nothing_after_logout_or_when_the_person_is_disabled
    a_verifier_without_a_challenge_is_refused
    wrong_clients_and_redirect_uris_never_redirect
    a_loopback_name_matches_itself_alone_whatever_the_port
    a_code_whose_address_was_taken_away_is_refused_and_burnt
    a_code_at_an_address_that_another_node_added_is_good_at_once
    a_code_at_a_loopback_address_that_was_taken_away_is_refused
    everything_else_that_is_wrong_redirects_with_state_and_issuer
}

async fn a_person_signs_in_agrees_and_the_application_gets_tokens(server: Server) {
    let mut browser = Browser::new(&server);

    let answer = browser.grant("alice", &request()).await;

    let redirect = response(&answer);
    assert_eq!(
        (redirect["state"].as_str(), redirect["iss"].as_str()),
        ("the state", server.name().as_str())
    );
    let tokens = server
        .token("web", &redemption(&redirect["code"], CALLBACK))
        .await;
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    assert!(tokens.text("refresh_token").starts_with("sym_rt_"));
    assert_eq!(tokens.text("id_token").split('.').count(), 3);
    let told = server
        .introspect("orders-api", &tokens.text("access_token"))
        .await;
    assert_eq!(
        (&told["active"], &told["aud"]),
        (&true.into(), &ORDERS.into())
    );
    assert!(told["sub"].as_str().unwrap().starts_with("usr_"));
    let userinfo = server.userinfo(&tokens.text("access_token")).await;
    assert_eq!(userinfo.json()["sub"], told["sub"]);
    assert!(
        userinfo.json().get("email").is_none(),
        "nothing is told that was not asked for"
    );
}

async fn a_code_flow_writes_twice_between_consent_and_tokens(server: Server) {
    let mut browser = Browser::new(&server);
    let page = browser.authorize(&request()).await;
    let fields = [
        ("username", "alice"),
        ("password", crate::harness::PASSWORD),
    ];
    let page = browser.submit("/login", &page, &fields).await;
    assert!(page.body.contains(r#"id="consent-allow""#), "{}", page.body);
    let before = server.commits();

    let answer = browser
        .submit("/consent", &page, &[("decision", "allow")])
        .await;
    let code = response(&answer)["code"].clone();
    let tokens = server.token("web", &redemption(&code, CALLBACK)).await;

    assert_eq!(tokens.status, 200, "{}", tokens.body);
    assert_eq!(server.commits() - before, 2);
}

/// Attack: B056, B062
async fn a_code_shown_without_its_bindings_harms_nobody(server: Server) {
    let code = Browser::new(&server).code("alice", &request()).await;
    let good = redemption(&code, CALLBACK);
    let with = |name: &'static str, value: &'static str| {
        let mut form = good.clone();
        form.retain(|(own, _)| *own != name);
        form.push((name, value));
        form
    };
    let bad = [
        (
            "web",
            with(
                "code_verifier",
                "another-verifier-of-forty-three-characters!",
            ),
        ),
        ("web", with("code_verifier", "")),
        ("web", with("redirect_uri", "https://app.example.com/other")),
        ("web", with("code", "sym_ac_AAAA")),
        ("web", with("code", "\u{1f600}")),
        ("other", good.clone()),
    ];

    for (client, form) in bad {
        let answer = server.token(client, &form).await;
        assert_eq!(
            (answer.status, &*answer.refusal()),
            (400, "invalid_grant"),
            "{client} {form:?}"
        );
    }

    assert_eq!(
        server.token("web", &good).await.status,
        200,
        "the code still works for its owner"
    );
}

async fn a_code_used_twice_ends_what_it_made_and_nothing_else(server: Server) {
    let mut browser = Browser::new(&server);
    let earlier = browser.tokens("alice", &request()).await;
    let code = browser.code("alice", &request()).await;
    let first = server.token("web", &redemption(&code, CALLBACK)).await;
    assert_eq!(first.status, 200);

    let second = server.token("web", &redemption(&code, CALLBACK)).await;

    assert_eq!(second.refusal(), "invalid_grant");
    assert!(!server.is_active(&first.text("access_token")).await);
    let refresh = first.text("refresh_token");
    let renewed = server
        .token(
            "web",
            &[("grant_type", "refresh_token"), ("refresh_token", &refresh)],
        )
        .await;
    assert_eq!(renewed.refusal(), "invalid_grant");
    assert!(server.is_active(&earlier.text("access_token")).await);
    let third = server.token("web", &redemption(&code, CALLBACK)).await;
    assert_eq!(third.refusal(), "invalid_grant");
}

/// Row R07 of the reliability catalogue: on one node, on two and on three.
///
/// Attack: B061
async fn of_64_parallel_redemptions_one_succeeds_and_its_tokens_are_dead(server: Server) {
    let rounds = Row::R07.size(20, 1_000);
    let mut browser = Browser::new(&server);
    for further in server.further_nodes().await {
        let nodes: Vec<&Server> = further.iter().chain([&server]).collect();
        for _ in 0..rounds {
            let code = browser.code("alice", &request()).await;
            let form = redemption(&code, CALLBACK);
            let tries = (0..64).map(|n| {
                let (node, form) = (nodes[n % nodes.len()], &form);
                async move || node.token("web", form).await
            });

            let (answers, turned_away) = at_once(Row::R07, tries).await;

            let (won, lost): (Vec<_>, Vec<_>) =
                answers.into_iter().partition(|answer| answer.status == 200);
            assert!(has_one_winner(won.len(), turned_away), "{}", won.len());
            assert!(
                lost.iter()
                    .all(|answer| (answer.status, &*answer.refusal()) == (400, "invalid_grant"))
            );
            for good in won {
                let access = good.text("access_token");
                for node in &nodes {
                    dies(node, &access).await;
                }
            }
        }
    }
}

/// Waits until a node knows that a token is dead: within a second, by promise.
async fn dies(node: &Server, token: &str) {
    let begin = Instant::now();
    while node.is_active(token).await {
        let waited = begin.elapsed();
        assert!(waited < crate::withdrawal::soon(), "alive after {waited:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Attack: B065
async fn a_code_expires_after_a_minute(server: Server) {
    let mut browser = Browser::new(&server);
    let (early, late) = (
        browser.code("alice", &request()).await,
        browser.code("alice", &request()).await,
    );
    server.advance(59);
    assert_eq!(
        server
            .token("web", &redemption(&early, CALLBACK))
            .await
            .status,
        200
    );

    server.advance(2);

    assert_eq!(
        server
            .token("web", &redemption(&late, CALLBACK))
            .await
            .refusal(),
        "invalid_grant"
    );
}

/// Attack: B067
async fn a_code_is_worth_nothing_after_logout_or_when_the_person_is_disabled(server: Server) {
    let mut browser = Browser::new(&server);
    let code = browser.code("alice", &request()).await;
    let page = browser.get("/logout").await;
    let bye = browser
        .submit("/logout", &page, &[("confirm", "yes")])
        .await;
    assert_eq!(bye.status, 200, "{}", bye.body);
    assert_eq!(
        server
            .token("web", &redemption(&code, CALLBACK))
            .await
            .refusal(),
        "invalid_grant"
    );
    let code = Browser::new(&server).code("bob", &request()).await;

    let disabled = server
        .admin(reqwest::Method::POST, "/admin/v1/users/bob/disable", None)
        .await;

    assert!(disabled.status < 300, "{}", disabled.body);
    assert_eq!(
        server
            .token("web", &redemption(&code, CALLBACK))
            .await
            .refusal(),
        "invalid_grant"
    );
}

/// Attack: B058
async fn a_verifier_without_a_challenge_is_refused(server: Server) {
    let mut legacy = request();
    for (name, value) in [
        ("client_id", "legacy"),
        ("redirect_uri", "https://legacy.example.com/callback"),
    ] {
        legacy.insert(name.to_owned(), value.to_owned());
    }
    legacy.remove("code_challenge");
    legacy.remove("code_challenge_method");
    let uri = legacy["redirect_uri"].clone();
    let code = Browser::new(&server).code("alice", &legacy).await;

    let with = server.token("legacy", &redemption(&code, &uri)).await;
    let without = server.token("legacy", &redemption(&code, &uri)[..3]).await;

    assert_eq!(with.refusal(), "invalid_grant");
    assert_eq!(without.status, 200, "{}", without.body);
}

/// Attack: A001, A002, A004, A005, A007, A008, A010, A011, A013, A014, A019, A020, A022, A023, A029
async fn wrong_clients_and_redirect_uris_never_redirect(server: Server) {
    let cases = [
        ("client_id", "nobody"),
        ("client_id", ""),
        ("redirect_uri", "https://evil.example/cb"),
        (
            "redirect_uri",
            "https://app.example.com.evil.example/callback",
        ),
        ("redirect_uri", "https://app.example.com/callback/..;/evil"),
        ("redirect_uri", "https://app.example.com/callback/../evil"),
        ("redirect_uri", "https://app.example.com:443/callback"),
        (
            "redirect_uri",
            "https://app.example.com/callback?next=//evil",
        ),
        ("redirect_uri", "https://app.example.com/callback#x"),
        ("redirect_uri", "https://a@app.example.com/callback"),
        ("redirect_uri", "https://a@b@app.example.com/callback"),
        (
            "redirect_uri",
            "https://app.example.com/callback%2f..%2fevil",
        ),
        ("redirect_uri", "https://app.example.com/%63allback"),
        ("redirect_uri", "https://app.example.com/%2e%2e%3b/callback"),
        (
            "redirect_uri",
            "https://evil.example\\.app.example.com/callback",
        ),
        ("redirect_uri", "https:\\\\app.example.com\\callback"),
        ("redirect_uri", "https://appXexample.com/callback"),
        ("redirect_uri", "https://app.xn--example-.com/callback"),
        ("redirect_uri", "https://app.ехample.com/callback"),
        ("client_id", "\"><script>alert(1)</script>"),
        ("redirect_uri", "https:app.example.com/callback"),
        ("redirect_uri", "////app.example.com/callback"),
        ("redirect_uri", "javascript:alert(1)"),
    ];
    for (name, value) in cases {
        for prompt in ["", "none"] {
            let mut wrong = request();
            wrong.insert(name.to_owned(), value.to_owned());
            wrong.insert("prompt".to_owned(), prompt.to_owned());
            let answer = Browser::new(&server).authorize(&wrong).await;
            assert_eq!(answer.status, 400, "{name}={value}");
            assert!(answer.header("location").is_none() && answer.header("set-cookie").is_none());
            assert!(answer.body.contains(r#"id="error-code""#));
            assert!(!answer.body.contains("<script"), "{}", answer.body);
            let policy = answer.header("content-security-policy").unwrap();
            assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-inline"));
        }
    }
    let doubled = format!(
        "/authorize?{}&redirect_uri=https%3A%2F%2Fevil.example",
        crate::browser::encode(&request())
    );
    assert_eq!(Browser::new(&server).get(&doubled).await.status, 400);
}

/// Attack: A016
async fn a_loopback_name_matches_itself_alone_whatever_the_port(server: Server) {
    let with = |uri: &str| {
        let mut asked = request();
        asked.insert("client_id".into(), "cli".into());
        asked.insert("scope".into(), "openid".into());
        asked.insert("redirect_uri".into(), uri.to_owned());
        asked
    };
    for other in [
        "http://localhost:5/callback",
        "http://[::1]:5/callback",
        "http://2130706433/callback",
        "http://127.0.0.1.:5/callback",
        "http://127.1:5/callback",
        "https://127.0.0.1:5/callback",
        "http://127.0.0.1:5/other",
    ] {
        let answer = Browser::new(&server).authorize(&with(other)).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (400, None),
            "{other}"
        );
    }

    let own = with("http://127.0.0.1:54321/callback");
    let tokens = Browser::new(&server).tokens("alice", &own).await;

    assert_eq!(
        server.userinfo(&tokens.text("access_token")).await.status,
        200
    );
}

async fn a_code_whose_address_was_taken_away_is_refused_and_burnt(server: Server) {
    let mut browser = Browser::new(&server);
    let code = browser.code("alice", &request()).await;
    let kept = browser.code("alice", &request()).await;
    let more = "https://app.example.com/other";
    client(&server, "web", json!({ "redirect_uris": [more] })).await;

    let redeemed = server.token("web", &redemption(&code, CALLBACK)).await;

    assert_eq!(
        (redeemed.status, &*redeemed.refusal()),
        (400, "invalid_grant")
    );
    client(&server, "web", json!({ "redirect_uris": [more, CALLBACK] })).await;
    let again = server.token("web", &redemption(&code, CALLBACK)).await;
    assert_eq!(again.refusal(), "invalid_grant", "it was burnt");
    let other = server.token("web", &redemption(&kept, CALLBACK)).await;
    assert_eq!(other.status, 200, "{}", other.body);
}

async fn a_code_at_an_address_that_another_node_added_is_good_at_once(server: Server) {
    let Some(other) = server.second_node().await else {
        return;
    };
    let more = "https://app.example.com/other";
    let mut browser = Browser::new(&server);
    browser.code("alice", &request()).await;
    let mut asked = request();
    asked.insert("redirect_uri".into(), more.into());
    // The other node keeps the client as it was.
    let known = other.token("web", &redemption("no code", CALLBACK)).await;
    assert_eq!(known.refusal(), "invalid_grant");
    client(&server, "web", json!({ "redirect_uris": [CALLBACK, more] })).await;
    let code = browser.code("alice", &asked).await;

    let redeemed = other.token("web", &redemption(&code, more)).await;

    assert_eq!(redeemed.status, 200, "{}", redeemed.body);
}

async fn a_code_at_a_loopback_address_that_was_taken_away_is_refused(server: Server) {
    let callback = "http://127.0.0.1:54321/callback";
    let mut asked = request();
    asked.insert("client_id".into(), "cli".into());
    asked.insert("scope".into(), "openid".into());
    asked.insert("redirect_uri".into(), callback.into());
    let code = Browser::new(&server).code("alice", &asked).await;

    let moved = json!({ "redirect_uris": ["http://127.0.0.1/moved"] });
    client(&server, "cli", moved).await;

    let redeemed = server.token("cli", &redemption(&code, callback)).await;
    assert_eq!(redeemed.refusal(), "invalid_grant");
}

/// Attack: A026, A034, B052, B053, B055, B058, B059
async fn everything_else_that_is_wrong_redirects_with_state_and_issuer(server: Server) {
    let long = "x".repeat(129);
    let cases = [
        ("response_type", "token", "unsupported_response_type"),
        (
            "response_type",
            "code id_token",
            "unsupported_response_type",
        ),
        ("response_mode", "fragment", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", &long, "invalid_request"),
        ("scope", "openid admin", "invalid_scope"),
        (
            "resource",
            "https://elsewhere.example.com",
            "invalid_target",
        ),
        ("request", "eyJ", "request_not_supported"),
        ("request_uri", "urn:x", "request_uri_not_supported"),
        ("registration", "{}", "registration_not_supported"),
        ("prompt", "none login", "invalid_request"),
        ("prompt", "none", "login_required"),
        ("max_age", "soon", "invalid_request"),
        ("claims", "[", "invalid_request"),
    ];
    for (name, value, error) in cases {
        let mut wrong = request();
        wrong.insert(name.to_owned(), value.to_owned());
        let answer = Browser::new(&server).authorize(&wrong).await;
        let redirect = response(&answer);
        assert_eq!(
            redirect.get("error").map(String::as_str),
            Some(error),
            "{name}={value} {redirect:?}"
        );
        assert_eq!(
            (redirect["state"].as_str(), &redirect["iss"]),
            ("the state", &server.name())
        );
        assert!(!redirect.contains_key("code") && !redirect.contains_key("access_token"));
        assert!(answer.header("access-control-allow-origin").is_none());
    }
}
