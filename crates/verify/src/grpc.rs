//! How a refusal looks to a caller that speaks gRPC: an answer that is its own
//! trailers, with the challenge beside the status. Libraries read no other status
//! of an answer than `grpc-status`. A layer answers so only where it was said to be
//! before such a service.
//!
//! Spec: RFC 6750 §3
//! Spec: RFC 3986 §2.1

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::refusal::Refusal;

const GRPC: &[u8] = b"application/grpc";
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a request is a call of gRPC: not of gRPC-Web, whose trailers stand in
/// the body.
pub(crate) fn is_call(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = kind.and_then(|kind| kind.strip_prefix(GRPC));
    matches!(rest, Some([] | [b'+' | b';', ..]))
}

/// The same answer for a call of gRPC.
pub(crate) fn answer(refusal: &Refusal, mut plain: Response<String>) -> Response<String> {
    let code = match refusal.status() {
        400 => "3",
        401 => "16",
        403 => "7",
        503 => "14",
        _ => "2",
    };
    plain.body_mut().clear();
    *plain.status_mut() = StatusCode::OK;
    let headers = plain.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(STATUS, HeaderValue::from_static(code));
    if let Ok(message) = HeaderValue::from_str(&escaped(refusal.description())) {
        headers.insert(MESSAGE, message);
    }
    plain
}

/// A text as it may stand in `grpc-message`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};

    use super::*;

    #[test]
    fn calls_are_known_by_their_kind() {
        let of = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            is_call(&headers)
        };
        assert!(of("application/grpc"));
        assert!(of("application/grpc+proto"));
        assert!(of("application/grpc;charset=utf-8"));
        assert!(!of("application/grpc-web"));
        assert!(!of("application/json"));
        assert!(!is_call(&HeaderMap::new()));
    }

    #[test]
    fn the_status_stands_in_the_head_and_the_challenge_beside_it() {
        let mut plain = Response::new("{}".to_owned());
        *plain.status_mut() = StatusCode::UNAUTHORIZED;
        let challenge = HeaderValue::from_static("Bearer");
        plain.headers_mut().insert(WWW_AUTHENTICATE, challenge);

        let answer = answer(&Refusal::Missing, plain);

        assert_eq!((answer.status(), answer.body().len()), (StatusCode::OK, 0));
        assert_eq!(answer.headers()[STATUS], "16");
        assert_eq!(answer.headers()[WWW_AUTHENTICATE], "Bearer");
        assert!(!answer.headers().contains_key(RETRY_AFTER));
        assert_eq!(escaped("a% é"), "a%25 %C3%A9");
    }
}
