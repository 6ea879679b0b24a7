//! Documents by which clients describe themselves, read from where their
//! identifiers point, and kept for as long as their servers say, within bounds.
//!
//! - One document is asked for by one caller at a time; few are under way at
//!   once, in places of their own (`places`), so a flood of made-up clients keeps
//!   no key set from being read.
//! - What could not be had is not asked for again at once, and never takes the
//!   place of a document that is kept. What its server takes away is gone.
//! - One answer for all that goes wrong, so nobody learns about a network by
//!   naming clients.
//!
//! Spec: draft-ietf-oauth-client-id-metadata-document-02 §4.1, §4.3, §6
//! Spec: RFC 9111 §5.2.2.1

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use serde_json::{Map, Value};
use symbolon_protocol::self_description::{self, Told};
use symbolon_protocol::uri::ClientIdUrl;
use symbolon_protocol::{Client, ClientId};
use symbolon_token::jose::json;

use super::places::Places;
use super::terms;
use crate::app::App;
use crate::failure::Broken;
use crate::fetch::{FetchError, Fetched};

/// How large a document may be, in bytes.
pub(crate) const MAX_DOCUMENT_BYTES: usize = 5 * 1024;
/// How many are kept.
const MAX_DOCUMENTS: u64 = 1000;
/// How long one is fresh whose server does not say.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// Bounds for what it says.
const MIN_FRESH: Duration = Duration::from_secs(60);
const MAX_FRESH: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a document serves whose server does not answer.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an address is left alone that brought nothing.
const PAUSE: Duration = Duration::from_secs(10);

type Document = Arc<Map<String, Value>>;

/// The documents that are kept.
pub(crate) struct Documents {
    entries: Cache<String, Arc<Entry>>,
    places: Places,
}

#[derive(Default)]
struct Entry {
    state: Mutex<State>,
    flight: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct State {
    kept: Option<Kept>,
    /// When it could not be had last.
    failed: Option<Duration>,
}

#[derive(Clone)]
struct Kept {
    document: Document,
    fetched: Duration,
    fresh_until: Duration,
}

/// Why a call brought no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoDocument {
    /// Nobody asked, as too many are asking: the next one may.
    Busy,
    /// Nothing can be said of it now: what is kept serves on.
    Away,
    /// It is there no more, or is none: what is kept is void.
    Gone,
}

impl Default for Documents {
    fn default() -> Self {
        Self {
            entries: Cache::new(MAX_DOCUMENTS),
            places: Places::default(),
        }
    }
}

impl Entry {
    fn state(&self) -> State {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clone()
    }

    fn put(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl State {
    fn usable(&self, now: Duration) -> Option<&Kept> {
        let kept = self.kept.as_ref()?;
        (now.saturating_sub(kept.fetched) <= MAX_AGE).then_some(kept)
    }

    /// What serves without asking: what is fresh, and after a failure what is
    /// left. `Some(None)` says that nothing does, and nobody is asked.
    fn without_asking(&self, now: Duration) -> Option<Option<Document>> {
        let kept = self.usable(now);
        let is_fresh = kept.is_some_and(|kept| now < kept.fresh_until);
        let rests = self
            .failed
            .is_some_and(|failed| now.saturating_sub(failed) < PAUSE);
        let document = kept.map(|kept| Arc::clone(&kept.document));
        (is_fresh || rests).then_some(document)
    }
}

impl Documents {
    /// The client that the document at an address describes.
    pub(crate) async fn client(
        &self,
        app: &App,
        id: &ClientId,
        url: &ClientIdUrl,
    ) -> Result<Client, Broken> {
        let document = self.find(app, url).await.ok_or(Broken::Document)?;
        read(app, &document, id).ok_or(Broken::Document)
    }

    /// The same, as far as it is kept.
    pub(crate) fn kept(&self, app: &App, id: &ClientId, url: &ClientIdUrl) -> Option<Client> {
        let state = self.entries.get(url.as_str())?.state();
        let kept = state.usable(app.edge.clock.monotonic())?;
        read(app, &kept.document, id)
    }

    async fn find(&self, app: &App, url: &ClientIdUrl) -> Option<Document> {
        let entry = self.entries.get_with_by_ref(url.as_str(), Arc::default);
        let now = app.edge.clock.monotonic();
        if let Some(found) = entry.state().without_asking(now) {
            return found;
        }
        let _flight = entry.flight.lock().await;
        // Whoever flew before may have brought it.
        if let Some(found) = entry.state().without_asking(now) {
            return found;
        }
        let asked = self.ask(app, url).await;
        let before = entry.state();
        let state = match asked {
            Ok((document, fresh)) => State {
                kept: Some(Kept {
                    document,
                    fetched: now,
                    fresh_until: now + fresh,
                }),
                failed: None,
            },
            Err(NoDocument::Busy) => before,
            Err(NoDocument::Away) => State {
                failed: Some(now),
                ..before
            },
            Err(NoDocument::Gone) => State {
                kept: None,
                failed: Some(now),
            },
        };
        let found = state.usable(now).map(|kept| Arc::clone(&kept.document));
        entry.put(state);
        found
    }

    async fn ask(&self, app: &App, url: &ClientIdUrl) -> Result<(Document, Duration), NoDocument> {
        let Some(_place) = self.places.take(url.host()) else {
            return Err(NoDocument::Busy);
        };
        let asked = app
            .fetcher
            .get(url.as_str(), MAX_DOCUMENT_BYTES, "application/json")
            .await;
        let brought = match asked {
            Ok(ref fetched) => judge(fetched, url.as_str()),
            Err(FetchError::TooLarge(_)) => Err(NoDocument::Gone),
            Err(_) => Err(NoDocument::Away),
        };
        match &brought {
            Ok(_) => tracing::info!(host = url.host(), "read a client's document"),
            Err(why) => {
                tracing::info!(host = url.host(), ?why, cause = ?asked.err(), "a client's document could not be had");
            }
        }
        brought
    }
}

fn read(app: &App, document: &Map<String, Value>, id: &ClientId) -> Option<Client> {
    let terms = terms(app);
    let client = self_description::client(document, id.clone(), (Told::Document, &terms));
    let client = client.ok()?;
    let uri = client.jwks_uri.as_deref();
    uri.is_none_or(|uri| may_be_asked(app, uri))
        .then_some(client)
}

/// Whether keys that a stranger names may be read: over https on the usual
/// port, where that is not development.
pub(crate) fn may_be_asked(app: &App, uri: &str) -> bool {
    let is_usual = url::Url::parse(uri).is_ok_and(|url| url.port().is_none());
    app.fetcher.admits(uri) && (is_usual || app.settings().issuer.is_plain_http())
}

/// The document of an answer, and how long it is fresh.
pub(crate) fn judge(fetched: &Fetched, address: &str) -> Result<(Document, Duration), NoDocument> {
    match fetched.status {
        200 => {}
        // A server that is overloaded or broken says nothing of the document.
        429 | 500.. => return Err(NoDocument::Away),
        _ => return Err(NoDocument::Gone),
    }
    let kind = fetched.content_type.as_deref().unwrap_or_default();
    let document = parse(&fetched.body, kind, address).ok_or(NoDocument::Gone)?;
    Ok((Arc::new(document), fresh(fetched.cache_control.as_deref())))
}

/// Reads a document, which has to say that it is this very client's.
fn parse(body: &[u8], content_type: &str, address: &str) -> Option<Map<String, Value>> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    let is_json =
        kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json");
    if !is_json || body.len() > MAX_DOCUMENT_BYTES {
        return None;
    }
    let document = json::object(body).ok()?;
    let is_own = document.get("client_id").and_then(Value::as_str) == Some(address);
    is_own.then_some(document)
}

/// How long a document is fresh by what its server says.
fn fresh(cache_control: Option<&str>) -> Duration {
    let mut fresh = FRESH;
    for directive in cache_control.unwrap_or_default().split(',') {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return MIN_FRESH,
            "max-age" => {
                let value = value.trim().trim_matches('"');
                let seconds = value.parse().map_or(FRESH, Duration::from_secs);
                fresh = seconds.clamp(MIN_FRESH, MAX_FRESH);
            }
            _ => {}
        }
    }
    fresh
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AT: &str = "https://app.example.com/client";

    fn answer(status: u16, content_type: &str, body: &str) -> Fetched {
        Fetched {
            status,
            body: body.to_owned().into(),
            cache_control: None,
            content_type: Some(content_type.to_owned()),
            retry_after: None,
        }
    }

    /// Attack: I243
    #[test]
    fn a_document_says_whose_it_is_byte_for_byte() {
        let of = |id: &str| {
            let body = json!({ "client_id": id }).to_string();
            judge(&answer(200, "application/json", &body), AT).is_ok()
        };

        assert!(of(AT));
        for other in [
            "https://app.example.com/Client",
            "https://app.example.com/client/",
            "https://app.example.com/client?",
            "https://evil.example/client",
            "",
        ] {
            assert!(!of(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_document_is_gone_and_what_is_away_says_nothing() {
        let good = json!({ "client_id": AT }).to_string();
        let of = |status, kind: &str, body: &str| judge(&answer(status, kind, body), AT).err();

        assert_eq!(of(200, "application/json; charset=utf-8", &good), None);
        assert_eq!(of(200, "application/client+json", &good), None);
        for (status, kind, body) in [
            (200, "text/html", good.as_str()),
            (200, "", &good),
            (302, "application/json", &good),
            (404, "application/json", &good),
            (200, "application/json", "{"),
            (200, "application/json", "[]"),
            (
                200,
                "application/json",
                r#"{"client_id":"x","client_id":"https://app.example.com/client"}"#,
            ),
        ] {
            assert_eq!(
                of(status, kind, body),
                Some(NoDocument::Gone),
                "{status} {kind} {body}"
            );
        }
        for status in [429, 500, 503] {
            assert_eq!(
                of(status, "application/json", &good),
                Some(NoDocument::Away)
            );
        }
        let large = json!({ "client_id": AT, "x": "x".repeat(MAX_DOCUMENT_BYTES) }).to_string();
        assert_eq!(of(200, "application/json", &large), Some(NoDocument::Gone));
    }

    /// Attack: I247
    #[test]
    fn freshness_is_kept_within_a_day_and_failures_are_never_kept() {
        let seconds = |text: &str| fresh(Some(text)).as_secs();
        assert_eq!(fresh(None), FRESH);
        assert_eq!(seconds("max-age=600"), 600);
        assert_eq!(seconds("max-age=99999999"), 86_400);
        assert_eq!(seconds("max-age=0"), 60);
        assert_eq!(seconds("max-age=600, no-store"), 60);

        let (now, later) = (Duration::from_secs(1000), Duration::from_secs(1011));
        let failed = State {
            kept: None,
            failed: Some(now),
        };
        assert_eq!(failed.without_asking(now), Some(None));
        assert_eq!(failed.without_asking(later), None);
    }

    #[test]
    fn a_document_serves_on_for_a_day_while_its_server_is_away() {
        let hour = Duration::from_secs(3600);
        let kept = Kept {
            document: Arc::default(),
            fetched: hour,
            fresh_until: hour + FRESH,
        };
        let away = |failed| State {
            kept: Some(kept.clone()),
            failed: Some(failed),
        };

        assert!(away(hour * 2).without_asking(hour * 2).unwrap().is_some());
        assert!(away(hour * 30).without_asking(hour * 30).unwrap().is_none());
    }
}
