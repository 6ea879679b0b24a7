//! R45: requests whose callers hang up at any moment leave nothing half done,
//! and nothing held.

use std::time::Duration;

use crate::browser::{Browser, redemption, request};
use crate::crowd::insist;
use crate::harness::{Answer, CALLBACK, Server};
use crate::on_both_engines;

on_both_engines! {
    a_refresh_that_nobody_waits_for_ends_well_with_the_next
    a_redemption_that_nobody_waits_for_happens_once_or_not_at_all
}

/// How long callers wait before they hang up, in steps that are smaller than
/// what lies between two points at which a request waits itself.
fn moments() -> impl Iterator<Item = Duration> {
    (0..60).map(|step| Duration::from_micros(step * 150))
}

async fn refresh(server: &Server, token: &str) -> Answer {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    server.token("web", &form).await
}

async fn a_refresh_that_nobody_waits_for_ends_well_with_the_next(server: Server) {
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    let mut token = tokens.text("refresh_token");
    for moment in moments() {
        let hung_up = tokio::time::timeout(moment, refresh(&server, &token)).await;

        let (next, _) = insist(&async || refresh(&server, &token).await).await;

        assert_eq!(next.status, 200, "{moment:?}: {}", next.body);
        let next = next.text("refresh_token");
        if let Ok(answered) = hung_up {
            assert_eq!(answered.text("refresh_token"), next);
        }
        token = next;
    }
    // As many at once as there are connections to the database, and more.
    for round in 0..5 {
        let moment = Duration::from_millis(round);
        let calls = (0..64).map(|_| tokio::time::timeout(moment, refresh(&server, &token)));
        futures_util::future::join_all(calls).await;
        let (next, _) = insist(&async || refresh(&server, &token).await).await;
        token = next.text("refresh_token");
    }
}

async fn a_redemption_that_nobody_waits_for_happens_once_or_not_at_all(server: Server) {
    let mut browser = Browser::new(&server);
    let asked = request();
    for moment in moments().step_by(3) {
        let code = browser.code("alice", &asked).await;
        let form = redemption(&code, CALLBACK);
        let hung_up = tokio::time::timeout(moment, server.token("web", &form)).await;

        let (again, _) = insist(&async || server.token("web", &form).await).await;

        match (hung_up, again.status) {
            (Ok(first), 400) => {
                assert_eq!(first.status, 200);
                assert_eq!(again.refusal(), "invalid_grant");
                let dead = first.text("refresh_token");
                assert_eq!(refresh(&server, &dead).await.refusal(), "invalid_grant");
            }
            // What nobody heard of had been stored, so the code has come twice.
            (Err(_), 400) => assert_eq!(again.refusal(), "invalid_grant"),
            (Err(_), 200) => {
                let told = refresh(&server, &again.text("refresh_token")).await;
                // The one that nobody waits for may have been carried out behind
                // it: then the code has come twice, too.
                let is_late = told.status == 400 && told.refusal() == "invalid_grant";
                assert!(told.status == 200 || is_late, "{}", told.body);
            }
            (first, status) => panic!("{moment:?}: {first:?}, then {status}"),
        }
    }
}
