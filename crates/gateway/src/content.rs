//! What is in a body, where a route has it judged: found out between the head
//! and the upstream, and nowhere else.
//!
//! Spec: RFC 9110 §8.3, §8.4
//! Spec: RFC 9530 §2, §3

use std::sync::{Arc, Mutex, PoisonError};

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use hyper::body::Incoming;
use symbolon_verify::Principal;

use crate::body::{Body, Carried};
use crate::cost::Cost;
use crate::judge::Judged;
use crate::mcp;
use crate::routes::Ready;
use crate::tunnel;

/// A body that may pass, what it takes of the caller's quota, and what becomes
/// of the answer.
pub(crate) struct Content {
    pub(crate) body: Carried,
    /// What was found in it; nothing where nobody looked.
    pub(crate) cost: Option<Cost>,
    pub(crate) answer: Answer,
    /// What is done with the answer of an MCP server while it comes.
    pub(crate) answering: Option<mcp::Answering>,
    /// What was found in it, where its answer may go on for long.
    pub(crate) again: Option<Again>,
}

/// What was found in a body, for as long as its answer goes on: where another
/// configuration holds by then, it is judged again.
pub(crate) struct Again {
    judge: Box<Judge>,
    /// By which route it was let through last.
    last: Mutex<Arc<Ready>>,
}

type Judge = dyn Fn(&Ready, Option<&Principal>) -> bool + Send + Sync;

impl Again {
    /// What a route let through, and what says whether another one would.
    pub(crate) fn new(
        ready: &Arc<Ready>,
        judge: impl Fn(&Ready, Option<&Principal>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            judge: Box::new(judge),
            last: Mutex::new(Arc::clone(ready)),
        }
    }

    /// Whether a route lets it through now.
    pub(crate) fn holds(&self, ready: &Arc<Ready>, principal: Option<&Principal>) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&last, ready) {
            return true;
        }
        let may = (self.judge)(ready, principal);
        if may {
            *last = Arc::clone(ready);
        }
        may
    }
}

/// What becomes of an answer.
pub(crate) enum Answer {
    /// It passes as it comes.
    Untouched,
    /// Fields that were not asked for are put into it.
    #[cfg(feature = "graphql")]
    Masked(crate::graphql::Masks),
}

/// Says of a body that it is JSON which was written here: whoever decodes it by
/// another character set or encoding reads another text than the one that was
/// judged, and a digest of what came is none of what goes.
pub(crate) fn say_written(headers: &mut HeaderMap) {
    for name in [CONTENT_ENCODING, CONTENT_DIGEST, REPR_DIGEST, DIGEST, MD5] {
        headers.remove(name);
    }
    let json = HeaderValue::from_static("application/json");
    headers.insert(CONTENT_TYPE, json);
}

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
const DIGEST: HeaderName = HeaderName::from_static("digest");
const MD5: HeaderName = HeaderName::from_static("content-md5");

/// Judges the body of a request whose head may pass. What is judged replaces
/// what came: head and target are changed with it. A refusal is logged here, and
/// answered as given.
pub(crate) async fn judge(
    judged: &mut Judged,
    parts: &mut Parts,
    body: Incoming,
    (request_id, key): (&str, mcp::SessionKey),
) -> Result<Content, Box<Response<Body>>> {
    let content = Content {
        body: Carried::Stream(body),
        cost: None,
        answer: Answer::Untouched,
        answering: None,
        again: None,
    };
    #[cfg(feature = "graphql")]
    let content = crate::graphql::judge(judged, parts, content, request_id).await?;
    let content = mcp::admit(judged, parts, content, (request_id, key)).await?;
    if !tunnel::is_asked_for(parts) {
        return Ok(content);
    }
    let again = Again::new(&judged.ready, |ready, _| may_become_a_tunnel(ready));
    Ok(Content {
        again: Some(again),
        ..content
    })
}

/// Whether a route lets through what nobody reads.
fn may_become_a_tunnel(ready: &Ready) -> bool {
    let graph = ready.route.graphql.as_ref();
    ready.route.mcp.is_none() && !graph.is_some_and(|own| own.is_enforced())
}

impl Answer {
    /// The answer as the caller gets it.
    pub(crate) async fn of(self, response: Response<Body>, request_id: &str) -> Response<Body> {
        #[cfg(not(feature = "graphql"))]
        let _ = request_id;
        match self {
            Self::Untouched => response,
            #[cfg(feature = "graphql")]
            Self::Masked(masks) => masks.put_into(response, request_id).await,
        }
    }
}
