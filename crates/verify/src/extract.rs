//! Axum: the principal as an extractor, and the route of the metadata document.
//!
//! Spec: RFC 9728 §3
//! Spec: Fetch Standard §3.3

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_TYPE,
};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::principal::Principal;
use crate::verifier::Verifier;

/// The answer of a handler that takes a [`Principal`] on a route without
/// [`RequireToken`](crate::RequireToken): nobody is let in.
#[derive(Debug)]
pub struct Unguarded;

impl IntoResponse for Unguarded {
    fn into_response(self) -> Response {
        metrics::counter!("unguarded_route_total").increment(1);
        let body = concat!(
            r#"{"error":"server_error","error_description":"#,
            r#""this route takes a principal and has no RequireToken layer"}"#
        );
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (StatusCode::INTERNAL_SERVER_ERROR, headers, body).into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Unguarded;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Unguarded> {
        parts.extensions.get::<Self>().cloned().ok_or(Unguarded)
    }
}

/// The public route of the metadata document of this API; none where its
/// identifier is no web address.
pub fn protected_resource_routes<S: Clone + Send + Sync + 'static>(
    verifier: &Verifier,
) -> Router<S> {
    let address = verifier.metadata_address();
    let Some(url) = address.and_then(|address| url::Url::parse(&address).ok()) else {
        return Router::new();
    };
    let document = verifier.metadata().to_string();
    let serve = move || {
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (
                CACHE_CONTROL,
                HeaderValue::from_static("public, max-age=3600"),
            ),
            (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        ];
        std::future::ready((headers, document.clone()))
    };
    // Anybody may read it from a page, with whatever headers: there is nothing
    // to be had here but the document.
    let preflight = || {
        let headers = [
            (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
            (ACCESS_CONTROL_ALLOW_HEADERS, "*"),
            (ACCESS_CONTROL_MAX_AGE, "86400"),
        ];
        std::future::ready((StatusCode::NO_CONTENT, headers))
    };
    Router::new()
        .without_v07_checks()
        .route(url.path(), get(serve).options(preflight))
}
