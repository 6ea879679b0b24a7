//! The one way out to the network: https to addresses that were checked,
//! within limits of time and size, and never where an answer points.
//!
//! 1. `reach` decides what may be called, `address` what is public.
//! 2. `resolver` pins the connection to addresses that were decided on.
//! 3. `key_set` keeps the key sets that clients publish.
//! 4. What is sent, as messages of the outbox, has places of its own, and each
//!    address is left alone for itself where it fails.

mod address;
mod key_set;
mod reach;
mod resolver;

pub(crate) use self::key_set::COOLDOWN;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER,
};
use moka::sync::Cache;
use serde_json::Value;
use symbolon_token::Secret;
use symbolon_token::jose::KeySet;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

use self::key_set::KeySets;
use self::reach::Reach;
use self::resolver::{Guarded, Lookup, NotAdmitted, SystemLookup};
use crate::config::Config;

/// Why a call brought nothing. No case shows an address: it may hold secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// The address, or one that its name stands for, may not be called.
    #[error("the address may not be called")]
    Address,
    /// The host, or the address that something is sent to, did not answer a moment
    /// ago.
    #[error("the host did not answer a moment ago")]
    CoolingDown,
    /// Too many calls are under way.
    #[error("too many calls are under way")]
    Busy,
    /// No connection, or it broke.
    #[error("the host could not be reached")]
    Unreachable,
    /// No whole answer in time.
    #[error("the answer took too long")]
    TooSlow,
    /// More bytes than were asked for, under this status.
    #[error("the answer is too large")]
    TooLarge(u16),
    /// Another status than the one that was needed.
    #[error("the answer has status {0}")]
    Status(u16),
    /// An answer that is not what was asked for.
    #[error("the answer is not a key set")]
    Content,
    /// This machine has no trusted authorities, or they cannot be read.
    #[error("no trusted certificate authorities could be loaded")]
    Trust,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    pub(crate) cache_control: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) retry_after: Option<String>,
}

/// Something to be sent.
pub(crate) struct Outgoing<'a> {
    pub(crate) url: &'a str,
    pub(crate) content_type: &'static str,
    /// The language of what people read in the body, if they do.
    pub(crate) content_language: Option<&'static str>,
    pub(crate) accept: &'static str,
    /// What the receiver wants to be shown in `Authorization`.
    pub(crate) authorization: Option<&'a Secret>,
    pub(crate) body: String,
    /// How many bytes the answer may have.
    pub(crate) limit_bytes: usize,
}

/// How long and how much.
#[derive(Clone, Copy, Debug)]
struct Limits {
    connect: Duration,
    total: Duration,
    cooldown: Duration,
    calls: usize,
    /// What is sent has places of its own: receivers that are slow never keep
    /// a key set from being fetched.
    sends: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            total: Duration::from_secs(5),
            cooldown: Duration::from_secs(2),
            calls: 16,
            sends: 64,
        }
    }
}

/// The fetcher. Clones share connections, limits and what is remembered.
#[derive(Clone)]
pub(crate) struct Fetcher {
    outbound: Arc<Outbound>,
    key_sets: Arc<KeySets>,
}

impl Fetcher {
    /// Reads the authorities that are trusted besides the machine's own.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let mut roots = Vec::new();
        for path in &config.trust_extra_ca {
            let shown = path.display();
            let pem = std::fs::read(path)
                .map_err(|error| format!("could not read `{shown}`: {error}"))?;
            let read = reqwest::Certificate::from_pem_bundle(&pem);
            let read = read.ok().filter(|read| !read.is_empty());
            roots.extend(
                read.ok_or_else(|| format!("`{shown}` holds no certificates in PEM form"))?,
            );
        }
        let reach = Reach::new(&config.issuer, &config.outbound_allow);
        Ok(Self::with(
            reach,
            roots,
            Arc::new(SystemLookup),
            Limits::default(),
        ))
    }

    fn with(
        reach: Reach,
        roots: Vec<reqwest::Certificate>,
        lookup: Arc<dyn Lookup>,
        limits: Limits,
    ) -> Self {
        let outbound = Outbound {
            failing: Cache::builder()
                .max_capacity(1000)
                .time_to_live(limits.cooldown)
                .build(),
            permits: Semaphore::new(limits.calls),
            sending: Semaphore::new(limits.sends),
            client: OnceLock::new(),
            reach: Arc::new(reach),
            roots,
            lookup,
            limits,
        };
        Self {
            outbound: Arc::new(outbound),
            key_sets: Arc::default(),
        }
    }

    /// Asks for what is at an address. Redirects are answers, not ways.
    pub(crate) async fn get(
        &self,
        url: &str,
        limit_bytes: usize,
        accept: &str,
    ) -> Result<Fetched, FetchError> {
        self.outbound.get(url, limit_bytes, accept).await
    }

    /// Sends something to an address. Redirects are answers, not ways.
    pub(crate) async fn post(&self, outgoing: &Outgoing<'_>) -> Result<Fetched, FetchError> {
        self.outbound.post(outgoing).await
    }

    /// Whether an address may be called, as far as that can be told without
    /// asking for its name.
    pub(crate) fn admits(&self, url: &str) -> bool {
        self.outbound.reach.admit_url(url).is_some()
    }

    /// The key set that is published at an address, from memory where it is
    /// young enough and knows the wanted key.
    pub(crate) async fn key_set(
        &self,
        url: &str,
        wanted_kid: Option<&str>,
        now: Duration,
    ) -> Result<Arc<KeySet>, FetchError> {
        self.key_sets
            .find(
                self,
                url,
                key_set::Wanted {
                    kid: wanted_kid,
                    now,
                },
            )
            .await
    }

    /// The same for those who tell apart a key that does not exist and one that
    /// nobody can look for now: a set that lacks the wanted key was asked for at
    /// `now` or later, or it is an error.
    pub(crate) async fn key_set_knowing(
        &self,
        url: &str,
        wanted_kid: Option<&str>,
        now: Duration,
    ) -> Result<Arc<KeySet>, FetchError> {
        let wanted = key_set::Wanted {
            kid: wanted_kid,
            now,
        };
        self.key_sets.find_knowing(self, url, wanted).await
    }

    /// The key set that is kept of an address. Nobody waits for one: what is no
    /// longer fresh is renewed meanwhile.
    pub(crate) fn kept_key_set(&self, url: &str, now: Duration) -> Option<Arc<KeySet>> {
        let wanted = key_set::Wanted { kid: None, now };
        self.key_sets.kept(self, url, wanted)
    }

    /// A key set that a client was registered with, read once.
    pub(crate) fn inline_key_set(&self, document: &Value) -> Option<Arc<KeySet>> {
        self.key_sets.inline(document)
    }
}

/// The connections and their limits.
struct Outbound {
    reach: Arc<Reach>,
    roots: Vec<reqwest::Certificate>,
    lookup: Arc<dyn Lookup>,
    limits: Limits,
    client: OnceLock<reqwest::Client>,
    permits: Semaphore,
    sending: Semaphore,
    failing: Cache<String, ()>,
}

impl Outbound {
    async fn get(
        &self,
        url: &str,
        limit_bytes: usize,
        accept: &str,
    ) -> Result<Fetched, FetchError> {
        let url = self.reach.admit_url(url).ok_or(FetchError::Address)?;
        let place = place(&url);
        let ask = |client: &reqwest::Client| client.get(url).header(ACCEPT, accept);
        self.within(&self.permits, place, ask, limit_bytes).await
    }

    async fn post(&self, outgoing: &Outgoing<'_>) -> Result<Fetched, FetchError> {
        let url = self.reach.admit_url(outgoing.url);
        let url = url.ok_or(FetchError::Address)?;
        // One receiver that hangs says nothing of the others at its host.
        let place = url.as_str().to_owned();
        let shown = outgoing.authorization.map(shown_in_header).transpose()?;
        let ask = |client: &reqwest::Client| {
            let request = client
                .post(url)
                .header(ACCEPT, outgoing.accept)
                .header(CONTENT_TYPE, outgoing.content_type);
            let request = match outgoing.content_language {
                Some(language) => request.header(CONTENT_LANGUAGE, language),
                None => request,
            };
            let request = match shown {
                Some(shown) => request.header(AUTHORIZATION, shown),
                None => request,
            };
            request.body(outgoing.body.clone())
        };
        self.within(&self.sending, place, ask, outgoing.limit_bytes)
            .await
    }

    /// Calls within the limits, unless the place failed a moment ago: a host, or
    /// the whole address of what is sent.
    async fn within(
        &self,
        permits: &Semaphore,
        place: String,
        ask: impl FnOnce(&reqwest::Client) -> reqwest::RequestBuilder,
        limit_bytes: usize,
    ) -> Result<Fetched, FetchError> {
        if self.failing.contains_key(&place) {
            return Err(FetchError::CoolingDown);
        }
        let permit = timeout(self.limits.connect, permits.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            return Err(FetchError::Busy);
        };
        let request = ask(self.client()?);
        let call = timeout(self.limits.total, call(request, limit_bytes));
        let outcome = call.await.unwrap_or(Err(FetchError::TooSlow));
        if let Err(FetchError::Unreachable | FetchError::TooSlow) = outcome {
            self.failing.insert(place, ());
        }
        outcome
    }

    /// The client, made at the first call: a server that calls nobody needs no
    /// authorities and reads none.
    fn client(&self) -> Result<&reqwest::Client, FetchError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let made = self.build().map_err(|error| {
            tracing::error!(cause = %error, "outbound calls cannot be made");
            FetchError::Trust
        })?;
        Ok(self.client.get_or_init(|| made))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one outbound fetcher that the lint points to"
    )]
    fn build(&self) -> reqwest::Result<reqwest::Client> {
        reqwest::Client::builder()
            .tls_backend_rustls()
            .tls_certs_merge(self.roots.iter().cloned())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(Arc::new(Guarded {
                reach: Arc::clone(&self.reach),
                lookup: Arc::clone(&self.lookup),
            }))
            .connect_timeout(self.limits.connect)
            .timeout(self.limits.total)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent("symbolon")
            .build()
    }
}

/// Asks, and reads the answer within its limit.
async fn call(request: reqwest::RequestBuilder, limit_bytes: usize) -> Result<Fetched, FetchError> {
    let mut response = request.send().await.map_err(|e| cause(&e))?;
    let status = response.status().as_u16();
    let said = |name| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let cache_control = said(CACHE_CONTROL).map(str::to_owned);
    let content_type = said(CONTENT_TYPE).map(str::to_owned);
    let retry_after = said(RETRY_AFTER).map(str::to_owned);
    if response
        .content_length()
        .is_some_and(|length| length > limit_bytes as u64)
    {
        return Err(FetchError::TooLarge(status));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| cause(&e))? {
        if body.len() + chunk.len() > limit_bytes {
            return Err(FetchError::TooLarge(status));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Fetched {
        status,
        body: body.into(),
        cache_control,
        content_type,
        retry_after,
    })
}

/// A value that no log shows.
fn shown_in_header(secret: &Secret) -> Result<http::HeaderValue, FetchError> {
    let value = http::HeaderValue::from_bytes(secret.expose());
    let mut value = value.map_err(|_| FetchError::Content)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Host and port: where one key set cannot be had, no other of its host can.
fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    format!("{host}:{}", url.port_or_known_default().unwrap_or_default())
}

/// What went wrong, without the address that the library's own error shows.
fn cause(error: &reqwest::Error) -> FetchError {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if inner.is::<NotAdmitted>() {
            return FetchError::Address;
        }
        source = inner.source();
    }
    if error.is_timeout() {
        FetchError::TooSlow
    } else {
        FetchError::Unreachable
    }
}

#[cfg(test)]
mod tests;
