//! Mixed load at a steady rate, and a book of what was answered to it: clients
//! that renew, redeem codes, prove themselves by assertions, and take back, and
//! administrators who take back, make and delete.
//!
//! 1. Every tick sends one request, whether or not any was answered, each to
//!    another node than the one before.
//! 2. An answer is a good one, a documented refusal, or 503 with `Retry-After`;
//!    where there is none, or a 503, the same is asked again at a later tick.
//! 3. What was acknowledged is asked about some seconds later: what was used
//!    once is not taken again, and what was taken back is dead. `work` judges by
//!    what was promised at that moment: a code that has expired, a retry after
//!    the grace time or a node that may still not know proves nothing. At the
//!    end every kind of question must have been asked in time.

mod book;
mod work;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::json;
use symbolon_server::clock::SystemClock;
use symbolon_token::Clock;
use symbolon_token::jose::SigningKey;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use self::book::{Assertion, Book, Counts, Shown, Work, count};
use crate::authlib::inline_table;
use crate::browser::{Answer, Browser};
use crate::configuration::ORDERS;
use crate::feed::partner::signing_key;
use crate::kill::families_of;
use crate::program::{Site, word};

/// The client that proves itself by assertions.
const PROVER: &str = "prover";
/// How many families there are at the begin, and at most.
const FAMILIES: (usize, usize) = (12, 40);
/// How many of what was acknowledged wait to be asked about: at 200 requests a
/// second some seconds' worth.
const LATER: usize = 300;
/// How long an assertion is good, in seconds.
const ASSERTION_LIVES: i64 = 240;
/// How long anybody is kept waiting at most. Tests run beside each other.
const DEADLINE: Duration = Duration::from_secs(20);

/// The load on some nodes.
pub(crate) struct Mixed {
    pub(crate) nodes: Vec<Arc<Site>>,
    pub(crate) counts: Counts,
    /// How long after it was acknowledged a node may not know what another took
    /// back.
    known_within: Duration,
    key: SigningKey,
    cookies: String,
    /// What administrators show.
    token: String,
    book: Mutex<Book>,
}

impl Mixed {
    /// For nodes that do not run yet: the first one's file says what is needed.
    pub(crate) fn new(nodes: Vec<Site>, known_within: Duration) -> Self {
        let key = signing_key();
        let public = inline_table(&json!(key.public_jwk()));
        let block = format!(
            r#"[[client]]
id = "{PROVER}"
kind = "service"
jwks = {{ keys = [{public}] }}
authentication = "private_key_jwt"
grants = ["client_credentials"]
scopes = ["read:orders"]
resources = ["{ORDERS}"]

"#
        );
        nodes[0].configure("", &block);
        Self {
            nodes: nodes.into_iter().map(Arc::new).collect(),
            counts: Counts::default(),
            known_within,
            key,
            cookies: String::new(),
            token: String::new(),
            book: Mutex::default(),
        }
    }

    /// Signs in, and opens the first families.
    pub(crate) async fn begin(&mut self) {
        let mut browser = Browser::new(&*self.nodes[0]);
        let families = families_of(&mut browser, FAMILIES.0).await;
        self.cookies = browser.cookie_line();
        self.token = self.nodes[0].admin_token();
        let mut book = self.book();
        book.families = families.len();
        book.idle.extend(families);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks at a steady rate until it is told to stop, and then until all that
    /// was begun is over.
    pub(crate) async fn drive(self: Arc<Self>, rate: u32, stop: Arc<AtomicBool>) {
        let mut ticks = interval(Duration::from_secs(1) / rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut under_way = JoinSet::new();
        for turn in 0_usize.. {
            ticks.tick().await;
            while let Some(ended) = under_way.try_join_next() {
                ended.unwrap();
            }
            let is_over = stop.load(Ordering::Relaxed);
            let Some(work) = self.next(turn, is_over) else {
                if under_way.is_empty() {
                    return;
                }
                continue;
            };
            let node = Arc::clone(&self.nodes[turn % self.nodes.len()]);
            let own = Arc::clone(&self);
            under_way.spawn(async move { own.carry_out(&node, work).await });
        }
    }

    /// What was not answered first, then what was begun, then something new.
    fn next(&self, turn: usize, is_over: bool) -> Option<Work> {
        let mut book = self.book();
        if let Some(work) = book.waiting.pop_front() {
            return Some(work);
        }
        if is_over || book.later.len() > LATER {
            return book.later.pop_front();
        }
        Some(match turn % 10 {
            0 if turn.is_multiple_of(3) => Work::Found(format!("o-{}", word()), Shown::Never),
            0..5 => match book.idle.pop_front() {
                Some(family) => Work::Renew(family, None),
                None => Work::Prove(self.assertion(), Shown::Never),
            },
            5..7 => Work::Prove(self.assertion(), Shown::Never),
            7 | 8 => Work::Issue,
            _ => Work::Authorize,
        })
    }

    fn assertion(&self) -> Assertion {
        let made = Instant::now();
        let now = SystemClock::start().now().seconds();
        let issuer = &self.nodes[0].issuer;
        let claims = json!({
            "iss": PROVER, "sub": PROVER, "aud": issuer, "jti": word(),
            "iat": now, "exp": now + ASSERTION_LIVES,
        });
        let text = self.key.sign("JWT", claims.to_string().as_bytes());
        Assertion { text, made }
    }

    /// An answer; nothing where there is none, or a 503, which may hide a
    /// success.
    async fn hear(&self, sent: RequestBuilder) -> Option<Answer> {
        let heard = timeout(DEADLINE, hear(sent));
        let heard = heard.await.expect("somebody is kept waiting");
        count(match heard {
            Some(_) => &self.counts.answered,
            None => &self.counts.unknown,
        });
        heard
    }

    fn again(&self, work: Work) {
        self.book().waiting.push_back(work);
    }

    fn later(&self, work: Work) {
        count(&self.counts.written);
        self.book().later.push_back(work);
    }

    /// Of every family that nobody ended exactly one token is alive.
    pub(crate) async fn check(&self) {
        self.counts.asked.check(self.written());
        let families = std::mem::take(&mut self.book().idle);
        assert!(families.len() + self.late() >= FAMILIES.0);
        for (number, family) in families.into_iter().enumerate() {
            family.check(&self.nodes[number % self.nodes.len()]).await;
        }
    }

    fn late(&self) -> usize {
        usize::try_from(self.counts.late.load(Ordering::Relaxed)).unwrap()
    }

    /// How many acts were acknowledged so far.
    pub(crate) fn written(&self) -> u64 {
        self.counts.written.load(Ordering::Relaxed)
    }
}

async fn hear(sent: RequestBuilder) -> Option<Answer> {
    let response = sent.send().await.ok()?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.text().await.ok()?;
    if status == 503 {
        assert!(headers.contains_key("retry-after"), "503 {body}");
        assert!(body.contains("temporarily_unavailable"), "503 {body}");
        return None;
    }
    Some(Answer {
        status,
        headers,
        body,
    })
}
