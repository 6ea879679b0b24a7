//! Whether policies and risk would still let through what is open.
//!
//! How long ago a person signed in counts from where something began: else a
//! stream that was allowed would end by itself. All else is as it is now.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::request::Parts;

use super::question::Question;
use super::ruling::Answer;
use super::scene::{Place, Scene};
use super::settings::{Mode, Policy};
use super::stage::{Verdict, sight};
use crate::plan::Plan;
use crate::risk::{Assessed, assess};
use crate::routes::Ready;
use crate::vigil::{Bearer, Ended, Watch};

/// How often a decision point elsewhere is asked about something open.
const ASKED_EVERY: Duration = Duration::from_millis(750);
/// How long it may be silent before what is open ends.
const SILENCE: Duration = Duration::from_secs(10);

/// What policies and risk are asked again.
pub(crate) struct Again {
    scene: Scene,
    elsewhere: Mutex<Elsewhere>,
}

/// When the decision point elsewhere was asked, and has been silent since.
#[derive(Clone, Copy, Default)]
struct Elsewhere {
    asked: Option<Duration>,
    silent: Option<Duration>,
}

impl Again {
    pub(crate) fn of(parts: &Parts) -> Self {
        Self {
            scene: Scene::of(parts),
            elsewhere: Mutex::default(),
        }
    }

    /// Asks again.
    pub(crate) async fn ask(&self, of: &Watch, plan: &Plan, ready: &Ready) -> Result<(), Ended> {
        let is_dead = |own: &Bearer| of.shared.is_dead(own.token.expose(), &own.principal);
        if of.bearer.as_ref().is_some_and(is_dead) {
            return Err(Ended::Denied);
        }
        let principal = of.principal_at(ready);
        let risk = plan.risk.as_ref().filter(|_| principal.is_some());
        let is_asked = |own: &&Policy| {
            let mode = own.mode_at(ready.route.policy, ready.guard.is_none());
            mode == Some(Mode::Enforce)
        };
        let policy = plan.policy.as_ref().filter(is_asked);
        if policy.is_none() && risk.is_none() {
            return Ok(());
        }
        let now = of.shared.edge.clock.now();
        let place = Place {
            ready,
            method: of.method.as_str(),
            path: &of.path,
            principal,
            home: plan.home.as_deref(),
            now,
        };
        let sight = sight(&place, &self.scene);
        let assessed = match (risk, &sight) {
            (Some(risk), Some(sight)) => assess(risk, of.shared.memory(), sight),
            _ => Assessed::default(),
        };
        let mut question = self.scene.question(&place, &assessed);
        if let Some(time) = &mut question.context.auth_time {
            let open = now.seconds().saturating_sub(of.began.seconds());
            *time = time.saturating_add(open.max(0));
        }
        if let Some(risk) = risk.filter(|own| own.mode == Mode::Enforce)
            && Verdict::of_risk(risk, &assessed, &question.context) != Verdict::Pass
        {
            return Err(Ended::Denied);
        }
        match policy {
            Some(policy) => self.ask_policies(of, policy, &question).await,
            None => Ok(()),
        }
    }

    /// Asks the operator's policies, and the decision point elsewhere.
    async fn ask_policies(
        &self,
        of: &Watch,
        policy: &Policy,
        question: &Question,
    ) -> Result<(), Ended> {
        if let Some(policies) = &policy.policies
            && policies.decide(question).answer != Answer::Allow
        {
            return Err(Ended::Denied);
        }
        let Some(pdp) = &policy.pdp else {
            return Ok(());
        };
        let now = of.shared.edge.clock.monotonic();
        let mut known = self.known();
        if known.asked.is_some_and(|at| now < at + ASKED_EVERY) {
            return Ok(());
        }
        known.asked = Some(now);
        self.know(known);
        match pdp.ask(question, "").await.answer {
            Answer::Allow => known.silent = None,
            Answer::Unknown => {
                let since = *known.silent.get_or_insert(now);
                if now >= since + SILENCE {
                    return Err(Ended::Denied);
                }
            }
            Answer::Deny | Answer::StepUp(_) | Answer::Revoke => return Err(Ended::Denied),
        }
        self.know(known);
        Ok(())
    }

    fn known(&self) -> Elsewhere {
        *self
            .elsewhere
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn know(&self, known: Elsewhere) {
        *self
            .elsewhere
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = known;
    }
}
