//! Strangers: who tries codes, and who begins what nobody finishes.

use super::world::{asked_about, told};
use super::{allow, begin, decide, enter, poll, sign_in, started};
use crate::browser::Browser;
use crate::harness::{Answer, Server};
use crate::on_both_engines;
use symbolon_server::testing::{counted, wrong_user_codes};

on_both_engines! {
    a_wrong_a_used_and_a_late_code_look_alike
    a_session_has_five_wrong_codes_and_a_person_fifteen
    strangers_who_guess_lock_nobody_out
    neighbours_who_guess_lock_nobody_out
    devices_that_nobody_finishes_are_bounded_by_network
    strangers_who_fill_a_public_client_leave_each_network_a_few
}

/// The page without what is random on it.
fn bare(page: &Answer) -> (u16, String) {
    let kept = page
        .body
        .lines()
        .filter(|line| !line.contains(r#"type="hidden""#));
    let kept = kept.filter(|line| !line.contains("transaction="));
    (page.status, kept.collect::<Vec<_>>().join("\n"))
}

/// Attack: K296
async fn a_wrong_a_used_and_a_late_code_look_alike(server: Server) {
    let late = started(&server).await;
    server.advance(600);
    let used = started(&server).await;
    allow(&server, "bob", &used).await;
    let denied = started(&server).await;
    let mut browser = Browser::new(&server);
    let page = asked_about(&mut browser, "alice", &denied).await;
    decide(&mut browser, &page, "deny", &[]).await;
    let mut seen = Vec::new();
    for code in ["BCDFG-HJKLM", "nonsense"]
        .map(str::to_owned)
        .into_iter()
        .chain([&late, &used, &denied].map(|asked| asked.text("user_code")))
    {
        let page = browser.get("/device").await;
        let answer = enter(&mut browser, &page, &code).await;
        seen.push(bare(&answer));
    }

    assert_eq!(seen[0].0, 422);
    assert!(seen[0].1.contains("No device waits under this code."));
    for other in &seen {
        assert_eq!(*other, seen[0]);
    }
}

/// Attack: G201
async fn a_session_has_five_wrong_codes_and_a_person_fifteen(server: Server) {
    let asked = started(&server).await;
    let right = asked.text("user_code");
    let mut browser = Browser::new(&server);
    let mut page = sign_in(&mut browser, "alice", "/device").await;
    for _ in 0..7 {
        let shown = enter(&mut browser, &page, &right).await;
        assert!(
            shown.body.contains(r#"id="device-allow""#),
            "{}",
            shown.body
        );
        page = browser.get("/device").await;
    }
    let mut statuses = Vec::new();
    for session in 0..4 {
        let mut browser = Browser::new(&server);
        let mut page = sign_in(&mut browser, "alice", "/device").await;
        for _ in 0..6 {
            page = enter(&mut browser, &page, "BCDFG-HJKLM").await;
            statuses.push((session, page.status));
        }
        let right = enter(&mut browser, &page, &right).await;
        assert_eq!(right.status, 429, "{}", right.body);
    }

    let wrong = statuses.iter().filter(|(_, status)| *status == 422);
    assert_eq!(wrong.count(), 15, "{statuses:?}");
    let bobs = asked_about(&mut Browser::new(&server), "bob", &asked).await;
    assert!(
        bobs.body.contains(r#"id="device-allow""#),
        "nobody locks another out"
    );
    server.advance(601);
    let later = started(&server).await;
    let page = asked_about(&mut Browser::new(&server), "alice", &later).await;
    assert!(page.body.contains(r#"id="device-allow""#), "{}", page.body);
}

/// Attack: G201
async fn strangers_who_guess_lock_nobody_out(server: Server) {
    wrong_user_codes(&server.running.as_ref().unwrap().app, 500).await;
    let asked = started(&server).await;
    let right = asked.text("user_code");
    let wrong = "BCDFG-HJKLM";
    let mut alice = Browser::new(&server);
    let mut bob = Browser::new(&server);

    let page = sign_in(&mut alice, "alice", "/device").await;
    let slip = enter(&mut alice, &page, wrong).await;
    let found = enter(&mut alice, &slip, &right).await;
    let mut page = sign_in(&mut bob, "bob", "/device").await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        page = enter(&mut bob, &page, wrong).await;
        statuses.push(page.status);
    }

    assert_eq!(slip.status, 422, "{}", slip.body);
    assert!(
        found.body.contains(r#"id="device-allow""#),
        "{}",
        found.body
    );
    assert_eq!(statuses, [422, 422, 429, 429], "a few of one's own");
    server.advance(601);
    let later = started(&server).await;
    let page = asked_about(&mut Browser::new(&server), "bob", &later).await;
    assert!(page.body.contains(r#"id="device-allow""#), "{}", page.body);
}

/// Attack: G201
async fn neighbours_who_guess_lock_nobody_out(server: Server) {
    let app = &server.running.as_ref().unwrap().app;
    counted(app, ("user-code-network", b"127.0.0.0"), 50).await;
    let asked = started(&server).await;
    let right = asked.text("user_code");
    let (mut alice, mut bob) = (Browser::new(&server), Browser::new(&server));

    let page = sign_in(&mut alice, "alice", "/device").await;
    let slip = enter(&mut alice, &page, "BCDFG-HJKLM").await;
    let found = enter(&mut alice, &slip, &right).await;
    let mut page = sign_in(&mut bob, "bob", "/device").await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        page = enter(&mut bob, &page, "BCDFG-HJKLM").await;
        statuses.push(page.status);
    }

    assert_eq!(slip.status, 422, "{}", slip.body);
    let shows = found.body.contains(r#"id="device-allow""#);
    assert!(shows, "{}", found.body);
    assert_eq!(statuses, [422, 422, 429], "a few of one's own");
}

async fn strangers_who_fill_a_public_client_leave_each_network_a_few(server: Server) {
    let app = &server.running.as_ref().unwrap().app;
    for _ in 0..20 {
        counted(app, ("device-client", b"tv"), 250).await;
    }

    for _ in 0..5 {
        let asked = started(&server).await;
        assert_eq!(told(&server, &asked).await, "authorization_pending");
    }
    let one_more = begin(&server, "tv", &[]).await;

    assert_eq!(one_more.status, 429, "{}", one_more.body);
    let other = begin(&server, "tv-2", &[]).await;
    assert_eq!(other.status, 200, "{}", other.body);
}

async fn devices_that_nobody_finishes_are_bounded_by_network(server: Server) {
    let hub = [("scope", "read:orders")];
    for _ in 0..50 {
        started(&server).await;
    }
    let before = server.commits();

    let one_more = begin(&server, "tv", &[]).await;
    let another_client = begin(&server, "tv-2", &[]).await;
    let proved = begin(&server, "hub", &hub).await;

    for refused in [one_more, another_client] {
        assert_eq!(refused.status, 429, "{}", refused.body);
        assert!(refused.header("retry-after").is_some());
    }
    assert_eq!(proved.status, 200, "{}", proved.body);
    assert_eq!(
        poll(&server, "hub", &proved).await.refusal(),
        "authorization_pending"
    );
    assert!(server.commits() - before <= 3);
    server.advance(601);
    let later = started(&server).await;
    assert_eq!(told(&server, &later).await, "authorization_pending");
}
