//! Browsers of other origins: who may read an answer.
//!
//! Token, revocation, registration and userinfo answer the origins of registered
//! browser clients and those that the file names for others, without credentials; metadata and key set answer all of them; the
//! authorization endpoint answers none.
//!
//! Spec: RFC 9700 §2.6

use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN,
    VARY,
};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::cx::Cx;
use crate::failure::Failure;
use crate::received::Received;
use crate::respond;

/// Answers the question that a browser asks first.
pub(crate) async fn options(cx: Cx, received: Received) -> Result<Response, Failure> {
    let mut response = respond::empty(StatusCode::NO_CONTENT);
    let Some(origin) = received.header(&ORIGIN) else {
        return Ok(response);
    };
    if is_named(&cx, origin) || cx.directory.origins().await?.contains(origin) {
        let allowed = allowed(received.header(&ACCESS_CONTROL_REQUEST_HEADERS));
        let headers = response.headers_mut();
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST"),
        );
        if let Ok(allowed) = HeaderValue::try_from(allowed) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        headers.append(
            VARY,
            HeaderValue::from_static("Access-Control-Request-Headers"),
        );
    }
    Ok(response)
}

/// The headers that a registered origin may send: those that these endpoints
/// read, and what its library adds, as long as those are names and few.
fn allowed(asked: Option<&str>) -> String {
    let asked = asked.filter(|asked| asked.len() <= MAX_ASKED_BYTES);
    let asked: Vec<&str> = asked.unwrap_or_default().split(',').collect();
    let asked = if asked.len() <= MAX_ASKED {
        &asked[..]
    } else {
        &[]
    };
    let mut names = READ.map(HeaderName::from_static).to_vec();
    for name in asked {
        match HeaderName::from_bytes(name.trim().as_bytes()) {
            // Alone it would stand for every header.
            Ok(name) if name.as_str() != "*" && !names.contains(&name) => names.push(name),
            _ => {}
        }
    }
    let names: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
    names.join(", ")
}

/// What these endpoints read.
const READ: [&str; 3] = ["authorization", "content-type", "dpop"];

/// Answers the same for documents that are public: any origin may ask, with
/// whatever header its library adds.
pub(crate) async fn anyone(_: Cx, received: Received) -> Result<Response, Failure> {
    let mut response = respond::empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET"),
    );
    if let Some(asked) = received
        .headers
        .get(ACCESS_CONTROL_REQUEST_HEADERS)
        .filter(|asked| asked.len() <= MAX_ASKED_BYTES)
    {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        headers.append(
            VARY,
            HeaderValue::from_static("Access-Control-Request-Headers"),
        );
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    Ok(response)
}

/// How many bytes of header names are answered.
const MAX_ASKED_BYTES: usize = 512;
/// How many names.
const MAX_ASKED: usize = 32;

/// Lets every origin read an answer.
pub(crate) fn expose_to_all(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// Whether the file names an origin for clients that register themselves.
fn is_named(cx: &Cx, origin: &str) -> bool {
    let registration = &cx.settings.registration;
    registration.origins.iter().any(|own| own == origin)
}

/// Lets a registered origin read an answer of these endpoints. Whether it
/// may depends on who asks, which every cache in between has to know.
///
/// Where the origins cannot be read now, none is registered.
pub(crate) async fn expose(cx: &Cx, origin: Option<&str>, mut response: Response) -> Response {
    response
        .headers_mut()
        .append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else {
        return response;
    };
    let known = is_named(cx, origin)
        || cx
            .directory
            .origins()
            .await
            .is_ok_and(|origins| origins.contains(origin));
    if known && let Ok(value) = HeaderValue::from_str(origin) {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, value);
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("DPoP-Nonce, WWW-Authenticate, X-Request-Id"),
        );
    }
    response
}
