//! The issuer's keys: held in memory, refreshed in the background, fetched for
//! an unknown name at most once a cooldown. When, the automaton says.
//!
//! Spec: RFC 7517 §5

pub(crate) mod automaton;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use symbolon_token::jose::KeySet;
use symbolon_token::{Clock, Digest, Entropy, random};
use tokio::sync::watch;

use self::automaton::{Action, Automaton, Content, Event, Fetched};
use crate::discovery::Discovery;
use crate::fetch::{FetchError, Http, TOTAL_TIMEOUT};

/// How long a token of an unknown key waits for the fetch that it shares.
const WAIT: Duration = Duration::from_secs(6);
/// How long the background task sleeps at most: as old is the number that tells
/// the age of the keys.
const NAP: Duration = Duration::from_secs(10);

/// A key set that the issuer vouched for.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) set: Arc<KeySet>,
    /// Changes when the set does: what an earlier set proved is proved again.
    pub(crate) generation: u64,
    confirmed: Duration,
    digest: Digest,
}

impl Known {
    fn may_hold(&self, kid: Option<&str>) -> bool {
        match kid {
            Some(kid) => self.set.names(kid),
            None => !self.set.is_empty(),
        }
    }
}

/// Why no key set can be given for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotHeld {
    /// The issuer has no such key.
    Unknown,
    /// Nobody can know now.
    CannotKnow,
}

/// Where keys, time and chance come from.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) discovery: Arc<Discovery>,
    pub(crate) http: Http,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) stale_if_error: Duration,
    /// The issuer, for whoever reads the numbers.
    pub(crate) issuer: Arc<str>,
}

#[derive(Debug)]
pub(crate) struct Keys {
    known: ArcSwapOption<Known>,
    automaton: Mutex<Automaton>,
    /// When the automaton wants its next tick, in milliseconds: read at every
    /// check, so it stands outside the lock.
    due: AtomicU64,
    turns: watch::Sender<u64>,
    is_running: AtomicBool,
    last_failure: Mutex<Option<FetchError>>,
    from: Sources,
}

impl Keys {
    pub(crate) fn new(from: Sources) -> Self {
        Self {
            known: ArcSwapOption::empty(),
            automaton: Mutex::new(Automaton::new(from.stale_if_error)),
            due: AtomicU64::new(0),
            turns: watch::Sender::new(0),
            is_running: AtomicBool::new(false),
            last_failure: Mutex::new(None),
            from,
        }
    }

    /// The held set, where it may still be believed.
    pub(crate) fn current(&self) -> Option<Arc<Known>> {
        self.known.load_full().filter(|known| self.is_usable(known))
    }

    /// The generation of the held set, where it may still be believed: asked
    /// at every check, so it counts no reference.
    pub(crate) fn generation(&self) -> Option<u64> {
        let known = self.known.load();
        let known = known.as_ref().filter(|known| self.is_usable(known));
        known.map(|known| known.generation)
    }

    fn is_usable(&self, known: &Known) -> bool {
        let now = self.from.clock.monotonic();
        automaton::is_usable(Some(known.confirmed), now, self.from.stale_if_error)
    }

    /// Starts a fetch where one is due, in the background: a token of a known
    /// key never waits for it.
    pub(crate) fn tick(self: &Arc<Self>) {
        // Read first: a swap at every check would pass the line from core to core.
        if !self.is_running.load(Ordering::Relaxed)
            && !self.is_running.swap(true, Ordering::Relaxed)
        {
            tokio::spawn(keep(Keeping(Arc::downgrade(self))));
        }
        let now = self.from.clock.monotonic();
        if millis(now) < self.due.load(Ordering::Relaxed) {
            return;
        }
        if self.step(&mut self.lock(), Event::Tick) == Action::Fetch {
            self.fetch();
        }
    }

    /// The held set once it names the key, after at most one shared fetch. Where a
    /// set of some generation was tried in vain it has to be another one: so a
    /// token that names no key costs what one costs that names a made-up one.
    pub(crate) async fn holding(
        self: &Arc<Self>,
        kid: Option<&str>,
        tried: Option<u64>,
    ) -> Result<Arc<Known>, NotHeld> {
        let name = kid.unwrap_or_default();
        let fits = |known: &Known| known.may_hold(kid) && tried != Some(known.generation);
        let mut event = Event::Unknown(name);
        // At most: wait for a fetch of others, fetch, judge.
        for _ in 0..3 {
            if let Some(known) = self.current() {
                if fits(&known) {
                    return Ok(known);
                }
                let issuer = Arc::clone(&self.from.issuer);
                metrics::counter!("unknown_kid_total", "issuer" => issuer).increment(1);
            }
            let mut turns;
            let (action, is_cut_off) = {
                let mut automaton = self.lock();
                // Under the lock, so that no end of a fetch is missed.
                turns = self.turns.subscribe();
                let is_cut_off = automaton.is_cut_off(self.from.clock.monotonic());
                (self.step(&mut automaton, event), is_cut_off)
            };
            event = match action {
                Action::Fetch => {
                    self.fetch();
                    Event::StillUnknown(name)
                }
                Action::Wait => Event::Unknown(name),
                Action::Refuse => return Err(NotHeld::Unknown),
                _ => return Err(NotHeld::CannotKnow),
            };
            if is_cut_off {
                // The fetch goes on; who comes after it is over has its result.
                return Err(NotHeld::CannotKnow);
            }
            let waited = tokio::time::timeout(WAIT, turns.changed()).await;
            if !matches!(waited, Ok(Ok(()))) {
                return Err(NotHeld::CannotKnow);
            }
        }
        match self.current() {
            Some(known) if fits(&known) => Ok(known),
            Some(_) => Err(NotHeld::Unknown),
            None => Err(NotHeld::CannotKnow),
        }
    }

    /// Waits until a set is held, or says why none can be had.
    pub(crate) async fn ready(self: &Arc<Self>) -> Result<(), FetchError> {
        self.tick();
        let deadline = tokio::time::sleep(WAIT);
        tokio::pin!(deadline);
        loop {
            let mut turns = self.turns.subscribe();
            let is_idle = self.lock().due() != Duration::MAX;
            if self.current().is_some_and(|known| !known.set.is_empty()) {
                return Ok(());
            }
            if is_idle {
                let why = lock(&self.last_failure).clone();
                return Err(why.unwrap_or(FetchError::Malformed("a key set with a usable key")));
            }
            tokio::select! {
                _ = turns.changed() => {}
                () = &mut deadline => return Err(FetchError::Unreachable),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Automaton> {
        lock(&self.automaton)
    }

    fn step(&self, automaton: &mut Automaton, event: Event<'_>) -> Action {
        let [jitter] = random(&*self.from.entropy);
        let action = automaton.step(self.from.clock.monotonic(), event, jitter);
        self.due.store(millis(automaton.due()), Ordering::Relaxed);
        action
    }

    /// Tells how old the held set is.
    fn measure(&self, now: Duration) {
        if let Some(known) = &*self.known.load() {
            let age = now.saturating_sub(known.confirmed);
            let issuer = Arc::clone(&self.from.issuer);
            metrics::gauge!("jwks_age_seconds", "issuer" => issuer).set(age.as_secs_f64());
        }
    }

    fn fetch(self: &Arc<Self>) {
        let end = End(Some(Arc::clone(self)));
        let keys = Arc::clone(self);
        tokio::spawn(async move {
            let read = tokio::time::timeout(TOTAL_TIMEOUT, keys.read()).await;
            end.with(read.unwrap_or(Err(FetchError::Unreachable)));
        });
    }

    async fn read(&self) -> Result<Brought, FetchError> {
        let found = self.from.discovery.find().await?;
        let answer = self.from.http.read(&found.jwks_uri).await?;
        let set = KeySet::parse(&answer.body).map_err(|_| FetchError::Malformed("a key set"))?;
        Ok(Brought {
            set,
            digest: Digest::of(&answer.body),
            max_age: answer.max_age,
        })
    }

    /// Takes in how a fetch ended, and wakes whoever waits.
    fn ended(&self, result: Result<Brought, FetchError>) {
        let mut automaton = self.lock();
        let word = match result {
            Err(why) => {
                self.step(&mut automaton, Event::Failed);
                *lock(&self.last_failure) = Some(why);
                "failed"
            }
            Ok(brought) => self.take_in(&mut automaton, brought),
        };
        drop(automaton);
        self.measure(self.from.clock.monotonic());
        let issuer = Arc::clone(&self.from.issuer);
        metrics::counter!("refresh_total", "issuer" => issuer, "result" => word).increment(1);
        self.turns.send_modify(|turn| *turn += 1);
    }

    fn take_in(&self, automaton: &mut Automaton, brought: Brought) -> &'static str {
        let held = self.known.load_full();
        let same = held.filter(|held| held.digest == brought.digest);
        let content = match same {
            Some(_) => Content::Same,
            None => Content::Changed,
        };
        *lock(&self.last_failure) = None;
        let issuer = Arc::clone(&self.from.issuer);
        metrics::gauge!("jwks_keys_skipped", "issuer" => issuer).set(brought.set.skipped() as f64);
        let fetched = Fetched {
            keys: brought.set.len(),
            content,
            max_age: brought.max_age,
        };
        if self.step(automaton, Event::Fetched(fetched)) != Action::Adopt {
            return "empty";
        }
        let generation = self.known.load().as_ref().map_or(0, |held| held.generation);
        let (set, generation) = match same {
            Some(held) => (Arc::clone(&held.set), generation),
            None => (Arc::new(brought.set), generation + 1),
        };
        self.known.store(Some(Arc::new(Known {
            set,
            generation,
            confirmed: automaton.confirmed().unwrap_or_default(),
            digest: brought.digest,
        })));
        match content {
            Content::Same => "unchanged",
            Content::Changed => "changed",
        }
    }
}

struct Brought {
    set: KeySet,
    digest: Digest,
    max_age: Option<Duration>,
}

/// Reports the end of a fetch even where its task is dropped.
struct End(Option<Arc<Keys>>);

impl End {
    fn with(mut self, result: Result<Brought, FetchError>) {
        if let Some(keys) = self.0.take() {
            keys.ended(result);
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(keys) = self.0.take() {
            keys.ended(Err(FetchError::Unreachable));
        }
    }
}

/// Whoever keeps the keys. However that ends, with the runtime that it began in
/// as well, the next check begins it anew.
struct Keeping(Weak<Keys>);

impl Drop for Keeping {
    fn drop(&mut self) {
        if let Some(keys) = self.0.upgrade() {
            keys.is_running.store(false, Ordering::Relaxed);
        }
    }
}

/// Refreshes ahead for as long as somebody holds the keys.
async fn keep(keeping: Keeping) {
    loop {
        let nap = {
            let Some(keys) = keeping.0.upgrade() else {
                return;
            };
            keys.tick();
            let now = keys.from.clock.monotonic();
            keys.measure(now);
            let due = Duration::from_millis(keys.due.load(Ordering::Relaxed));
            due.saturating_sub(now).clamp(Duration::from_secs(1), NAP)
        };
        tokio::time::sleep(nap).await;
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
