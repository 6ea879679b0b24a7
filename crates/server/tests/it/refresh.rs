//! Refresh families: retries, races, theft, ends.

use symbolon_testkit::Row;

use crate::browser::{Browser, request};
use crate::crowd::at_once;
use crate::harness::{Answer, Server};
use crate::on_both_engines;

on_both_engines! {
    every_use_rotates_and_costs_one_write
    a_retry_within_the_grace_time_gets_the_same_successor
    a_spent_token_after_its_successor_was_used_ends_the_family
    a_spent_token_after_the_grace_time_ends_the_family
    of_64_parallel_refreshes_all_that_succeed_carry_one_successor
    another_client_changes_nothing
    scopes_and_resources_only_narrow_and_the_family_keeps_its_own
    families_end_when_idle_and_absolutely
    public_clients_rotate_too
    a_restart_forgets_no_rotation
}

async fn refresh(server: &Server, client: &str, token: &str) -> Answer {
    server
        .token(
            client,
            &[("grant_type", "refresh_token"), ("refresh_token", token)],
        )
        .await
}

async fn family(server: &Server) -> Answer {
    Browser::new(server).tokens("alice", &request()).await
}

async fn every_use_rotates_and_costs_one_write(server: Server) {
    let first = family(&server).await;
    let before = server.commits();

    let second = refresh(&server, "web", &first.text("refresh_token")).await;

    assert_eq!(second.status, 200, "{}", second.body);
    assert_eq!(server.commits() - before, 1);
    assert_ne!(first.text("refresh_token"), second.text("refresh_token"));
    assert!(
        server.is_active(&first.text("access_token")).await,
        "the earlier access token stays good"
    );
    assert!(server.is_active(&second.text("access_token")).await);
    assert_eq!(second.text("id_token").split('.').count(), 3);
}

async fn a_retry_within_the_grace_time_gets_the_same_successor(server: Server) {
    let first = family(&server).await.text("refresh_token");
    let second = refresh(&server, "web", &first).await.text("refresh_token");
    server.advance(89);

    let again = refresh(&server, "web", &first).await;

    assert_eq!(again.text("refresh_token"), second);
    assert_eq!(refresh(&server, "web", &second).await.status, 200);
}

/// Attack: C077
async fn a_spent_token_after_its_successor_was_used_ends_the_family(server: Server) {
    let first = family(&server).await.text("refresh_token");
    let second = refresh(&server, "web", &first).await.text("refresh_token");
    let third = refresh(&server, "web", &second).await;

    let stolen = refresh(&server, "web", &first).await;

    assert_eq!(stolen.refusal(), "invalid_grant");
    assert!(!server.is_active(&third.text("access_token")).await);
    for _ in 0..3 {
        assert_eq!(
            refresh(&server, "web", &third.text("refresh_token"))
                .await
                .refusal(),
            "invalid_grant"
        );
    }
    let audit = server
        .admin(
            reqwest::Method::GET,
            "/admin/v1/audit?action=refresh.reuse&limit=10",
            None,
        )
        .await;
    assert_eq!(
        audit.body.matches(r#""refresh.reuse""#).count(),
        1,
        "{}",
        audit.body
    );
}

/// Attack: C077
async fn a_spent_token_after_the_grace_time_ends_the_family(server: Server) {
    let first = family(&server).await.text("refresh_token");
    let second = refresh(&server, "web", &first).await;
    server.advance(91);

    assert_eq!(
        refresh(&server, "web", &first).await.refusal(),
        "invalid_grant"
    );

    assert_eq!(
        refresh(&server, "web", &second.text("refresh_token"))
            .await
            .refusal(),
        "invalid_grant"
    );
    assert!(!server.is_active(&second.text("access_token")).await);
}

/// Row R08 of the reliability catalogue: on one node, on two and on three.
///
/// Attack: C078
async fn of_64_parallel_refreshes_all_that_succeed_carry_one_successor(server: Server) {
    let rounds = Row::R08.size(100, 1_000);
    let mut token = family(&server).await.text("refresh_token");
    for further in server.further_nodes().await {
        let nodes: Vec<&Server> = further.iter().chain([&server]).collect();
        for _ in 0..rounds {
            let tries = (0..64).map(|n| {
                let (node, token) = (nodes[n % nodes.len()], &token);
                async move || refresh(node, "web", token).await
            });

            let (answers, _) = at_once(Row::R08, tries).await;

            let (won, lost): (Vec<_>, Vec<_>) =
                answers.into_iter().partition(|answer| answer.status == 200);
            let mut successors: Vec<_> = won
                .iter()
                .map(|answer| answer.text("refresh_token"))
                .collect();
            successors.dedup();
            assert_eq!(successors.len(), 1, "of {} winners", won.len());
            assert!(lost.iter().all(|answer| answer.status == 400));
            token = successors.remove(0);
        }
    }
}

/// Attack: C080
async fn another_client_changes_nothing(server: Server) {
    let first = family(&server).await.text("refresh_token");

    assert_eq!(
        refresh(&server, "other", &first).await.refusal(),
        "invalid_grant"
    );
    assert_eq!(
        server
            .form("/revoke", "other", &[("token", &first)])
            .await
            .status,
        400
    );

    assert_eq!(refresh(&server, "web", &first).await.status, 200);
}

/// Attack: C083
async fn scopes_and_resources_only_narrow_and_the_family_keeps_its_own(server: Server) {
    let mut wide = request();
    wide.insert(
        "scope".into(),
        "openid offline_access read:orders write:orders".into(),
    );
    let first = Browser::new(&server)
        .tokens("alice", &wide)
        .await
        .text("refresh_token");
    let ask = |token: String, name: &'static str, value: &'static str| {
        let server = &server;
        async move {
            let form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", &*token),
                (name, value),
            ];
            server.token("web", &form).await
        }
    };

    assert_eq!(
        ask(first.clone(), "scope", "read:orders read:vault")
            .await
            .refusal(),
        "invalid_scope"
    );
    assert_eq!(
        ask(first.clone(), "resource", "https://elsewhere.example.com")
            .await
            .refusal(),
        "invalid_target"
    );
    let narrow = ask(first, "scope", "read:orders").await;
    let whole = refresh(&server, "web", &narrow.text("refresh_token")).await;

    assert_eq!(narrow.text("scope"), "read:orders");
    assert!(whole.text("scope").contains("write:orders"));
}

/// Attack: C087
async fn families_end_when_idle_and_absolutely(server: Server) {
    let day = 24 * 60 * 60;
    let idle = family(&server).await.text("refresh_token");
    let mut used = family(&server).await.text("refresh_token");
    for _ in 0..8 {
        server.advance(11 * day);
        used = refresh(&server, "web", &used).await.text("refresh_token");
    }
    assert_eq!(
        refresh(&server, "web", &idle).await.refusal(),
        "invalid_grant"
    );

    server.advance(3 * day);

    assert_eq!(
        refresh(&server, "web", &used).await.refusal(),
        "invalid_grant",
        "91 days are over"
    );
}

async fn public_clients_rotate_too(server: Server) {
    let mut spa = request();
    spa.insert("client_id".into(), "spa".into());
    spa.insert(
        "redirect_uri".into(),
        "https://spa.example.com/callback".into(),
    );
    let first = Browser::new(&server)
        .tokens("alice", &spa)
        .await
        .text("refresh_token");

    let second = refresh(&server, "spa", &first).await.text("refresh_token");

    assert_ne!(first, second);
    assert_eq!(refresh(&server, "spa", &second).await.status, 200);
    assert_eq!(
        refresh(&server, "spa", &first).await.refusal(),
        "invalid_grant"
    );
}

async fn a_restart_forgets_no_rotation(server: Server) {
    let first = family(&server).await.text("refresh_token");
    let second = refresh(&server, "web", &first).await.text("refresh_token");
    let third = refresh(&server, "web", &second).await.text("refresh_token");

    let server = server.restart().await;

    assert_eq!(refresh(&server, "web", &third).await.status, 200);
    assert_eq!(
        refresh(&server, "web", &first).await.refusal(),
        "invalid_grant"
    );
}
