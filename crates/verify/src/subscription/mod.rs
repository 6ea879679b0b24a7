//! Follows the issuer's revocation feed in the background: connects, resumes,
//! and knows how old its knowledge is.
//!
//! 1. `follow` connects again and again, with pauses that grow.
//! 2. `intake` judges the stream, event by event.
//! 3. What a head vouched for goes into the set that every check looks into.
//!
//! Age counts from before the server asked its database, and is measured by
//! this machine's own running clock alone: a head carries how long its stream
//! has lasted, so neither clocks that differ nor a server that holds heads back
//! make knowledge look younger than it is.

mod follow;
mod intake;
mod trouble;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use symbolon_protocol::{Timestamp, planted};
use symbolon_token::{Clock, Entropy};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use self::intake::{News, Taken};
pub use self::trouble::FeedTrouble;
use crate::discovery::Discovery;
use crate::fetch::Http;
use crate::introspection::Credentials;
use crate::revocations::Revocations;

/// How long a readiness check waits for the first snapshot.
const WAIT: Duration = Duration::from_secs(10);

/// How long a doubtful answer waits for the first stream to be answered.
const FIRST_ANSWER: Duration = Duration::from_secs(2);

/// What a verifier knows of its issuer's revocation feed: numbers to export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FeedState {
    /// Milliseconds since all of it was known; nothing where the feed was never
    /// reached.
    pub age_ms: Option<u64>,
    /// How many live revocations are held.
    pub records: usize,
    /// Which counting `sequence` belongs to.
    pub epoch: i64,
    /// How far the feed was read.
    pub sequence: i64,
    /// Whether a stream is open.
    pub is_connected: bool,
    /// Why the last stream ended, in a stable word.
    pub last_failure: Option<&'static str>,
}

impl FeedState {
    /// How old the knowledge is; nothing where the feed was never reached.
    pub fn age(&self) -> Option<Duration> {
        self.age_ms.map(Duration::from_millis)
    }
}

/// Where a subscription gets everything from.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) discovery: Arc<Discovery>,
    pub(crate) http: Http,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) issuer: String,
    /// The API whose records are asked for.
    pub(crate) resource: String,
    pub(crate) revocations: Revocations,
}

/// How the last stream ended.
struct Failure {
    code: &'static str,
    words: String,
}

/// What the task and the checks share.
struct State {
    from: Sources,
    /// When everything that is held was known, in milliseconds of the running
    /// clock and one; zero where the feed was never reached.
    confirmed: AtomicU64,
    is_connected: AtomicBool,
    last_failure: Mutex<Option<Failure>>,
    /// What time the last head says that it was, and when that was heard by the
    /// running clock.
    told: Mutex<Option<(Timestamp, Duration)>>,
    /// Where to go on from.
    place: Mutex<Option<String>>,
    turns: watch::Sender<u64>,
    /// Whether somebody follows.
    is_running: AtomicBool,
}

/// Whoever follows. However that ends, by a fault or with the runtime that it
/// began in, the next check begins it anew.
struct Following(Arc<State>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.is_connected.store(false, Ordering::Relaxed);
        self.0.is_running.store(false, Ordering::Relaxed);
    }
}

/// A subscription. It ends when it is dropped.
pub(crate) struct Subscription {
    state: Arc<State>,
    task: Mutex<Option<AbortHandle>>,
}

impl Subscription {
    pub(crate) fn new(from: Sources) -> Self {
        let state = State {
            from,
            confirmed: AtomicU64::new(0),
            is_connected: AtomicBool::new(false),
            last_failure: Mutex::default(),
            told: Mutex::default(),
            place: Mutex::default(),
            turns: watch::Sender::new(0),
            is_running: AtomicBool::new(false),
        };
        Self {
            state: Arc::new(state),
            task: Mutex::default(),
        }
    }

    /// Begins to follow, where that has not begun.
    pub(crate) fn tick(&self) {
        // Read first: a swap at every check would pass the line from core to core.
        let is_running = &self.state.is_running;
        if is_running.load(Ordering::Relaxed) || is_running.swap(true, Ordering::Relaxed) {
            return;
        }
        let following = Following(Arc::clone(&self.state));
        let task = tokio::spawn(async move {
            follow::follow(Arc::clone(&following.0)).await;
            drop(following);
        });
        *lock(&self.task) = Some(task.abort_handle());
    }

    /// How old the knowledge is; nothing where the feed was never reached.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.state.age()
    }

    /// The numbers.
    pub(crate) fn shown(&self) -> FeedState {
        let own = &*self.state;
        let position = own.from.revocations.position();
        FeedState {
            age_ms: own.age().map(millis),
            records: own.from.revocations.len(),
            epoch: position.epoch,
            sequence: position.sequence,
            is_connected: own.is_connected.load(Ordering::Relaxed),
            last_failure: own.failure(),
        }
    }

    /// Waits until the feed was reached, or says why it was not.
    pub(crate) async fn ready(&self) -> Result<(), &'static str> {
        self.tick();
        let mut turns = self.state.turns.subscribe();
        let reached = async {
            while self.age().is_none() {
                if turns.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(WAIT, reached).await;
        match self.age() {
            Some(_) => Ok(()),
            None => Err(self.state.failure().unwrap_or("revocations_not_reached")),
        }
    }

    /// Why nothing is known now, in a stable word; nothing where a stream is open.
    pub(crate) fn failure(&self) -> Option<&'static str> {
        match self.state.is_connected.load(Ordering::Relaxed) {
            true => None,
            false => self.state.failure(),
        }
    }

    /// Whether the issuer does not let this reader know what became of the API's
    /// tokens: then its word "inactive" says nothing either. Waits a moment for the
    /// first stream to be answered.
    pub(crate) async fn is_shut_out(&self) -> bool {
        let mut turns = self.state.turns.subscribe();
        if self.age().is_none() && self.state.failure().is_none() {
            let _ = tokio::time::timeout(FIRST_ANSWER, turns.changed()).await;
        }
        self.failure() == Some(trouble::NO_RESOURCE_SERVED)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }
}

impl State {
    fn failure(&self) -> Option<&'static str> {
        lock(&self.last_failure).as_ref().map(|own| own.code)
    }

    fn age(&self) -> Option<Duration> {
        self.age_at(self.confirmed.load(Ordering::Acquire))
    }

    fn age_at(&self, confirmed: u64) -> Option<Duration> {
        let known = Duration::from_millis(confirmed.checked_sub(1)?);
        Some(self.from.clock.monotonic().saturating_sub(known))
    }

    /// Takes in what a head vouched for; `asked` is when its stream was.
    fn take(&self, taken: Taken, asked: Duration) {
        let Taken {
            news,
            position,
            elapsed,
            time,
            stale,
            place,
        } = taken;
        *lock(&self.told) = Some((time, self.from.clock.monotonic()));
        match news {
            News::Snapshot(set) => self.from.revocations.replace(set),
            News::Records(records) => {
                let held = self.from.revocations.position();
                if !records.is_empty() || held != position {
                    self.from.revocations.extend(records, position.sequence);
                }
            }
        }
        *lock(&self.place) = place;
        // A server whose clock runs ahead makes nothing younger than now.
        let made = (asked + elapsed).min(self.from.clock.monotonic());
        let stale = if planted(41) { Duration::ZERO } else { stale };
        let known = millis(made.saturating_sub(stale)).saturating_add(1);
        // Measured first: who waited for it finds the numbers too.
        let confirmed = self.confirmed.load(Ordering::Acquire).max(known);
        self.measure_at(confirmed);
        self.confirmed.fetch_max(known, Ordering::AcqRel);
        self.turns.send_modify(|turn| *turn += 1);
    }

    /// What time it is at least: the earlier of what this machine's clock says and
    /// of what the last head said, with the time since. What is dropped goes by
    /// it. A clock that is ahead for a moment would drop records of tokens that
    /// have not ended, and no stream brings them again.
    fn time_at_least(&self) -> Option<Timestamp> {
        let (time, heard) = (*lock(&self.told))?;
        let clock = &self.from.clock;
        let since = clock.monotonic().saturating_sub(heard);
        Some(clock.now().min(time + since))
    }

    fn measure(&self) {
        self.measure_at(self.confirmed.load(Ordering::Acquire));
    }

    fn measure_at(&self, confirmed: u64) {
        let issuer = || self.from.issuer.clone();
        if let Some(age) = self.age_at(confirmed) {
            metrics::gauge!("revocations_age_seconds", "issuer" => issuer()).set(age.as_secs_f64());
        }
        let records = self.from.revocations.len();
        metrics::gauge!("revocations_records", "issuer" => issuer()).set(records as f64);
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX - 1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
