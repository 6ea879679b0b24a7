//! The key set, and beside it the set of the experiment and that of the
//! revocation feed.
//!
//! Spec: RFC 7517 §5
//! Spec: RFC 9964 §3

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::received::Received;

/// How long a set may be kept that comes from a node which may have missed
/// something, in seconds: what a verifier keeps a set for at least.
const STALE_SECONDS: u64 = 60;

/// Answers `GET /.well-known/jwks.json`.
pub(crate) async fn get(cx: Cx, _received: Received) -> Result<Response, Failure> {
    let published = cx.published.load();
    Ok(public(published.keys.clone(), seconds(&cx)))
}

/// Answers `GET /.well-known/jwks-ml-dsa.json`. A reader that does not know
/// these keys never meets them in the other set.
pub(crate) async fn get_ml_dsa(cx: Cx, _received: Received) -> Result<Response, Failure> {
    let published = cx.published.load();
    match &published.experimental_keys {
        Some(keys) => Ok(public(keys.clone(), seconds(&cx))),
        None => Err(Refusal::invalid_request("ML-DSA is not switched on here").into()),
    }
}

/// Answers `GET /.well-known/jwks-revocations.json`: what heads of the
/// revocation feed are signed by, and nothing else ever is.
pub(crate) async fn get_revocations(cx: Cx, _received: Received) -> Result<Response, Failure> {
    let published = cx.published.load();
    Ok(public(published.feed_keys.clone(), seconds(&cx)))
}

/// How long the set may be kept. A key is announced for longer than this
/// before it signs, so whoever keeps the set that long misses none.
pub(crate) fn seconds(cx: &Cx) -> u64 {
    let seconds = cx.settings.keys.key_set_cache.as_secs();
    match cx.check_fresh() {
        Ok(()) => seconds,
        Err(_) => seconds.min(STALE_SECONDS),
    }
}

/// A document that anyone may read and keep for a while.
pub(crate) fn public(document: Bytes, seconds: u64) -> Response {
    let mut response = Response::new(Body::from(document));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(value) = HeaderValue::from_str(&format!("public, max-age={seconds}")) {
        headers.insert(CACHE_CONTROL, value);
    }
    response
}
