//! The process is killed while clients renew their tokens: nobody is signed
//! out, nobody holds two live tokens, nothing that was answered is forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use symbolon_testkit::Row;
use tokio::time::Instant;

use crate::browser::{Answer, Browser, request};
use crate::program::{Engine, PATIENCE, Program, Site, number};

const CLIENTS: usize = 50;

/// How often it is killed, and how soon it has to be ready again: each time, or
/// half the time in the short form, which runs beside other tests.
fn size() -> (usize, Duration) {
    Row::R01.size(
        (10, Duration::from_secs(5)),
        (2_000, Duration::from_secs(1)),
    )
}

/// One client's family, as the client knows it: every token that it was given.
pub(crate) struct Family {
    tokens: Vec<String>,
}

/// What an attempt to renew came to.
enum Renewed {
    Successor(String),
    Refused(String),
    /// Nobody answered: it may have happened or not.
    Unknown,
}

async fn renew(site: &Site, token: &str) -> Renewed {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    let request = site.request(Method::POST, "/token");
    let request = request.basic_auth("shop", Some(&site.words.web));
    let Ok(answer) = request.form(&form).send().await else {
        return Renewed::Unknown;
    };
    let status = answer.status();
    // It may have been stored, and whoever asks again is told.
    if status == 503 && answer.headers().contains_key("retry-after") {
        return Renewed::Unknown;
    }
    let Ok(document) = answer.json::<Value>().await else {
        return Renewed::Unknown;
    };
    match document["refresh_token"].as_str() {
        Some(token) => Renewed::Successor(token.to_owned()),
        None => Renewed::Refused(format!("{status} {document}")),
    }
}

/// The same until somebody answers: a retry changes nothing of what it comes to.
async fn renew_surely(site: &Site, token: &str) -> Renewed {
    let begin = Instant::now();
    loop {
        match renew(site, token).await {
            Renewed::Unknown => assert!(begin.elapsed() < PATIENCE, "nobody answers"),
            known => return known,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Family {
    /// One that was given its first token.
    pub(crate) fn of(token: String) -> Self {
        Self {
            tokens: vec![token],
        }
    }

    /// The token that is shown next.
    pub(crate) fn last(&self) -> &str {
        self.tokens.last().unwrap()
    }

    /// The form by which it is renewed.
    pub(crate) fn renewal(&self) -> [(&str, &str); 2] {
        [
            ("grant_type", "refresh_token"),
            ("refresh_token", self.last()),
        ]
    }

    /// Takes the successor that an answer brings; it has to bring one.
    pub(crate) fn heard(&mut self, answer: &Answer) {
        assert_eq!(
            answer.status,
            200,
            "a family was lost after {} tokens: {}",
            self.tokens.len(),
            answer.body
        );
        self.tokens.push(answer.text("refresh_token"));
    }

    /// Renews until it is told to stop, retrying with the same token when nobody answers.
    async fn live(
        mut self,
        site: Arc<Site>,
        stop: Arc<AtomicBool>,
        answered: Arc<AtomicU64>,
    ) -> Self {
        while !stop.load(Ordering::Relaxed) {
            match renew(&site, self.last()).await {
                Renewed::Successor(token) => {
                    self.tokens.push(token);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Renewed::Refused(why) => panic!(
                    "a family was lost after {} tokens: {why}",
                    self.tokens.len()
                ),
                Renewed::Unknown => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        self
    }

    /// Exactly one token is alive: the last one, or what its lost answer carried.
    pub(crate) async fn check(self, site: &Site) {
        let Renewed::Successor(next) = renew_surely(site, self.last()).await else {
            panic!("the last token is refused")
        };
        let again = renew_surely(site, self.last()).await;
        assert!(
            matches!(again, Renewed::Successor(same) if same == next),
            "a retry gets the same successor"
        );
        assert!(!self.tokens.contains(&next));
        let Renewed::Successor(newest) = renew_surely(site, &next).await else {
            panic!("the successor is refused")
        };
        // Older than the predecessor: theft, which ends all of the family.
        let spent = renew_surely(site, self.last()).await;
        assert!(matches!(&spent, Renewed::Refused(why) if why.contains("invalid_grant")));
        let ended = renew_surely(site, &newest).await;
        assert!(matches!(&ended, Renewed::Refused(why) if why.contains("invalid_grant")));
    }
}

/// One sign-in, and a family of its own for each client.
async fn families(site: &Site, number: usize) -> Vec<Family> {
    families_of(&mut Browser::new(site), number).await
}

/// Families of one session.
pub(crate) async fn families_of(browser: &mut Browser<'_>, number: usize) -> Vec<Family> {
    let mut families = Vec::new();
    for _ in 0..number {
        let request = request(browser.server, "shop", "openid offline_access read:vault")
            .with("resource", crate::configuration::VAULT);
        let tokens = browser.tokens("alice", &request).await;
        families.push(Family::of(tokens.text("refresh_token")));
    }
    families
}

/// Lets it run for a random while under load, and kills it.
async fn kill_under_load(program: Program, answered: &AtomicU64) {
    let before = answered.load(Ordering::Relaxed);
    let moment = Duration::from_micros(number() % 500_000);
    let load = async {
        while answered.load(Ordering::Relaxed) < before + 20 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, load)
        .await
        .expect("no client gets anywhere");
    tokio::time::sleep(moment).await;
    program.kill().await;
}

async fn run(engine: Engine) {
    let (kills, ready) = size();
    let site = Arc::new(Site::new(engine, "http://127.0.0.1:3000/callback").await);
    let mut program = site.start().await;
    let families = families(&site, CLIENTS).await;
    let (stop, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let clients: Vec<_> = families
        .into_iter()
        .map(|family| {
            tokio::spawn(family.live(Arc::clone(&site), Arc::clone(&stop), Arc::clone(&answered)))
        })
        .collect();
    let mut took = Vec::new();
    for _ in 0..kills {
        kill_under_load(program, &answered).await;
        program = site.start().await;
        took.push(program.took);
        assert!(
            clients.iter().all(|client| !client.is_finished()),
            "a client gave up:\n{}",
            site.printed()
        );
    }
    stop.store(true, Ordering::Relaxed);
    let mut living = Vec::new();
    for client in clients {
        living.push(client.await.unwrap());
    }
    took.sort_unstable();
    let (half, slowest) = (took[kills / 2], took[kills - 1]);
    eprintln!(
        "R01: {kills} kills, {} answers, ready again after at most {slowest:?}, half the time {half:?}",
        answered.load(Ordering::Relaxed)
    );
    let span = Row::R01.size(half, slowest);
    assert!(span <= ready, "ready again only after {span:?}");
    for family in living {
        family.check(&site).await;
    }
    assert!(program.end().await.success());
}

async fn clients_that_renew_survive_kill(engine: Engine) {
    run(engine).await;
}

on_both_engines! { clients_that_renew_survive_kill }
