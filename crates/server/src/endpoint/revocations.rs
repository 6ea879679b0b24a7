//! The revocation feed: what was taken back, for resource servers alone.
//!
//! A resource's introspection client opens a stream of events and is sent all
//! that can hit tokens of its resources: a snapshot or what came after the
//! place that it names, then what comes. `GET` takes its credentials in the
//! `Authorization` header or by its certificate, `POST` in a form as well, as
//! at `/introspect`. `docs/revocation.md` describes what is sent.
//!
//! Spec: WHATWG HTML §9.2
//! Spec: OAuth 2.1 §2.4

use axum::response::Response;
use http::{HeaderName, Method};
use symbolon_protocol::{ClientId, Parameters};
use symbolon_token::feed::MAX_NONCE;

use crate::authn::client::authenticate;
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::received::Received;
use crate::subscription::{Opening, Reader, Resumed};

/// The place where a reader was (WHATWG HTML §9.2.4).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What must not stand in an address, which is written down everywhere.
const SECRETS: [&str; 2] = ["client_secret", "client_assertion"];

/// Answers `GET /revocations`.
pub(crate) async fn get(cx: Cx, received: Received) -> Result<Response, Failure> {
    let query = received.query()?;
    if SECRETS.iter().any(|name| query.one(name).is_some()) {
        return Err(Refusal::invalid_request(
            "credentials belong in the Authorization header, not in the address",
        )
        .into());
    }
    answer(&cx, &received, &query).await
}

/// Answers `POST /revocations`, for clients that prove themselves in a form.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let form = received.form()?;
    answer(&cx, &received, &form).await
}

async fn answer(cx: &Cx, received: &Received, asked: &Parameters) -> Result<Response, Failure> {
    let caller = authenticate(cx, received, asked).await?;
    if !caller.is_confidential() {
        return Err(
            Refusal::invalid_client("the feed is for clients that prove themselves").into(),
        );
    }
    let nonce = asked.one("nonce").unwrap_or_default();
    let is_good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    if nonce.len() > MAX_NONCE || !nonce.bytes().all(is_good) {
        return Err(Refusal::invalid_request("nonce is too long, or not plain text").into());
    }
    cx.check_fresh()?;
    let client = &caller.client().id;
    let reader = Reader::find(cx, client).await?;
    let reader = reader.ok_or_else(|| {
        Refusal::unauthorized_client("this client serves no resource").with_status(403)
    })?;
    // Whoever asks for an API whose records it is not sent would take their
    // absence for news.
    if !asked.all("resource").all(|own| serves(cx, client, own)) {
        return Err(Refusal::unauthorized_client(
            "this client is no introspection client of that resource",
        )
        .with_status(403)
        .into());
    }
    let place = cx.readers.take(client)?;
    if received.method == Method::HEAD {
        return Ok(Opening::head_alone());
    }
    let resumed = received.header(&LAST_EVENT_ID).or(asked.one("after"));
    let opening = Opening {
        reader,
        standing: caller.standing(cx).await,
        place,
        nonce: nonce.to_owned(),
        resumed: resumed.and_then(Resumed::parse),
    };
    tracing::info!(request = %cx.request, client = %client, resumes = opening.resumed.is_some(), "reads the revocation feed");
    Ok(Box::pin(opening.open(cx)).await?)
}

fn serves(cx: &Cx, client: &ClientId, resource: &str) -> bool {
    let known = cx.directory.find_resource(resource);
    known.is_some_and(|own| own.may_introspect(client))
}
