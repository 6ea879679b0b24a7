//! R30 and R31: nodes whose clocks differ, and clocks that jump.

use std::time::Duration;

use crate::browser::{Browser, redemption, request};
use crate::harness::{Answer, CALLBACK, ORDERS, Server, VAULT};
use reqwest::Method;
use serde_json::json;
use symbolon_server::testing::forget;

async fn refresh(server: &Server, token: &str) -> Answer {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    server.token("web", &form).await
}

/// Everything that one node begins and another ends.
async fn works_between(here: &Server, there: &Server) {
    let asked = request();
    let code = Browser::new(here).code("alice", &asked).await;
    let tokens = there.token("web", &redemption(&code, CALLBACK)).await;
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    let access = tokens.text("access_token");
    assert!(here.is_active(&access).await, "a token from the future");
    assert!(there.is_active(&access).await);

    let first = tokens.text("refresh_token");
    let second = refresh(here, &first).await.text("refresh_token");
    let retry = refresh(there, &first).await;
    assert_eq!(retry.text("refresh_token"), second, "a retry elsewhere");
    let third = refresh(there, &second).await;
    assert_eq!(third.status, 200, "{}", third.body);

    let service = [("grant_type", "client_credentials"), ("resource", VAULT)];
    for (maker, other) in [(here, there), (there, here)] {
        let token = maker.token("job", &service).await.text("access_token");
        assert!(other.is_active(&token).await);
        let form = [("token", &*token)];
        assert_eq!(other.form("/revoke", "job", &form).await.status, 200);
        assert!(!other.is_active(&token).await);
    }

    let body = json!({ "subject": "alice" });
    let gone = there.admin(Method::POST, "/admin/v1/revoke", Some(body));
    assert_eq!(gone.await.status, 204);
    let dead = third.text("refresh_token");
    assert_eq!(refresh(there, &dead).await.refusal(), "invalid_grant");
    assert_eq!(refresh(here, &dead).await.refusal(), "invalid_grant");
    // What a node makes before it has heard of that dies by it, too.
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// What has ended by one clock is good by another, so it is still taken back.
///
/// Row R30 of the reliability catalogue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_ahead_takes_back_what_has_ended_by_its_clock() {
    let server = Server::on_postgres().await;
    let ahead = server.skewed_sibling(30).await;
    let mut dying = Vec::new();
    for resource in [ORDERS, VAULT] {
        let form = [("grant_type", "client_credentials"), ("resource", resource)];
        dying.push(server.token("job", &form).await.text("access_token"));
    }
    server.advance(580);
    ahead.believe();

    for token in dying {
        assert!(server.is_active(&token).await && !ahead.is_active(&token).await);
        let form = [("token", &*token)];
        assert_eq!(ahead.form("/revoke", "job", &form).await.status, 200);
        server.catch_up().await;
        assert!(!server.is_active(&token).await, "it lives on");
    }
}

/// Row R30 of the reliability catalogue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_work_together_whose_clocks_are_half_a_minute_apart() {
    let server = Server::on_postgres().await;
    for seconds in [30, -30] {
        let other = server.skewed_sibling(seconds).await;

        works_between(&server, &other).await;
        works_between(&other, &server).await;
    }
}

/// What was forgotten while a clock was ahead, and was believed, is not taken for
/// lost once that is set right: recorded again, it would hit what came since.
///
/// Row R31 of the reliability catalogue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_ahead_and_is_set_right_takes_nothing_back_again() {
    let server = Server::on_sqlite().await;
    let body = json!({ "subject": "alice" });
    let gone = server.admin(Method::POST, "/admin/v1/revoke", Some(body));
    assert_eq!(gone.await.status, 204);
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    let span = Duration::from_secs(10 * 24 * 60 * 60);

    server.advance_by(span);
    server.catch_up().await;
    forget(&server.running.as_ref().unwrap().app).await;
    server.set_back(span);
    server.catch_up().await;

    let renewed = refresh(&server, &tokens.text("refresh_token")).await;
    assert_eq!(renewed.status, 200, "{}", renewed.body);
}

/// A clock that was ahead for a moment forgets nothing, and hides no loss.
///
/// Row R31 of the reliability catalogue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_after_a_clock_was_ahead_for_a_moment_is_taken_back_again() {
    let server = Server::on_sqlite().await;
    let form = [("grant_type", "client_credentials"), ("resource", VAULT)];
    let (lost, other) = (
        server.token("job", &form).await.text("access_token"),
        server.token("job", &form).await.text("access_token"),
    );
    let day = Duration::from_secs(24 * 60 * 60);
    server.jump(day);
    server.catch_up().await;
    server.set_back(day);

    let form = [("token", &*lost)];
    assert_eq!(server.form("/revoke", "job", &form).await.status, 200);
    let behind = rusqlite::Connection::open(server.folder.join("symbolon.db")).unwrap();
    let lose = "DELETE FROM revocation WHERE sequence = (SELECT sequence FROM feed_head)";
    assert_eq!(behind.execute(lose, []).unwrap(), 1);
    let form = [("token", &*other)];
    assert_eq!(server.form("/revoke", "job", &form).await.status, 200);
    server.catch_up().await;

    let server = server.restart().await;
    assert!(!server.is_active(&lost).await, "it is good again");
    assert!(!server.is_active(&other).await);
}
