//! What devices get, and when.

use reqwest::Method;
use symbolon_testkit::Row;

use super::world::{SCOPES, asked_about, poll_with, told};
use super::{allow, begin, decide, poll, started};
use crate::browser::{Browser, challenge, redemption, request};
use crate::crowd::{at_once, has_one_winner};
use crate::harness::{CALLBACK, ORDERS, Server, VAULT};
use crate::on_both_engines;

on_both_engines! {
    a_person_allows_a_device_and_it_gets_tokens
    a_device_flow_writes_four_times_and_polls_write_nothing
    a_device_that_asks_too_often_is_slowed_down_for_good
    a_device_that_was_slowed_down_stays_so_over_a_restart
    a_device_that_asks_two_nodes_by_turns_is_slowed_past_twice_the_pace
    a_denial_is_told_and_final
    a_code_that_is_late_foreign_or_invented_gets_nothing
    of_64_parallel_polls_one_succeeds_and_its_tokens_are_dead
    a_code_polled_again_ends_what_it_made
    a_challenge_that_was_sent_holds
    what_a_device_may_not_ask_for_is_refused_at_once
    tokens_are_for_what_was_allowed_and_no_more
    codes_of_one_kind_are_no_codes_of_another
}

async fn a_person_allows_a_device_and_it_gets_tokens(server: Server) {
    let asked = started(&server).await;
    assert_eq!(told(&server, &asked).await, "authorization_pending");

    allow(&server, "alice", &asked).await;

    let tokens = poll(&server, "tv", &asked).await;
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    let scope = tokens.text("scope");
    assert_eq!(scope, "email offline_access openid read:orders");
    assert_eq!(tokens.text("id_token").split('.').count(), 3);
    let told = server
        .introspect("orders-api", &tokens.text("access_token"))
        .await;
    assert_eq!(
        (&told["active"], &told["aud"], &told["client_id"]),
        (&true.into(), &ORDERS.into(), &"tv".into())
    );
    let userinfo = server.userinfo(&tokens.text("access_token")).await;
    assert_eq!(userinfo.text("email"), "alice@example.com");
    let audit = server
        .admin(Method::GET, "/admin/v1/audit?action=device.allow", None)
        .await;
    let entry = &audit.json()["items"][0];
    assert_eq!(
        (&entry["client"], &entry["detail"]["network"]),
        (&"tv".into(), &"127.0.0.0".into()),
        "{}",
        audit.body
    );
    let refresh = tokens.text("refresh_token");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*refresh),
    ];
    assert_eq!(server.token("tv", &form).await.status, 200);
}

async fn a_device_flow_writes_four_times_and_polls_write_nothing(server: Server) {
    let before = server.commits();
    let asked = started(&server).await;
    assert_eq!(server.commits() - before, 1);
    let mut browser = Browser::new(&server);
    let page = asked_about(&mut browser, "alice", &asked).await;
    let before = server.commits();
    for _ in 0..5 {
        server.advance(5);
        told(&server, &asked).await;
    }
    assert_eq!(server.commits() - before, 0);

    decide(&mut browser, &page, "allow", &["offline_access"]).await;
    let decided = server.commits() - before;
    let tokens = poll(&server, "tv", &asked).await;

    assert_eq!(tokens.status, 200, "{}", tokens.body);
    assert_eq!((decided, server.commits() - before), (2, 3));
}

/// Attack: G202
async fn a_device_that_asks_too_often_is_slowed_down_for_good(server: Server) {
    let asked = started(&server).await;
    assert_eq!(asked.json()["interval"], 5);
    let mut after = Vec::new();
    for seconds in [0, 5, 1, 9, 15, 10] {
        server.advance(seconds);
        after.push(told(&server, &asked).await);
    }
    let [pending, slow] = ["authorization_pending", "slow_down"];

    assert_eq!(after, [pending, pending, slow, slow, pending, slow]);
    allow(&server, "alice", &asked).await;
    assert_eq!(
        told(&server, &asked).await,
        "tokens",
        "it waits for nothing any more"
    );
}

/// Attack: G202
async fn a_device_that_was_slowed_down_stays_so_over_a_restart(server: Server) {
    let asked = started(&server).await;
    for _ in 0..3 {
        told(&server, &asked).await;
    }

    let server = server.restart().await;

    let mut after = Vec::new();
    for seconds in [0, 14, 20] {
        server.advance(seconds);
        after.push(told(&server, &asked).await);
    }
    let [pending, slow] = ["authorization_pending", "slow_down"];
    assert_eq!(
        after,
        [pending, slow, pending],
        "fifteen, then twenty seconds"
    );
}

/// Attack: G202
async fn a_device_that_asks_two_nodes_by_turns_is_slowed_past_twice_the_pace(server: Server) {
    let Some(other) = server.second_node().await else {
        return;
    };
    let asked = started(&server).await;
    let turns = async |seconds: u64, turns: usize| {
        let mut after = Vec::new();
        for node in [&server, &other].into_iter().cycle().take(turns) {
            server.advance(seconds);
            other.believe();
            after.push(told(node, &asked).await);
        }
        after
    };
    let [pending, slow] = ["authorization_pending", "slow_down"];

    assert_eq!(turns(3, 4).await, [pending; 4], "each sees six seconds");
    assert_eq!(turns(2, 2).await, [pending, slow], "five, then four");
    assert_eq!(
        turns(5, 2).await,
        [slow; 2],
        "both know the longer interval"
    );
}

async fn a_denial_is_told_and_final(server: Server) {
    let asked = started(&server).await;
    let mut browser = Browser::new(&server);
    let page = asked_about(&mut browser, "alice", &asked).await;

    let done = decide(&mut browser, &page, "deny", &[]).await;

    assert!(done.body.contains("was told no"), "{}", done.body);
    let denied = poll(&server, "tv", &asked).await;
    assert_eq!(
        (denied.status, denied.refusal()),
        (400, "access_denied".into())
    );
    let again = decide(&mut browser, &page, "allow", &[]).await;
    assert_eq!(again.status, 422, "{}", again.body);
    assert_eq!(told(&server, &asked).await, "access_denied");
}

async fn a_code_that_is_late_foreign_or_invented_gets_nothing(server: Server) {
    let asked = started(&server).await;
    let foreign = poll(&server, "tv-2", &asked).await;
    assert_eq!(foreign.refusal(), "invalid_grant");
    let code = asked.text("device_code");
    let (start, end) = code.split_at(code.len() - 1);
    let typo = format!("{start}{}", if end == "0" { "1" } else { "0" });
    for invented in ["", "sym_dc_", "nonsense", &typo, &"x".repeat(5_000)] {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", invented),
        ];
        let answer = server.token("tv", &form).await;
        assert!(["invalid_grant", "invalid_request"].contains(&&*answer.refusal()));
    }
    assert_eq!(told(&server, &asked).await, "authorization_pending");

    allow(&server, "alice", &asked).await;
    let foreign = poll(&server, "hub", &asked).await;
    server.advance(599);
    let second = started(&server).await;
    allow(&server, "alice", &second).await;
    server.advance(1);

    assert_eq!(foreign.refusal(), "invalid_grant");
    assert_eq!(told(&server, &asked).await, "expired_token");
    assert_eq!(
        told(&server, &second).await,
        "tokens",
        "what is not late is good"
    );
}

/// Attack: G204
async fn of_64_parallel_polls_one_succeeds_and_its_tokens_are_dead(server: Server) {
    let asked = started(&server).await;
    allow(&server, "alice", &asked).await;

    let polls = (0..64).map(|_| async || poll(&server, "tv", &asked).await);
    let (answers, turned_away) = at_once(Row::R07, polls).await;

    let good: Vec<_> = answers.iter().filter(|own| own.status == 200).collect();
    assert!(has_one_winner(good.len(), turned_away), "{}", good.len());
    for other in answers.iter().filter(|own| own.status != 200) {
        assert_eq!((other.status, &*other.refusal()), (400, "invalid_grant"));
    }
    for good in good {
        assert!(!server.is_active(&good.text("access_token")).await);
    }
}

async fn a_code_polled_again_ends_what_it_made(server: Server) {
    let asked = started(&server).await;
    allow(&server, "alice", &asked).await;
    let other = started(&server).await;
    allow(&server, "alice", &other).await;
    let tokens = poll(&server, "tv", &asked).await;
    let others = poll(&server, "tv", &other).await;
    let access = tokens.text("access_token");
    assert!(server.is_active(&access).await);
    let strangers = poll(&server, "tv-2", &asked).await;
    assert_eq!(strangers.refusal(), "invalid_grant");
    assert!(server.is_active(&access).await, "a stranger harms nobody");

    assert_eq!(told(&server, &asked).await, "invalid_grant");

    assert!(!server.is_active(&access).await);
    assert!(server.is_active(&others.text("access_token")).await);
}

async fn a_challenge_that_was_sent_holds(server: Server) {
    let verifier = crate::browser::VERIFIER;
    let own = challenge(verifier);
    let sent = [("code_challenge", &*own), ("code_challenge_method", "S256")];
    let asked = begin(&server, "tv", &sent).await;
    let bare = started(&server).await;
    for asked in [&asked, &bare] {
        allow(&server, "alice", asked).await;
    }
    let wrong = "another-verifier-of-forty-three-characters-or-more";
    for wrong in [
        &[][..],
        &[("code_verifier", wrong)],
        &[("code_verifier", "short")],
    ] {
        let answer = poll_with(&server, "tv", &asked, wrong).await;
        assert_eq!(answer.refusal(), "invalid_grant");
    }
    let with = [("code_verifier", verifier)];
    let unasked = poll_with(&server, "tv", &bare, &with).await;
    assert_eq!(unasked.refusal(), "invalid_grant");

    assert_eq!(poll_with(&server, "tv", &asked, &with).await.status, 200);
    assert_eq!(poll(&server, "tv", &bare).await.status, 200);
    for bad in [
        &[("code_challenge", &*own)][..],
        &[
            ("code_challenge", &*own),
            ("code_challenge_method", "plain"),
        ],
        &[("code_challenge", "x"), ("code_challenge_method", "S256")],
        &[("code_challenge_method", "S256")],
    ] {
        let answer = begin(&server, "tv", bad).await;
        assert_eq!(answer.refusal(), "invalid_request");
    }
}

/// Attack: G207
async fn what_a_device_may_not_ask_for_is_refused_at_once(server: Server) {
    for (client, form, code) in [
        ("web", &[][..], "unauthorized_client"),
        ("nobody", &[], "invalid_client"),
        ("tv", &[("scope", "admin")], "invalid_scope"),
        ("tv", &[("scope", "a\"b")], "invalid_scope"),
        ("tv", &[("resource", "foo")], "invalid_target"),
        (
            "tv",
            &[("resource", "https://orders.example.com#f")],
            "invalid_target",
        ),
        (
            "tv",
            &[("resource", "https://unknown.example")],
            "invalid_target",
        ),
        ("tv", &[("resource", VAULT)], "invalid_target"),
        ("tv", &[("dpop_jkt", "x")], "invalid_request"),
        ("tenant-tv", &[("organization", "globex")], "access_denied"),
    ] {
        let before = server.commits();
        let answer = begin(&server, client, form).await;
        assert_eq!(answer.refusal(), code, "{client} {form:?}");
        assert!([400, 401].contains(&answer.status), "{}", answer.body);
        assert_eq!(server.commits(), before, "a refusal leaves no row");
    }
    let good = begin(&server, "tv", &[("scope", SCOPES), ("resource", ORDERS)]).await;
    assert_eq!(good.status, 200, "{}", good.body);
    assert_eq!(good.header("cache-control"), Some("no-store"));
}

async fn tokens_are_for_what_was_allowed_and_no_more(server: Server) {
    let asked = begin(&server, "hub", &[("scope", "read:orders read:vault")]).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    allow(&server, "alice", &asked).await;
    let refused = |more| poll_with(&server, "hub", &asked, more);
    for (more, code) in [
        (
            &[("resource", "https://unknown.example")][..],
            "invalid_target",
        ),
        (
            &[("resource", ORDERS), ("resource", VAULT)],
            "invalid_target",
        ),
        (&[("scope", "write:orders")], "invalid_scope"),
    ] {
        let answer = refused(more).await;
        assert_eq!(answer.refusal(), code, "{more:?} {}", answer.body);
    }

    let tokens = poll_with(&server, "hub", &asked, &[("resource", VAULT)]).await;

    assert_eq!(tokens.status, 200, "{}", tokens.body);
    assert_eq!(tokens.text("scope"), "read:vault");
    let told = server
        .introspect("vault-api", &tokens.text("access_token"))
        .await;
    assert_eq!(
        (&told["active"], &told["aud"]),
        (&true.into(), &VAULT.into())
    );
}

/// Attack: B064
async fn codes_of_one_kind_are_no_codes_of_another(server: Server) {
    let asked = started(&server).await;
    allow(&server, "alice", &asked).await;
    let code = Browser::new(&server).code("alice", &request()).await;
    let device_code = asked.text("device_code");

    let as_code = server
        .token("web", &redemption(&device_code, CALLBACK))
        .await;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", &*code),
    ];
    let as_device_code = server.token("tv", &form).await;
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*device_code),
    ];
    let as_refresh = server.token("tv", &refresh).await;

    for answer in [as_code, as_device_code, as_refresh] {
        assert_eq!(answer.refusal(), "invalid_grant");
    }
    assert!(!server.is_active(&device_code).await);
    assert_eq!(told(&server, &asked).await, "tokens");
    let good = server.token("web", &redemption(&code, CALLBACK)).await;
    assert_eq!(good.status, 200, "{}", good.body);
}

/// A node that holds the clock of another: the pace is each node's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_allowed_on_one_node_and_fetched_from_another() {
    let server = Server::on_postgres().await;
    let other = server.sibling().await;
    let asked = started(&server).await;
    assert_eq!(told(&other, &asked).await, "authorization_pending");

    allow(&other, "alice", &asked).await;
    let all = (0..16).map(|n| {
        let (node, asked) = (if n % 2 == 0 { &server } else { &other }, &asked);
        async move || poll(node, "tv", asked).await
    });
    let (answers, turned_away) = at_once(Row::R07, all).await;

    let good = answers.iter().filter(|own| own.status == 200).count();
    assert!(has_one_winner(good, turned_away), "{good}");
    assert!(answers.iter().all(|own| own.status < 500));
}
