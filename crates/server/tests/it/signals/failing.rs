//! Receivers that answer, and do not take what they are told: of one person, of
//! anybody, or for a time.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::admin;
use super::inbox::{Inbox, PATIENCE};
use super::outage::{come_and_go, listen};
use super::stream::{pushed, receiver};
use crate::browser::{Browser, request};
use crate::harness::{PASSWORD, Server};
use crate::on_both_engines;

on_both_engines! {
    a_logout_that_fails_keeps_nobody_elses_back
    an_event_that_fails_keeps_nobody_elses_back
    a_receiver_that_fails_at_everything_is_asked_three_times_a_round
    a_receiver_that_asks_for_time_gets_it
    an_outage_counts_for_no_refusal
    what_is_refused_eight_times_in_a_row_is_dead
}

const OTHERS: [&str; 3] = ["bob", "yan", "zoe"];

/// Enters a person; how tokens name them.
async fn person(server: &Server, username: &str) -> String {
    if !["alice", "bob"].contains(&username) {
        let document = json!({ "username": username, "password": PASSWORD });
        admin(server, Method::POST, "users", Some(document)).await;
    }
    let path = format!("users/{username}");
    admin(server, Method::GET, &path, None).await.text("id")
}

async fn a_logout_that_fails_keeps_nobody_elses_back(server: Server) {
    let inbox = Inbox::open().await;
    listen(&server, "shop", &inbox.url).await;
    let tell = async |who: &str| {
        come_and_go(&server, who).await;
    };
    only_one_waits(&server, &inbox, tell).await;
}

async fn an_event_that_fails_keeps_nobody_elses_back(server: Server) {
    let inbox = Inbox::open().await;
    let token = receiver(&server).await;
    pushed(&server, &token, &inbox).await;
    let tell = async |who: &str| {
        Browser::new(&server).tokens(who, &request()).await;
        let body = Some(json!({ "subject": who }));
        admin(&server, Method::POST, "revoke", body).await;
    };
    only_one_waits(&server, &inbox, tell).await;
}

/// The receiver breaks at what it is told of `alice`.
async fn only_one_waits(server: &Server, inbox: &Inbox, tell: impl AsyncFn(&str)) {
    let alice = person(server, "alice").await;
    let mut others = Vec::new();
    for who in OTHERS {
        others.push(person(server, who).await);
    }
    inbox.break_at(Some(&alice));
    tell("alice").await;
    let failed = inbox.wait_until_turned_away(1).await;

    tell("alice").await;
    for who in OTHERS {
        tell(who).await;
    }

    let letters = inbox.wait_for(3).await;
    let told: Vec<String> = letters.iter().map(|letter| letter.subject()).collect();
    assert_eq!(told, others, "while no time has passed");
    inbox.settle().await;
    // It was tried once so far: the wait is of 1 to 2 seconds, then doubles.
    for tried in 1..4 {
        let least = Duration::from_secs(1 << (tried - 1));
        let short = Duration::from_millis(100);
        server.advance_by(least - short);
        inbox.settle().await;
        assert_eq!(inbox.turned_away(), tried, "too early");
        server.advance_by(least + short);
        inbox.wait_until_turned_away(tried + 1).await;
    }
    let name = failed[0].says()["jti"].clone();
    for letter in inbox.wait_until_turned_away(4).await {
        assert_eq!(letter.says()["jti"], name, "the next one waits behind it");
    }
    inbox.break_at(None);
    server.advance(600);
    let letters = inbox.wait_for(5).await;
    let own = letters.iter().filter(|letter| letter.subject() == alice);
    let names: Vec<_> = own.map(|letter| letter.says()["jti"].clone()).collect();
    assert_eq!((names.len(), &names[0]), (2, &name), "in order");
    assert_eq!(inbox.settle().await.len(), 5, "each once");
}

async fn a_receiver_that_fails_at_everything_is_asked_three_times_a_round(server: Server) {
    let inbox = Inbox::open().await;
    listen(&server, "shop", &inbox.url).await;
    for who in ["yan", "zoe", "xenia"] {
        person(&server, who).await;
    }
    // All have to wait for the same round.
    inbox.answer(429, "");
    for who in ["alice", "bob", "yan", "zoe", "xenia"] {
        come_and_go(&server, who).await;
        inbox.wait_until_turned_away(1).await;
    }
    inbox.settle().await;
    assert_eq!(inbox.turned_away(), 1, "it asked for time");
    inbox.answer(500, "");

    for round in 1..4 {
        server.advance(600);

        inbox.wait_until_turned_away(1 + 3 * round).await;
        inbox.settle().await;
        assert_eq!(inbox.turned_away(), 1 + 3 * round);
    }

    inbox.answer(200, "");
    server.advance(600);
    inbox.wait_for(5).await;
}

async fn a_receiver_that_asks_for_time_gets_it(server: Server) {
    let inbox = Inbox::open().await;
    listen(&server, "shop", &inbox.url).await;
    inbox.ask_for_time(120);
    come_and_go(&server, "alice").await;
    inbox.wait_until_turned_away(1).await;

    come_and_go(&server, "bob").await;
    server.advance(100);

    inbox.settle().await;
    assert_eq!(inbox.turned_away(), 1);
    inbox.answer(200, "");
    server.advance(21);
    inbox.wait_for(2).await;
}

/// Has a message tried again, so many times from now on.
async fn try_again(server: &Server, inbox: &Inbox, times: usize) {
    for _ in 0..times {
        let before = inbox.turned_away();
        server.advance(600);
        inbox.wait_until_turned_away(before + 1).await;
    }
}

async fn dead(server: &Server) -> Value {
    let list = "dead-letters?receiver=client:shop";
    let dead = admin(server, Method::GET, list, None).await;
    dead.json()["items"].clone()
}

/// Seven tries in an outage, and one refusal once it is over.
async fn an_outage_counts_for_no_refusal(server: Server) {
    let inbox = Inbox::open().await;
    listen(&server, "shop", &inbox.url).await;
    inbox.answer(500, "");
    come_and_go(&server, "alice").await;
    inbox.wait_until_turned_away(1).await;
    try_again(&server, &inbox, 6).await;
    inbox.answer(400, "");

    try_again(&server, &inbox, 1).await;

    inbox.settle().await;
    assert_eq!(dead(&server).await, json!([]));
    inbox.answer(200, "");
    server.advance(600);
    inbox.wait_for(1).await;
}

async fn what_is_refused_eight_times_in_a_row_is_dead(server: Server) {
    let inbox = Inbox::open().await;
    listen(&server, "shop", &inbox.url).await;
    inbox.answer(400, "");
    come_and_go(&server, "alice").await;
    inbox.wait_until_turned_away(1).await;

    try_again(&server, &inbox, 6).await;
    inbox.settle().await;
    let before = dead(&server).await;
    try_again(&server, &inbox, 1).await;

    assert_eq!(before, json!([]), "seven times");
    let begin = Instant::now();
    let letters = loop {
        let letters = dead(&server).await;
        if letters[0].is_object() {
            break letters;
        }
        assert!(begin.elapsed() < PATIENCE, "it is not dead");
        // A try that could not be written down is made again.
        server.advance(600);
        sleep(Duration::from_millis(250)).await;
    };
    assert_eq!(letters[0]["reason"], "the client answered 400");
    assert_eq!(letters[0]["attempts"], 8);
}
