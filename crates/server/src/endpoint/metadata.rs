//! The metadata document, under both its names.
//!
//! Spec: RFC 8414 §3
//! Spec: OpenID Connect Discovery 1.0 §4

use axum::response::Response;

use crate::cx::Cx;
use crate::failure::Failure;
use crate::received::Received;

/// Answers `GET /.well-known/openid-configuration` and its twin.
pub(crate) async fn get(cx: Cx, _received: Received) -> Result<Response, Failure> {
    let published = cx.published.load();
    Ok(super::jwks::public(published.metadata.clone(), 300))
}
