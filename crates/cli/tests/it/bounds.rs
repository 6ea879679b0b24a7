//! What strangers send in great numbers costs the process no memory that stays.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use symbolon_testkit::Row;
use tokio::time::Instant;

use crate::browser::{Answer, Browser, read, request};
use crate::program::{Engine, Plan, Program, Site};

/// How many requests are under way at once.
const ABREAST: usize = 32;
/// What one hash of a password takes, in KiB.
const HASH_KIB: u64 = 19 * 1024;

async fn site() -> (Site, Program) {
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let program = site.start().await;
    (site, program)
}

/// Sends requests, so many at once, and looks at each answer.
async fn flood(site: &Site, numbers: std::ops::Range<usize>, path: impl Fn(usize) -> String) {
    let numbers: Vec<_> = numbers.collect();
    for some in numbers.chunks(ABREAST) {
        let requests = some.iter().map(|number| {
            let request = site.request(Method::GET, &path(*number));
            async move { request.send().await.unwrap().status().as_u16() }
        });
        for status in join_all(requests).await {
            assert_eq!(status, 303);
        }
    }
}

/// How much the process grew, in KiB, by what came after the first tenth.
async fn growth(
    (site, program): (&Site, &Program),
    number: usize,
    path: impl Fn(usize) -> String,
) -> u64 {
    flood(site, 0..number / 10, &path).await;
    let before = program.memory();
    flood(site, number / 10..number, &path).await;
    program.memory().saturating_sub(before)
}

/// Attack: A038
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locale_that_nobody_knows_is_not_remembered() {
    let (site, program) = site().await;
    let asked = request(&site, "web", "openid");

    let grown = growth((&site, &program), Row::A038.size(2_000, 10_000), |number| {
        asked
            .clone()
            .with("ui_locales", &format!("x{number}-ZZ"))
            .path()
    })
    .await;

    assert!(grown < 5 * 1024, "{grown} KiB");
    let mut browser = Browser::new(&site);
    let unknown = browser
        .authorize(&asked.clone().with("ui_locales", "xx-YY"))
        .await;
    assert!(unknown.body.contains(r#"lang="en""#), "{}", unknown.body);
    assert!(program.end().await.success());
}

/// Attack: K319
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_that_nobody_finishes_is_not_remembered() {
    let (site, program) = site().await;
    let asked = request(&site, "web", "openid");

    let grown = growth(
        (&site, &program),
        Row::K319.size(3_000, 100_000),
        |number| {
            asked
                .clone()
                .with("state", &format!("state-{number}"))
                .path()
        },
    )
    .await;

    assert!(grown < 20 * 1024, "{grown} KiB");
    let tokens = Browser::new(&site).tokens("alice", &asked).await;
    assert_eq!(
        site.introspect(&tokens.text("access_token")).await["active"],
        true
    );
    assert!(program.end().await.success());
}

/// The longest of a hundred, while `beside` goes on.
async fn slowest(site: &Site) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let begin = Instant::now();
        let form = [("grant_type", "client_credentials")];
        let answer = site.form("/token", "job", &form).await;
        assert_eq!(answer.status, 200, "other grants go on: {}", answer.body);
        slowest = slowest.max(begin.elapsed());
    }
    slowest
}

async fn guess(browser: &mut Browser<'_>, page: &Answer, name: &str) -> (u16, Duration, bool) {
    let begin = Instant::now();
    let answer = browser.sign_in(page, name, "a wrong password").await;
    // Whoever is turned away sees the form again, and when to try.
    let is_told =
        answer.header("retry-after").is_some() && answer.body.contains(r#"id="login-submit""#);
    (answer.status, begin.elapsed(), is_told)
}

/// Row R23 of the reliability catalogue.
///
/// Attack: N365
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_sign_ins_is_turned_away_quickly_and_holds_up_nobody() {
    let (site, program) = site().await;
    let mut ready = Vec::new();
    for number in 0..Row::R23.size(60, 500) {
        let mut browser = Browser::new(&site);
        let page = browser.authorize(&request(&site, "web", "openid")).await;
        ready.push((number, browser, page));
    }
    let (calm, before) = (slowest(&site).await, program.memory());
    let storm = ready.iter_mut().map(|(number, browser, page)| {
        let name = format!("nobody{number}");
        async move { guess(browser, page, &name).await }
    });

    let (answers, busy) = tokio::join!(join_all(storm), slowest(&site));

    let grown = program.memory().saturating_sub(before);
    let away: Vec<_> = answers
        .iter()
        .filter(|(status, ..)| *status == 503)
        .collect();
    assert!(!away.is_empty() && away.iter().all(|(_, _, is_told)| *is_told));
    assert!(
        answers
            .iter()
            .all(|(status, ..)| [422, 429, 503].contains(status))
    );
    let slots = std::thread::available_parallelism().map_or(2, usize::from);
    let bound = u64::try_from(slots).unwrap() * HASH_KIB + 16 * 1024;
    assert!(grown < bound, "{grown} KiB of {bound}");
    if Row::R23.is_long() {
        let latest = away.iter().map(|(_, took, _)| *took).max().unwrap();
        assert!(
            latest < Duration::from_secs(2),
            "turned away after {latest:?}"
        );
        let most = calm * 2 + Duration::from_millis(50);
        assert!(busy < most, "{busy:?} against {calm:?} in the calm");
    }
    let page = read(site.request(Method::GET, "/readyz").send().await.unwrap()).await;
    assert_eq!(page.status, 200);
    assert!(program.end().await.success());
}
