//! One request, from its first check to its upstream.
//!
//! Spec: RFC 9110 §7.6, §7.8, §10.1.1
//! Spec: RFC 6750 §3
//!
//! 1. A message that can be read in two ways is refused.
//! 2. Its path is brought to the one form that is judged and sent.
//! 3. The narrowest route is found; where none is, nothing is asked.
//! 4. The route's verifier lets it through, or says why not.
//! 5. A request of the gateway's own is built, and what it answers passed back.
//!
//! No byte of a body is read before step 5, so whoever waits with `Expect:
//! 100-continue` sends none where it is refused.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, CONNECTION};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;
use serde_json::Value;
use symbolon_token::Secret;
use symbolon_verify::{ClientAddress, Principal, request_id};

use crate::assertion::{ASSERTION, Said};
use crate::body::{Body, Receiving, Sending, full};
use crate::decision::{self, Known};
use crate::framing::{self, Connection};
use crate::gateway::Shared;
use crate::header::{self, forwarded};
use crate::listen::Running;
use crate::plan::Plan;
use crate::problem::{BODY_LARGE, BROKEN, NO_METHOD, NO_ROUTE, Problem, REQUEST_ID};
use crate::routes::{NotFound, Ready};
use crate::settings::PassToken;
use crate::target::{self, Target};
use crate::tunnel;
use crate::upstream::Failed;
use crate::vigil::{Ended, Vigil, Watch};

/// Whoever sent a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) peer: SocketAddr,
    pub(crate) connection: Connection,
}

/// A request that was let through.
struct Passed<'a> {
    shared: &'a Arc<Shared>,
    plan: &'a Plan,
    ready: &'a Ready,
    target: Target,
    principal: Option<Principal>,
    host: Authority,
    request_id: String,
    is_tls: bool,
}

/// Answers a request; `running` is held for as long as that lasts.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    caller: &Caller,
    request: Request<Incoming>,
    running: Running,
) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let id = request_id(&parts.headers, &*shared.edge.entropy);
    let refuse = |parts: &Parts, route: &str, problem: Problem| {
        decision::failed(&known(parts, &id, route), problem);
        problem.answer(&id)
    };
    let is_http2 = parts.version == Version::HTTP_2;
    let target = target::read(&parts.method, &parts.uri, is_http2);
    let host = framing::check(&parts, &caller.connection);
    let (target, host) = match (target, host) {
        (Ok(target), Ok(host)) => (target, host),
        (Err(problem), _) | (_, Err(problem)) => {
            // What comes behind a doubtful message is not read.
            return last(refuse(&parts, "", problem), is_http2);
        }
    };
    let plan = shared.plan();
    if let Some(document) = plan.documents.get(target.path()) {
        return own_document(&parts.method, document, &id);
    }
    let ready = match plan.routes.find(&parts.method, target.path()) {
        Ok(ready) => Arc::clone(ready),
        Err(NotFound::Path) => return refuse(&parts, "", NO_ROUTE),
        Err(NotFound::Method(allowed)) => {
            decision::failed(&known(&parts, &id, ""), NO_METHOD);
            return NO_METHOD.answer_allowing(&id, &allowed);
        }
    };
    let address = plan.believed.caller(caller.peer.ip(), &parts.headers);
    parts.extensions.insert(ClientAddress(address));
    if let Some(certificate) = caller.connection.certificate {
        parts.extensions.insert(certificate);
    }
    let principal = match &ready.guard {
        None => None,
        Some(guard) => match guard.judge(&parts).await {
            Ok(principal) => Some(principal),
            Err(refusal) => {
                decision::refused(&known(&parts, &id, &ready.route.name), guard, &refusal);
                return guard.answer(&refusal, &id);
            }
        },
    };
    let seen = known(&parts, &id, &ready.route.name);
    decision::allowed(&seen, ready.guard.as_ref(), principal.as_ref());
    let passed = Passed {
        shared,
        plan: &plan,
        ready: &ready,
        target,
        principal,
        host,
        request_id: id,
        is_tls: caller.connection.is_tls,
    };
    passed.forward(parts, body, running).await
}

fn known<'a>(parts: &'a Parts, request_id: &'a str, route: &'a str) -> Known<'a> {
    Known {
        request_id,
        method: match parts.method.as_str().len() {
            0..=16 => parts.method.as_str(),
            _ => "other",
        },
        route,
        headers: &parts.headers,
    }
}

/// Says that an answer is the last of its connection.
fn last(mut response: Response<Body>, is_http2: bool) -> Response<Body> {
    if !is_http2 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}

/// A document of the gateway's own.
fn own_document(method: &Method, document: &str, request_id: &str) -> Response<Body> {
    if *method != Method::GET && *method != Method::HEAD {
        return NO_METHOD.answer_allowing(request_id, "GET, HEAD");
    }
    let mut response = Response::new(full(document.to_owned()));
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-type", "application/json"),
        ("cache-control", "public, max-age=300"),
        ("access-control-allow-origin", "*"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Passed<'_> {
    /// Sends it on and passes back what is answered.
    async fn forward(self, mut parts: Parts, body: Incoming, running: Running) -> Response<Body> {
        let limit = self.ready.route.max_body_bytes;
        if body.size_hint().lower() > limit {
            return self.fail(&parts, BODY_LARGE);
        }
        let upgrade = match tunnel::is_asked_for(&parts) {
            true => parts.extensions.remove::<OnUpgrade>(),
            false => None,
        };
        let watch = self.watch(&parts);
        let idle = self.ready.upstream.settings.idle_timeout;
        let vigil = || Vigil::new(watch.clone(), idle);
        let (body, verdict, has_sent) = Sending::new(body, limit, &self.plan.claimed, vigil());
        let Some(request) = self.request(&parts, body, upgrade.is_some()) else {
            return self.fail(&parts, BROKEN);
        };
        let sent = self.ready.upstream.send(request, verdict, has_sent);
        let mut response = match sent.await {
            Ok(response) => response,
            Err(Failed::Problem(problem)) => return self.fail(&parts, problem),
            Err(Failed::Ended(ended)) => return self.end(&parts, &ended),
        };
        let mut headers = header::for_caller(response.headers());
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert(REQUEST_ID, id);
        }
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            let (Some(caller), true) = (upgrade, tunnel::is_websocket(response.headers())) else {
                // It became what nobody asked for.
                return self.fail(&parts, BROKEN);
            };
            tunnel::say(&mut headers);
            let upstream = hyper::upgrade::on(&mut response);
            tokio::spawn(tunnel::run(caller, upstream, vigil(), running));
            return with(status, headers, full(String::new()));
        }
        let body = Receiving::body(response.into_body(), vigil(), running);
        with(status, headers, body)
    }

    /// The request as the upstream gets it.
    fn request(&self, parts: &Parts, body: Sending, upgrades: bool) -> Option<Request<Sending>> {
        let Self { plan, ready, .. } = self;
        let pass_token = match ready.guard {
            Some(_) => ready.route.pass_token,
            // Nobody checked it, so nobody knows whose it is.
            None => PassToken::No,
        };
        let mut headers = header::for_upstream(&parts.headers, &plan.claimed, pass_token);
        let address = parts.extensions.get::<ClientAddress>()?;
        forwarded::write(&mut headers, address.0, &self.host, self.is_tls);
        headers.insert(REQUEST_ID, HeaderValue::from_str(&self.request_id).ok()?);
        if upgrades {
            tunnel::say(&mut headers);
        }
        let target = self.target.path_and_query();
        if let Some(principal) = &self.principal {
            let said = Said {
                upstream: &ready.route.upstream,
                request_id: &self.request_id,
                method: &parts.method,
                path_and_query: target.as_str(),
            };
            let edge = &self.shared.edge;
            let assertion = plan
                .key
                .say(principal, &said, edge.clock.now(), &*edge.entropy);
            headers.insert(ASSERTION, HeaderValue::from_str(&assertion).ok()?);
            for (name, claim) in &ready.route.claims {
                if let Some(value) = principal.claim(claim).and_then(plain) {
                    headers.insert(name, value);
                }
            }
        }
        let mut request = Request::new(body);
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = ready.upstream.address(target)?;
        *request.version_mut() = match ready.upstream.settings.spoken {
            crate::settings::Spoken::Http1 => Version::HTTP_11,
            crate::settings::Spoken::Http2 => Version::HTTP_2,
        };
        *request.headers_mut() = headers;
        Some(request)
    }

    /// What watches over it for as long as it is open.
    fn watch(&self, parts: &Parts) -> Option<Arc<Watch>> {
        let (guard, principal) = (self.ready.guard.as_ref()?, self.principal.as_ref()?);
        let value = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (_, token) = value.split_once(' ')?;
        Some(Arc::new(Watch {
            shared: Arc::clone(self.shared),
            method: parts.method.clone(),
            path: self.target.path().to_owned(),
            token: Secret::from(token),
            principal: principal.clone(),
            began: self.shared.edge.clock.now(),
            of: Arc::clone(&guard.of),
        }))
    }

    fn fail(&self, parts: &Parts, problem: Problem) -> Response<Body> {
        let known = known(parts, &self.request_id, &self.ready.route.name);
        decision::failed(&known, problem);
        problem.answer(&self.request_id)
    }

    /// The token ended while the request was on its way.
    fn end(&self, parts: &Parts, ended: &Ended) -> Response<Body> {
        let (Ended::Refused(refusal), Some(guard)) = (ended, &self.ready.guard) else {
            return self.fail(parts, ended.problem());
        };
        let known = known(parts, &self.request_id, &self.ready.route.name);
        decision::refused(&known, guard, refusal);
        guard.answer(refusal, &self.request_id)
    }
}

fn with(status: StatusCode, headers: http::HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// A claim as the value of a header: texts, numbers and truth values as they
/// are, a list with blanks between; what may not stand in a header is
/// percent-encoded, so that nothing in it begins another one.
fn plain(claim: &Value) -> Option<HeaderValue> {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const KEPT: &AsciiSet = &CONTROLS.add(b'%');

    let text = match claim {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => claim.to_string(),
        Value::Array(all) => {
            let texts: Option<Vec<&str>> = all.iter().map(Value::as_str).collect();
            texts?.join(" ")
        }
        Value::Null | Value::Object(_) => return None,
    };
    let encoded = utf8_percent_encode(&text, KEPT).to_string();
    HeaderValue::from_str(&encoded).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_stands_in_one_header_whatever_it_says() {
        let of = |claim: Value| plain(&claim).map(|own| own.to_str().unwrap().to_owned());
        assert_eq!(of(json!("usr_1")).as_deref(), Some("usr_1"));
        assert_eq!(of(json!(["a", "b"])).as_deref(), Some("a b"));
        assert_eq!(of(json!(7)).as_deref(), Some("7"));
        assert_eq!(
            of(json!("é%\r\nX: 1")).as_deref(),
            Some("%C3%A9%25%0D%0AX: 1")
        );
        assert_eq!(of(json!({ "a": 1 })), None);
        assert_eq!(of(json!([1])), None);
    }
}
