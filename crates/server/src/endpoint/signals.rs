//! Where transmitters of security events call.
//!
//! `POST /signals/{id}`, one event as the body, with the bearer of the source.
//! The answer is 202 for what was taken, now or before, 503 for what cannot be
//! judged now, and 400 with the code of RFC 8935 for what is refused.
//!
//! Spec: RFC 8935 §2.1, §2.2, §2.3, §2.4

use std::time::Duration;

use axum::response::Response;
use http::header::{CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::json;
use symbolon_token::Digest;

use crate::cx::Cx;
use crate::failure::Failure;
use crate::fetch::COOLDOWN;
use crate::received::{Authorization, Received};
use crate::signals::{LANGUAGE, NotTaken};
use crate::{respond, signals};

/// Answers `POST /signals/{id}`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let id = received.uri.path().rsplit('/').next().unwrap_or_default();
    let sources = &cx.settings.signal_sources;
    let source = sources.iter().find(|source| source.id == id).cloned();
    let push = source.as_ref().and_then(|source| source.push);
    // Which sources there are is nobody's to find out.
    let shown = match received.authorization("Bearer") {
        Authorization::Given(bearer) => Some(Digest::of(bearer.as_bytes())),
        Authorization::Absent | Authorization::Other => None,
    };
    let (Some(source), Some(own), Some(shown)) = (source, push, shown) else {
        return Ok(unknown());
    };
    if !own.matches(&shown) {
        return Ok(unknown());
    }
    let arrived = cx.edge.clock.monotonic();
    if !cx.signal_pace.admits(&source.id, arrived) {
        let flood = refusal(StatusCode::TOO_MANY_REQUESTS, "access_denied", FLOOD);
        return Ok(again_after(Duration::from_secs(1), flood));
    }
    let kind = received.header(&CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/secevent+jwt") {
        let why = "the body is application/secevent+jwt";
        return Ok(refusal(StatusCode::BAD_REQUEST, "invalid_request", why));
    }
    let Ok(text) = std::str::from_utf8(&received.body) else {
        let why = "the body is no text";
        return Ok(refusal(StatusCode::BAD_REQUEST, "invalid_request", why));
    };
    let taken = signals::take(&cx, &source, text.trim(), arrived).await?;
    let Err(not_taken) = taken else {
        return Ok(respond::empty(StatusCode::ACCEPTED));
    };
    let answer = |status| refusal(status, not_taken.code(), not_taken.description());
    Ok(match not_taken {
        // A 400 would have the transmitter drop it.
        NotTaken::NotNow(_) => again_after(COOLDOWN, answer(StatusCode::SERVICE_UNAVAILABLE)),
        _ => answer(StatusCode::BAD_REQUEST),
    })
}

const FLOOD: &str = "too many events at once";

fn unknown() -> Response {
    let why = "the bearer is that of no source here";
    let mut response = refusal(StatusCode::UNAUTHORIZED, "authentication_failed", why);
    let bearer = HeaderValue::from_static("Bearer");
    response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
    response
}

fn again_after(span: Duration, mut response: Response) -> Response {
    let seconds = span.as_secs().into();
    response.headers_mut().insert(RETRY_AFTER, seconds);
    response
}

fn refusal(status: StatusCode, code: &str, why: &str) -> Response {
    let mut response = respond::json(status, &json!({ "err": code, "description": why }));
    let language = HeaderValue::from_static(LANGUAGE);
    response.headers_mut().insert(CONTENT_LANGUAGE, language);
    response
}
