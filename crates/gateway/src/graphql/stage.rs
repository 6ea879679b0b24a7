//! A request of HTTP to a route that guards GraphQL: read, judged, and written
//! anew from what was judged.
//!
//! Spec: draft-graphql-over-http §5, §6
//! Spec: RFC 6750 §3.1
//!
//! 1. A WebSocket is refused: what is said in one is not judged.
//! 2. The body is read whole, within its limit, and read in one way.
//! 3. Every operation is judged; one that may not pass stops its whole batch.
//! 4. What is sent is written from what was judged. The service never sees the
//!    text that came.

use std::sync::Arc;
use std::time::Duration;

use apollo_compiler::ast::OperationType;
use http::header::{ACCEPT, ACCEPT_ENCODING, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Response};
use hyper::body::Bytes;
use symbolon_token::explain::Refused;
use symbolon_verify::{Principal, Refusal, Requirement};

use super::declined::Declined;
use super::graph::Graph;
use super::judge::Approved;
use super::masks::Masks;
use super::request::{self, Asked, Request};
use super::rule::Held;
use crate::body::{Body, Carried};
use crate::content::{Again, Answer, Content, say_written};
use crate::cost::Cost;
use crate::decision;
use crate::judge::{Judged, known};
use crate::problem::{NO_METHOD, Problem};
use crate::routes::Ready;
use crate::settings::Demand;
use crate::tunnel;

/// How long a body may take that is read whole.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a request does not pass.
enum Stopped {
    /// As a request of HTTP.
    Problem(Problem),
    /// As a request of GraphQL.
    Declined(Declined),
}

impl From<Problem> for Stopped {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Declined> for Stopped {
    fn from(declined: Declined) -> Self {
        Self::Declined(declined)
    }
}

/// Judges what a request asks for, where its route guards GraphQL.
pub(crate) async fn judge(
    judged: &mut Judged,
    parts: &mut Parts,
    content: Content,
    request_id: &str,
) -> Result<Content, Box<Response<Body>>> {
    let Some(graph) = judged.ready.route.graphql.clone() else {
        return Ok(content);
    };
    let is_shadow = !graph.is_enforced();
    if let Err(problem) = check_way(parts) {
        if is_shadow {
            tell(
                judged,
                parts,
                "shadow",
                &Stopped::Problem(problem),
                request_id,
            );
            return Ok(content);
        }
        return Err(refuse(judged, parts, &problem.into(), request_id));
    }
    let limit = graph.settings.limits.max_request_bytes;
    let limit = limit.min(judged.ready.route.max_body_bytes);
    let bytes = match content.body.read(limit, PATIENCE).await {
        Ok(bytes) => bytes,
        Err(problem) => return Err(refuse(judged, parts, &problem.into(), request_id)),
    };
    match approve(&graph, judged, parts, &bytes) {
        Ok((request, approved)) => {
            let cost = all_of(&approved);
            note(cost);
            if is_shadow {
                return Ok(as_it_came(bytes));
            }
            let again = lasting(&judged.ready, &request, &approved);
            let sent = send(judged, parts, (&request, approved), request_id);
            let content = sent.map(|own| Content { again, ..own });
            content.map_err(|problem| refuse(judged, parts, &problem.into(), request_id))
        }
        Err(stopped) if is_shadow => {
            tell(judged, parts, "shadow", &stopped, request_id);
            Ok(as_it_came(bytes))
        }
        Err(stopped) => Err(refuse(judged, parts, &stopped, request_id)),
    }
}

/// In the shadow nothing changes: what a request costs is told in the numbers,
/// and its caller is charged what the route says.
fn as_it_came(bytes: Bytes) -> Content {
    Content {
        body: Carried::Whole(bytes),
        cost: None,
        answer: Answer::Untouched,
        answering: None,
        again: None,
    }
}

fn all_of(all: &[Approved]) -> u64 {
    all.iter().map(|own| own.cost).fold(0, u64::saturating_add)
}

fn note(cost: u64) {
    let numbers = metrics::histogram!("symbolon_gateway_graphql_cost");
    #[expect(clippy::cast_precision_loss, reason = "as near as numbers need it")]
    numbers.record(cost as f64);
}

/// A subscription goes on for as long as it would still be let through.
fn lasting(ready: &Arc<Ready>, request: &Request, approved: &[Approved]) -> Option<Again> {
    let goes_on = |own: &Approved| own.facts.kind == OperationType::Subscription;
    let asked = request.all.first().filter(|_| approved.iter().any(goes_on));
    let asked = asked?.clone();
    Some(Again::new(ready, move |ready, principal| {
        let graph = ready.route.graphql.as_ref();
        graph.is_none_or(|graph| {
            let is_shadow = !graph.is_enforced();
            is_shadow || may_go_on(graph, &asked, principal)
        })
    }))
}

fn may_go_on(graph: &Graph, asked: &Asked, principal: Option<&Principal>) -> bool {
    let approved = graph.judge(asked, Held::by(principal));
    let max = graph.settings.limits.max_cost;
    graph.settings.subscriptions && approved.is_ok_and(|own| own.cost <= max)
}

/// Refuses ways of asking in which nothing could be judged.
fn check_way(parts: &Parts) -> Result<(), Problem> {
    if tunnel::is_asked_for(parts) {
        return Err(NO_WEBSOCKET);
    }
    match parts.method {
        Method::GET | Method::POST => request::check_head(parts),
        _ => Err(NO_METHOD),
    }
}

/// Reads and judges everything that is asked for.
fn approve(
    graph: &Graph,
    judged: &Judged,
    parts: &Parts,
    bytes: &[u8],
) -> Result<(Request, Vec<Approved>), Stopped> {
    let request = request::read(parts, bytes, &graph.settings.limits)?;
    let held = Held::by(judged.principal.as_ref());
    let mut all = Vec::new();
    let mut cost = 0_u64;
    for asked in &request.all {
        let approved = graph.judge(asked, held)?;
        check_kind(graph, &request, parts, approved.facts.kind)?;
        cost = cost.saturating_add(approved.cost);
        let max = graph.settings.limits.max_cost;
        if cost > max {
            return Err(Declined::cost(cost, max).into());
        }
        all.push(approved);
    }
    Ok((request, all))
}

/// GET is for queries; subscriptions are for events.
fn check_kind(
    graph: &Graph,
    request: &Request,
    parts: &Parts,
    kind: OperationType,
) -> Result<(), Declined> {
    match kind {
        OperationType::Query => Ok(()),
        OperationType::Mutation if parts.method == Method::GET => {
            Err(Declined::kind(405, "a mutation is no matter for GET"))
        }
        OperationType::Mutation => Ok(()),
        OperationType::Subscription if !graph.settings.subscriptions => {
            Err(Declined::kind(400, "subscriptions do not pass here"))
        }
        OperationType::Subscription if request.is_batch || !takes_events(parts) => {
            Err(Declined::kind(
                400,
                "a subscription comes alone, and is answered as `text/event-stream`",
            ))
        }
        OperationType::Subscription => Ok(()),
    }
}

fn takes_events(parts: &Parts) -> bool {
    let values = parts.headers.get_all(ACCEPT).iter();
    let mut ranges = values.flat_map(|value| value.as_bytes().split(|own| *own == b','));
    ranges.any(|range| {
        let range = range.split(|own| *own == b';').next().unwrap_or_default();
        range
            .trim_ascii()
            .eq_ignore_ascii_case(b"text/event-stream")
    })
}

/// Writes what is sent.
fn send(
    judged: &mut Judged,
    parts: &mut Parts,
    (request, all): (&Request, Vec<Approved>),
    request_id: &str,
) -> Result<Content, Problem> {
    let cost = all_of(&all);
    let body = match parts.method == Method::GET {
        true => {
            let query = all.first().map(in_url).unwrap_or_default();
            judged.target = judged.target.with_query(&query)?;
            Bytes::new()
        }
        false => {
            // The service is told of the operation in the body alone.
            judged.target = judged.target.with_query("")?;
            say_written(&mut parts.headers);
            Bytes::from(in_body(request, &all))
        }
    };
    let places: Vec<&str> = all
        .iter()
        .filter_map(|own| own.mask.as_ref())
        .flat_map(|mask| mask.places())
        .collect();
    let answer = match places.is_empty() {
        true => Answer::Untouched,
        false => {
            let cause = format!("not asked for: {}", places.join(", "));
            let seen = known(parts, request_id, &judged.ready.route.name);
            decision::content(&seen, "narrowed", ("graphql-denied", 200), &cause);
            // It has to be read, and is written anew.
            let identity = HeaderValue::from_static("identity");
            parts.headers.insert(ACCEPT_ENCODING, identity);
            let max = judged.ready.route.graphql.as_ref();
            let max = max.map_or(0, |own| own.settings.limits.max_answer_bytes);
            let masks = all.into_iter().map(|own| own.mask).collect();
            Answer::Masked(Masks::new(masks, request.is_batch, max))
        }
    };
    Ok(Content {
        body: Carried::Whole(body),
        cost: Some(Cost::units(cost)),
        answer,
        answering: None,
        again: None,
    })
}

fn in_body(request: &Request, all: &[Approved]) -> String {
    let mut out = String::new();
    if request.is_batch {
        out.push('[');
    }
    for (at, own) in all.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        own.write(&mut out);
    }
    if request.is_batch {
        out.push(']');
    }
    out
}

fn in_url(own: &Approved) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    pairs.append_pair("query", &own.facts.text);
    if let Some(name) = &own.facts.name {
        pairs.append_pair("operationName", name);
    }
    if !own.variables.is_empty() {
        let mut values = String::new();
        own.write_variables(&mut values);
        pairs.append_pair("variables", &values);
    }
    pairs.finish()
}

/// Tells the operator.
fn tell(judged: &Judged, parts: &Parts, decision: &'static str, stopped: &Stopped, id: &str) {
    let seen = known(parts, id, &judged.ready.route.name);
    match stopped {
        Stopped::Problem(own) => {
            decision::content(&seen, decision, (own.code(), own.status()), own.detail());
        }
        Stopped::Declined(own) => {
            let status = own.status(&parts.headers);
            decision::content(&seen, decision, (own.code, status), &own.cause());
        }
    }
}

/// Refuses a request, and says so to the operator.
fn refuse(judged: &Judged, parts: &Parts, stopped: &Stopped, id: &str) -> Box<Response<Body>> {
    tell(judged, parts, "refused", stopped, id);
    let declined = match stopped {
        Stopped::Problem(NO_METHOD) => {
            return Box::new(NO_METHOD.answer_allowing(id, "GET, POST"));
        }
        Stopped::Problem(problem) => return Box::new(problem.answer(id)),
        Stopped::Declined(declined) => declined,
    };
    let mut response = declined.answer(&parts.headers, id);
    if declined.is_denial() {
        for challenge in challenges(judged, declined, id) {
            response.headers_mut().append(WWW_AUTHENTICATE, challenge);
        }
    }
    Box::new(response)
}

/// Which scopes would do, those of the route among them.
fn challenges(judged: &Judged, declined: &Declined, id: &str) -> Vec<HeaderValue> {
    let Some(guard) = &judged.ready.guard else {
        return vec![HeaderValue::from_static("Bearer")];
    };
    if declined.wanted.is_empty() {
        return Vec::new();
    }
    let of_route = match &judged.ready.route.demand {
        Demand::Token(demand) => demand.needed.names(),
        Demand::Public => &[],
    };
    let needed: Vec<String> = of_route.iter().chain(&declined.wanted).cloned().collect();
    let refusal = Refusal::from(Refused::Scope {
        needed: needed.clone(),
        found: Vec::new(),
    });
    let answer = guard
        .verifier
        .answer(&refusal, &Requirement::all(needed), id);
    let all = answer.headers().get_all(WWW_AUTHENTICATE).iter();
    all.cloned().collect()
}

const NO_WEBSOCKET: Problem = Problem::bad(
    "graphql-websocket",
    "operations in a WebSocket are not judged here: ask for subscriptions as server-sent events",
);
