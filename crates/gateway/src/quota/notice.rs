//! Telling somebody that a limit is four fifths or all used up: a security
//! event token, signed by the gateway's key, posted to one configured place. No
//! request waits for it.
//!
//! Spec: RFC 8417 §2
//! Spec: RFC 8935 §2.1, §2.2

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Uri};
use hyper::body::Bytes;
use serde_json::json;
use symbolon_token::Digest;
use tokio::sync::Semaphore;

use super::charge::Charge;
use super::count::{PIECES, Standing};
use super::settings::{Notices, Rule};
use super::subject::Subject;
use crate::body::{Carried, Sending};
use crate::gateway::Edge;
use crate::plan::Plan;
use crate::upstream::Upstream;
use crate::vigil::Vigil;

/// How many are on their way at once; what is more is dropped, and counted.
const MAX_OPEN: usize = 64;
/// How many counts are remembered as told of.
const MAX_TOLD: usize = 100_000;
/// After which waits it is tried.
const TRIES: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(25),
];
/// How large a token may be, in bytes: these are far smaller.
const MAX_BYTES: u64 = 16 * 1024;

/// What was told, and what is on its way.
pub(crate) struct Outgoing {
    told: Mutex<HashMap<(Subject, u64), Told>>,
    open: Arc<Semaphore>,
}

/// Of which period it was told, and how far it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    period: i64,
    level: Level,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Nearly,
    All,
}

impl Level {
    const fn event(self) -> &'static str {
        match self {
            Self::Nearly => "https://symbolon.dev/events/limit-nearly-used",
            Self::All => "https://symbolon.dev/events/limit-used",
        }
    }
}

/// To whom, and as whom.
pub(crate) struct Telling<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) notices: &'a Notices,
    pub(crate) edge: &'a Edge,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            told: Mutex::default(),
            open: Arc::new(Semaphore::new(MAX_OPEN)),
        }
    }
}

impl Outgoing {
    /// Tells of a limit of which this is the first request of its period that
    /// left only a fifth, or nothing, or that was refused because the last fifth
    /// was not enough for it.
    pub(crate) fn tell(&self, telling: &Telling<'_>, stands: &Stands<'_>) {
        let Some(reached) = stands.reached() else {
            return;
        };
        if !self.is_news(stands.charge, reached) {
            return;
        }
        let Some(upstream) = telling.plan.upstream(&telling.notices.upstream) else {
            return;
        };
        let Ok(path) = telling.notices.path.parse() else {
            return;
        };
        let Ok(place) = Arc::clone(&self.open).try_acquire_owned() else {
            count("dropped");
            return;
        };
        let event = token(telling, stands, reached);
        let (upstream, claimed) = (Arc::clone(upstream), Arc::clone(&telling.plan.claimed));
        tokio::spawn(async move {
            for wait in TRIES {
                tokio::time::sleep(wait).await;
                if post(&upstream, &path, &event, &claimed).await {
                    count("told");
                    return;
                }
            }
            tracing::warn!(
                upstream = upstream.settings.name,
                "a notice of limits was not taken"
            );
            count("failed");
            drop(place);
        });
    }

    fn is_news(&self, charge: &Charge, reached: Told) -> bool {
        let key = (charge.subject, charge.limit.number);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MAX_TOLD && !told.contains_key(&key) {
            // It may be told twice; it is never left out.
            told.clear();
        }
        let before = told.insert(key, reached);
        let is_known = |own: Told| own.period == reached.period && own.level >= reached.level;
        if let Some(before) = before.filter(|own| is_known(*own)) {
            told.insert(key, before);
            return false;
        }
        true
    }
}

/// How a limit stands after a request.
pub(crate) struct Stands<'a> {
    pub(crate) charge: &'a Charge,
    pub(crate) standing: Standing,
    /// Whether the request wanted more than there was.
    pub(crate) is_refused: bool,
}

impl Stands<'_> {
    /// How far it is used up; a rate and places fill up by themselves.
    fn reached(&self) -> Option<Told> {
        let (rule, left) = (&self.charge.limit.limit.rule, self.standing.left);
        let period = match rule {
            Rule::Quota { .. } | Rule::Credits { .. } => self.standing.tick,
            Rule::Rolling { .. } => self.standing.tick.div_euclid(PIECES),
            Rule::Rate { .. } | Rule::Concurrent { .. } => return None,
        };
        // What never fits says nothing of what is left.
        let is_short = self.is_refused && self.charge.amount <= rule.most();
        let level = match left {
            0 => Level::All,
            _ if left > rule.most() / 5 => return None,
            _ if is_short => Level::All,
            _ => Level::Nearly,
        };
        Some(Told { period, level })
    }
}

/// Gateways that count together tell the same under the same name.
fn token(telling: &Telling<'_>, stands: &Stands<'_>, reached: Told) -> String {
    let (charge, standing) = (stands.charge, stands.standing);
    let now = telling.edge.clock.now();
    let event = reached.level.event();
    let mut named = charge.subject.as_bytes().to_vec();
    named.extend(charge.limit.number.to_be_bytes());
    named.extend(reached.period.to_be_bytes());
    named.extend(event.as_bytes());
    let jti = BASE64_URL_SAFE_NO_PAD.encode(&Digest::of(&named).as_bytes()[..16]);
    let claims = json!({
        "aud": telling.notices.upstream,
        "jti": jti,
        "iat": now.seconds(),
        "events": { event: {
            "limit": charge.limit.limit.name,
            "per": charge.whose.per,
            "issuer": charge.whose.issuer,
            "name": charge.whose.name,
            "most": charge.limit.limit.rule.most(),
            "left": standing.left,
            "reset_seconds": standing.reset.map(|own| own.as_secs()),
        } },
    });
    telling.plan.key.tell(claims)
}

/// Whether it was taken.
async fn post(
    upstream: &Upstream,
    path: &PathAndQuery,
    event: &str,
    claimed: &Arc<crate::header::Claimed>,
) -> bool {
    let body = Carried::Whole(Bytes::from(event.to_owned()));
    let vigil = Vigil::new(None, upstream.settings.idle_timeout);
    let (body, verdict, has_sent) = Sending::new(body, MAX_BYTES, claimed, vigil);
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from(path.clone());
    let headers = request.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "application/secevent+jwt"),
        (ACCEPT, "application/json"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let answer = upstream.send(request, verdict, has_sent).await;
    answer.is_ok_and(|own| own.response.status().is_success())
}

fn count(outcome: &'static str) {
    metrics::counter!("symbolon_gateway_limit_notices_total", "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    use super::super::charge::Receipt;
    use super::super::tests::{quota, receipt};
    use super::*;

    fn is_news(outgoing: &Outgoing, receipt: &Receipt, is_refused: bool) -> bool {
        let stands = Stands {
            charge: &receipt.charge,
            standing: receipt.standing,
            is_refused,
        };
        let reached = stands.reached();
        reached.is_some_and(|own| outgoing.is_news(&receipt.charge, own))
    }

    #[test]
    fn a_limit_is_told_of_at_four_fifths_and_at_the_end_once_each() {
        let outgoing = Outgoing::default();
        let limit = quota("daily", 10);
        let mut news = Vec::new();
        for left in (0..10).rev().chain([0, 1, 2]) {
            let receipt = receipt(&limit, "web", left);
            if is_news(&outgoing, &receipt, false) {
                news.push(left);
            }
        }
        assert_eq!(news, [2, 0]);
    }

    #[test]
    fn whoever_else_gets_there_is_told_of_as_well() {
        let outgoing = Outgoing::default();
        let limit = quota("daily", 10);
        for name in ["web", "app"] {
            let receipt = receipt(&limit, name, 0);
            assert!(is_news(&outgoing, &receipt, false), "{name}");
        }
    }

    #[test]
    fn whoever_wants_more_than_the_last_fifth_has_used_it_up() {
        let limit = quota("daily", 10);
        for (left, amount, is_told) in [(2, 4, true), (3, 4, false), (2, 11, false)] {
            let mut receipt = receipt(&limit, "web", left);
            receipt.charge.amount = amount;
            let outgoing = Outgoing::default();
            is_news(&outgoing, &receipt, false);
            let told = is_news(&outgoing, &receipt, true);
            assert_eq!(told, is_told, "{left} {amount}");
            assert!(!is_news(&outgoing, &receipt, true), "it is told once");
        }
    }
}
