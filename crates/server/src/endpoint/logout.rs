//! RP-initiated logout: at once with a valid hint, after a confirmation without.
//!
//! Spec: OpenID Connect RP-Initiated Logout 1.0 §2, §3

use axum::response::Response;
use http::header::SET_COOKIE;
use symbolon_protocol::{ClientId, Parameters, RedirectUri};
use symbolon_store::{AuditEvent, EndSession, StoredClient};
use url::Url;

use super::authorize::request::{Hint, check_hint_is_open, verified_hint};
use crate::authn::carried;
use crate::authn::session::{self, LiveSession};
use crate::authn::transaction::Browser;
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::grant::subject;
use crate::pages::{Account, Client, FormAction, FormTies, Link, LogoutPage, Page, SignedOutPage};
use crate::received::Received;
use crate::respond;

/// How long a state may be, in bytes.
const MAX_STATE_BYTES: usize = 2048;
/// What the CSRF token of this form is about.
const PURPOSE: &str = "csrf-logout";
/// The parameters of a request (RP-Initiated Logout §2).
const PARAMETERS: [&str; 6] = [
    "id_token_hint",
    "logout_hint",
    "client_id",
    "post_logout_redirect_uri",
    "state",
    "ui_locales",
];

const PATH: &str = "/logout";

/// Answers `GET /logout`: a client's request, or one that was posted here.
pub(crate) async fn get(cx: Cx, received: Received) -> Result<Response, Failure> {
    let query = received.query()?;
    let is_clients = PARAMETERS.iter().any(|name| query.one(name).is_some());
    if let Some(sealed) = query.one(carried::PARAMETER).filter(|_| !is_clients) {
        let posted: String = carried::open(&cx, PATH, sealed)?;
        let posted = Parameters::parse(posted.as_bytes())
            .map_err(|_| Refusal::invalid_request("this address is malformed"))?;
        return asked(&cx, &received, &posted).await;
    }
    asked(&cx, &received, &query).await
}

/// Answers `POST /logout`: a client's request, or the person's confirmation.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let form = received.form()?;
    if form.one("confirm") != Some("yes") {
        if !session::is_presented(&cx, &received) {
            let own = form.iter().filter(|(name, _)| PARAMETERS.contains(name));
            let posted = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(own)
                .finish();
            return carried::send(&cx, PATH, posted);
        }
        return asked(&cx, &received, &form).await;
    }
    let browser = Browser::of(&cx, &received);
    let carried = form.one("transaction").unwrap_or_default();
    let session = session::unended(&cx, &received).await?;
    let about = about(carried, session.as_ref());
    browser.check_csrf(&cx, PURPOSE, &about, form.one("csrf"))?;
    let carried = Parameters::parse(carried.as_bytes())
        .map_err(|_| Refusal::invalid_request("this form is malformed"))?;
    let wish = Wish::read(&cx, &carried).await?;
    let ended = end(&cx, session.as_ref()).await?;
    wish.signed_out(&cx, ended)
}

/// Whether this request ended a session. Only then is the cookie taken away:
/// any site can make a browser send a request that ends none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Now,
    Before,
}

/// What whoever sent the person here wants to happen afterwards.
struct Wish {
    hint: Option<Hint>,
    client: Option<std::sync::Arc<StoredClient>>,
    redirect_uri: Option<RedirectUri>,
    state: Option<String>,
}

impl Wish {
    async fn read(cx: &Cx, parameters: &Parameters) -> Result<Self, Failure> {
        let hint = parameters.one("id_token_hint");
        hint.map(check_hint_is_open).transpose()?;
        let hint = match hint {
            Some(text) => Some(verified_hint(cx, text).ok_or(Refusal::invalid_request(
                "id_token_hint is not an ID token of this server",
            ))?),
            None => None,
        };
        let named = parameters.one("client_id");
        if let (Some(hint), Some(named)) = (&hint, named)
            && hint.client != named
        {
            return Err(Refusal::invalid_request(
                "client_id and id_token_hint are of different applications",
            )
            .into());
        }
        let id = hint.as_ref().map(|hint| hint.client.as_str()).or(named);
        let client = match id.and_then(|id| id.parse::<ClientId>().ok()) {
            Some(id) => {
                let found = cx.known_client(&id).await?;
                found.filter(|found| found.enabled)
            }
            None => None,
        };
        let redirect_uri = redirect_uri(client.as_deref(), parameters)?;
        let state = parameters.one("state").map(str::to_owned);
        // Whoever sent a state relies on getting it back, so it is never dropped.
        if state
            .as_ref()
            .is_some_and(|state| state.len() > MAX_STATE_BYTES)
        {
            return Err(Refusal::invalid_request("state is too long").into());
        }
        Ok(Self {
            hint,
            client,
            redirect_uri,
            state,
        })
    }

    /// Whether the hint is about the very session in this browser.
    fn is_about(&self, cx: &Cx, session: &LiveSession) -> bool {
        let (Some(hint), Some(client)) = (&self.hint, &self.client) else {
            return false;
        };
        let person = subject::person(&cx.keys, &client.client, &hint.subject);
        let sid = subject::session(&cx.keys, &client.client, session.session.id);
        let same_session = hint.session.as_ref().is_none_or(|own| *own == sid);
        person == Some(session.person.id) && same_session
    }

    fn location(&self) -> Option<String> {
        let uri = self.redirect_uri.as_ref()?;
        let Some(state) = &self.state else {
            return Some(uri.to_string());
        };
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("state", state)
            .finish();
        let sign = if uri.as_str().contains('?') { '&' } else { '?' };
        Some(format!("{uri}{sign}{query}"))
    }

    fn signed_out(&self, cx: &Cx, ended: Ended) -> Result<Response, Failure> {
        let mut response = match self.location() {
            Some(location) => respond::see_other(&location)?,
            None => SignedOutPage {
                site: cx.settings.site.clone(),
                next: self.home(),
            }
            .response(),
        };
        if ended == Ended::Now {
            let cookie = session::forget(cx)?;
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        Ok(response)
    }

    fn home(&self) -> Option<Link> {
        let client = &self.client.as_ref()?.client;
        let url = Url::parse(client.described.client_uri.as_deref()?).ok()?;
        Link::new(&client.name, &url)
    }
}

fn redirect_uri(
    client: Option<&StoredClient>,
    parameters: &Parameters,
) -> Result<Option<RedirectUri>, Refusal> {
    let Some(presented) = parameters.one("post_logout_redirect_uri") else {
        return Ok(None);
    };
    let registered = client
        .into_iter()
        .flat_map(|client| &client.client.post_logout_redirect_uris);
    let found = registered.into_iter().find(|own| own.as_str() == presented);
    let wrong = || {
        Refusal::invalid_request(
            "the address to return to is not one that this application registered",
        )
    };
    found.cloned().map(Some).ok_or_else(wrong)
}

async fn asked(cx: &Cx, received: &Received, parameters: &Parameters) -> Result<Response, Failure> {
    let wish = Wish::read(cx, parameters).await?;
    let Some(session) = session::unended(cx, received).await? else {
        // Nobody is signed in: there is nothing to confirm.
        return match wish.hint {
            Some(_) => wish.signed_out(cx, Ended::Before),
            None => Wish {
                redirect_uri: None,
                ..wish
            }
            .signed_out(cx, Ended::Before),
        };
    };
    if wish.is_about(cx, &session) {
        let ended = end(cx, Some(&session)).await?;
        return wish.signed_out(cx, ended);
    }
    confirmation(cx, received, &wish, &session)
}

/// The form is about the session that it showed, and no later one.
fn about(carried: &str, session: Option<&LiveSession>) -> String {
    let session = session.map(|own| own.session.id.to_string());
    format!("{} {carried}", session.unwrap_or_default())
}

/// A link from anywhere must not sign anybody out, so the person is asked.
fn confirmation(
    cx: &Cx,
    received: &Received,
    wish: &Wish,
    session: &LiveSession,
) -> Result<Response, Failure> {
    let browser = Browser::of(cx, received);
    let mut carried = form_urlencoded::Serializer::new(String::new());
    if let Some(client) = &wish.client {
        carried.append_pair("client_id", client.client.id.as_str());
    }
    if let Some(uri) = &wish.redirect_uri {
        carried.append_pair("post_logout_redirect_uri", uri.as_str());
    }
    if let Some(state) = &wish.state {
        carried.append_pair("state", state);
    }
    let carried = carried.finish();
    let url = wish
        .redirect_uri
        .as_ref()
        .and_then(|uri| Url::parse(uri.as_str()).ok());
    let form_action = FormAction::own();
    let name = session
        .person
        .document
        .get("name")
        .and_then(|name| name.as_str());
    let page = LogoutPage {
        site: cx.settings.site.clone(),
        ties: FormTies {
            csrf: browser.csrf(cx, PURPOSE, &about(&carried, Some(session))),
            transaction: carried,
        },
        form_action: url
            .iter()
            .fold(form_action, |action, url| action.reaching(url)),
        account: Account::new(
            name.unwrap_or(&session.person.username),
            &session.person.username,
        ),
        client: wish
            .client
            .as_ref()
            .zip(url.as_ref())
            .map(|(client, url)| Client::new(&client.client.name, url)),
    };
    let mut response = page.response();
    if let Some(cookie) = browser.cookie(cx)? {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

async fn end(cx: &Cx, session: Option<&LiveSession>) -> Result<Ended, Failure> {
    let Some(session) = session else {
        return Ok(Ended::Before);
    };
    let person = session.person.id.to_string();
    let mut audit = AuditEvent::new("session.end", person.clone());
    audit.subject = Some(person);
    audit.request = cx.request.to_string();
    cx.store
        .act(EndSession {
            id: session.session.id,
            now: cx.now,
            horizon: cx.token_horizon(cx.now),
            audit,
        })
        .await?;
    Ok(Ended::Now)
}
