//! How the gateway's own word reaches a caller that speaks gRPC: an answer that
//! is its own trailers, with the challenge beside the status. Libraries read no
//! other status than `grpc-status`.
//!
//! Spec: gRPC over HTTP/2
//! Spec: RFC 3986 §2.1

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

use crate::body::{Body, full};

const GRPC: &[u8] = b"application/grpc";
pub(crate) const STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(crate) const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// What may not stand in `grpc-message`.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// Among the extensions of an answer that is the gateway's own word, and no
/// service's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own;

/// Whether a request is a call of gRPC: not of gRPC-Web, whose trailers stand in
/// the body.
pub(crate) fn is_call(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = kind.and_then(|kind| kind.strip_prefix(GRPC));
    matches!(rest, Some([] | [b'+' | b';', ..]))
}

/// The same answer for a call, where it is a refusal of the gateway's own.
pub(crate) async fn said(answer: Response<Body>) -> Response<Body> {
    let status = answer.status();
    let is_own = answer.extensions().get::<Own>().is_some();
    let (Some(code), true) = (code(status), is_own) else {
        return answer;
    };
    let (mut head, body) = answer.into_parts();
    let body = body.collect().await;
    let body = body.map(http_body_util::Collected::to_bytes);
    let problem: Option<Value> = body.ok().and_then(|own| serde_json::from_slice(&own).ok());
    let said = |name: &str| problem.as_ref()?.get(name)?.as_str();
    let detail = said("detail").or(said("error_description"));
    let detail = detail.or(status.canonical_reason()).unwrap_or_default();
    let message = utf8_percent_encode(detail, ESCAPED).to_string();
    head.status = StatusCode::OK;
    head.headers.remove(CONTENT_LENGTH);
    let kind = HeaderValue::from_static("application/grpc");
    head.headers.insert(CONTENT_TYPE, kind);
    head.headers.insert(STATUS, HeaderValue::from_static(code));
    if let Ok(message) = HeaderValue::from_str(&message) {
        head.headers.insert(MESSAGE, message);
    }
    Response::from_parts(head, full(String::new()))
}

/// What gRPC calls a status; nothing where it refuses nothing.
fn code(status: StatusCode) -> Option<&'static str> {
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    Some(match status.as_u16() {
        400 | 414 | 421 => "3",
        401 => "16",
        403 => "7",
        404 | 405 => "12",
        408 | 504 => "4",
        413 | 429 => "8",
        502 | 503 => "14",
        _ => "2",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{NO_ROUTE, SLOW};

    #[test]
    fn calls_are_known_by_their_kind() {
        let of = |kind: &'static str| {
            let kind = (CONTENT_TYPE, HeaderValue::from_static(kind));
            is_call(&HeaderMap::from_iter([kind]))
        };
        assert!(of("application/grpc") && of("application/grpc+proto"));
        assert!(of("application/grpc;charset=utf-8"));
        assert!(!of("application/grpc-web") && !of("application/json"));
    }

    #[tokio::test]
    async fn what_the_gateway_refuses_has_a_status_of_grpc_and_what_a_service_says_stays() {
        for (problem, code) in [(NO_ROUTE, "12"), (SLOW, "4")] {
            let answer = said(problem.answer("r")).await;
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()[STATUS], code);
            assert_eq!(answer.headers()[MESSAGE], problem.detail());
            assert_eq!(answer.headers()["x-request-id"], "r");
        }
        let mut foreign = Response::new(full("{}".into()));
        *foreign.status_mut() = StatusCode::NOT_FOUND;
        assert_eq!(said(foreign).await.status(), StatusCode::NOT_FOUND);
    }
}
