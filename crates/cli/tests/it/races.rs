//! Races between processes: on SQLite one, on PostgreSQL two over one database.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use symbolon_server::clock::SystemClock;
use symbolon_server::testing::read;
use symbolon_testkit::Row;
use symbolon_token::Clock;
use tokio::time::Instant;

use crate::browser::{Answer, Browser, request};
use crate::configuration::VAULT;
use crate::feed::partner::signing_key;
use crate::program::{Engine, PATIENCE, Program, Site};
use crate::spans::percentile;

const CALLBACK: &str = "http://127.0.0.1:3000/callback";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const SCOPE: &str = "openid offline_access read:vault";

/// The processes: as many as the engine carries.
async fn processes(engine: Engine) -> Vec<(Site, Program)> {
    started(engine, Site::new(engine, CALLBACK).await).await
}

async fn started(engine: Engine, first: Site) -> Vec<(Site, Program)> {
    let second = (engine == Engine::Postgres).then(|| first.node());
    let program = first.start().await;
    let mut all = vec![(first, program)];
    if let Some(second) = second {
        let program = second.start().await;
        all.push((second, program));
    }
    all
}

/// Ends all of them, and starts them again.
async fn restarted(all: Vec<(Site, Program)>) -> Vec<(Site, Program)> {
    let (sites, programs): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    for program in programs {
        assert!(program.end().await.success());
    }
    let mut again = Vec::new();
    for site in sites {
        let program = site.start().await;
        again.push((site, program));
    }
    again
}

async fn end(all: Vec<(Site, Program)>) {
    for (_, program) in all {
        assert!(program.end().await.success());
    }
}

/// How soon every process has to know: within a second. The short form runs
/// beside other tests: half of them within five, and none after fifteen.
fn are_soon(spans: &[Duration]) {
    let longest = spans.iter().max().copied().unwrap();
    let (half, all) = Row::R07.size((5, 15), (1, 1));
    let told = format!("alive for {spans:?}");
    assert!(percentile(spans, 50) < Duration::from_secs(half), "{told}");
    assert!(longest < Duration::from_secs(all), "{told}");
}

async fn refresh(site: &Site, token: &str) -> Answer {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    site.form("/token", "shop", &form).await
}

/// Asks until the store is not too busy; also how often it was.
async fn insist<F: Future<Output = Answer>>(ask: impl Fn() -> F) -> (Answer, usize) {
    let begin = Instant::now();
    for times in 0.. {
        let answer = ask().await;
        if answer.status != 503 {
            return (answer, times);
        }
        assert!(begin.elapsed() < PATIENCE, "{}", answer.body);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    unreachable!()
}

/// What came of sixty-four of one request, over all processes in turn.
struct Race {
    won: Vec<Answer>,
    lost: Vec<Answer>,
    /// How often the store was too busy: each may have hidden the winner.
    busy: usize,
}

async fn race<F: Future<Output = Answer>>(
    row: Row,
    all: &[(Site, Program)],
    attempt: impl Fn(usize) -> F,
) -> Race {
    let attempt = &attempt;
    let told = (0..64).map(|n| insist(move || attempt(n % all.len())));
    let told = join_all(told).await;
    let busy = told.iter().map(|(_, times)| times).sum();
    assert!(busy == 0 || !row.is_long(), "busy {busy} times");
    let answers = told.into_iter().map(|(answer, _)| answer);
    let (won, lost) = answers.partition(|answer| answer.status == 200);
    Race { won, lost, busy }
}

impl Race {
    /// The one that won, unless nobody was told.
    fn winner(&self) -> Option<&Answer> {
        let (won, busy) = (self.won.len(), self.busy);
        assert!(won == 1 || won == 0 && busy > 0, "{won} won, {busy} busy");
        self.won.first()
    }

    /// That all others were refused, and how.
    fn is_lost_by_all_others(&self, status: u16, code: &str) {
        for answer in &self.lost {
            assert_eq!((answer.status, &*answer.refusal()), (status, code));
        }
    }
}

async fn of_64_parallel_redemptions_one_succeeds(engine: Engine) {
    let all = processes(engine).await;
    let site = &all[0].0;
    let mut browser = Browser::new(site);
    let mut alive_for = Vec::new();
    for _ in 0..Row::R07.size(20, 200) {
        let asked = request(site, "shop", SCOPE).with("resource", VAULT);
        let code = Arc::new(browser.code("alice", &asked).await);

        let race = race(Row::R07, &all, |n| {
            let (site, code, asked) = (&all[n].0, Arc::clone(&code), &asked);
            async move { site.form("/token", "shop", &asked.redemption(&code)).await }
        })
        .await;

        race.is_lost_by_all_others(400, "invalid_grant");
        let Some(won) = race.winner() else {
            continue;
        };
        let begin = Instant::now();
        for (site, _) in &all {
            let mut seen = Duration::ZERO;
            while site.introspect(&won.text("access_token")).await["active"] == true {
                seen = begin.elapsed();
                assert!(seen < PATIENCE, "it lives on");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            alive_for.push(seen);
            let token = won.text("refresh_token");
            let (renewed, _) = insist(|| refresh(site, &token)).await;
            assert_eq!(renewed.refusal(), "invalid_grant");
        }
    }
    are_soon(&alive_for);
    end(all).await;
}

async fn of_64_parallel_refreshes_all_that_succeed_carry_one_successor(engine: Engine) {
    let all = processes(engine).await;
    let site = &all[0].0;
    let asked = request(site, "shop", SCOPE).with("resource", VAULT);
    let tokens = Browser::new(site).tokens("alice", &asked).await;
    let mut token = tokens.text("refresh_token");
    for _ in 0..Row::R08.size(20, 200) {
        let race = race(Row::R08, &all, |n| refresh(&all[n].0, &token)).await;

        let mut successors: Vec<_> = race
            .won
            .iter()
            .map(|answer| answer.text("refresh_token"))
            .collect();
        successors.dedup();
        assert_eq!(successors.len(), 1, "of {} winners", race.won.len());
        race.is_lost_by_all_others(400, "invalid_grant");
        token = successors.remove(0);
    }
    let (last, _) = insist(|| refresh(site, &token)).await;
    assert_eq!(last.status, 200);
    end(all).await;
}

/// Row R09 of the reliability catalogue, of assertions: none proves its client
/// twice, by another process or by one that has just begun.
async fn of_64_parallel_assertions_one_proves_its_client(engine: Engine) {
    let key = signing_key();
    let public = key.public_jwk();
    let member = |name: &str| public[name].as_str().unwrap().to_owned();
    let keys = format!(
        r#"{{ keys = [{{ kty = "EC", crv = "P-256", kid = "{}", x = "{}", y = "{}" }}] }}"#,
        key.kid(),
        member("x"),
        member("y")
    );
    let first = Site::with_keys(engine, CALLBACK, &keys).await;
    let issuer = first.issuer.clone();
    let mut all = started(engine, first).await;
    for round in 0..Row::R09.size(20, 200) {
        let now = SystemClock::start().now().seconds();
        let claims = json!({
            "iss": "signer", "sub": "signer", "aud": issuer, "jti": format!("once {round}"),
            "iat": now, "exp": now + 240,
        });
        let assertion = key.sign("JWT", claims.to_string().as_bytes());
        let prove = async |site: &Site| {
            let form = [
                ("grant_type", "client_credentials"),
                ("client_assertion", &*assertion),
                ("client_assertion_type", ASSERTION_TYPE),
            ];
            let request = site.request(Method::POST, "/token").form(&form);
            read(request.send().await.unwrap()).await
        };

        let race = race(Row::R09, &all, |n| prove(&all[n].0)).await;

        race.winner();
        race.is_lost_by_all_others(401, "invalid_client");
        if round % 10 == 4 {
            all = restarted(all).await;
        }
        for (site, _) in &all {
            let (again, _) = insist(|| prove(site)).await;
            assert_eq!(again.refusal(), "invalid_client");
        }
    }
    end(all).await;
}

on_both_engines! {
    of_64_parallel_assertions_one_proves_its_client
    of_64_parallel_redemptions_one_succeeds
    of_64_parallel_refreshes_all_that_succeed_carry_one_successor
}
