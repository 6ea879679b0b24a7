//! Turns a page into a response with the headers that every page carries.
//!
//! Spec: RFC 9700 §4.16

use askama::Template;
use axum::body::Body;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::policy::Policy;

/// A page that can be sent to a browser.
pub(crate) trait Page: Template {
    /// The status of the response.
    fn status(&self) -> StatusCode {
        StatusCode::OK
    }

    /// What the browser may do with this page.
    fn policy(&self) -> Policy;

    /// Adds headers that only this page has.
    fn add_headers(&self, _headers: &mut HeaderMap) {}

    /// The whole response: status, headers and HTML.
    fn response(&self) -> Response {
        let Ok(html) = self.render() else {
            // Rendering only writes to a string; no page can make it fail.
            let mut response = Response::new(Body::from("server_error"));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            return response;
        };
        let mut response = Response::new(Body::from(html));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        for (name, value) in FIXED {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(CONTENT_SECURITY_POLICY, self.policy().header());
        self.add_headers(headers);
        response
    }
}

// `no-referrer` keeps the address of a page, with its parameters, from every
// other site. It also makes browsers send `Origin: null` with a page's form.
const FIXED: [(HeaderName, &str); 7] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CACHE_CONTROL, "no-store"),
    (X_FRAME_OPTIONS, "DENY"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];
