//! The root keys of a resource's macaroons: fetched from the issuer as the client
//! that may introspect, kept for a while and for each resource, and never shown.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use symbolon_token::macaroon::SharedKey;
use symbolon_token::seal::Bound;
use symbolon_token::{Clock, Secret};
use tokio::sync::Mutex;
use url::form_urlencoded::Serializer;

use crate::discovery::Discovery;
use crate::fetch::{FetchError, Http, TOTAL_TIMEOUT};
use crate::introspection::Credentials;

/// After how long they are fetched again.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);
/// How old they may be while the issuer is away: the next key is among them.
const MAX_STALE: Duration = Duration::from_secs(60 * 60);
/// How often a name that is not known may lead to a question.
const PAUSE: Duration = Duration::from_secs(5);
/// How many keys an answer may have.
const MAX_KEYS: usize = 2048;

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotGiven {
    /// The issuer names no such key.
    Unknown,
    /// The issuer does not answer.
    CannotKnow,
}

/// A key, and the epoch that it is of.
pub(crate) struct Given {
    epoch: i64,
    key: Arc<SharedKey>,
}

impl Given {
    pub(crate) fn key(&self) -> &SharedKey {
        &self.key
    }

    pub(crate) fn bound<'a>(&self, issuer: &'a str) -> Bound<'a> {
        Bound {
            issuer,
            epoch: self.epoch,
        }
    }
}

struct Held {
    at: Duration,
    epoch: i64,
    keys: HashMap<String, Arc<SharedKey>>,
}

impl Held {
    fn find(&self, id: &str) -> Option<Given> {
        let key = Arc::clone(self.keys.get(id)?);
        Some(Given {
            epoch: self.epoch,
            key,
        })
    }
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    resource: String,
    epoch: i64,
    keys: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    key: String,
}

/// The keys of every resource of an issuer that somebody here has asked for.
pub(crate) struct MacaroonKeys {
    discovery: Arc<Discovery>,
    http: Http,
    clock: Arc<dyn Clock>,
    issuer: String,
    /// Only what a verifier was told is its own: that is a bound.
    resources: RwLock<HashMap<String, Arc<OfResource>>>,
}

/// The keys of one resource.
#[derive(Default)]
struct OfResource {
    held: ArcSwapOption<Held>,
    /// Held while somebody asks; inside, when somebody last did.
    turn: Mutex<Option<Duration>>,
}

impl OfResource {
    fn within(&self, now: Duration, age: Duration, id: &str) -> Option<Given> {
        let held = self.held.load_full()?;
        (now.saturating_sub(held.at) < age).then(|| held.find(id))?
    }
}

impl MacaroonKeys {
    pub(crate) fn new(
        discovery: Arc<Discovery>,
        http: Http,
        clock: Arc<dyn Clock>,
        issuer: &str,
    ) -> Self {
        Self {
            discovery,
            http,
            clock,
            issuer: issuer.to_owned(),
            resources: RwLock::default(),
        }
    }

    /// What is known of a resource. A key of one is no key of another: names of
    /// keys are the same everywhere, and whoever has a key can mint.
    fn of(&self, resource: &str) -> Arc<OfResource> {
        let known = self
            .resources
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = known.get(resource) {
            return Arc::clone(own);
        }
        drop(known);
        let mut known = self
            .resources
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(resource.to_owned()).or_default())
    }

    /// The key of a resource with a name, fetched where it is not known or too
    /// old.
    pub(crate) async fn find(
        &self,
        as_whom: &Credentials,
        resource: &str,
        id: &str,
    ) -> Result<Given, NotGiven> {
        let of = self.of(resource);
        if let Some(given) = of.within(self.clock.monotonic(), MAX_AGE, id) {
            return Ok(given);
        }
        let mut turn = of.turn.lock().await;
        let now = self.clock.monotonic();
        if let Some(given) = of.within(now, MAX_AGE, id) {
            return Ok(given);
        }
        if turn.is_none_or(|last| now.saturating_sub(last) >= PAUSE) {
            let asked = tokio::time::timeout(TOTAL_TIMEOUT, self.ask(as_whom, resource, now)).await;
            *turn = Some(now);
            if let Ok(Ok(held)) = asked {
                of.held.store(Some(Arc::new(held)));
                let given = of.within(self.clock.monotonic(), MAX_AGE, id);
                return given.ok_or(NotGiven::Unknown);
            }
        }
        if let Some(given) = of.within(now, MAX_STALE, id) {
            return Ok(given);
        }
        // What was fetched lately and does not name it says that it is none.
        match of.held.load_full() {
            Some(held) if now.saturating_sub(held.at) < MAX_AGE => Err(NotGiven::Unknown),
            _ => Err(NotGiven::CannotKnow),
        }
    }

    async fn ask(
        &self,
        as_whom: &Credentials,
        resource: &str,
        now: Duration,
    ) -> Result<Held, FetchError> {
        let found = self.discovery.find().await?;
        let endpoint = found
            .macaroon_keys_endpoint
            .as_deref()
            .ok_or(FetchError::Malformed("metadata with keys of macaroons"))?;
        let form = Serializer::new(String::new())
            .append_pair("resource", resource)
            .finish();
        let answer = self.http.send(endpoint, &as_whom.basic(), form).await?;
        self.read(&answer.body, resource, now)
            .ok_or(FetchError::Malformed("keys of macaroons"))
    }

    fn read(&self, body: &[u8], resource: &str, now: Duration) -> Option<Held> {
        let document: Document = serde_json::from_slice(body).ok()?;
        let is_ours = document.issuer == self.issuer && document.resource == resource;
        if !is_ours || document.keys.len() > MAX_KEYS {
            return None;
        }
        let mut keys = HashMap::new();
        for entry in document.keys {
            let secret = Secret::from(entry.key);
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(secret.expose()).ok()?;
            let key = SharedKey::from_secret(&entry.id, &Secret::new(bytes))?;
            keys.insert(entry.id, Arc::new(key));
        }
        Some(Held {
            at: now,
            epoch: document.epoch,
            keys,
        })
    }
}
