//! Whether a request may pass, as far as its head tells: which route takes it,
//! and what that route's verifier says. The same for a request that is passed
//! on and for one that another proxy asks about.
//!
//! Spec: RFC 6750 §3

use std::sync::Arc;

use http::Response;
use http::request::Parts;
use symbolon_verify::Principal;

use crate::body::Body;
use crate::browser::Open;
use crate::decision::{self, Known};
use crate::plan::Plan;
use crate::problem::{NEARLY, NO_METHOD, NO_ROUTE, Problem};
use crate::routes::{NotFound, Ready};
use crate::settings::Demand;
use crate::target::Target;

/// A request whose head may pass.
pub(crate) struct Judged {
    pub(crate) ready: Arc<Ready>,
    pub(crate) target: Target,
    /// Who is calling; nobody where the route is public.
    pub(crate) principal: Option<Principal>,
    /// The session whose cookie stood for it, where one did: then no cache on the
    /// way knows that the answer is for one person.
    pub(crate) session: Option<Arc<Open>>,
}

impl Judged {
    /// Tells the operator that it passes.
    pub(crate) fn log(&self, parts: &Parts, request_id: &str) {
        let seen = known(parts, request_id, &self.ready.route.name);
        decision::allowed(&seen, self.ready.guard.as_ref(), self.principal.as_ref());
    }
}

/// Judges the head of a request, whose caller's address and certificate are
/// among its extensions; a session's cookie becomes a token. A refusal is logged here, and answered as given.
pub(crate) async fn judge(
    plan: &Plan,
    parts: &mut Parts,
    target: Target,
    request_id: &str,
) -> Result<Judged, Box<Response<Body>>> {
    let ready = match plan.routes.find(&parts.method, target.path()) {
        Ok(ready) => Arc::clone(ready),
        Err(NotFound::Path) => return Err(Box::new(refuse(parts, request_id, NO_ROUTE))),
        Err(NotFound::Doubtful) => return Err(Box::new(refuse(parts, request_id, NEARLY))),
        Err(NotFound::Method(allowed)) => {
            decision::failed(&known(parts, request_id, ""), NO_METHOD);
            let answer = NO_METHOD.answer_allowing(request_id, &allowed);
            return Err(Box::new(answer));
        }
    };
    let mut session = None;
    if let (Some(browser), Some(usage), Demand::Token(demand)) =
        (&plan.browser, ready.route.browser, &ready.route.demand)
    {
        session = match browser.enter(parts, usage, &demand.audience).await {
            Ok(session) => session.map(Arc::new),
            Err(refused) => {
                let seen = known(parts, request_id, &ready.route.name);
                decision::failed(&seen, refused.problem());
                return Err(Box::new(browser.refuse(&refused, request_id)));
            }
        };
    }
    let principal = match &ready.guard {
        None => None,
        Some(guard) => match guard.judge(parts).await {
            Ok(principal) => Some(principal),
            Err(refusal) => {
                let seen = known(parts, request_id, &ready.route.name);
                decision::refused(&seen, guard, &refusal);
                return Err(Box::new(guard.answer_to(parts, &refusal, request_id)));
            }
        },
    };
    Ok(Judged {
        ready,
        target,
        principal,
        session,
    })
}

/// Refuses what no route has to do with, and logs it.
pub(crate) fn refuse(parts: &Parts, request_id: &str, problem: Problem) -> Response<Body> {
    decision::failed(&known(parts, request_id, ""), problem);
    problem.answer(request_id)
}

/// What the log may know of a request.
pub(crate) fn known<'a>(parts: &'a Parts, request_id: &'a str, route: &'a str) -> Known<'a> {
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
