//! Answers of the gateway's own, where no verifier speaks.
//!
//! Spec: RFC 9457 §3

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::body::{Body, full};
use crate::grpc;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What the type of each problem begins with.
const TYPES: &str = "https://symbolon.dev/problems/";

/// What is wrong, under a name that stays the same across versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Problem {
    status: u16,
    code: &'static str,
    detail: &'static str,
}

impl Problem {
    pub(crate) const fn new(status: u16, code: &'static str, detail: &'static str) -> Self {
        Self {
            status,
            code,
            detail,
        }
    }

    /// A request that cannot be one.
    pub(crate) const fn bad(code: &'static str, detail: &'static str) -> Self {
        Self::new(400, code, detail)
    }

    pub(crate) const fn code(self) -> &'static str {
        self.code
    }

    pub(crate) const fn detail(self) -> &'static str {
        self.detail
    }

    pub(crate) const fn status(self) -> u16 {
        self.status
    }

    /// The answer.
    pub(crate) fn answer(self, request_id: &str) -> Response<Body> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = json!({
            "type": format!("{TYPES}{}", self.code),
            "title": status.canonical_reason().unwrap_or_default(),
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
        });
        let mut response = Response::new(full(body.to_string()));
        *response.status_mut() = status;
        response.extensions_mut().insert(grpc::Own);
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert(REQUEST_ID, id);
        }
        response
    }

    /// The answer to a method that no route of this path takes.
    ///
    /// Spec: RFC 9110 §15.5.6
    pub(crate) fn answer_allowing(self, request_id: &str, methods: &str) -> Response<Body> {
        let mut response = self.answer(request_id);
        if let Ok(methods) = HeaderValue::from_str(methods) {
            response.headers_mut().insert(ALLOW, methods);
        }
        response
    }
}

pub(crate) const NO_ROUTE: Problem = Problem::new(404, "no-route", "no route takes this path");
pub(crate) const NEARLY: Problem = Problem::bad(
    "path-nearly",
    "the path is nearly that of a narrower route: write it with the same capitals, and nothing at the end of a name",
);
pub(crate) const NO_METHOD: Problem =
    Problem::new(405, "no-method", "no route of this path takes this method");
pub(crate) const BODY_LARGE: Problem = Problem::new(
    413,
    "body-large",
    "the body is larger than the route allows",
);
pub(crate) const BODY_SLOW: Problem =
    Problem::new(408, "body-slow", "the body was silent for too long");
pub(crate) const BODY_BROKEN: Problem =
    Problem::bad("body-broken", "the body could not be read to its end");
pub(crate) const UNREACHABLE: Problem = Problem::new(
    502,
    "upstream-unreachable",
    "the service behind the gateway cannot be reached",
);
pub(crate) const BROKEN: Problem = Problem::new(
    502,
    "upstream-broken",
    "the service behind the gateway broke off",
);
pub(crate) const SLOW: Problem = Problem::new(
    504,
    "upstream-slow",
    "the service behind the gateway did not answer in time",
);
pub(crate) const DOWN: Problem = Problem::new(
    503,
    "upstream-down",
    "no server of the service behind the gateway is well",
);
pub(crate) const POLICY_DENIED: Problem =
    Problem::new(403, "policy-denied", "a policy does not allow this");
pub(crate) const POLICY_UNKNOWN: Problem = Problem::new(
    503,
    "policy-unknown",
    "whether a policy allows this cannot be known now",
);
pub(crate) const RISK_REFUSED: Problem =
    Problem::new(403, "risk-refused", "this request looks too risky");
pub(crate) const ENDED: Problem = Problem::new(
    403,
    "route-changed",
    "what was allowed when the request began is no longer",
);
