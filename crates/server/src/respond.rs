//! The one place where an outcome becomes HTTP.
//!
//! Spec: RFC 6749 §5.2
//! Spec: RFC 6750 §3
//! Spec: RFC 9449 §8

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use symbolon_protocol::ErrorCode;

use crate::cx::Cx;
use crate::failure::{Broken, Failure, Refusal};
use crate::pages::{ErrorPage, Page};

/// The header that names a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header that hands out the nonce for the next proof (RFC 9449 §8).
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// How an endpoint's refusals are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Written {
    /// As JSON, for programs.
    Json,
    /// As a page, for people.
    Page,
}

/// A JSON answer that nobody may keep.
pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    // What is answered here is made of strings, numbers and maps.
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Of no use any more, and demanded of tokens (RFC 6749 §5.1).
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// An answer with nothing in it.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A signed or encoded answer of another media type that nobody may keep.
pub(crate) fn typed(media_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A redirect after which the browser asks with GET (never 307: RFC 9700 §4.12).
pub(crate) fn see_other(location: &str) -> Result<Response, Failure> {
    let value = HeaderValue::from_str(location)
        .map_err(|_| Broken::Impossible("a redirect that is not a header value"))?;
    let mut response = empty(StatusCode::SEE_OTHER);
    response.headers_mut().insert(http::header::LOCATION, value);
    Ok(response)
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'static str,
    error_description: &'a str,
    request_id: String,
}

/// Turns a failure into its answer, and logs it once.
pub(crate) fn failure(cx: &Cx, failure: Failure, written: Written) -> Response {
    let refusal = match failure {
        Failure::Refused(refusal) => {
            tracing::info!(request = %cx.request, code = refusal.code.as_str(), reason = refusal.reason, "refused");
            refusal
        }
        Failure::Broken(broken) => hidden(cx, &broken),
    };
    let status = StatusCode::from_u16(refusal.status.unwrap_or(refusal.code.status()));
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    crate::metric::refused(refusal.code);
    let mut response = match written {
        Written::Json => json(
            status,
            &ErrorBody {
                error: refusal.code.as_str(),
                error_description: refusal.reason,
                request_id: cx.request.to_string(),
            },
        ),
        Written::Page => error_page(cx, status, &refusal),
    };
    name(cx, &mut response);
    let headers = response.headers_mut();
    if let Some(challenge) = refusal.challenge {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(nonce) = refusal.nonce {
        headers.insert(DPOP_NONCE, nonce);
    }
    if let Some(seconds) = refusal.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// Names the request in every answer that is not a plain success.
pub(crate) fn named(cx: &Cx, mut response: Response) -> Response {
    if response.status() != StatusCode::OK && !response.headers().contains_key(REQUEST_ID) {
        name(cx, &mut response);
    }
    response
}

fn name(cx: &Cx, response: &mut Response) {
    if let Ok(id) = HeaderValue::from_str(&cx.request.to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
}

fn error_page(cx: &Cx, status: StatusCode, refusal: &Refusal) -> Response {
    ErrorPage {
        site: cx.settings.site.clone(),
        status,
        code: refusal.code.as_str().to_owned(),
        description: refusal.reason.to_owned(),
        request_id: cx.request.to_string(),
    }
    .response()
}

/// What a caller may know of a fault of ours, that there was one; the log has
/// the rest.
pub(crate) fn hidden(cx: &Cx, broken: &Broken) -> Refusal {
    tracing::error!(request = %cx.request, cause = %broken, "broken");
    if broken.is_unavailable() {
        return Refusal::new(ErrorCode::TemporarilyUnavailable, "try again in a moment")
            .with_retry_after(1);
    }
    Refusal::new(
        ErrorCode::ServerError,
        "something broke here; quote the request id to the operator",
    )
}
