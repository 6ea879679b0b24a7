//! What Envoy is told in a `CheckResponse`, and what is said where there is none.
//!
//! Spec: envoy.service.auth.v3
//! Spec: gRPC over HTTP/2

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;

use super::wire::Message;
use crate::assertion::ASSERTION;
use crate::body::{Body, full};
use crate::forward_auth::Allowed;
use crate::grpc::{MESSAGE, STATUS};
use crate::header::{self, Claimed};
use crate::problem::REQUEST_ID;

/// What gRPC calls outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Outcome {
    Malformed = 3,
    Denied = 7,
    Large = 8,
    Unimplemented = 12,
    Unavailable = 14,
    Unauthenticated = 16,
}

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// What Envoy writes itself, and nobody who calls it.
const OF_ENVOY: [&str; 3] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-client-cert",
];

/// Lets a request through: what the service is told, what it is not to hear of
/// its caller, and what the caller is told besides.
pub(super) fn allowed(allowed: &Allowed, sent: &Parts, claimed: &Claimed) -> Vec<u8> {
    let answer = allowed.answer.headers();
    let mut ok = Message::default();
    for (name, value) in answer {
        let is_for_service = *name == ASSERTION || *name == REQUEST_ID || claimed.contains(name);
        if is_for_service {
            ok = ok.with(2, option(name, value, true));
        }
    }
    for name in header::unheard(&sent.headers, claimed, allowed.pass_token) {
        let is_said = answer.contains_key(&name);
        let own = name.as_str();
        let is_of_envoy = OF_ENVOY.contains(&own) || own.starts_with("x-envoy-");
        if !is_said && !is_of_envoy {
            ok = ok.with(5, own);
        }
    }
    if sent.headers.contains_key(COOKIE) {
        ok = match header::cookies(&sent.headers) {
            Some(left) => ok.with(2, option(&COOKIE, &left, true)),
            None => ok.with(5, COOKIE.as_str()),
        };
    }
    for (name, value) in for_caller(answer) {
        let is_for_service = *name == ASSERTION || *name == REQUEST_ID || claimed.contains(name);
        if !is_for_service && *name != CACHE_CONTROL {
            ok = ok.with(6, option(name, value, true));
        }
    }
    let status = Message::default().with_number(1, 0);
    Message::default().with(1, status).with(3, ok).into_bytes()
}

/// Refuses a request, with the answer that its caller gets.
pub(super) async fn denied(refusal: Response<Body>) -> Vec<u8> {
    let (head, body) = refusal.into_parts();
    let outcome = match head.status {
        StatusCode::UNAUTHORIZED => Outcome::Unauthenticated,
        own if own.is_server_error() => Outcome::Unavailable,
        _ => Outcome::Denied,
    };
    let body = body.collect().await;
    let body = body
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let status = Message::default().with_number(1, u64::from(head.status.as_u16()));
    let mut denied = Message::default().with(1, status);
    let mut seen: Option<&HeaderName> = None;
    for (name, value) in for_caller(&head.headers) {
        // Values of one name follow each other; the first takes the place of
        // what Envoy would say, and more stand beside it.
        denied = denied.with(2, option(name, value, seen != Some(name)));
        seen = Some(name);
    }
    let denied = denied.with(3, body);
    let status = Message::default().with_number(1, outcome as u64);
    Message::default()
        .with(1, status)
        .with(2, denied)
        .into_bytes()
}

/// What of an answer's headers is not said by Envoy itself.
fn for_caller(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    headers.iter().filter(|(name, _)| **name != CONTENT_LENGTH)
}

/// A `HeaderValueOption`; `append = false` takes the place of what is there.
fn option(name: &HeaderName, value: &HeaderValue, takes_place: bool) -> Message {
    let pair = Message::default()
        .with(1, name.as_str())
        .with(2, value.as_bytes());
    let option = Message::default().with(1, pair);
    match takes_place {
        true => option.with(2, Message::default().with_number(1, 0)),
        false => option,
    }
}

/// A message as the answer to a call.
pub(super) fn said(message: &[u8]) -> Response<Body> {
    let mut bytes = vec![0];
    let size = u32::try_from(message.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(message);
    let mut late = HeaderMap::new();
    late.insert(STATUS, HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from(bytes))
        .with_trailers(std::future::ready(Some(Ok(late))))
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// No message at all: whoever called gets no answer to what it asked.
pub(super) fn failed(outcome: Outcome, why: &'static str) -> Response<Body> {
    let mut response = Response::new(full(String::new()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert(STATUS, HeaderValue::from(outcome as u16));
    headers.insert(MESSAGE, HeaderValue::from_static(why));
    response
}
