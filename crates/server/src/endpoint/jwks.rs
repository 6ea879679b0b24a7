//! The key set.
//!
//! Spec: RFC 7517 §5

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::cx::Cx;
use crate::failure::Failure;
use crate::metadata::KEY_SET_SECONDS;
use crate::received::Received;

/// Answers `GET /.well-known/jwks.json`.
pub(crate) async fn get(cx: Cx, _received: Received) -> Result<Response, Failure> {
    let published = cx.published.load();
    Ok(public(published.keys.clone(), KEY_SET_SECONDS))
}

/// A document that anyone may read and keep for a while.
pub(crate) fn public(document: Bytes, seconds: u32) -> Response {
    let mut response = Response::new(Body::from(document));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(value) = HeaderValue::from_str(&format!("public, max-age={seconds}")) {
        headers.insert(CACHE_CONTROL, value);
    }
    response
}
