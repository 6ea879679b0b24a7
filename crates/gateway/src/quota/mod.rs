//! Limits and plans: whether whoever calls may have more, and what it is
//! charged. The last word before a request is passed on.
//!
//! Spec: draft-ietf-httpapi-ratelimit-headers-11 §3, §4, §6
//! Spec: RFC 6585 §4
//!
//! 1. `book` says which plan the caller has; what the route belongs to has to
//!    be in it.
//! 2. Each limit of route and plan is a charge: whose count it is (`subject`),
//!    and how much.
//! 3. `bank` spends all charges or none: from counts of this process (`local`),
//!    from counts that gateways share (`redis`), or from batches of those
//!    (`lease`).
//! 4. What was spent is told (`answer`), and given back where the upstream
//!    failed and the limit says so. Places of requests that run at the same
//!    time are held until the answer has ended.

mod answer;
mod bank;
mod book;
mod charge;
mod count;
mod held;
mod local;
mod notice;
mod period;
#[cfg(feature = "testing")]
pub mod probe;
mod refused;
mod settings;
mod subject;
#[cfg(test)]
mod tests;
mod usage;

#[cfg(feature = "redis")]
mod lease;
#[cfg(feature = "redis")]
mod redis;

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{Response, StatusCode};
use symbolon_verify::ClientAddress;

use crate::body::Body;
use crate::cost::Cost;
use crate::decision;
use crate::gateway::Shared;
use crate::judge::{self, Judged};
use crate::plan::Plan;
use crate::problem::Problem;

use self::charge::{Charge, Denied, Receipt, Whose};
use self::subject::{Caller, Subject};

pub(crate) use self::bank::Bank;
pub(crate) use self::book::{Book, NoLimit};
pub(crate) use self::held::Held;
pub(crate) use self::usage::answer as usage;

pub use self::period::Period;
pub use self::settings::{
    Counting, Limit, Notices, OnError, Per, Quotas, Redis, RouteQuota, Rule, ServicePlan, Spent,
};

/// A request that is asked about, once everything else has let it through.
pub(crate) struct Asked<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) plan: &'a Plan,
    pub(crate) judged: &'a Judged,
    pub(crate) request_id: &'a str,
    /// What its content costs, where that was read.
    pub(crate) cost: Option<Cost>,
}

/// A request that was charged.
pub(crate) struct Charged {
    bank: Arc<Bank>,
    receipts: Vec<Receipt>,
}

impl Asked<'_> {
    /// Charges a request, or answers it. A refusal is logged here, and spends
    /// nothing.
    pub(crate) async fn charge(
        &self,
        parts: &Parts,
    ) -> Result<(Charged, Held), Box<Response<Body>>> {
        let bank = &self.shared.bank;
        let charges = match self.charges(parts) {
            Ok(charges) => charges,
            Err(problem) => {
                self.log(parts, problem);
                return Err(Box::new(problem.answer(self.request_id)));
            }
        };
        if charges.is_empty() {
            let charged = Charged {
                bank: Arc::clone(bank),
                receipts: Vec::new(),
            };
            return Ok((charged, Held::nothing()));
        }
        match bank.take(charges, &self.shared.edge).await {
            Ok((receipts, held)) => {
                for own in &receipts {
                    count(&own.charge.limit.limit.name, "charged");
                    used(&own.charge);
                    self.tell(&own.charge, own.standing, false);
                }
                let bank = Arc::clone(bank);
                Ok((Charged { bank, receipts }, held))
            }
            Err(denied) => Err(Box::new(self.deny(parts, &denied))),
        }
    }

    /// What the request is charged with; nothing is asked where there is
    /// nothing to ask.
    fn charges(&self, parts: &Parts) -> Result<Vec<Charge>, Problem> {
        let (book, route) = (&self.plan.book, &self.judged.ready.route.quota);
        let principal = self.judged.principal.as_ref();
        let plan = match principal {
            Some(principal) => book.plan_of(principal),
            None => Ok(None),
        };
        let plan = plan.map_err(|_| answer::UNKNOWN_PLAN)?;
        if let Some(feature) = &route.feature
            && !plan.is_some_and(|plan| plan.has(feature))
        {
            return Err(answer::NOT_IN_PLAN);
        }
        let caller = Caller {
            principal,
            plan: plan.map(|plan| &*plan.name),
            address: address(parts),
        };
        let cost = self.cost.map_or(route.cost, Cost::number);
        let charge = |known: &Arc<charge::Known>| {
            let limit = &known.limit;
            let amount = if limit.rule.is_held() { 1 } else { cost };
            let (subject, named) = Subject::of(limit.per, &caller);
            let whose = Whose {
                per: named.per.as_str(),
                issuer: named.issuer.to_owned(),
                name: named.name.text(),
            };
            Charge {
                limit: Arc::clone(known),
                subject,
                whose: Arc::new(whose),
                amount,
            }
        };
        let asked = book.asked(route, plan.map(|plan| &**plan)).map(charge);
        Ok(asked.filter(|own| own.amount > 0).collect())
    }

    fn deny(&self, parts: &Parts, denied: &Denied) -> Response<Body> {
        match denied {
            Denied::Unavailable(charge) => {
                self.log(parts, answer::UNCOUNTED);
                let name = &charge.limit.limit.name;
                count(name, "uncounted");
                answer::unavailable(name, self.request_id)
            }
            Denied::Exceeded(violated) => {
                for own in violated {
                    count(&own.charge.limit.limit.name, "refused");
                    self.tell(&own.charge, own.standing, true);
                }
                let now = bank::now(&self.shared.edge);
                let problem = match self.shared.bank.refused.is_abnormal(violated, now) {
                    true => answer::ABNORMAL,
                    false => answer::EXCEEDED,
                };
                self.log(parts, problem);
                answer::exceeded(violated, problem, self.request_id)
            }
        }
    }

    fn log(&self, parts: &Parts, problem: Problem) {
        let known = judge::known(parts, self.request_id, &self.judged.ready.route.name);
        decision::failed(&known, problem);
    }

    /// Tells whoever wants to know that a limit is nearly used up, or all of it.
    fn tell(&self, charge: &Charge, standing: count::Standing, is_refused: bool) {
        let Some(notices) = &self.plan.book.notices else {
            return;
        };
        let telling = notice::Telling {
            plan: self.plan,
            notices,
            edge: &self.shared.edge,
        };
        let stands = notice::Stands {
            charge,
            standing,
            is_refused,
        };
        self.shared.bank.notices.tell(&telling, &stands);
    }
}

impl Charged {
    /// Says on an answer how limits stand, and gives back what was spent on one
    /// that the upstream failed to give.
    pub(crate) fn settle(self, mut response: Response<Body>) -> Response<Body> {
        const FAILED: [StatusCode; 3] = [
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
        ];
        let mut receipts = self.receipts;
        if FAILED.contains(&response.status()) {
            let is_back =
                |own: &Receipt| own.charge.limit.limit.upstream_failed == Spent::GivenBack;
            let back: Vec<Receipt> = receipts
                .iter()
                .filter(|own| is_back(own))
                .cloned()
                .collect();
            for own in receipts.iter_mut().filter(|own| is_back(own)) {
                own.standing.left = own.standing.left.saturating_add(own.charge.amount);
            }
            Bank::give_back(&self.bank, back);
        }
        answer::tell(response.headers_mut(), &receipts);
        response
    }
}

/// The labels are names of the configuration: no stranger chooses one.
fn count(limit: &str, outcome: &'static str) {
    let limit = limit.to_owned();
    metrics::counter!("symbolon_gateway_limits_total", "limit" => limit, "outcome" => outcome)
        .increment(1);
}

/// How much was spent, whoever did.
fn used(charge: &Charge) {
    if !charge.limit.limit.rule.is_held() {
        let limit = charge.limit.limit.name.clone();
        metrics::counter!("symbolon_gateway_limit_units_total", "limit" => limit)
            .increment(charge.amount);
    }
}

/// Where the request came from; one place for all of whom nobody knows it.
fn address(parts: &Parts) -> IpAddr {
    let own = parts.extensions.get::<ClientAddress>();
    own.map_or(IpAddr::from([0, 0, 0, 0]), |own| own.0)
}
