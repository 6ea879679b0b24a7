//! R45: requests whose callers hang up at any moment leave nothing half done,
//! and nothing held.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use symbolon_server::testing::{probes, without_a_probe};

use crate::access::admin::known;
use crate::browser::{Browser, redemption, request};
use crate::crowd::insist;
use crate::harness::{Answer, CALLBACK, Server};
use crate::on_both_engines;

on_both_engines! {
    every_call_of_an_administrator_may_be_given_up
    every_call_of_a_client_may_be_given_up
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

/// A path, a client, and what it sends.
type Call<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>);

/// A few of the moments at which a call may be given up.
const MOMENTS: [u64; 7] = [0, 200, 500, 1_000, 2_000, 4_000, 8_000];

/// Gives a call up at each of those moments; then it is made to its end.
async fn given_up(what: &str, ask: impl AsyncFn() -> Answer) -> Answer {
    for moment in MOMENTS {
        // It may have ended by then.
        let _ = tokio::time::timeout(Duration::from_micros(moment), ask()).await;
    }
    let (answer, _) = insist(&ask).await;
    assert!(answer.status < 500, "{what}: {}", answer.body);
    answer
}

/// Nothing is held: more calls at once than there are connections all end well,
/// and so do those of a process that comes after.
async fn works_as_ever(server: Server) {
    let form = [("grant_type", "client_credentials")];
    let ask = async || server.token("job", &form).await;
    let all = (0..64).map(|_| insist(&ask));
    for (answer, _) in futures_util::future::join_all(all).await {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert_eq!(server.get("/healthz").await.status, 200);
    let server = server.restart().await;
    let (answer, _) = insist(&async || server.token("job", &form).await).await;
    assert_eq!(answer.status, 200);
}

async fn every_call_of_an_administrator_may_be_given_up(server: Server) {
    let probes = probes(&known(&server).await);
    assert!(without_a_probe(&probes).is_empty());
    let mut told = BTreeSet::new();
    // Whether it is ready depends on a clock that stands still here.
    for probe in probes.iter().filter(|own| own.route != "/readyz") {
        let (method, path) = (&probe.method, &probe.path);
        let ask = async || server.admin(method.clone(), path, probe.body.clone()).await;
        let answer = given_up(&format!("{method} {path}"), ask).await;
        told.insert(answer.status);
    }
    // Some were carried out before anybody heard of it: 404 and 409.
    assert!(told.contains(&200), "{told:?}");
    // Whatever was changed was told, once and in order.
    let list = "/admin/v1/audit?limit=1000";
    let ask = async || server.admin(Method::GET, list, None).await;
    let (audit, _) = insist(&ask).await;
    let audit = audit.json();
    let items = audit["items"].as_array().unwrap();
    let ids: BTreeSet<_> = items.iter().map(|own| own["place"].to_string()).collect();
    assert_eq!(ids.len(), items.len(), "{audit}");
    works_as_ever(server).await;
}

async fn every_call_of_a_client_may_be_given_up(server: Server) {
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    let access = tokens.text("access_token");
    let asked = request();
    let asked: Vec<(&str, &str)> = asked
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let calls: [Call<'_>; 6] = [
        ("/token", "job", vec![("grant_type", "client_credentials")]),
        ("/introspect", "orders-api", vec![("token", &access)]),
        ("/introspect", "vault-api", vec![("token", &access)]),
        ("/par", "web", asked),
        ("/device_authorization", "tv", vec![("scope", "openid")]),
        ("/revoke", "web", vec![("token", &access)]),
    ];
    for (path, client, form) in &calls {
        given_up(path, async || server.form(path, client, form).await).await;
    }
    for path in [
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
        "/healthz",
    ] {
        assert_eq!(
            given_up(path, async || server.get(path).await).await.status,
            200
        );
    }
    given_up("/userinfo", async || server.userinfo(&access).await).await;
    let form = [("token", &*access)];
    let ask = async || server.form("/introspect", "orders-api", &form).await;
    let (answer, _) = insist(&ask).await;
    assert_eq!(answer.json()["active"], false);
    works_as_ever(server).await;
}
