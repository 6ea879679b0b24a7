//! The gateway as a decision point: whoever shows the bearer asks its policies.
//!
//! Spec: OpenID AuthZEN Authorization API 1.0 §6, §7, §8, §9, §10.1
//!
//! 1. `document` says where the endpoints are.
//! 2. `batch` answers one evaluation or several, `search` looks for what would
//!    be permitted.
//! 3. This file knows who asks, and speaks HTTP. A denial is 200 and `false`;
//!    another status is about the request alone.

mod batch;
mod document;
mod search;

use std::time::Duration;

use http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::Value;

use self::search::Sought;
use crate::body::{Body, Carried, full};
use crate::gateway::Gateway;
use crate::policy::Policies;
use crate::problem::REQUEST_ID;

const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";
const SUBJECTS: &str = "/access/v1/search/subject";
const RESOURCES: &str = "/access/v1/search/resource";
const ACTIONS: &str = "/access/v1/search/action";
const DOCUMENT: &str = "/.well-known/authzen-configuration";
/// How large a request may be, in bytes.
const MAX_BODY_BYTES: u64 = 256 * 1024;
/// How long its body may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an id may be that is sent back, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 256;
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Whether a path belongs to the decision point.
pub(crate) fn is_for(path: &str) -> bool {
    matches!(
        path,
        EVALUATION | EVALUATIONS | SUBJECTS | RESOURCES | ACTIONS | DOCUMENT
    )
}

/// What is said instead of a decision.
struct Refused(StatusCode, &'static str);

/// Answers a request to the decision point.
pub(crate) async fn answer(gateway: &Gateway, request: Request<Incoming>) -> Response<Body> {
    let id = request.headers().get(REQUEST_ID).cloned();
    let id = id.filter(|own| own.len() <= MAX_REQUEST_ID_BYTES);
    let mut response = match decide(gateway, request).await {
        Ok(answer) => said(StatusCode::OK, JSON, answer.to_string()),
        Err(Refused(status, why)) => {
            let mut response = said(status, TEXT, why.to_owned());
            let headers = response.headers_mut();
            match status {
                StatusCode::UNAUTHORIZED => {
                    headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                }
                StatusCode::METHOD_NOT_ALLOWED => {
                    headers.insert(ALLOW, HeaderValue::from_static("POST"));
                }
                _ => {}
            }
            response
        }
    };
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn decide(gateway: &Gateway, request: Request<Incoming>) -> Result<Value, Refused> {
    let plan = gateway.shared.plan();
    let policy = plan.policy.as_ref();
    let (policy, token) = policy
        .and_then(|own| Some((own, own.evaluation_token.as_ref()?)))
        .ok_or(NOT_HERE)?;
    let policies: &Policies = policy.policies.as_deref().ok_or(NOT_HERE)?;
    let path = request.uri().path().to_owned();
    if path == DOCUMENT {
        let origin = policy.evaluation_url.as_deref().ok_or(NOT_HERE)?;
        return match *request.method() {
            Method::GET | Method::HEAD => Ok(document::metadata(origin)),
            _ => Err(Refused(StatusCode::METHOD_NOT_ALLOWED, "only GET")),
        };
    }
    if *request.method() != Method::POST {
        return Err(Refused(StatusCode::METHOD_NOT_ALLOWED, "only POST"));
    }
    let shown = bearer(request.headers());
    if !shown.is_some_and(|shown| token.matches(shown)) {
        return Err(Refused(
            StatusCode::UNAUTHORIZED,
            "the bearer is missing or wrong",
        ));
    }
    if !is_json(request.headers()) {
        return Err(Refused(
            StatusCode::BAD_REQUEST,
            "the content type is not application/json",
        ));
    }
    let id = request.headers().get(REQUEST_ID);
    let id = id.and_then(|own| own.to_str().ok()).unwrap_or_default();
    let asked = batch::Asked {
        policies,
        now: gateway.shared.edge.clock.now(),
        request_id: id.chars().take(64).collect(),
    };
    let body = Carried::Stream(request.into_body());
    let body = body.read(MAX_BODY_BYTES, PATIENCE).await;
    let body =
        body.map_err(|_| Refused(StatusCode::BAD_REQUEST, "the body is too large or broken"))?;
    let body: Value = serde_json::from_slice(&body)
        .map_err(|_| Refused(StatusCode::BAD_REQUEST, "the body is no JSON"))?;
    let sought = |sought| search::search(&asked, sought, &body, plan.routes.names());
    let answer = match &*path {
        EVALUATIONS => batch::evaluations(&asked, &body),
        SUBJECTS => sought(Sought::Subject),
        RESOURCES => sought(Sought::Resource),
        ACTIONS => sought(Sought::Action),
        _ => batch::evaluation(&asked, &body),
    };
    answer.map_err(|why| Refused(StatusCode::BAD_REQUEST, why))
}

const NOT_HERE: Refused = Refused(StatusCode::NOT_FOUND, "no decision point is set up here");

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (one, more) = (all.next()?, all.next());
    let (scheme, token) = one.as_bytes().split_at_checked(b"Bearer ".len())?;
    (more.is_none() && scheme.eq_ignore_ascii_case(b"Bearer ")).then_some(token)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|own| own.to_str().ok());
    let kind = kind.and_then(|own| own.split(';').next());
    kind.is_some_and(|own| own.trim().eq_ignore_ascii_case("application/json"))
}

fn said(status: StatusCode, kind: HeaderValue, text: String) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
