//! Key sets that others publish, kept for as long as that is safe.
//!
//! - A key that is known never waits: what is kept is used, and renewed behind
//!   the caller's back once it is no longer fresh.
//! - An unknown key asks again, but one address is asked by one caller at a
//!   time and not more than once in [`COOLDOWN`].
//! - Where asking fails, what is kept serves on for [`MAX_AGE`].
//!
//! Spec: RFC 7517 §5
//! Spec: RFC 9111 §5.2.2.1

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use serde_json::Value;
use symbolon_token::Digest;
use symbolon_token::jose::KeySet;
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;

use super::{FetchError, Fetcher, place};

/// How long an address is not asked again, whatever it answered.
pub(crate) const COOLDOWN: Duration = Duration::from_secs(30);
/// How long a set serves whose address no longer answers.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a set is fresh that does not say so itself.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// Bounds for what it says.
const MIN_FRESH: Duration = Duration::from_secs(60);
const MAX_FRESH: Duration = Duration::from_secs(60 * 60);
/// How many sets are kept.
const MAX_SETS: u64 = 1000;
/// How large a set may be, in bytes.
const MAX_SET_BYTES: usize = 256 * 1024;

/// What a caller needs of a set, and when.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) kid: Option<&'a str>,
    pub(super) now: Duration,
}

/// Everything that is kept.
pub(super) struct KeySets {
    remote: Cache<String, Arc<Entry>>,
    inline: Cache<Digest, Arc<KeySet>>,
}

impl Default for KeySets {
    fn default() -> Self {
        Self {
            remote: Cache::new(MAX_SETS),
            inline: Cache::new(MAX_SETS),
        }
    }
}

/// One address.
#[derive(Default)]
struct Entry {
    state: Mutex<State>,
    /// Held by whoever asks.
    flight: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Default)]
struct State {
    kept: Option<Kept>,
    /// When it was last asked for, and what went wrong then.
    asked: Option<Duration>,
    failed: Option<FetchError>,
}

#[derive(Clone)]
struct Kept {
    keys: Arc<KeySet>,
    fetched: Duration,
    fresh_until: Duration,
}

/// What to do for a caller.
enum Next {
    Use(Arc<KeySet>),
    Renew(Arc<KeySet>),
    Ask,
    Refuse(FetchError),
}

impl State {
    fn next(&self, wanted: Wanted<'_>) -> Next {
        let now = wanted.now;
        let kept = self
            .kept
            .as_ref()
            .filter(|kept| now.saturating_sub(kept.fetched) <= MAX_AGE);
        let cooling = self
            .asked
            .is_some_and(|asked| now.saturating_sub(asked) < COOLDOWN);
        let Some(kept) = kept else {
            return if cooling {
                Next::Refuse(self.failed.unwrap_or(FetchError::CoolingDown))
            } else {
                Next::Ask
            };
        };
        let keys = Arc::clone(&kept.keys);
        let known = wanted.kid.is_none_or(|kid| keys.names(kid));
        match (cooling, known) {
            (true, _) => Next::Use(keys),
            (false, false) => Next::Ask,
            (false, true) if now < kept.fresh_until => Next::Use(keys),
            (false, true) => Next::Renew(keys),
        }
    }
}

impl KeySets {
    /// A set that stands in a client's own registration.
    pub(super) fn inline(&self, document: &Value) -> Option<Arc<KeySet>> {
        let digest = Digest::of(document.to_string().as_bytes());
        if let Some(keys) = self.inline.get(&digest) {
            return Some(keys);
        }
        let keys = Arc::new(KeySet::from_json(document.as_object()?).ok()?);
        self.inline.insert(digest, Arc::clone(&keys));
        Some(keys)
    }

    /// The set at an address.
    pub(super) async fn find(
        &self,
        fetcher: &Fetcher,
        url: &str,
        wanted: Wanted<'_>,
    ) -> Result<Arc<KeySet>, FetchError> {
        let entry = self.remote.get_with_by_ref(url, Arc::default);
        // A second round answers those who waited for another's flight.
        for _ in 0..2 {
            let next = entry.state().next(wanted);
            let keys = match next {
                Next::Use(keys) => return Ok(keys),
                Next::Refuse(error) => return Err(error),
                Next::Renew(keys) => Some(keys),
                Next::Ask => None,
            };
            let landed = Flight::new(fetcher, &entry, url, wanted).take_off();
            match (keys, landed) {
                (Some(keys), _) => return Ok(keys),
                (None, Some(landed)) => landed.await.map_err(|_| FetchError::Unreachable)?,
                (None, None) => drop(entry.flight.lock().await),
            }
        }
        match entry.state().next(wanted) {
            Next::Use(keys) | Next::Renew(keys) => Ok(keys),
            Next::Refuse(error) => Err(error),
            Next::Ask => Err(FetchError::Busy),
        }
    }

    /// The set at an address, where it knows the wanted key or was asked for
    /// since: an older one cannot say that there is no such key.
    pub(super) async fn find_knowing(
        &self,
        fetcher: &Fetcher,
        url: &str,
        wanted: Wanted<'_>,
    ) -> Result<Arc<KeySet>, FetchError> {
        let keys = self.find(fetcher, url, wanted).await?;
        if wanted.kid.is_none_or(|kid| keys.names(kid)) {
            return Ok(keys);
        }
        let state = self.remote.get_with_by_ref(url, Arc::default).state();
        match state.kept {
            Some(kept) if kept.fetched >= wanted.now => Ok(kept.keys),
            _ => Err(state.failed.unwrap_or(FetchError::CoolingDown)),
        }
    }

    /// The set that is kept of an address, for those who cannot wait: where the
    /// address has to be asked, that is done meanwhile.
    pub(super) fn kept(
        &self,
        fetcher: &Fetcher,
        url: &str,
        wanted: Wanted<'_>,
    ) -> Option<Arc<KeySet>> {
        let entry = self.remote.get_with_by_ref(url, Arc::default);
        let keys = match entry.state().next(wanted) {
            Next::Use(keys) => return Some(keys),
            Next::Refuse(_) => return None,
            Next::Renew(keys) => Some(keys),
            Next::Ask => None,
        };
        Flight::new(fetcher, &entry, url, wanted).take_off();
        keys
    }
}

impl Entry {
    fn state(&self) -> State {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// One question to one address.
struct Flight {
    fetcher: Fetcher,
    entry: Arc<Entry>,
    url: String,
    kid: Option<String>,
    now: Duration,
}

impl Flight {
    fn new(fetcher: &Fetcher, entry: &Arc<Entry>, url: &str, wanted: Wanted<'_>) -> Self {
        Self {
            fetcher: fetcher.clone(),
            entry: Arc::clone(entry),
            url: url.to_owned(),
            kid: wanted.kid.map(str::to_owned),
            now: wanted.now,
        }
    }

    /// Takes off unless another does: a flight of its own, which a caller who
    /// leaves does not end.
    fn take_off(self) -> Option<JoinHandle<()>> {
        let free = Arc::clone(&self.entry.flight).try_lock_owned();
        free.ok().map(|guard| tokio::spawn(self.fly(guard)))
    }

    async fn fly(self, _guard: OwnedMutexGuard<()>) {
        // Another flight may have landed between looking and taking off.
        let wanted = Wanted {
            kid: self.kid.as_deref(),
            now: self.now,
        };
        if let Next::Use(_) | Next::Refuse(_) = self.entry.state().next(wanted) {
            return;
        }
        let outcome = self.ask().await;
        let mut state = self
            .entry
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        state.asked = Some(self.now);
        match outcome {
            Ok(kept) => {
                state.kept = Some(kept);
                state.failed = None;
            }
            Err(error) => {
                let host = url::Url::parse(&self.url)
                    .map(|url| place(&url))
                    .unwrap_or_default();
                tracing::warn!(%host, cause = %error, "could not fetch a key set");
                state.failed = Some(error);
            }
        }
    }

    async fn ask(&self) -> Result<Kept, FetchError> {
        let accept = "application/jwk-set+json, application/json";
        let fetched = self.fetcher.get(&self.url, MAX_SET_BYTES, accept).await?;
        if fetched.status != 200 {
            return Err(FetchError::Status(fetched.status));
        }
        let keys = KeySet::parse(&fetched.body).map_err(|_| FetchError::Content)?;
        let fresh = fresh(fetched.cache_control.as_deref());
        Ok(Kept {
            keys: Arc::new(keys),
            fetched: self.now,
            fresh_until: self.now + fresh,
        })
    }
}

/// How long a set is fresh by what its server says.
fn fresh(cache_control: Option<&str>) -> Duration {
    let mut fresh = FRESH;
    for directive in cache_control.unwrap_or_default().split(',') {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return MIN_FRESH,
            "max-age" => {
                let seconds = value
                    .trim()
                    .trim_matches('"')
                    .parse()
                    .map_or(FRESH, Duration::from_secs);
                fresh = seconds.clamp(MIN_FRESH, MAX_FRESH);
            }
            _ => {}
        }
    }
    fresh
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_freshness_is_kept_within_bounds() {
        let seconds = |text: &str| fresh(Some(text)).as_secs();

        assert_eq!(fresh(None), FRESH);
        assert_eq!(seconds("public, max-age=600"), 600);
        assert_eq!(seconds("Max-Age=\"120\", must-revalidate"), 120);
        assert_eq!(seconds("max-age=0"), 60);
        assert_eq!(seconds("max-age=99999999"), 3600);
        assert_eq!(seconds("max-age=600, no-store"), 60);
        assert_eq!(seconds("max-age=-1"), 300);
    }

    #[test]
    fn a_set_in_a_registration_is_read_once_and_a_bad_one_never() {
        let sets = KeySets::default();
        let document = serde_json::json!({"keys": []});

        let (first, second) = (
            sets.inline(&document).unwrap(),
            sets.inline(&document).unwrap(),
        );

        assert!(Arc::ptr_eq(&first, &second));
        assert!(sets.inline(&serde_json::json!({"keys": 1})).is_none());
        assert!(sets.inline(&serde_json::json!([])).is_none());
    }
}
