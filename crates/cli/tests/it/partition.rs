//! The network between a node and its database fails: R10, R11 and R14.

use std::time::Duration;

use symbolon_testkit::{Proxy, Row};
use tokio::time::Instant;

use crate::browser::{Answer, Browser, request};
use crate::configuration::VAULT;
use crate::program::{Engine, PATIENCE, Plan, Program, Site, detour};
use crate::spans::percentile;

/// Two nodes over one database, the second of which reaches it by a way that
/// fails on command.
struct Nodes {
    near: Site,
    far: Site,
    way: Proxy,
    programs: [Program; 2],
}

impl Nodes {
    async fn start() -> Self {
        let near = Site::planned(Plan::new(Engine::Postgres)).await;
        let (_, own) = detour(&near.store, "");
        let way = Proxy::start(&*own).unwrap();
        let (store, _) = detour(&near.store, &way.address().to_string());
        let far = near.node_by(&store);
        let programs = [near.start().await, far.start().await];
        Self {
            near,
            far,
            way,
            programs,
        }
    }

    async fn end(self) {
        for program in self.programs {
            assert!(program.end().await.success());
        }
    }
}

async fn timed<T>(asked: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    (asked.await, began.elapsed())
}

/// Nothing that needs no database notices: how long it took.
async fn without_a_database(site: &Site) -> [Duration; 2] {
    let mut spans = [Duration::ZERO; 2];
    let paths = [
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
    ];
    for (path, span) in paths.into_iter().zip(&mut spans) {
        let (answer, took) = timed(site.get(path)).await;
        assert_eq!(answer.status, 200);
        *span = took;
    }
    spans
}

/// Each took less than that. The short form runs beside other tests, which make
/// one in ten take longer, but not five times as long.
fn are_below(figure: Duration, spans: &[Duration]) {
    let late: Vec<_> = spans.iter().filter(|span| **span >= figure).collect();
    let told = format!("{late:?} of {}", spans.len());
    assert!(late.len() * 10 <= spans.len(), "{told}");
    let at_most = Row::R10.size(figure * 5, figure);
    assert!(late.iter().all(|span| **span < at_most), "{told}");
}

async fn introspect(site: &Site, token: &str) -> Answer {
    site.form("/introspect", "orders-api", &[("token", token)])
        .await
}

/// A refresh token whose use needs the database, and an opaque access token.
async fn tokens(site: &Site) -> (String, String) {
    let asked = request(site, "shop", "openid offline_access read:vault").with("resource", VAULT);
    let tokens = Browser::new(site).tokens("alice", &asked).await;
    (tokens.text("refresh_token"), tokens.text("access_token"))
}

async fn refresh(site: &Site, token: &str) -> Answer {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    site.form("/token", "shop", &form).await
}

/// Asks a node that reaches its database until that is not too busy.
async fn insist(ask: impl AsyncFn() -> Answer) -> Answer {
    let began = Instant::now();
    loop {
        let answer = ask().await;
        if answer.status == 200 {
            return answer;
        }
        is_documented(&answer);
        assert!(began.elapsed() < PATIENCE, "{}", answer.body);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn is_documented(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(answer.refusal(), "temporarily_unavailable");
    assert!(answer.headers.contains_key("retry-after"));
}

/// Refuses in time, goes on without what needs the database, and recovers.
async fn through(nodes: &Nodes, fail: fn(&Proxy), first: Duration) {
    let (mut token, _) = tokens(&nodes.far).await;
    for _ in 0..Row::R10.size(1, 5) {
        fail(&nodes.way);
        let began = Instant::now();
        let (answer, took) = timed(refresh(&nodes.far, &token)).await;
        is_documented(&answer);
        assert!(took < first, "{took:?}");
        // Until the probe has found out.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let (mut read, mut refused) = (Vec::new(), Vec::new());
        let span = Row::R10.size(Duration::from_secs(6), Duration::from_secs(60));
        while began.elapsed() < span || refused.len() < 10 {
            read.extend(without_a_database(&nodes.far).await);
            let (answer, took) = timed(refresh(&nodes.far, &token)).await;
            is_documented(&answer);
            refused.push(took);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        are_below(Duration::from_millis(500), &read);
        are_below(Duration::from_secs(1), &refused);
        nodes.way.heal();

        let began = Instant::now();
        token = loop {
            let answer = refresh(&nodes.far, &token).await;
            if answer.status == 200 {
                break answer.text("refresh_token");
            }
            is_documented(&answer);
            let took = began.elapsed();
            let soon = Row::R10.size(Duration::from_secs(10), Duration::from_secs(3));
            assert!(took < soon, "{}", nodes.far.printed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
    }
}

/// Row R10 of the reliability catalogue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_costs_a_503_at_once_and_is_found_again() {
    let nodes = Nodes::start().await;

    // The short form runs beside other tests; it would be three seconds if the
    // deadline was waited for.
    let first = Row::R10.size(Duration::from_millis(2_900), Duration::from_secs(1));
    through(&nodes, Proxy::cut, first).await;

    nodes.end().await;
}

/// How soon a call is given up: three seconds, and what a machine adds.
fn deadline() -> Duration {
    Row::R11.size(Duration::from_secs(6), Duration::from_millis(3_500))
}

/// Row R11 of the reliability catalogue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_says_nothing_costs_the_deadline_once() {
    let nodes = Nodes::start().await;

    through(&nodes, Proxy::stall, deadline()).await;

    nodes.end().await;
}

/// How long the key set takes on each of two nodes, asked in turn, so that a
/// busy machine is busy for both.
async fn key_sets(nodes: &Nodes, times: usize) -> [Vec<Duration>; 2] {
    let [mut near, mut far] = [Vec::new(), Vec::new()];
    for _ in 0..times {
        for (site, spans) in [(&nodes.near, &mut near), (&nodes.far, &mut far)] {
            let (answer, took) = timed(site.get("/.well-known/jwks.json")).await;
            assert_eq!(answer.status, 200);
            spans.push(took);
        }
    }
    [near, far]
}

/// Row R11 of the reliability catalogue: every answer of the database takes two
/// seconds. The deadline holds, and what needs no database is no slower than
/// on the node beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_slow_costs_the_deadline_and_slows_nothing_else() {
    let nodes = Nodes::start().await;
    let (mut token, _) = tokens(&nodes.far).await;
    for _ in 0..Row::R11.size(1, 10) {
        nodes.way.slow(Duration::from_secs(2));
        let began = Instant::now();
        let asking = async {
            let mut asked = 0;
            while began.elapsed() < Row::R11.size(Duration::from_secs(8), Duration::from_secs(60)) {
                let (answer, took) = timed(refresh(&nodes.far, &token)).await;
                // A whole transaction takes more than the deadline.
                is_documented(&answer);
                assert!(took < deadline(), "{took:?}");
                asked += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            asked
        };
        let (asked, spans) = tokio::join!(asking, key_sets(&nodes, 300));
        assert!(asked > 1);
        // The short form runs beside other tests, which make a few wait.
        for percent in Row::R11.size(&[50, 90][..], &[99][..]) {
            let [near, far] = spans.each_ref().map(|own| percentile(own, *percent));
            eprintln!(
                "R11: {asked} refreshes; key sets: p{percent} {near:?} and, beside a slow database, {far:?}"
            );
            // A tenth more, and what a busy machine does to one in a hundred.
            let most = near.mul_f64(1.1) + Duration::from_millis(40);
            assert!(far <= most, "p{percent}: {far:?} against {near:?}");
        }
        nodes.way.heal();

        let began = Instant::now();
        token = loop {
            let answer = refresh(&nodes.far, &token).await;
            if answer.status == 200 {
                break answer.text("refresh_token");
            }
            is_documented(&answer);
            let soon = Row::R11.size(Duration::from_secs(10), Duration::from_secs(5));
            assert!(began.elapsed() < soon, "{}", nodes.far.printed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
    }
    nodes.end().await;
}

/// Row R14 of the reliability catalogue: a node that is cut off never says of
/// what was taken back meanwhile that it lives, once its knowledge is old, and
/// says `503` instead of `inactive`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_says_that_it_does_not_know() {
    let nodes = Nodes::start().await;
    for round in 0..Row::R14.size(5, 50) {
        // One sign-in a round: there are at most 60 of one person in an hour.
        let (refresh_token, dead) = tokens(&nodes.near).await;
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &refresh_token),
            ("resource", VAULT),
        ];
        let renewed = insist(async || nodes.near.form("/token", "shop", &form).await).await;
        let alive = renewed.text("access_token");
        assert_eq!(nodes.far.introspect(&dead).await["active"], true);
        if round % 2 == 0 {
            nodes.way.stall();
        } else {
            nodes.way.cut();
        }
        let cut = Instant::now();
        let form = [("token", &*dead)];
        insist(async || nodes.near.form("/revoke", "shop", &form).await).await;

        let span = Row::R14.size(Duration::from_secs(12), Duration::from_secs(60));
        while cut.elapsed() < span {
            let asked = cut.elapsed();
            let answer = introspect(&nodes.far, &dead).await;
            if asked > Duration::from_secs(10) {
                is_documented(&answer);
                assert_eq!(nodes.far.get("/readyz").await.status, 503);
            } else if answer.status != 200 {
                is_documented(&answer);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        nodes.way.heal();

        let healed = Instant::now();
        loop {
            let answer = introspect(&nodes.far, &dead).await;
            if answer.status == 200 {
                assert_eq!(answer.json()["active"], false, "it came back to life");
                break;
            }
            is_documented(&answer);
            let soon = Row::R14.size(Duration::from_secs(10), Duration::from_secs(2));
            assert!(healed.elapsed() < soon, "{}", nodes.far.printed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let alive = insist(async || introspect(&nodes.far, &alive).await).await;
        assert_eq!(alive.json()["active"], true);
    }
    nodes.end().await;
}
