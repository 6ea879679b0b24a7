//! Receivers that are away, slow or beside another node's.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use symbolon_testkit::Row;
use tokio::time::Instant;

use super::inbox::{Inbox, Letter};
use super::{admin, claims};
use crate::browser::Browser;
use crate::harness::{SECRET, Server};
use crate::on_both_engines;
use crate::setting::{by, callback};

on_both_engines! {
    a_receiver_that_was_away_hears_all_in_order_after_a_restart
    a_slow_receiver_holds_nobody_up
    what_waits_is_listed_page_by_page
    nodes_do_not_send_the_same_twice
    a_clock_that_jumps_a_day_ahead_leaves_what_waits_alive
}

/// A client that hears of ended sessions. It stands in no file, so a node that
/// starts leaves it as it is.
pub(super) async fn listen(server: &Server, client: &str, url: &str) {
    let document = json!({
        "id": client, "name": client, "secret": SECRET, "consent": "first_party",
        "redirect_uris": [callback(client)], "grants": ["authorization_code"],
        "scopes": ["openid"], "backchannel_logout_uri": format!("{url}/{client}"),
    });
    admin(server, Method::POST, "clients", Some(document)).await;
}

fn asking(client: &str) -> BTreeMap<String, String> {
    by(client, &[("scope", "openid")])
}

/// Signs somebody in and out; which session it was.
pub(super) async fn come_and_go(server: &Server, username: &str) -> String {
    let mut browser = Browser::new(server);
    let tokens = browser.tokens(username, &asking("shop")).await;
    let hint = tokens.text("id_token");
    let sid = claims(&hint)["sid"].as_str().unwrap().to_owned();
    browser.get(&format!("/logout?id_token_hint={hint}")).await;
    sid
}

/// Which sessions a receiver was told of, by person, without repetitions.
fn told(letters: &[Letter]) -> HashMap<String, Vec<String>> {
    let mut told: HashMap<String, Vec<String>> = HashMap::new();
    let mut seen = HashSet::new();
    for letter in letters {
        let is = claims(&letter.logout_token());
        if seen.insert(is["jti"].to_string()) {
            let text = |name: &str| is[name].as_str().unwrap().to_owned();
            told.entry(text("sub")).or_default().push(text("sid"));
        }
    }
    told
}

async fn a_receiver_that_was_away_hears_all_in_order_after_a_restart(mut server: Server) {
    let inbox = Inbox::open().await;
    listen(&server, "shop", &inbox.url).await;
    inbox.answer(503, "");
    let rounds = Row::R41.size(2, 5);
    // At most 60 sign-ins of one person from one network in an hour.
    let each = Row::R41.size(3, 10);
    let mut gone: HashMap<&str, Vec<String>> = HashMap::new();
    for _ in 0..rounds {
        for _ in 0..each {
            for username in ["alice", "bob"] {
                let sid = come_and_go(&server, username).await;
                gone.entry(username).or_default().push(sid);
            }
        }
        server.advance_by(Duration::from_secs(3600 / rounds as u64));
        server = server.restart().await;
    }
    assert!(inbox.letters().is_empty());

    inbox.answer(200, "");

    let wanted = gone.values().map(Vec::len).sum();
    let until = Instant::now() + Duration::from_secs(60);
    while told(&inbox.letters()).values().map(Vec::len).sum::<usize>() < wanted {
        assert!(Instant::now() < until, "{} came", inbox.letters().len());
        server.advance(60);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let told = told(&inbox.letters());
    for sessions in gone.values() {
        assert!(
            told.values().any(|heard| heard == sessions),
            "in the order in which they ended"
        );
    }
}

async fn a_slow_receiver_holds_nobody_up(server: Server) {
    let (slow, quick) = (Inbox::open().await, Inbox::open().await);
    listen(&server, "slow", &slow.url).await;
    listen(&server, "quick", &quick.url).await;
    slow.hold();
    let mut browser = Browser::new(&server);
    browser.tokens("alice", &asking("slow")).await;
    browser.tokens("alice", &asking("quick")).await;

    let body = Some(json!({ "subject": "alice" }));
    admin(&server, Method::POST, "revoke", body).await;

    slow.wait_until_held().await;
    quick.wait_for(1).await;
    assert_eq!(slow.held(), 1, "it was not waited for");
    assert!(slow.letters().is_empty());
    slow.let_go();
    slow.wait_for(1).await;
}

async fn what_waits_is_listed_page_by_page(server: Server) {
    let inbox = Inbox::open().await;
    inbox.answer(503, "");
    let mut browser = Browser::new(&server);
    for client in ["first", "second"] {
        listen(&server, client, &inbox.url).await;
        browser.tokens("alice", &asking(client)).await;
    }
    let body = Some(json!({ "subject": "alice" }));
    admin(&server, Method::POST, "revoke", body).await;

    let (mut after, mut found) = (String::new(), Vec::new());
    loop {
        let path = format!("outbox?limit=1{after}");
        let page = admin(&server, Method::GET, &path, None).await.json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 1, "{page}");
        found.extend(items.iter().map(|own| own["receiver"].clone()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }

    assert_eq!(found, [json!("client:first"), json!("client:second")]);
}

/// Row R31 of the reliability catalogue: a dead letter stays one when the clock
/// returns, and nobody is told of it.
async fn a_clock_that_jumps_a_day_ahead_leaves_what_waits_alive(server: Server) {
    let inbox = Inbox::open().await;
    inbox.answer(503, "");
    listen(&server, "shop", &inbox.url).await;
    come_and_go(&server, "alice").await;
    let app = &server.running.as_ref().unwrap().app;
    let waits = async || {
        symbolon_server::testing::sweep_outbox(app).await;
        let all = admin(&server, Method::GET, "outbox", None).await.json();
        let all = all["items"].as_array().unwrap().clone();
        let own = all.iter().find(|own| own["receiver"] == "client:shop");
        let own = own.expect("a message was written");
        (own["waiting"].as_u64(), own["dead"].as_u64())
    };

    server.jump(Duration::from_secs(25 * 60 * 60));

    assert_eq!(waits().await, (Some(1), Some(0)));
    server.believe();
    assert_eq!(waits().await, (Some(0), Some(1)));
}

async fn nodes_do_not_send_the_same_twice(server: Server) {
    let inbox = Inbox::open().await;
    listen(&server, "shop", &inbox.url).await;
    let nodes = server.further_nodes().await;
    let mut gone = 0;
    for _ in 0..4 {
        come_and_go(&server, "alice").await;
        come_and_go(&server, "bob").await;
        gone += 2;
    }
    for node in nodes.iter().flatten() {
        come_and_go(node, "alice").await;
        gone += 1;
    }

    inbox.wait_for(gone).await;
    let letters = inbox.settle().await;

    let names = letters.iter().map(|own| claims(&own.logout_token()));
    let names: HashSet<_> = names.map(|own| own["jti"].to_string()).collect();
    assert_eq!((letters.len(), names.len()), (gone, gone));
}
