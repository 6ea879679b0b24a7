//! The authorization endpoint.
//!
//! 1. Client, then redirect URI: where one is wrong, nobody is redirected.
//! 2. Everything else of the request; what is wrong goes back to the client.
//! 3. Who is there? Sign-in where nobody is, or too long ago.
//! 4. Did they agree? Consent where they did not.
//! 5. The code, or what stands in its way.
//!
//! Spec: OAuth 2.1 §4.1.1, §4.1.2
//! Spec: OpenID Connect Core 1.0 §3.1.2
//! Spec: RFC 9207 §2
//! Spec: RFC 9700 §2.1, §4.11

pub(crate) mod answer;
pub(crate) mod asked;
pub(crate) mod consented;
pub(crate) mod next;
pub(crate) mod request;

use axum::response::Response;
use http::header::SET_COOKIE;
use serde::{Deserialize, Serialize};
use symbolon_protocol::{Parameters, Prompt};

use crate::authn::transaction::{Browser, Transaction};
use crate::authn::{carried, session};
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::received::Received;
use crate::respond;

use self::answer::Destination;
use self::request::Asked;

const PATH: &str = "/authorize";

/// A checked request. Where it was posted without cookies, it travels sealed.
#[derive(Serialize, Deserialize)]
struct Checked {
    transaction: Transaction,
    /// Whether the person may not be asked anything (`prompt=none`).
    silent: bool,
}

/// Answers `GET /authorize`: a client's request, or one that was posted here.
pub(crate) async fn get(cx: Cx, received: Received) -> Result<Response, Failure> {
    let query = received.uri.query().unwrap_or_default().as_bytes();
    if let Some(sealed) = carried_in(query) {
        let checked: Checked = carried::open(&cx, PATH, &sealed)?;
        let destination = Destination::of(&cx, &checked.transaction).await?;
        let answered = go_on(&cx, &received, &checked).await;
        return refused_to(&cx, &destination, answered);
    }
    let query = query.to_vec();
    authorize(cx, received, &query).await
}

/// What was posted here before. No client's request is without its name, and
/// in one that has it our parameter means nothing.
fn carried_in(query: &[u8]) -> Option<String> {
    let query = Parameters::parse(query).ok()?;
    let is_clients = query.one("client_id").is_some();
    let sealed = query.one(carried::PARAMETER).filter(|_| !is_clients)?;
    Some(sealed.to_owned())
}

/// Answers `POST /authorize`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    received.check_form()?;
    let body = received.body.to_vec();
    let comes_without_cookies =
        Browser::of(&cx, &received).is_new() && !session::is_presented(&cx, &received);
    if !comes_without_cookies {
        return authorize(cx, received, &body).await;
    }
    let destination = Destination::find(&cx, &body).await?;
    let sent = check(&cx, &destination, &body)
        .map_err(Failure::from)
        .and_then(|checked| carried::send(&cx, PATH, checked));
    refused_to(&cx, &destination, sent)
}

async fn authorize(cx: Cx, received: Received, parameters: &[u8]) -> Result<Response, Failure> {
    let destination = Destination::find(&cx, parameters).await?;
    let answered = match check(&cx, &destination, parameters) {
        Ok(checked) => go_on(&cx, &received, &checked).await,
        Err(refusal) => Err(refusal.into()),
    };
    refused_to(&cx, &destination, answered)
}

/// Sends a refusal to the client: what is wrong once client and redirect URI
/// are right is the client's to know (RFC 6749 §4.1.2.1).
fn refused_to(
    cx: &Cx,
    destination: &Destination,
    answered: Result<Response, Failure>,
) -> Result<Response, Failure> {
    match answered {
        Err(Failure::Refused(refusal)) => destination.refuse(cx, &refusal),
        answered => answered,
    }
}

fn check(cx: &Cx, destination: &Destination, parameters: &[u8]) -> Result<Checked, Refusal> {
    destination.check_state(parameters)?;
    let Asked {
        transaction,
        prompts,
    } = request::read(cx, destination, parameters)?;
    Ok(Checked {
        transaction,
        silent: prompts.contains(&Prompt::None),
    })
}

/// Takes the next step. Where the person may not be asked anything, nobody is
/// there to read a page either: what is broken here is told to the client, which
/// would wait for its answer in vain (OpenID Connect Core §3.1.2.6).
async fn go_on(cx: &Cx, received: &Received, checked: &Checked) -> Result<Response, Failure> {
    match step(cx, received, checked).await {
        Err(Failure::Broken(broken)) if checked.silent => Err(respond::hidden(cx, &broken).into()),
        answered => answered,
    }
}

async fn step(cx: &Cx, received: &Received, checked: &Checked) -> Result<Response, Failure> {
    let browser = Browser::of(cx, received);
    let session = session::current(cx, received).await?;
    let (transaction, silent) = (&checked.transaction, checked.silent);
    let mut response = next::proceed(cx, &browser, transaction, session, silent).await?;
    if let Some(cookie) = browser.cookie(cx)? {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}
