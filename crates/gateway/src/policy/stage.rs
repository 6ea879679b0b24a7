//! The step of a request in which policy and risk are asked: after the token
//! was found good, before anything is counted or sent on.
//!
//! Spec: RFC 9470 §3
//! Spec: RFC 9457 §3
//!
//! 1. Risk is assessed; nothing is learned of a request that is refused.
//! 2. The operator's policies answer, then the decision point elsewhere: both
//!    have to allow it.
//! 3. The gravest of what policy and risk say acts: taking the token back,
//!    refusing, not knowing, a new sign-in.
//! 4. All of it stands in the log, also what only would have acted.

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Response, StatusCode};
use symbolon_verify::{Insufficient, Refusal};

use super::question::{Circumstances, Question};
use super::ruling::{Answer, Ruling, SignIn};
use super::scene::{Place, Scene, masked};
use super::settings::Mode;
use crate::body::Body;
use crate::decision::{self, Ruled};
use crate::gateway::Shared;
use crate::judge::{Judged, known};
use crate::plan::Plan;
use crate::problem::{POLICY_DENIED, POLICY_UNKNOWN, Problem, RISK_REFUSED};
use crate::risk::{self, Assessed, Due, RiskSettings, Sight, address_key, assess};

/// Whose request is asked about.
pub(crate) struct Asking<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) plan: &'a Plan,
    pub(crate) parts: &'a Parts,
    pub(crate) request_id: &'a str,
}

/// What is to be done, the gravest last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    StepUp(SignIn),
    Unknown,
    Refuse(Problem),
    Revoke(Problem),
}

impl Verdict {
    const fn weight(&self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::StepUp(_) => 1,
            Self::Unknown => 2,
            Self::Refuse(_) => 3,
            Self::Revoke(_) => 4,
        }
    }

    fn graver(self, other: Self) -> Self {
        match (self, other) {
            (Self::StepUp(one), Self::StepUp(two)) => match one.and(two) {
                Some(both) => Self::StepUp(both),
                // No sign-in could satisfy both.
                None => Self::Refuse(POLICY_DENIED),
            },
            (one, two) if two.weight() > one.weight() => two,
            (one, _) => one,
        }
    }

    /// What follows from a policy's answer.
    fn of_policy(answer: &Answer) -> Self {
        match answer {
            Answer::Allow => Self::Pass,
            Answer::Deny => Self::Refuse(POLICY_DENIED),
            Answer::StepUp(sign_in) => Self::StepUp(sign_in.clone()),
            Answer::Revoke => Self::Revoke(POLICY_DENIED),
            Answer::Unknown => Self::Unknown,
        }
    }

    /// What follows from a score.
    pub(super) fn of_risk(
        settings: &RiskSettings,
        assessed: &Assessed,
        context: &Circumstances,
    ) -> Self {
        let thresholds = &settings.thresholds;
        match assessed.due(thresholds) {
            Due::Nothing => Self::Pass,
            Due::StepUp => match is_met(&thresholds.sign_in, context) {
                true => Self::Pass,
                false => Self::StepUp(thresholds.sign_in.clone()),
            },
            Due::Refuse => Self::Refuse(RISK_REFUSED),
            Due::Revoke => Self::Revoke(RISK_REFUSED),
        }
    }
}

/// Asks policy and risk about a request whose token is good. A refusal is
/// logged here, and answered as given.
pub(crate) async fn rule(asking: &Asking<'_>, judged: &Judged) -> Result<(), Box<Response<Body>>> {
    let (shared, plan) = (asking.shared, asking.plan);
    let ready = &judged.ready;
    let policy = plan.policy.as_ref();
    let mode = policy.and_then(|own| own.mode_at(ready.route.policy, ready.guard.is_none()));
    let risk = plan.risk.as_ref().filter(|_| judged.principal.is_some());
    let shown = token(asking.parts).zip(judged.principal.as_ref());
    let is_dead = shown.is_some_and(|(token, principal)| shared.is_dead(token, principal));
    if mode.is_none() && risk.is_none() && !is_dead {
        return Ok(());
    }
    let scene = Scene::of(asking.parts);
    let place = Place {
        ready,
        method: asking.parts.method.as_str(),
        path: judged.target.path(),
        principal: judged.principal.as_ref(),
        home: plan.home.as_deref(),
        now: shared.edge.clock.now(),
    };
    let sight = sight(&place, &scene);
    let memory = shared.memory();
    let assessed = match (risk, &sight) {
        (Some(risk), Some(sight)) => assess(risk, memory, sight),
        _ => Assessed::default(),
    };
    let question = scene.question(&place, &assessed);
    let ruling = match (policy, mode) {
        (Some(policy), Some(_)) => Some(policy.ask(&question, asking.request_id).await),
        _ => None,
    };
    let mut verdict = match (&ruling, mode) {
        (Some(ruling), Some(Mode::Enforce)) => Verdict::of_policy(&ruling.answer),
        _ => Verdict::Pass,
    };
    if let Some(risk) = risk
        && risk.mode == Mode::Enforce
    {
        verdict = verdict.graver(Verdict::of_risk(risk, &assessed, &question.context));
    }
    if is_dead {
        verdict = verdict.graver(Verdict::Refuse(RISK_REFUSED));
    }
    asking.log(judged, &question, (ruling.as_ref(), mode, &assessed));
    let answer = asking.act(&verdict, judged, &question.context);
    if let (Some(risk), Some(sight)) = (risk, &sight) {
        match answer {
            None => sight.learn(risk, memory),
            // Whoever is to sign in again, or is told that nobody knows, has not
            // failed: counted, one page's calls would make the sign-in worthless.
            Some(_) if matches!(verdict, Verdict::StepUp(_) | Verdict::Unknown) => {}
            Some(_) => sight.refused(memory),
        }
    }
    answer.map_or(Ok(()), Err)
}

impl Asking<'_> {
    /// The answer where there is one before the upstream's.
    fn act(
        &self,
        verdict: &Verdict,
        judged: &Judged,
        context: &Circumstances,
    ) -> Option<Box<Response<Body>>> {
        let known = known(self.parts, self.request_id, &judged.ready.route.name);
        let guard = judged.ready.guard.as_ref();
        let problem = match (verdict, guard) {
            (Verdict::Pass, _) => return None,
            (Verdict::StepUp(sign_in), Some(guard)) => {
                let refusal = Refusal::Authentication(lack(sign_in, context));
                decision::refused(&known, guard, &refusal);
                let mut requirement = (*guard.requirement).clone();
                if !sign_in.acr_values.is_empty() {
                    requirement = requirement.acr_values(sign_in.acr_values.clone());
                }
                if let Some(span) = sign_in.max_age {
                    requirement = requirement.max_age(span);
                }
                let guard = guard.demanding(requirement);
                let answer = guard.answer_to(self.parts, &refusal, self.request_id);
                return Some(Box::new(answer));
            }
            // Nobody signs in where nobody has to.
            (Verdict::StepUp(_), None) => POLICY_DENIED,
            (Verdict::Unknown, _) => POLICY_UNKNOWN,
            (Verdict::Refuse(problem), _) => *problem,
            (Verdict::Revoke(problem), _) => {
                self.revoke(judged);
                *problem
            }
        };
        decision::failed(&known, problem);
        Some(Box::new(problem.answer(self.request_id)))
    }

    /// Takes the token back: here at once, at its issuer where that was set up.
    fn revoke(&self, judged: &Judged) {
        let Some((token, principal)) = token(self.parts).zip(judged.principal.as_ref()) else {
            return;
        };
        let is_new = !self.shared.is_dead(token, principal);
        let memory = self.shared.memory();
        memory.bury(&risk::names(token, principal));
        if let (true, Some(revoker)) = (is_new, &self.plan.revoker)
            && let Ok(token) = std::str::from_utf8(token)
        {
            revoker.begin(token, self.request_id);
        }
    }

    fn log(
        &self,
        judged: &Judged,
        question: &Question,
        (ruling, mode, assessed): (Option<&Ruling>, Option<Mode>, &Assessed),
    ) {
        if ruling.is_none() && assessed.signals.is_empty() {
            return;
        }
        let known = known(self.parts, self.request_id, &judged.ready.route.name);
        let ruled = Ruled {
            ruling,
            mode,
            assessed,
            has_risk: self.plan.risk.is_some(),
            question: ruling.map(|_| masked(question)),
        };
        decision::ruled(&known, &ruled);
    }
}

/// Notes that a verifier refused what was shown: an address that is refused
/// often stands out.
pub(crate) fn noted(shared: &Shared, plan: &Plan, parts: &Parts, status: StatusCode) {
    let is_refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    // Whoever shows nothing tries nothing.
    if plan.risk.is_none() || !is_refused || !parts.headers.contains_key(AUTHORIZATION) {
        return;
    }
    let now = shared.edge.clock.now().seconds();
    let key = address_key(Scene::of(parts).place());
    shared.memory().refused(&key, now);
}

/// What of a request risk looks at; nothing where nobody is known.
pub(super) fn sight<'a>(place: &Place<'a>, scene: &'a Scene) -> Option<Sight<'a>> {
    let principal = place.principal?;
    let verifier = place.ready.guard.as_ref().map(|guard| &guard.verifier);
    Some(Sight {
        issuer: principal.issuer(),
        subject: principal.subject(),
        address: scene.place(),
        user_agent: &scene.user_agent,
        is_bound: principal.is_key_bound(),
        is_on_record: verifier.is_some_and(|own| own.has_record_about(principal)),
        now: place.now.seconds(),
    })
}

/// Whether a sign-in satisfies what is demanded of it.
fn is_met(sign_in: &SignIn, context: &Circumstances) -> bool {
    let is_of_class = sign_in.acr_values.is_empty()
        || context
            .acr
            .as_ref()
            .is_some_and(|own| sign_in.acr_values.contains(own));
    let is_recent = sign_in.max_age.is_none_or(|span| {
        let age = context.auth_age().and_then(|own| u64::try_from(own).ok());
        age.is_some_and(|own| own <= span.as_secs())
    });
    is_of_class && is_recent
}

/// What a sign-in lacks.
fn lack(sign_in: &SignIn, context: &Circumstances) -> Insufficient {
    let wants_class = !sign_in.acr_values.is_empty();
    match (wants_class, &context.acr, context.auth_age()) {
        (true, None, _) | (false, _, None) => Insufficient::Unknown,
        (true, Some(own), _) if !sign_in.acr_values.contains(own) => Insufficient::Class,
        _ => Insufficient::Age,
    }
}

/// What was sent as a token.
pub(super) fn token(parts: &Parts) -> Option<&[u8]> {
    let value = parts.headers.get(AUTHORIZATION)?.as_bytes();
    let at = value.iter().position(|byte| *byte == b' ')?;
    value.get(at + 1..)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sign_in(acr: &[&str], max_age: Option<u64>) -> SignIn {
        SignIn {
            acr_values: acr.iter().map(|own| (*own).to_owned()).collect(),
            max_age: max_age.map(Duration::from_secs),
        }
    }

    #[test]
    fn the_gravest_acts_and_what_nobody_can_satisfy_is_refused() {
        let step = |acr: &str| Verdict::StepUp(sign_in(&[acr], None));
        let refuse = Verdict::Refuse(POLICY_DENIED);
        assert_eq!(Verdict::Pass.graver(Verdict::Unknown), Verdict::Unknown);
        assert_eq!(refuse.clone().graver(Verdict::Unknown), refuse);
        assert_eq!(step("a").graver(Verdict::Pass), step("a"));
        assert_eq!(step("a").graver(step("a")), step("a"));
        assert_eq!(step("a").graver(step("b")), refuse);
        let revoke = Verdict::Revoke(RISK_REFUSED);
        assert_eq!(refuse.graver(revoke.clone()), revoke);
    }

    #[test]
    fn a_step_up_is_met_by_class_and_time_and_not_by_silence() {
        let context = Circumstances {
            now: 1_000,
            auth_time: Some(900),
            acr: Some("phr".into()),
            ..Circumstances::default()
        };
        assert!(is_met(&sign_in(&["phr"], Some(100)), &context));
        assert!(!is_met(&sign_in(&["phr"], Some(99)), &context));
        assert!(!is_met(&sign_in(&["phrh"], None), &context));
        assert!(!is_met(&sign_in(&[], Some(100)), &Circumstances::default()));
        assert_eq!(
            lack(&sign_in(&["phr"], Some(99)), &context),
            Insufficient::Age
        );
        assert_eq!(
            lack(&sign_in(&["phrh"], None), &context),
            Insufficient::Class
        );
        let silent = Circumstances::default();
        assert_eq!(
            lack(&sign_in(&["phr"], None), &silent),
            Insufficient::Unknown
        );
    }
}
