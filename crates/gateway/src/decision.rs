//! What an operator learns of each request: one line, one counter. Nothing in
//! it is the token, the query, or what else the caller sent.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use symbolon_token::Digest;
use symbolon_verify::{Principal, Refusal};

use crate::guard::Guard;
use crate::policy::{Mode, Question, Ruling};
use crate::problem::Problem;
use crate::risk::Assessed;

/// How many bytes of a token's digest are shown: enough to find its other uses.
const SHOWN_BYTES: usize = 6;

/// A request, as far as the log may know it.
pub(crate) struct Known<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) method: &'a str,
    pub(crate) route: &'a str,
    pub(crate) headers: &'a HeaderMap,
}

/// A request was let through; without a principal the route is public.
pub(crate) fn allowed(known: &Known<'_>, guard: Option<&Guard>, principal: Option<&Principal>) {
    let token = token(known.headers);
    let (code, feed_age_ms) = match guard {
        None => ("public", None),
        Some(guard) => ("allowed", age(guard)),
    };
    count("allowed", code);
    tracing::info!(
        request = known.request_id,
        method = known.method,
        route = known.route,
        decision = "allowed",
        code,
        token,
        client = principal.map(Principal::client),
        feed_age_ms,
        "request"
    );
}

/// A verifier refused a request.
pub(crate) fn refused(known: &Known<'_>, guard: &Guard, refusal: &Refusal) {
    let code = refusal.code();
    count("refused", code);
    tracing::info!(
        request = known.request_id,
        method = known.method,
        route = known.route,
        decision = "refused",
        code,
        status = refusal.status(),
        token = token(known.headers),
        feed_age_ms = age(guard),
        cause = %refusal.cause(),
        repair = %refusal.repair(),
        "request"
    );
}

/// The gateway itself said no, or the upstream failed.
pub(crate) fn failed(known: &Known<'_>, problem: Problem) {
    let decision = if problem.status() < 500 {
        "refused"
    } else {
        "failed"
    };
    count(decision, problem.code());
    tracing::info!(
        request = known.request_id,
        method = known.method,
        route = known.route,
        decision,
        code = problem.code(),
        status = problem.status(),
        token = token(known.headers),
        cause = problem.detail(),
        "request"
    );
}

/// What a body asks for was refused, narrowed, or would have been refused.
#[cfg(feature = "graphql")]
pub(crate) fn content(
    known: &Known<'_>,
    decision: &'static str,
    (code, status): (&'static str, u16),
    cause: &str,
) {
    count(decision, code);
    tracing::info!(
        request = known.request_id,
        method = known.method,
        route = known.route,
        decision,
        code,
        status,
        token = token(known.headers),
        cause,
        "request"
    );
}

/// What policy and risk said of a request.
pub(crate) struct Ruled<'a> {
    /// Nothing where no policy was asked.
    pub(crate) ruling: Option<&'a Ruling>,
    pub(crate) mode: Option<Mode>,
    pub(crate) assessed: &'a Assessed,
    /// Whether risk was assessed at all.
    pub(crate) has_risk: bool,
    /// What was asked, without credentials: `policy replay` asks it again.
    pub(crate) question: Option<Cow<'a, Question>>,
}

/// Policy and risk were asked; whether that acted is in the line of the request.
pub(crate) fn ruled(known: &Known<'_>, ruled: &Ruled<'_>) {
    let decision = ruled.ruling.map(|own| own.answer.word());
    let mode = ruled.mode.map(|own| match own {
        Mode::Enforce => "enforce",
        Mode::Shadow => "shadow",
    });
    if let (Some(decision), Some(mode)) = (decision, mode) {
        metrics::counter!("symbolon_gateway_policy_total", "decision" => decision, "mode" => mode)
            .increment(1);
    }
    for signal in &ruled.assessed.signals {
        metrics::counter!("symbolon_gateway_risk_signals_total", "signal" => signal.word())
            .increment(1);
    }
    let question = ruled.question.as_deref();
    let has_signals = !ruled.assessed.signals.is_empty();
    tracing::info!(
        request = known.request_id,
        method = known.method,
        route = known.route,
        decision,
        mode,
        policies = ruled.ruling.map(|own| own.policies.join(",")),
        risk = ruled.has_risk.then_some(ruled.assessed.score),
        signals = has_signals.then(|| ruled.assessed.to_string()),
        question = question.and_then(|own| serde_json::to_string(own).ok()),
        "policy"
    );
}

/// Codes are from closed sets: no label holds what a stranger can choose.
fn count(decision: &'static str, code: &'static str) {
    metrics::counter!("symbolon_gateway_requests_total", "decision" => decision, "code" => code)
        .increment(1);
}

fn age(guard: &Guard) -> Option<u64> {
    guard.verifier.feed().and_then(|feed| feed.age_ms)
}

/// The beginning of the digest of what was sent as a token.
fn token(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let at = value.iter().position(|byte| *byte == b' ')?;
    let digest = Digest::of(value.get(at + 1..)?);
    let mut shown = String::with_capacity(SHOWN_BYTES * 2);
    for byte in &digest.as_bytes()[..SHOWN_BYTES] {
        // Writing into a string never fails.
        let _ = write!(shown, "{byte:02x}");
    }
    Some(shown)
}
