//! Documents of the gateway's own: any page may read them, and ask with whatever
//! header its library adds.
//!
//! Spec: RFC 9728 §3
//! Spec: WHATWG Fetch §3.3

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use crate::body::{Body, full};
use crate::problem::NO_METHOD;

/// How many bytes of header names are answered.
const MAX_ASKED_BYTES: usize = 512;

/// Answers a request for a document.
pub(crate) fn answer(parts: &Parts, document: &str, request_id: &str) -> Response<Body> {
    let is_preflight = parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    match parts.method {
        Method::GET | Method::HEAD => {
            let mut response = Response::new(full(document.to_owned()));
            write(
                response.headers_mut(),
                &[
                    ("content-type", "application/json"),
                    ("cache-control", "public, max-age=300"),
                ],
            );
            response
        }
        Method::OPTIONS if is_preflight => preflight(&parts.headers),
        _ => NO_METHOD.answer_allowing(request_id, "GET, HEAD"),
    }
}

fn preflight(asked: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(full(String::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    write(
        headers,
        &[
            ("access-control-allow-methods", "GET, HEAD"),
            ("access-control-max-age", "600"),
            ("vary", "Access-Control-Request-Headers"),
        ],
    );
    let names = asked.get(ACCESS_CONTROL_REQUEST_HEADERS);
    if let Some(names) = names.filter(|own| own.len() <= MAX_ASKED_BYTES) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    response
}

fn write(headers: &mut HeaderMap, own: &[(&'static str, &'static str)]) {
    let everybody = ("access-control-allow-origin", "*");
    for (name, value) in own.iter().chain([&everybody]) {
        headers.insert(*name, HeaderValue::from_static(value));
    }
}
