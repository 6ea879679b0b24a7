//! Pairwise subjects: nothing in what two sectors are given is the same, and
//! what is taken back dies all the same.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_token::jose::Unverified;

use crate::browser::{Browser, request, response};
use crate::exchange::world::{Asked, client, furnish, own_token};
use crate::harness::{Answer, Server};
use crate::on_both_engines;
use crate::setting::by;

on_both_engines! {
    two_sectors_share_nothing_that_names_the_person
    what_is_taken_back_is_dead_in_every_sector
    a_session_is_known_by_its_own_name_in_each_sector
    a_token_of_a_sector_that_its_client_left_is_dead
    no_exchange_gives_a_person_a_second_name
}

const SCOPE: (&str, &str) = ("scope", "openid read:orders");

fn decoded(jwt: &str) -> Value {
    let token = Unverified::parse(jwt).unwrap();
    Value::Object(token.dangerous_claims_without_key().unwrap())
}

/// Everything in a value that could name somebody: text of some length that no
/// client is told about another.
fn names(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.len() >= 12 && !text.starts_with("http") => {
            into.insert(text.clone());
        }
        Value::Array(all) => all.iter().for_each(|one| names(one, into)),
        Value::Object(all) => all.values().for_each(|one| names(one, into)),
        _ => {}
    }
}

fn names_in(tokens: &Answer) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for name in ["access_token", "id_token"] {
        let mut claims = decoded(&tokens.text(name));
        let own = claims.as_object_mut().unwrap();
        // Of the request and of the server, not of the person.
        for same in ["scope", "nonce", "iss", "aud"] {
            own.remove(same);
        }
        names(&claims, &mut all);
    }
    all
}

async fn two_sectors_share_nothing_that_names_the_person(server: Server) {
    let mut browser = Browser::new(&server);
    let public = browser
        .tokens(
            "alice",
            &crate::setting::by("web", &[SCOPE, ("redirect_uri", crate::harness::CALLBACK)]),
        )
        .await;
    let one = browser.tokens("alice", &by("sector-one", &[SCOPE])).await;
    let two = browser.tokens("alice", &by("sector-two", &[SCOPE])).await;

    let (public, one, two) = (names_in(&public), names_in(&one), names_in(&two));

    assert!(one.len() >= 6, "{one:?}");
    assert!(one.is_disjoint(&two), "{:?}", one.intersection(&two));
    assert!(one.is_disjoint(&public), "{:?}", one.intersection(&public));
    assert!(two.is_disjoint(&public), "{:?}", two.intersection(&public));
    for text in one.union(&two) {
        assert!(
            !text.starts_with("usr_") && !text.starts_with("ses_"),
            "{text}"
        );
    }
    let again = browser.tokens("alice", &by("sector-one", &[SCOPE])).await;
    let again = names_in(&again);
    let kept = one
        .intersection(&again)
        .filter(|text| text.starts_with("pws_"));
    assert_eq!(kept.count(), 1, "one sector knows the person again");
}

async fn what_is_taken_back_is_dead_in_every_sector(server: Server) {
    let other = server.second_node().await;
    let subject = json!({ "subject": "alice" });
    for kind in ["subject", "session", "grant", "client", "token", "nothing"] {
        let mut browser = Browser::new(&server);
        let tokens = browser.tokens("alice", &by("sector-one", &[SCOPE])).await;
        let access = tokens.text("access_token");
        assert!(server.is_active(&access).await, "{kind}");
        assert_eq!(server.userinfo(&access).await.status, 200);
        let newest = async |path: &str| {
            let all = server.admin(Method::GET, path, None).await.json();
            let all = all["items"].as_array().unwrap().clone();
            all.last().unwrap()["id"].clone()
        };
        let body = match kind {
            "subject" => subject.clone(),
            "session" => json!({ "session": newest("/admin/v1/sessions?user=alice").await }),
            "grant" => json!({ "grant": newest("/admin/v1/grants?client=sector-one").await }),
            "client" => json!({ "client": "sector-two" }),
            "token" => json!({ "token": access }),
            _ => json!({ "subject": "bob" }),
        };

        let done = server
            .admin(Method::POST, "/admin/v1/revoke", Some(body))
            .await;

        assert!(done.status < 300, "{kind} {}", done.body);
        let lives = ["client", "nothing"].contains(&kind);
        assert_eq!(server.is_active(&access).await, lives, "{kind}");
        if let Some(other) = &other {
            other.catch_up().await;
            assert_eq!(other.is_active(&access).await, lives, "{kind}");
        }
        server.advance(60);
    }
}

async fn a_session_is_known_by_its_own_name_in_each_sector(server: Server) {
    let mut browser = Browser::new(&server);
    let one = browser.tokens("alice", &by("sector-one", &[SCOPE])).await;
    let two = browser.tokens("alice", &by("sector-two", &[SCOPE])).await;
    let hint = one.text("id_token");
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("id_token_hint", &hint)
        .append_pair("post_logout_redirect_uri", "https://bye.example.com/")
        .finish();

    let gone = browser.get(&format!("/logout?{query}")).await;

    assert_eq!(gone.header("location"), Some("https://bye.example.com/"));
    for tokens in [one, two] {
        assert!(!server.is_active(&tokens.text("access_token")).await);
    }
    let mut silent = request();
    silent.insert("prompt".into(), "none".into());
    let answer = response(&browser.authorize(&silent).await);
    assert_eq!(answer["error"], "login_required");
}

async fn a_token_of_a_sector_that_its_client_left_is_dead(server: Server) {
    let mut browser = Browser::new(&server);
    let tokens = browser.tokens("alice", &by("sector-one", &[SCOPE])).await;
    let access = tokens.text("access_token");
    assert!(server.is_active(&access).await);
    let path = "/admin/v1/clients/sector-one";

    let public = json!({ "subject_type": "public" });
    let patched = server.admin(Method::PATCH, path, Some(public)).await;

    assert_eq!(patched.status, 200, "{}", patched.body);
    assert!(!server.is_active(&access).await, "no record could find it");
    let back = json!({ "subject_type": "pairwise" });
    server.admin(Method::PATCH, path, Some(back)).await;
    assert!(!server.is_active(&access).await, "it was taken back");
    let again = browser.tokens("alice", &by("sector-one", &[SCOPE])).await;
    assert!(server.is_active(&again.text("access_token")).await);
}

/// Spec: OpenID Connect Core 1.0 §8.1
async fn no_exchange_gives_a_person_a_second_name(server: Server) {
    furnish(&server).await;
    let policy = json!({ "exchange": { "accepts": ["access_token", "jwt", "saml2"],
        "issues": ["access_token", "saml2"], "impersonate": true } });
    client(&server, "orders-api", policy).await;
    let mut browser = Browser::new(&server);
    let token = async |browser: &mut Browser<'_>, id: &str| {
        let tokens = browser.tokens("alice", &by(id, &[SCOPE])).await;
        tokens.text("access_token")
    };
    let one = token(&mut browser, "sector-one").await;
    let two = token(&mut browser, "sector-two").await;
    let actor = own_token(&server, "orders-api").await;
    let asked = |text: &str| Asked::of("access_token", text).acting("access_token", &actor);
    let alone = |text: &str| Asked::of("access_token", text);

    for refused in [asked(&one), alone(&one), asked(&two)] {
        let answer = refused.by(&server, "orders-api").await;
        assert_eq!(answer.refusal(), "invalid_request", "a public client");
    }
    let own = |uri: &str| json!({ "subject_type": "pairwise", "sector_identifier_uri": uri });
    client(
        &server,
        "orders-api",
        own("https://sector-one.example.com/sector"),
    )
    .await;
    let actor = own_token(&server, "orders-api").await;
    let asked = |text: &str| Asked::of("access_token", text).acting("access_token", &actor);
    let within = asked(&one).token(&server, "orders-api").await;
    assert_eq!(
        decoded(&within)["sub"],
        decoded(&one)["sub"],
        "one name in one sector"
    );
    assert!(server.is_active(&within).await);
    let answer = asked(&two).by(&server, "orders-api").await;
    assert_eq!(answer.refusal(), "invalid_request", "another sector");

    // A token with everybody's name hides nothing: a pairwise client has its own.
    let public = [SCOPE, ("redirect_uri", crate::harness::CALLBACK)];
    let public = browser.tokens("alice", &by("web", &public)).await;
    let public = public.text("access_token");
    let there = asked(&public).token(&server, "orders-api").await;
    assert_eq!(decoded(&there)["sub"], decoded(&one)["sub"]);
    assert_ne!(decoded(&there)["sub"], decoded(&public)["sub"]);
}
