//! What callers are told of limits: headers on each answer, and problems.
//!
//! Spec: draft-ietf-httpapi-ratelimit-headers-11 §3, §4, §6
//! Spec: RFC 9651 §3.1, §3.3
//! Spec: RFC 9457 §3
//! Spec: RFC 6585 §4
//! Spec: RFC 9110 §10.2.3

use std::fmt::Write as _;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

use super::charge::{Receipt, Violated};
use super::count::Standing;
use super::settings::{Limit, Rule};
use crate::body::{Body, full};
use crate::grpc;
use crate::problem::{Problem, REQUEST_ID};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");
/// What the draft's problem types begin with.
const TYPES: &str = "https://iana.org/assignments/http-problem-types#";
/// How long somebody waits who may come again once nobody knows when.
const SOON: Duration = Duration::from_secs(1);
/// The largest number that a structured field can hold.
const MOST: u64 = 999_999_999_999_999;

/// A plan does not have what a route belongs to.
pub(crate) const NOT_IN_PLAN: Problem = Problem::new(
    403,
    "feature-not-in-plan",
    "the caller's plan does not have what this route belongs to",
);
/// A caller has a plan that nobody here knows.
pub(crate) const UNKNOWN_PLAN: Problem = Problem::new(
    503,
    "plan-unknown",
    "the gateway does not know the caller's plan",
);
/// For the log: what is answered is of the draft's type.
pub(crate) const EXCEEDED: Problem =
    Problem::new(429, "quota-exceeded", "a limit of the caller is used up");
/// The same for who goes on long after being told.
pub(crate) const ABNORMAL: Problem = Problem::new(
    429,
    "abnormal-usage-detected",
    "the caller goes on although its limits are used up",
);
/// The same where nobody can count.
pub(crate) const UNCOUNTED: Problem = Problem::new(
    503,
    "temporary-reduced-capacity",
    "requests cannot be counted for the moment",
);

/// Says how limits stand.
pub(crate) fn tell(headers: &mut HeaderMap, receipts: &[Receipt]) {
    let all = receipts.iter();
    write(
        headers,
        all.map(|own| (&own.charge.limit.limit, own.standing)),
    );
}

/// The answer to a request that would go beyond limits.
pub(crate) fn exceeded(
    violated: &[Violated],
    problem: Problem,
    request_id: &str,
) -> Response<Body> {
    let names: Vec<&str> = violated
        .iter()
        .map(|own| &*own.charge.limit.limit.name)
        .collect();
    let mut response = answer(problem, &names, request_id);
    let headers = response.headers_mut();
    let all = violated.iter();
    write(
        headers,
        all.map(|own| (&own.charge.limit.limit, own.standing)),
    );
    // Whoever comes back has to find all of them.
    let waits: Option<Vec<Duration>> = violated.iter().map(|own| own.wait).collect();
    if let Some(longest) = waits.and_then(|all| all.into_iter().max()) {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds(longest).max(1)));
    }
    response
}

/// The answer where nobody can count.
pub(crate) fn unavailable(name: &str, request_id: &str) -> Response<Body> {
    let mut response = answer(UNCOUNTED, &[name], request_id);
    let wait = HeaderValue::from(seconds(SOON));
    response.headers_mut().insert(RETRY_AFTER, wait);
    response
}

fn answer(problem: Problem, violated: &[&str], request_id: &str) -> Response<Body> {
    let body = json!({
        "type": format!("{TYPES}{}", problem.code()),
        "title": match problem.status() {
            429 => "Request cannot be satisfied as assigned quota has been exceeded",
            _ => "Request cannot be satisfied due to temporary server capacity constraints",
        },
        "status": problem.status(),
        "detail": problem.detail(),
        "violated-policies": violated,
        "request_id": request_id,
    });
    let mut response = Response::new(full(body.to_string()));
    let status = StatusCode::from_u16(problem.status());
    *response.status_mut() = status.unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    response.extensions_mut().insert(grpc::Own);
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "application/problem+json"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// Both fields are lists, so what an upstream says of its own limits stays
/// beside what the gateway says of its.
fn write<'l>(headers: &mut HeaderMap, all: impl Iterator<Item = (&'l Limit, Standing)>) {
    let (mut policies, mut standings) = (String::new(), String::new());
    for (limit, standing) in all {
        if !policies.is_empty() {
            policies.push_str(", ");
            standings.push_str(", ");
        }
        let (most, window) = policy(&limit.rule);
        // Names are of letters, digits, `-`, `_` and `.`: nothing to escape.
        // Writing into a string never fails.
        let _ = write!(policies, "\"{}\";q={}", limit.name, most.min(MOST));
        if limit.rule.is_held() {
            policies.push_str(";qu=\"concurrent-requests\"");
        }
        if let Some(window) = window {
            let _ = write!(policies, ";w={window}");
        }
        let _ = write!(
            standings,
            "\"{}\";r={}",
            limit.name,
            standing.left.min(MOST)
        );
        if let Some(reset) = standing.reset {
            let _ = write!(standings, ";t={}", seconds(reset));
        }
    }
    for (name, text) in [(POLICY, policies), (STANDING, standings)] {
        if let Some(value) = HeaderValue::from_str(&text)
            .ok()
            .filter(|_| !text.is_empty())
        {
            headers.append(name, value);
        }
    }
}

/// How much in which window, in seconds.
fn policy(rule: &Rule) -> (u64, Option<u64>) {
    match rule {
        Rule::Rate { limit, period, .. } => (*limit, Some(seconds(*period))),
        Rule::Quota { limit, period } => (*limit, Some(period.longest_seconds())),
        Rule::Rolling { limit, window } => (*limit, Some(seconds(*window))),
        Rule::Credits { capacity, .. } => (*capacity, None),
        Rule::Concurrent { limit } => (*limit, None),
    }
}

/// Whole seconds, rounded up: whoever waits so long finds it.
fn seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}
