//! Logout behind the browser's back.
//!
//! Spec: OpenID Connect Back-Channel Logout 1.0

use reqwest::Method;
use serde_json::{Value, json};

use super::inbox::Inbox;
use super::stream::{pushed, receiver};
use super::{admin, call, claims, kind};
use crate::browser::{Browser, request};
use crate::harness::{Answer, PASSWORD, Server};
use crate::on_both_engines;
use crate::setting::by;

on_both_engines! {
    every_way_of_ending_a_session_tells_each_client_of_it
    a_client_that_took_no_part_hears_nothing
    one_session_is_ended_and_the_other_goes_on
    what_cannot_be_delivered_is_a_dead_letter_that_can_be_offered_again
    addresses_that_logout_tokens_may_not_go_to_are_refused
    what_others_are_sent_is_no_token_here
}

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Has a client hear of ended sessions.
async fn listen(server: &Server, client: &str, inbox: &Inbox) {
    let document = json!({
        "backchannel_logout_uri": format!("{}/{client}", inbox.url),
        "backchannel_logout_session_required": true,
    });
    let path = format!("clients/{client}");
    admin(server, Method::PATCH, &path, Some(document)).await;
}

/// Both clients in one session; what their ID tokens say.
async fn signed_in(browser: &mut Browser<'_>) -> (Answer, [Value; 2]) {
    let web = browser.tokens("alice", &request()).await;
    let other = browser.tokens("alice", &by("sector-one", &[])).await;
    let said = [&web, &other].map(|own| Value::Object(claims(&own.text("id_token"))));
    (web, said)
}

fn check(server: &Server, token: &str, id_token: &Value) -> Value {
    let is = Value::Object(claims(token));
    assert_eq!(kind(token), "logout+jwt");
    for name in ["iss", "aud", "sub", "sid"] {
        assert_eq!(is[name], id_token[name], "{name}");
    }
    assert_eq!(is["iss"], server.name());
    assert_eq!(is["events"], json!({ EVENT: {} }));
    assert!(is["jti"].as_str().unwrap().len() >= 22);
    let lives = is["exp"].as_i64().unwrap() - is["iat"].as_i64().unwrap();
    assert!((1..=120).contains(&lives), "{lives}");
    assert_eq!(is.get("nonce"), None);
    is
}

async fn every_way_of_ending_a_session_tells_each_client_of_it(server: Server) {
    let inbox = Inbox::open().await;
    listen(&server, "web", &inbox).await;
    listen(&server, "sector-one", &inbox).await;
    let mut heard = 0;
    for way in 0..6 {
        let mut browser = Browser::new(&server);
        let (web, said) = signed_in(&mut browser).await;
        let password = json!({ "password": PASSWORD });
        match way {
            0 => {
                let hint = web.text("id_token");
                let answer = browser.get(&format!("/logout?id_token_hint={hint}")).await;
                assert!(answer.status < 400, "{}", answer.body);
            }
            1 => {
                let list = admin(&server, Method::GET, "sessions?user=alice", None).await;
                let id = list.json()["items"][0]["id"].as_str().unwrap().to_owned();
                admin(&server, Method::DELETE, &format!("sessions/{id}"), None).await;
            }
            2 => {
                let body = Some(json!({ "subject": "alice" }));
                admin(&server, Method::POST, "revoke", body).await;
            }
            3 => {
                admin(&server, Method::POST, "users/alice/disable", None).await;
                admin(&server, Method::POST, "users/alice/enable", None).await;
            }
            4 => {
                let path = "users/alice/password";
                admin(&server, Method::POST, path, Some(password)).await;
            }
            _ => {
                admin(&server, Method::DELETE, "users/alice", None).await;
            }
        }

        heard += 2;
        let letters = inbox.wait_for(heard).await;
        for (client, id_token) in ["web", "sector-one"].iter().zip(&said) {
            let path = format!("/{client}");
            let mut own = letters.iter().rev().filter(|letter| letter.path == path);
            check(&server, &own.next().unwrap().logout_token(), id_token);
        }
        assert_ne!(said[0]["sub"], said[1]["sub"], "pairwise");
    }
    let letters = inbox.settle().await;
    let names = letters.iter().map(|own| claims(&own.logout_token()));
    let names: std::collections::HashSet<_> = names.map(|own| own["jti"].to_string()).collect();
    assert_eq!(
        (letters.len(), names.len()),
        (heard, heard),
        "each is told once"
    );
}

async fn a_client_that_took_no_part_hears_nothing(server: Server) {
    let inbox = Inbox::open().await;
    listen(&server, "web", &inbox).await;
    listen(&server, "other", &inbox).await;
    Browser::new(&server).tokens("alice", &request()).await;
    Browser::new(&server).tokens("bob", &request()).await;

    let body = Some(json!({ "subject": "alice" }));
    admin(&server, Method::POST, "revoke", body).await;
    admin(
        &server,
        Method::POST,
        "revoke",
        Some(json!({ "subject": "alice" })),
    )
    .await;

    inbox.wait_for(1).await;
    let letters = inbox.settle().await;
    let paths: Vec<&str> = letters.iter().map(|letter| &*letter.path).collect();
    assert_eq!(paths, ["/web"], "once, and for alice alone");
}

async fn one_session_is_ended_and_the_other_goes_on(server: Server) {
    let inbox = Inbox::open().await;
    listen(&server, "web", &inbox).await;
    let (mut one, mut two) = (Browser::new(&server), Browser::new(&server));
    let first = one.tokens("alice", &request()).await;
    let second = two.tokens("alice", &request()).await;
    let sid = |answer: &Answer| claims(&answer.text("id_token"))["sid"].clone();

    let hint = first.text("id_token");
    one.get(&format!("/logout?id_token_hint={hint}")).await;

    inbox.wait_for(1).await;
    let letters = inbox.settle().await;
    assert_eq!(letters.len(), 1);
    let told = claims(&letters[0].logout_token())["sid"].clone();
    assert_eq!(told, sid(&first));
    assert_ne!(told, sid(&second));
}

async fn what_cannot_be_delivered_is_a_dead_letter_that_can_be_offered_again(server: Server) {
    let inbox = Inbox::open().await;
    listen(&server, "web", &inbox).await;
    inbox.answer(503, "");
    let (_, said) = signed_in(&mut Browser::new(&server)).await;
    let body = Some(json!({ "subject": "alice" }));
    admin(&server, Method::POST, "revoke", body).await;
    while inbox.turned_away() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let waits = admin(&server, Method::GET, "outbox", None).await.json();
    assert_eq!(waits["items"][0]["receiver"], "client:web");
    assert_eq!(waits["items"][0]["waiting"], 1);
    let silent = json!({ "backchannel_logout_uri": null });
    admin(&server, Method::PATCH, "clients/web", Some(silent)).await;

    let list = "dead-letters?receiver=client:web";
    let dead = loop {
        server.advance(5);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let dead = admin(&server, Method::GET, list, None).await.json();
        if dead["items"].as_array().is_some_and(|all| !all.is_empty()) {
            break dead["items"][0].clone();
        }
    };

    assert_eq!(dead["reason"], "the client wants no logout tokens");
    assert_eq!(dead["event"], "logout");
    assert_eq!(dead["user"].as_str(), said[0]["sub"].as_str());
    listen(&server, "web", &inbox).await;
    inbox.answer(200, "");
    let which = json!({ "number": dead["number"] });
    let path = "dead-letters:retry";
    let done = admin(&server, Method::POST, path, Some(which.clone())).await;
    assert_eq!(done.json()["letters"], 1);
    let letters = inbox.wait_for(1).await;
    let is = check(&server, &letters[0].logout_token(), &said[0]);
    assert_eq!(is["jti"], dead["jti"], "it bears its old name");
    for verb in ["retry", "drop"] {
        let path = format!("/admin/v1/dead-letters:{verb}");
        let one = Some(which.clone());
        let gone = server.admin(Method::POST, &path, one).await;
        let gone = (gone.status, gone.refusal());
        assert_eq!(gone, (404, "not_found".to_owned()), "{verb}");
        let all = Some(json!({ "receiver": "client:web" }));
        let path = format!("dead-letters:{verb}");
        let done = admin(&server, Method::POST, &path, all).await;
        assert_eq!(done.json()["letters"], 0, "{verb}");
    }
}

/// Attack: I228
async fn addresses_that_logout_tokens_may_not_go_to_are_refused(server: Server) {
    let set = async |uri: &str| {
        let document = Some(json!({ "backchannel_logout_uri": uri }));
        let path = "/admin/v1/clients/web";
        server.admin(Method::PATCH, path, document).await.status
    };
    for uri in [
        "http://shop.example.com/logout",
        "http://10.0.0.1/logout",
        "https://shop.example.com/logout#fragment",
        "https://user:word@shop.example.com/logout",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "/logout",
    ] {
        assert_eq!(set(uri).await, 400, "{uri}");
    }
    assert_eq!(set("https://shop.example.com/logout").await, 200);
    // Its name may stand for an address inside; the fetcher decides when it calls.
    assert_eq!(set("https://10.0.0.1/logout").await, 200);
    Browser::new(&server).tokens("alice", &request()).await;
    let body = Some(json!({ "subject": "alice" }));
    admin(&server, Method::POST, "revoke", body).await;
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let waits = admin(&server, Method::GET, "outbox", None).await.json();
        if waits["items"][0]["failures"].as_i64() > Some(0) {
            break;
        }
    }
}

/// Attack: E164
async fn what_others_are_sent_is_no_token_here(server: Server) {
    let inbox = Inbox::open().await;
    listen(&server, "web", &inbox).await;
    let token = receiver(&server).await;
    pushed(&server, &token, &inbox).await;
    let mut browser = Browser::new(&server);
    browser.tokens("alice", &request()).await;
    let body = Some(json!({ "subject": "alice" }));
    admin(&server, Method::POST, "revoke", body).await;
    let letters = inbox.wait_for(2).await;
    let sent = letters.iter().map(|letter| match &*letter.path {
        "/web" => letter.logout_token(),
        _ => letter.body.clone(),
    });
    let tokens = browser.tokens("alice", &request()).await;
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    let grants = json!({ "grants": ["client_credentials", exchange] });
    admin(&server, Method::PATCH, "clients/orders-api", Some(grants)).await;

    for sent in sent {
        assert_eq!(server.userinfo(&sent).await.status, 401);
        let streams = call(&server, Method::GET, "/ssf/streams", (&sent, None)).await;
        assert_eq!(streams.status, 401);
        assert_eq!(
            server.introspect("orders-api", &sent).await["active"],
            false
        );
        let hinted = browser.get(&format!("/logout?id_token_hint={sent}")).await;
        assert_eq!(hinted.status, 400, "no hint either");
        for kind in ["id_token", "access_token", "jwt"] {
            let kind = format!("urn:ietf:params:oauth:token-type:{kind}");
            let form = [
                (
                    "grant_type",
                    "urn:ietf:params:oauth:grant-type:token-exchange",
                ),
                ("subject_token", &*sent),
                ("subject_token_type", &kind),
            ];
            let answer = server.token("orders-api", &form).await;
            assert_eq!(
                (answer.status, &*answer.refusal()),
                (400, "invalid_request")
            );
        }
    }

    assert!(server.is_active(&tokens.text("access_token")).await);
    let hint = tokens.text("id_token");
    let good = browser.get(&format!("/logout?id_token_hint={hint}")).await;
    assert_ne!(good.status, 400, "an ID token is one");
}
