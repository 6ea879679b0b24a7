//! Asks the policies of a configuration what they say of a token that every
//! check let through, as the gateway would ask them.

use http::request::Parts;
use symbolon_gateway::policy::{Answer, Asked, Looked, Question, Ruling};
use symbolon_server::config::RouteNeeds;
use symbolon_verify::{Explanation, Outcome, Principal, Requirement, Verdict, Verifier};

use super::around::{Asks, not_asked};
use super::demand::Route;
use super::{ExplainArguments, demanded, refuse, set_policy};
use crate::serve::edge;

/// The request that was judged, and by whom.
pub(super) struct Judged<'a> {
    pub(super) verifier: &'a Verifier,
    pub(super) requirement: &'a Requirement,
    pub(super) parts: &'a Parts,
}

/// Asks them, where they can be asked here.
pub(super) async fn ask(
    explanation: &mut Explanation,
    arguments: &ExplainArguments,
    (asks, route): (&Asks<'_>, &Route),
    judged: &Judged<'_>,
) {
    let Some(policy) = &asks.config.policy else {
        return;
    };
    let Ok((Some(policies), _)) = crate::policy::policies(policy) else {
        return not_asked(
            explanation,
            "its files are not as they should be, see `symbolon check`",
        );
    };
    let checked = judged.verifier.check(judged.parts, judged.requirement);
    let Ok(principal) = checked.await else {
        return not_asked(explanation, "the token cannot be looked at twice");
    };
    let question = question(arguments, (asks, route), &principal);
    let ruling = policies.decide(&question);
    told(explanation, &ruling);
    if explanation.verdict == Verdict::Valid && policy.authzen_url.is_some() {
        not_asked(explanation, "`authzen_url` names somebody else to ask");
    } else if explanation.verdict != Verdict::Valid {
        let own = policy.at.to_string();
        explanation.demanded = Some(demanded("policy.files", named(&ruling), own));
    }
}

fn question(
    arguments: &ExplainArguments,
    (asks, route): (&Asks<'_>, &Route),
    principal: &Principal,
) -> Question {
    let own = asks.route;
    let audience = match &own.needs {
        RouteNeeds::Token { audience, .. } => audience.clone(),
        RouteNeeds::Public => String::new(),
    };
    let home = asks.config.introspection.as_ref().map(|own| &*own.issuer);
    Question::about(
        principal,
        home.or(Some(principal.issuer())),
        Looked {
            method: route.method.clone(),
            asked: Asked {
                route: own.name.clone(),
                template: own.path.to_string(),
                audience,
                upstream: own.upstream.clone(),
                path: route.path.clone(),
                ..Asked::default()
            },
            address: arguments.check.client_ip,
            now: edge().clock.now(),
        },
    )
}

fn told(explanation: &mut Explanation, ruling: &Ruling) {
    let by = named(ruling);
    let (root, cause, repair) = match &ruling.answer {
        Answer::Allow => return set_policy(explanation, Outcome::Passed),
        Answer::Deny | Answer::Revoke if ruling.policies.is_empty() => (
            "policy_denied",
            "policy: none permits it, and what none permits is refused".to_owned(),
            "write a policy that permits it, or ask as somebody whom one permits",
        ),
        Answer::Deny | Answer::Revoke => (
            "policy_denied",
            format!("policy: `{by}` forbids it"),
            "ask as somebody, from somewhere or at an hour that it does not forbid, or change it",
        ),
        Answer::StepUp(_) => (
            "policy_step_up",
            format!("policy: `{by}` wants the person to sign in again"),
            "have the person sign in again, with the `acr_values` and `max_age` of the challenge",
        ),
        Answer::Unknown => (
            "policy_unknown",
            format!("policy: `{by}` cannot be evaluated, so nobody can say"),
            "see what the policy computes: an overflow is what is left to fail",
        ),
    };
    refuse(explanation, root, cause, repair);
    if ruling.answer == Answer::Unknown {
        explanation.verdict = Verdict::CannotKnow;
        set_policy(explanation, Outcome::Unknown);
    }
}

fn named(ruling: &Ruling) -> String {
    ruling.policies.join("`, `")
}
