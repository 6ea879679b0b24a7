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
use symbolon_protocol::Prompt;

use crate::authn::session;
use crate::authn::transaction::Browser;
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::received::Received;
use crate::respond;

use self::answer::Destination;
use self::request::Asked;

/// Answers `GET /authorize`.
pub(crate) async fn get(cx: Cx, received: Received) -> Result<Response, Failure> {
    let query = received.uri.query().unwrap_or_default().as_bytes().to_vec();
    authorize(cx, received, &query).await
}

/// Answers `POST /authorize`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    if !received.is_form() {
        return Err(
            Refusal::invalid_request("the body must be application/x-www-form-urlencoded")
                .with_status(415)
                .into(),
        );
    }
    let body = received.body.to_vec();
    let comes_without_cookies =
        Browser::of(&cx, &received).is_new() && !session::is_presented(&cx, &received);
    if comes_without_cookies && let Ok(form) = received.form() {
        // Wrong here already: nobody is sent anywhere.
        Destination::find(&cx, &body).await?;
        return respond::carried(&cx, "/authorize", &form, |_| true);
    }
    authorize(cx, received, &body).await
}

async fn authorize(cx: Cx, received: Received, parameters: &[u8]) -> Result<Response, Failure> {
    let destination = Destination::find(&cx, parameters).await?;
    match answered(&cx, &received, &destination, parameters).await {
        Ok(response) => Ok(response),
        // What is wrong from here on is the client's to know (RFC 6749 §4.1.2.1).
        Err(Failure::Refused(refusal)) => destination.refuse(&cx, &refusal),
        Err(broken) => Err(broken),
    }
}

async fn answered(
    cx: &Cx,
    received: &Received,
    destination: &Destination,
    parameters: &[u8],
) -> Result<Response, Failure> {
    destination.check_state(parameters)?;
    let Asked {
        transaction,
        prompts,
    } = request::read(cx, destination, parameters)?;
    let browser = Browser::of(cx, received);
    let session = session::current(cx, received).await?;
    let silent = prompts.contains(&Prompt::None);
    let mut response = next::proceed(cx, &browser, &transaction, session, silent).await?;
    if let Some(cookie) = browser.cookie(cx)? {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}
