//! Routes to MCP servers: what may be reached behind the one path.
//!
//! 1. `Origin` is one of the file's, where a page calls (`page`). A WebSocket is
//!    refused: what is said in one is not judged.
//! 2. The message is read whole, once and strictly; headers that repeat it say
//!    the same (`message`).
//! 3. The method is one that is known here; the tool, prompt or resource is one
//!    that a rule names, with arguments that fit, and the token has the scopes
//!    (`rules`).
//! 4. A session, and the event after which a stream is resumed, are the caller's
//!    own (`session`).
//! 5. What goes on is what was judged, written anew; lists that come back lose
//!    what the caller may not use (`answer`).
//!
//! Spec: MCP 2026-07-28 Authorization
//! Spec: MCP 2026-07-28 Streamable HTTP
//! Spec: MCP 2025-11-25 Authorization
//! Spec: MCP 2025-11-25 Transports
//! Spec: RFC 6750 §3.1
//! Spec: RFC 9728 §5.1

mod address;
mod answer;
mod event;
mod message;
mod page;
mod problem;
mod resource;
mod rules;
mod session;

use http::header::{ACCEPT_ENCODING, ORIGIN, RANGE, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Method, Response};
use serde_json::Value;
use symbolon_verify::{Principal, Refusal, Refused};

use self::message::{LAST_EVENT_ID, Message, SESSION_ID, Version};
use self::problem::{Bad, INVALID, NO_METHOD, PARAMETERS};
use self::rules::{Ruled, holds};
use crate::body::{Body, Carried};
use crate::content::{Again, Content, say_written};
use crate::cost::Cost;
use crate::decision;
use crate::judge::{self, Judged};
use crate::problem::{BROKEN, NO_METHOD as NO_HTTP_METHOD, Problem};
use crate::tunnel;

pub(crate) use self::answer::Answering;
pub(crate) use self::page::Page;
pub(crate) use self::session::SessionKey;
pub use rules::{Allowed, Mcp, Rule, Unlisted};

/// A page that nobody named calls.
const ORIGIN_REFUSED: Problem = Problem::new(403, "mcp-origin", "no page of this origin may call");
/// Nothing would be asked of what is said in one.
const NO_WEBSOCKET: Problem = Problem::bad(
    "mcp-websocket",
    "messages in a WebSocket are not judged here: use Streamable HTTP",
);
/// A session that is not the caller's.
const NO_SESSION: Problem = Problem::new(404, "mcp-session", "there is no such session");
/// An event that was not sent to the caller.
const NO_EVENT: Problem = Problem::new(404, "mcp-event", "there is no such event");

/// What a refusal looks like, and what the log learns of it.
enum No {
    Problem(Problem),
    Bad(Bad),
    Scopes(Vec<String>),
}

/// Judges what is in a request, where its route says that it is MCP.
pub(crate) async fn admit(
    judged: &Judged,
    parts: &mut Parts,
    content: Content,
    (request_id, key): (&str, SessionKey),
) -> Result<Content, Box<Response<Body>>> {
    let Some(mcp) = &judged.ready.route.mcp else {
        return Ok(content);
    };
    let judging = judge(mcp, judged, parts, (content, key)).await;
    judging.map_err(|no| Box::new(refuse(judged, parts, request_id, no)))
}

async fn judge(
    mcp: &Mcp,
    judged: &Judged,
    parts: &mut Parts,
    (content, key): (Content, SessionKey),
) -> Result<Content, No> {
    check_origin(mcp, parts)?;
    if tunnel::is_asked_for(parts) {
        return Err(No::Problem(NO_WEBSOCKET));
    }
    let mut answering = Answering {
        ready: judged.ready.clone(),
        principal: judged.principal.clone(),
        key,
        version: Version::WithSessions,
        is_read: true,
    };
    let (mut cost, mut again) = (Cost::ONE, None);
    let body = match parts.method {
        Method::POST => {
            let route = &judged.ready.route;
            let patience = judged.ready.upstream.settings.idle_timeout;
            let read = content.body.read(route.max_body_bytes, patience).await;
            let message = Message::read(&read.map_err(No::Problem)?, &parts.headers);
            let message = message.map_err(No::Bad)?;
            cost = may(mcp, judged.principal.as_ref(), &message)?;
            answering.version = message.version;
            answering.is_read = answer::is_read(message.method(), message.version);
            // Whoever reads its length reads that of what is sent.
            parts.headers.remove(TRANSFER_ENCODING);
            say_written(&mut parts.headers);
            let text = serde_json::to_string(&message.whole);
            let text = text.map_err(|_| No::Problem(BROKEN))?;
            again = Some(Again::new(&judged.ready, move |ready, principal| {
                let mcp = ready.route.mcp.as_ref();
                mcp.is_none_or(|mcp| may(mcp, principal, &message).is_ok())
            }));
            Carried::Whole(text.into())
        }
        Method::GET | Method::DELETE => {
            let version = message::version_alone(&parts.headers).map_err(No::Bad)?;
            if version == Version::Alone {
                return Err(No::Problem(NO_HTTP_METHOD));
            }
            // What ends a session may be confirmed in any words.
            answering.is_read = parts.method == Method::GET;
            Carried::Whole(hyper::body::Bytes::new())
        }
        _ => return Err(No::Problem(NO_HTTP_METHOD)),
    };
    untie(parts, &answering)?;
    if answering.is_looked_into() {
        // Without the header, any would do.
        let identity = HeaderValue::from_static("identity");
        parts.headers.insert(ACCEPT_ENCODING, identity);
        parts.headers.remove(RANGE);
    }
    Ok(Content {
        body,
        cost: Some(cost),
        answer: content.answer,
        answering: Some(answering),
        again,
    })
}

/// A page calls only where its origin is named, so that no page anywhere makes
/// a browser use what is open to it alone.
fn check_origin(mcp: &Mcp, parts: &Parts) -> Result<(), No> {
    let mut all = parts.headers.get_all(ORIGIN).iter();
    let is_own = |origin: &HeaderValue| mcp.origins.iter().any(|own| own.as_bytes() == origin);
    match (all.next(), all.next()) {
        (None, _) => Ok(()),
        (Some(origin), None) if is_own(origin) => Ok(()),
        _ => Err(No::Problem(ORIGIN_REFUSED)),
    }
}

/// Puts the server's own session and event in the place of the caller's.
fn untie(parts: &mut Parts, answering: &Answering) -> Result<(), No> {
    let tied = [
        (SESSION_ID, answering.key, NO_SESSION),
        (LAST_EVENT_ID, answering.key.of_events(), NO_EVENT),
    ];
    let whose = answering.whose();
    for (name, key, problem) in tied {
        let presented = message::one(&parts.headers, &name).map_err(No::Bad)?;
        let presented = presented.map(str::to_owned);
        parts.headers.remove(&name);
        let Some(presented) = presented.filter(|_| answering.version == Version::WithSessions)
        else {
            continue;
        };
        let own = key.untie(&presented, &whose);
        let value = own.and_then(|own| HeaderValue::from_str(own).ok());
        parts
            .headers
            .insert(name, value.ok_or(No::Problem(problem))?);
    }
    Ok(())
}

/// Whether a message may go on, and what it costs.
fn may(mcp: &Mcp, principal: Option<&Principal>, message: &Message) -> Result<Cost, No> {
    let Some(method) = message.method() else {
        // An answer to what the server asked on a stream that this caller has.
        return Ok(Cost::ONE);
    };
    let bad = |code, why| No::Bad(Bad::new(code, why).of(&message.id()));
    let uses = match uses(method, message) {
        Some(Ok(uses)) => uses,
        Some(Err(why)) => return Err(bad(PARAMETERS, why)),
        None => {
            let status = match message.version {
                Version::Alone => 404,
                Version::WithSessions => 400,
            };
            let no = Bad::new(NO_METHOD, "the method is not known here");
            return Err(No::Bad(no.of(&message.id()).with_status(status)));
        }
    };
    let mut cost = 0_u64;
    for (list, name, arguments) in uses {
        let ruled = match list {
            List::Tools => mcp.rule(&mcp.tools, name, arguments),
            List::Prompts => mcp.rule(&mcp.prompts, name, arguments),
            List::Resources => mcp.resource(name),
        };
        match ruled {
            Ruled::Needs(scopes, units) if holds(principal, &scopes) => {
                cost = cost.saturating_add(units);
            }
            Ruled::Needs(scopes, _) => return Err(No::Scopes(scopes.into_owned())),
            // What nobody may use is as good as not there; as the server's own
            // answer that is no failure of the transport.
            Ruled::NotListed => {
                let no = Bad::new(PARAMETERS, list.unknown()).of(&message.id());
                return Err(No::Bad(no.with_status(200)));
            }
            Ruled::Arguments => {
                let no = Bad::new(PARAMETERS, "these arguments are not allowed");
                return Err(No::Bad(no.of(&message.id()).with_status(403)));
            }
        }
    }
    Ok(Cost::units(cost))
}

#[derive(Clone, Copy)]
enum List {
    Tools,
    Prompts,
    Resources,
}

impl List {
    const fn unknown(self) -> &'static str {
        match self {
            Self::Tools => "unknown tool",
            Self::Prompts => "unknown prompt",
            Self::Resources => "resource not found",
        }
    }
}

type Use<'m> = (List, &'m str, Option<&'m serde_json::Map<String, Value>>);

/// What a message uses; `None` where its method is none that is known: what it
/// would reach cannot be judged.
fn uses<'m>(method: &str, message: &'m Message) -> Option<Result<Vec<Use<'m>>, &'static str>> {
    let named = |list| match message.name() {
        Some(name) => Ok(vec![(list, name, arguments(message))]),
        None => Err("the parameters name nothing"),
    };
    Some(match method {
        "tools/call" => named(List::Tools),
        "prompts/get" => named(List::Prompts),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
            named(List::Resources)
        }
        "completion/complete" => completed(message),
        "subscriptions/listen" => listened(message),
        "initialize"
        | "ping"
        | "server/discover"
        | "logging/setLevel"
        | "tools/list"
        | "prompts/list"
        | "resources/list"
        | "resources/templates/list" => Ok(Vec::new()),
        // Tasks are not: whoever names one could name another's.
        _ if method.starts_with("notifications/") => Ok(Vec::new()),
        _ => return None,
    })
}

fn arguments(message: &Message) -> Option<&serde_json::Map<String, Value>> {
    message.parameter("arguments").and_then(Value::as_object)
}

/// What an argument is completed for is used.
fn completed(message: &Message) -> Result<Vec<Use<'_>>, &'static str> {
    let named = |name: &str| message.parameter("ref")?.get(name)?.as_str();
    match (named("type"), named("name"), named("uri")) {
        (Some("ref/prompt"), Some(name), None) => Ok(vec![(List::Prompts, name, None)]),
        (Some("ref/resource"), None, Some(uri)) => {
            let place = uri.split('{').next().unwrap_or_default();
            Ok(vec![(List::Resources, place, None)])
        }
        _ => Err("ref names one prompt or one resource"),
    }
}

/// Resources that a caller wants to hear of are used.
fn listened(message: &Message) -> Result<Vec<Use<'_>>, &'static str> {
    let wanted = message
        .parameter("notifications")
        .and_then(|own| own.get("resourceSubscriptions"));
    let Some(wanted) = wanted.filter(|own| !own.is_null()) else {
        return Ok(Vec::new());
    };
    let wanted = wanted.as_array().ok_or("resourceSubscriptions is a list")?;
    let used = |own: &'_ Value| own.as_str().is_some();
    match wanted.iter().all(used) {
        true => Ok(wanted
            .iter()
            .filter_map(Value::as_str)
            .map(|uri| (List::Resources, uri, None))
            .collect()),
        false => Err("resourceSubscriptions is a list of URIs"),
    }
}

fn refuse(judged: &Judged, parts: &Parts, request_id: &str, no: No) -> Response<Body> {
    let route = &judged.ready.route;
    let known = judge::known(parts, request_id, &route.name);
    match no {
        No::Problem(problem) => {
            decision::failed(&known, problem);
            match problem == NO_HTTP_METHOD {
                true => problem.answer_allowing(request_id, "POST"),
                false => problem.answer(request_id),
            }
        }
        No::Bad(bad) => {
            decision::failed(&known, bad.problem());
            bad.answer(request_id)
        }
        No::Scopes(scopes) => match &judged.ready.guard {
            Some(guard) => {
                let found = judged.principal.as_ref();
                let found = found.map(|own| own.scopes().iter().map(ToString::to_string).collect());
                let refused = Refused::Scope {
                    needed: scopes.clone(),
                    found: found.unwrap_or_default(),
                };
                let refusal = Refusal::Refused(refused);
                decision::refused(&known, guard, &refusal);
                guard
                    .asking_for(&scopes)
                    .answer_to(parts, &refusal, request_id)
            }
            // Nobody has a scope on a public route.
            None => Bad::new(INVALID, "nobody may use this here")
                .with_status(403)
                .answer(request_id),
        },
    }
}

#[cfg(test)]
mod tests;
