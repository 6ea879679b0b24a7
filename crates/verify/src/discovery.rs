//! Where the issuer's endpoints are: its metadata, found once and kept.
//!
//! Spec: RFC 8414 §3
//! Spec: OpenID Connect Discovery 1.0 §4

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use symbolon_protocol::Issuer;
use symbolon_protocol::metadata::{ServerMetadata, addresses};
use symbolon_token::Clock;

use crate::fetch::{FetchError, Http, TOTAL_TIMEOUT, checked};

/// After how long the metadata is read again.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// For how long a failure stands for the next attempts too.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// The addresses that are used here.
#[derive(Debug)]
pub(crate) struct Found {
    at: Duration,
    pub(crate) jwks_uri: String,
    pub(crate) introspection_endpoint: Option<String>,
    pub(crate) macaroon_keys_endpoint: Option<String>,
    pub(crate) revocations_endpoint: Option<String>,
    pub(crate) revocations_jwks_uri: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Discovery {
    issuer: Issuer,
    http: Http,
    clock: Arc<dyn Clock>,
    found: ArcSwapOption<Found>,
    /// Held while somebody asks; inside, when that last failed.
    turn: tokio::sync::Mutex<Option<(Duration, FetchError)>>,
}

impl Discovery {
    pub(crate) fn new(issuer: Issuer, http: Http, clock: Arc<dyn Clock>) -> Self {
        Self {
            issuer,
            http,
            clock,
            found: ArcSwapOption::empty(),
            turn: tokio::sync::Mutex::new(None),
        }
    }

    /// The addresses, asked for by one caller at a time. What was found once
    /// serves on where asking again fails.
    pub(crate) async fn find(&self) -> Result<Arc<Found>, FetchError> {
        if let Some(found) = self.fresh() {
            return Ok(found);
        }
        let mut failed = self.turn.lock().await;
        if let Some(found) = self.fresh() {
            return Ok(found);
        }
        let now = self.clock.monotonic();
        if let Some((at, why)) = &*failed
            && now.saturating_sub(*at) < FAILURE_PAUSE
        {
            return self.found.load_full().ok_or_else(|| why.clone());
        }
        let asked = tokio::time::timeout(TOTAL_TIMEOUT, self.ask(now)).await;
        match asked.unwrap_or(Err(FetchError::Unreachable)) {
            Ok(found) => {
                let found = Arc::new(found);
                self.found.store(Some(Arc::clone(&found)));
                *failed = None;
                Ok(found)
            }
            Err(why) => {
                *failed = Some((self.clock.monotonic(), why.clone()));
                self.found.load_full().ok_or(why)
            }
        }
    }

    fn fresh(&self) -> Option<Arc<Found>> {
        let now = self.clock.monotonic();
        let found = self.found.load_full()?;
        (now.saturating_sub(found.at) < MAX_AGE).then_some(found)
    }

    /// Where an address has no document of this issuer, the next one may: servers
    /// answer paths that they do not know with a page, and 200.
    async fn ask(&self, now: Duration) -> Result<Found, FetchError> {
        let mut told = None;
        for address in addresses(&self.issuer) {
            let why = match self.http.read(&address).await {
                Ok(answer) => match self.read(&answer.body, now) {
                    Ok(found) => return Ok(found),
                    Err(why) => why,
                },
                Err(FetchError::Unreachable) => return Err(FetchError::Unreachable),
                Err(why) => why,
            };
            // What is wrong with a document says more than that there is none.
            let says_more = !matches!(why, FetchError::Status(_));
            if told.is_none() || says_more {
                told = Some(why);
            }
        }
        Err(told.unwrap_or(FetchError::Unreachable))
    }

    fn read(&self, body: &[u8], now: Duration) -> Result<Found, FetchError> {
        let metadata: ServerMetadata = serde_json::from_slice(body)
            .map_err(|_| FetchError::Malformed("a metadata document"))?;
        if metadata.issuer != self.issuer.as_str() {
            return Err(FetchError::Malformed("the metadata of this issuer"));
        }
        let jwks_uri = metadata
            .jwks_uri
            .ok_or(FetchError::Malformed("metadata with a `jwks_uri`"))?;
        let used = [
            Some(&jwks_uri),
            metadata.introspection_endpoint.as_ref(),
            metadata.macaroon_keys_endpoint.as_ref(),
            metadata.revocations_endpoint.as_ref(),
            metadata.revocations_jwks_uri.as_ref(),
        ];
        for address in used.into_iter().flatten() {
            // Plain http on this machine is for an issuer that is here itself.
            if checked(address)?.scheme() == "http" && !self.issuer.is_plain_http() {
                return Err(FetchError::Address(address.clone()));
            }
        }
        Ok(Found {
            at: now,
            jwks_uri,
            introspection_endpoint: metadata.introspection_endpoint,
            macaroon_keys_endpoint: metadata.macaroon_keys_endpoint,
            revocations_endpoint: metadata.revocations_endpoint,
            revocations_jwks_uri: metadata.revocations_jwks_uri,
        })
    }
}
