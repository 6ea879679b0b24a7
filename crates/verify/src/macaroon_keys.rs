//! The root keys of this resource's macaroons: fetched from the issuer as the
//! client that may introspect, kept for a while, and never shown.

use std::collections::HashMap;
use std::sync::Arc;
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

/// The keys of one resource.
pub(crate) struct MacaroonKeys {
    discovery: Arc<Discovery>,
    http: Http,
    clock: Arc<dyn Clock>,
    issuer: String,
    held: ArcSwapOption<Held>,
    /// Held while somebody asks; inside, when somebody last did.
    turn: Mutex<Option<Duration>>,
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
            held: ArcSwapOption::empty(),
            turn: Mutex::new(None),
        }
    }

    /// The key with a name, fetched where it is not known or too old.
    pub(crate) async fn find(
        &self,
        as_whom: &Credentials,
        resource: &str,
        id: &str,
    ) -> Result<Given, NotGiven> {
        if let Some(given) = self.within(MAX_AGE, id) {
            return Ok(given);
        }
        let mut turn = self.turn.lock().await;
        if let Some(given) = self.within(MAX_AGE, id) {
            return Ok(given);
        }
        let now = self.clock.monotonic();
        if turn.is_none_or(|last| now.saturating_sub(last) >= PAUSE) {
            let asked = tokio::time::timeout(TOTAL_TIMEOUT, self.ask(as_whom, resource, now)).await;
            *turn = Some(now);
            if let Ok(Ok(held)) = asked {
                self.held.store(Some(Arc::new(held)));
                return self.within(MAX_AGE, id).ok_or(NotGiven::Unknown);
            }
        }
        if let Some(given) = self.within(MAX_STALE, id) {
            return Ok(given);
        }
        // What was fetched lately and does not name it says that it is none.
        match self.held.load_full() {
            Some(held) if now.saturating_sub(held.at) < MAX_AGE => Err(NotGiven::Unknown),
            _ => Err(NotGiven::CannotKnow),
        }
    }

    fn within(&self, age: Duration, id: &str) -> Option<Given> {
        let held = self.held.load_full()?;
        let now = self.clock.monotonic();
        (now.saturating_sub(held.at) < age).then(|| held.find(id))?
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
