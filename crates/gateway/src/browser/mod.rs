//! The browser's back end: people sign in here, and their tokens stay here. A
//! browser holds one cookie, and no script can read it.
//!
//! Spec: RFC 10017 §6.1
//!
//! | path, below the configured one | method | is |
//! |---|---|---|
//! | `/sign-in` | GET | sends a person to the issuer (`sign_in`) |
//! | `/callback` | GET | takes them back, and opens a session (`callback`) |
//! | `/session` | GET | says who is signed in (`session`) |
//! | `/sign-out` | POST | ends the session here and at the issuer (`sign_out`) |
//! | `/back-channel-logout` | POST | the issuer says that somebody has gone (`logged_out`) |
//!
//! On a route with `browser`, `enter` puts the access token of the session in
//! place of the cookie, before anything is judged; `renew` gets another when it
//! runs out, and `open` ends what is open when the session does.

mod callback;
mod cookie;
mod enter;
mod forgery;
mod held;
mod logged_out;
mod open;
mod page;
mod purge;
mod recent;
mod renew;
mod session;
mod sign_in;
mod sign_out;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use symbolon_client::sign_in::{Provider, Registration};
use symbolon_store::{BrowserSession, FindBrowserSession};
use symbolon_token::seal::SealingKey;
use symbolon_token::{Digest, Secret, Slot};
use url::Url;

pub(crate) use self::open::Open;
pub(crate) use self::purge::purge;

use self::cookie::{Names, Ticket};
use self::held::Held;
use self::recent::Recent;
use self::renew::Flights;
use crate::body::{Body, Carried, full};
use crate::gateway::{Edge, PlanError};
use crate::problem::{NO_METHOD, Problem, REQUEST_ID};
use crate::settings;

/// How long a sign-in may take a person.
const SIGN_IN: Duration = Duration::from_secs(15 * 60);
/// How large a form may be, in bytes.
const MAX_FORM_BYTES: u64 = 64 * 1024;
/// How long it may take to arrive.
const FORM_PATIENCE: Duration = Duration::from_secs(10);

pub(crate) const NO_SESSION: Problem = Problem::new(
    401,
    "no-session",
    "nobody is signed in here, or the session has ended",
);
pub(super) const UNAVAILABLE: Problem = Problem::new(
    503,
    "session-unknown",
    "nobody can know now whether the session still holds",
);
pub(super) const MISCONFIGURED: Problem = Problem::new(
    502,
    "issuer-refused",
    "the issuer does not let this gateway renew tokens as it is configured to",
);

/// Where people sign in, and what is kept of them. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Browser(Arc<Inner>);

struct Inner {
    settings: settings::Browser,
    provider: Provider,
    names: Names,
    origin: Url,
    /// Seals what a browser keeps during a sign-in; every gateway that has the
    /// client's secret opens it.
    during: SealingKey,
    edge: Edge,
    recent: Recent,
    flights: Mutex<HashMap<renew::Of, Flights>>,
}

/// What is asked of the back end itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    SignIn,
    Callback,
    Session,
    SignOut,
    LoggedOut,
}

impl Browser {
    /// Sets it up.
    pub(crate) fn new(settings: settings::Browser, edge: &Edge) -> Result<Self, PlanError> {
        let origin = Url::parse(&settings.external_url).map_err(|_| PlanError::Browser)?;
        let mut authorities = Vec::new();
        for path in &settings.authorities {
            authorities.push(std::fs::read(path).map_err(|_| PlanError::Browser)?);
        }
        let own = Registration {
            issuer: settings.issuer.clone(),
            client_id: settings.client_id.clone(),
            client_secret: Secret::new(settings.client_secret.expose().to_vec()),
            redirect_uri: format!("{}{}/callback", settings.external_url, settings.path),
            authorities,
        };
        let (clock, entropy) = (Arc::clone(&edge.clock), Arc::clone(&edge.entropy));
        let provider = Provider::new(own, clock, entropy).map_err(|_| PlanError::Browser)?;
        Ok(Self(Arc::new(Inner {
            names: Names::of(&origin),
            during: SealingKey::from_secret(settings.client_secret.expose(), "browser sign-in"),
            provider,
            origin,
            edge: edge.clone(),
            recent: Recent::new(),
            flights: Mutex::new(HashMap::new()),
            settings,
        })))
    }

    /// Whether it was made from these settings.
    pub(crate) fn is_of(&self, settings: &settings::Browser) -> bool {
        self.0.settings.is_like(settings)
    }

    /// What a path asks of it.
    pub(crate) fn asked(&self, path: &str) -> Option<Asked> {
        Some(match path.strip_prefix(&*self.0.settings.path)? {
            "/sign-in" => Asked::SignIn,
            "/callback" => Asked::Callback,
            "/session" => Asked::Session,
            "/sign-out" => Asked::SignOut,
            "/back-channel-logout" => Asked::LoggedOut,
            _ => return None,
        })
    }

    /// Answers.
    pub(crate) async fn answer(
        &self,
        asked: Asked,
        parts: &Parts,
        body: Carried,
        request_id: &str,
    ) -> Response<Body> {
        let method = match asked {
            Asked::SignIn | Asked::Callback | Asked::Session => Method::GET,
            Asked::SignOut | Asked::LoggedOut => Method::POST,
        };
        if parts.method != method {
            return NO_METHOD.answer_allowing(request_id, method.as_str());
        }
        let answer = match asked {
            Asked::SignIn => self.sign_in(parts, request_id).await,
            Asked::Callback => self.callback(parts, request_id).await,
            Asked::Session => self.session(parts).await,
            Asked::SignOut => self.sign_out(parts).await,
            Asked::LoggedOut => self.logged_out(body).await,
        };
        let mut response = answer.unwrap_or_else(|problem| problem.answer(request_id));
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert(REQUEST_ID, id);
        }
        response
    }

    /// The session that a request shows, opened; nothing where there is none.
    async fn find(&self, parts: &Parts) -> Result<Option<(Ticket, BrowserSession, Held)>, Problem> {
        let Some(ticket) = self.0.names.ticket(&parts.headers) else {
            return Ok(None);
        };
        let found = self.open(&ticket).await?;
        Ok(found.map(|(row, held)| (ticket, row, held)))
    }

    /// The same for a call that is passed on, from a moment ago where it was read
    /// then.
    async fn find_recent(
        &self,
        parts: &Parts,
    ) -> Result<Option<(Ticket, BrowserSession, Held)>, Problem> {
        let Some(ticket) = self.0.names.ticket(&parts.headers) else {
            return Ok(None);
        };
        let clock = &self.0.edge.clock;
        let known = self
            .0
            .recent
            .find(&ticket.id, (clock.monotonic(), clock.now()));
        let found = match known {
            Some(row) => opened(&ticket, row),
            None => self.open(&ticket).await?,
        };
        Ok(found.map(|(row, held)| (ticket, row, held)))
    }

    async fn open(&self, ticket: &Ticket) -> Result<Option<(BrowserSession, Held)>, Problem> {
        let clock = &self.0.edge.clock;
        let (asked, now) = (clock.monotonic(), clock.now());
        let find = FindBrowserSession { id: ticket.id, now };
        let found = self.store().read(find).await;
        let Some(row) = found.map_err(unavailable)? else {
            self.0.recent.forget(&ticket.id);
            return Ok(None);
        };
        self.0.recent.keep(&row, asked);
        Ok(opened(ticket, row))
    }

    fn store(&self) -> &symbolon_store::Store {
        &self.0.settings.sessions
    }

    /// The name of a person in the store.
    fn subject(&self, subject: &str) -> (Slot, Digest) {
        let text = format!("{}\0{subject}", self.0.settings.issuer);
        (Slot::of_bytes(text.as_bytes()), Digest::of(text.as_bytes()))
    }

    /// The name of a session of the issuer's in the store.
    fn issuer_session(&self, session: &str) -> Digest {
        let text = format!("{}\0session\0{session}", self.0.settings.issuer);
        Digest::of(text.as_bytes())
    }
}

/// What a row holds, for whoever shows that it is theirs.
fn opened(ticket: &Ticket, row: BrowserSession) -> Option<(BrowserSession, Held)> {
    if !row.secret.matches(&ticket.digest()) {
        return None;
    }
    let held = Held::open(ticket, &row.held)?;
    Some((row, held))
}

fn unavailable(fault: symbolon_store::Fault) -> Problem {
    tracing::error!(cause = %fault, "the sessions of browsers cannot be read");
    UNAVAILABLE
}

/// The one parameter with a name; of two, nobody knows which was meant.
fn one(query: &[(String, String)], name: &str) -> Result<Option<String>, Problem> {
    let mut all = query.iter().filter(|(own, _)| own == name);
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some((_, value)), None) => Ok(Some(value.clone())),
        (Some(_), Some(_)) => Err(Problem::bad(
            "parameter-repeated",
            "a parameter of the request stands in it twice",
        )),
    }
}

fn query(parts: &Parts) -> Vec<(String, String)> {
    let text = parts.uri.query().unwrap_or_default();
    url::form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}

fn redirect(status: StatusCode, to: &str) -> Result<Response<Body>, Problem> {
    let to = HeaderValue::from_str(to).map_err(|_| crate::problem::BROKEN)?;
    let mut response = Response::new(full(String::new()));
    *response.status_mut() = status;
    response.headers_mut().insert(LOCATION, to);
    Ok(response)
}

fn json(document: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(full(document.to_string()));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn with_cookie(mut response: Response<Body>, cookie: HeaderValue) -> Response<Body> {
    response.headers_mut().append(SET_COOKIE, cookie);
    response
}
