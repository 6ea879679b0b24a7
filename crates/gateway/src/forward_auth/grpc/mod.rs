//! Envoy asks over gRPC: the same judgement as for a question in heads, and an
//! answer that also says what the service is not to hear of its caller.
//!
//! Spec: envoy.service.auth.v3
//! Spec: gRPC over HTTP/2
//!
//! 1. Only a trusted proxy is heard, before a byte of its message is read.
//! 2. `question` reads the message, which stands alone and uncompressed.
//! 3. Where the request comes from is what Envoy says in `source`, and only where
//!    that is a trusted proxy too, what the request's headers say.
//! 4. `answer` writes the judgement down.

mod answer;
mod question;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use symbolon_verify::request_id;

use self::answer::Outcome;
use self::question::Told;
use super::{Asking, NOT_A_PROXY};
use crate::body::{Body, Carried};
use crate::exchange::Caller;
use crate::framing;
use crate::gateway::Shared;
use crate::grpc;
use crate::judge;
use crate::plan::Plan;
use crate::problem::{BODY_LARGE, NO_METHOD, Problem};
use crate::target::Target;

/// Where Envoy asks.
pub(super) const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";
/// How large a message may be, in bytes: a head, and a body that nobody reads.
const MAX_MESSAGE_BYTES: u64 = 1024 * 1024;
/// How long it may take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);
/// What stands before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Answers a call.
pub(super) async fn answer(
    asking: &Asking,
    (shared, plan): (&Arc<Shared>, &Plan),
    caller: &Caller,
    request: Request<Incoming>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let id = request_id(&head.headers, &*shared.edge.entropy);
    if head.method != Method::POST {
        return NO_METHOD.answer_allowing(&id, "POST");
    }
    if !grpc::is_call(&head.headers) {
        return judge::refuse(&head, &id, NOT_GRPC);
    }
    if !asking.is_heard(caller.peer.ip().to_canonical()) {
        // Said to the log; what a stranger would do with an answer is unknown.
        drop(judge::refuse(&head, &id, NOT_A_PROXY));
        return answer::failed(Outcome::Denied, NOT_A_PROXY.detail());
    }
    let read = Carried::Stream(body).read(MAX_MESSAGE_BYTES, PATIENCE);
    let bytes = match read.await {
        Ok(bytes) => bytes,
        Err(BODY_LARGE) => return answer::failed(Outcome::Large, "the message is too large"),
        Err(_) => return answer::failed(Outcome::Malformed, "the message did not arrive"),
    };
    let message = match alone(&bytes) {
        Ok(message) => message,
        Err((outcome, why)) => return answer::failed(outcome, why),
    };
    let Ok(told) = Told::read(message) else {
        return answer::failed(Outcome::Malformed, "the message is no CheckRequest");
    };
    let (mut parts, target) = match asking.told(plan, &told) {
        Ok(read) => read,
        Err(problem) => {
            let refusal = judge::refuse(&head, &id, problem);
            return answer::said(&answer::denied(refusal).await);
        }
    };
    let id = request_id(&parts.headers, &*shared.edge.entropy);
    let sent = parts.clone();
    let decided = asking.decide((shared, plan), &mut parts, target, &id);
    answer::said(&match decided.await {
        Ok(allowed) => answer::allowed(&allowed, &sent, &plan.claimed),
        Err(refusal) => answer::denied(*refusal).await,
    })
}

/// Method and target that a `CheckRequest` of Envoy describes, as they stand in
/// it; nothing where it cannot be read. Nothing of it has been judged.
pub fn check_request(message: &[u8]) -> Option<(String, String)> {
    let (_, described) = Told::read(message).ok()?.head().ok()?;
    Some((described.method.to_string(), described.sent))
}

impl Asking {
    /// The request that is described, as far as its head goes.
    fn told(&self, plan: &Plan, told: &Told<'_>) -> Result<(Parts, Target), Problem> {
        let (mut parts, described) = told.head()?;
        framing::check_described(&mut parts)?;
        let target = described.take_place(plan, &mut parts)?;
        if let Some(source) = told.source {
            self.believed.note(source, &mut parts);
        }
        if self.believed.takes_certificates
            && let Some(own) = told.certificate()?
        {
            parts.extensions.insert(own);
        }
        Ok((parts, target))
    }
}

/// The one message of a call that has one.
fn alone(bytes: &[u8]) -> Result<&[u8], (Outcome, &'static str)> {
    let malformed = (Outcome::Malformed, "the call holds no message, or several");
    let (prefix, message) = bytes.split_at_checked(PREFIX).ok_or(malformed)?;
    let [is_compressed, size @ ..] = prefix else {
        return Err(malformed);
    };
    if *is_compressed != 0 {
        return Err((Outcome::Unimplemented, "compressed messages are not read"));
    }
    let size = size
        .iter()
        .fold(0_usize, |size, own| (size << 8) | usize::from(*own));
    match size == message.len() {
        true => Ok(message),
        false => Err(malformed),
    }
}

const NOT_GRPC: Problem = Problem::new(415, "not-grpc", "only calls of gRPC are answered here");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_one_message_and_nothing_behind_it() {
        assert_eq!(alone(&[0, 0, 0, 0, 2, 7, 8]), Ok(&[7, 8][..]));
        assert_eq!(alone(&[0, 0, 0, 0, 0]), Ok(&[][..]));
        for bad in [
            &[][..],
            &[0, 0, 0, 0],
            &[0, 0, 0, 0, 2, 7],
            &[0, 0, 0, 0, 1, 7, 8],
            &[0, 0xff, 0xff, 0xff, 0xff, 7],
            &[0, 0, 0, 0, 1, 7, 0, 0, 0, 0, 1, 8],
        ] {
            assert_eq!(alone(bad).unwrap_err().0, Outcome::Malformed, "{bad:?}");
        }
        let compressed = alone(&[1, 0, 0, 0, 1, 7]).unwrap_err();
        assert_eq!(compressed.0, Outcome::Unimplemented);
    }
}
