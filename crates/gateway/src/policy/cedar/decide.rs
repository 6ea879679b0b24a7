//! The answer of the operator's policies. What is not a clear yes is a no.

use std::sync::Arc;

use cedar_policy::{AuthorizationError, Decision, Effect, Entities, PolicySet, Request};

use super::Policies;
use super::load::Demanded;
use super::told::Told;
use crate::policy::question::Question;
use crate::policy::ruling::{Answer, Ruling, SignIn};

impl Policies {
    /// Answers a question: allowed where a policy permits it, none forbids it,
    /// and every one of them could be evaluated.
    ///
    /// The answer follows from what policies are told and from nothing else, so
    /// that of a question that was asked before is found, not made.
    pub fn decide(&self, question: &Question) -> Ruling {
        let told = self.tell(question);
        let name = *told.digest().as_bytes();
        if let Some(known) = self.answered.get(&name) {
            return (*known).clone();
        }
        let ruling = self.answer(&told, self.slices.at(told.route, told.action));
        // What could not be known is looked at again, and logged again.
        if ruling.answer != Answer::Unknown {
            self.answered.insert(name, Arc::new(ruling.clone()));
        }
        ruling
    }

    /// The same, with every policy, whatever its scope names.
    #[cfg(test)]
    pub(super) fn decide_by_all(&self, question: &Question) -> Ruling {
        self.answer(&self.tell(question), self.slices.all())
    }

    fn answer(&self, told: &Told<'_>, set: &PolicySet) -> Ruling {
        match self.put(told) {
            Ok((request, entities)) => self.judge(&request, set, &entities),
            Err(error) => {
                tracing::error!(cause = %error, "a policy could not be asked");
                Ruling::bare(Answer::Unknown)
            }
        }
    }

    pub(super) fn judge(&self, request: &Request, set: &PolicySet, entities: &Entities) -> Ruling {
        let response = self.authorizer.is_authorized(request, set, entities);
        let told = response.diagnostics();
        let mut policies: Vec<String> = told.reason().map(ToString::to_string).collect();
        policies.sort_unstable();
        let is_forbidden = response.decision() == Decision::Deny && !policies.is_empty();
        if is_forbidden {
            let mut answer = self.forbidden(&policies);
            if matches!(answer, Answer::StepUp(_)) && !self.permits(request, set, entities) {
                // Whoever signed in again would be refused all the same.
                answer = Answer::Deny;
            }
            return Ruling { answer, policies };
        }
        // Cedar leaves out what it cannot evaluate: that may have forbidden.
        let mut failed: Vec<String> = told.errors().map(id_of).collect();
        if !failed.is_empty() {
            failed.sort_unstable();
            tracing::error!(
                policies = failed.join(","),
                "a policy could not be evaluated"
            );
            return Ruling {
                answer: Answer::Unknown,
                policies: failed,
            };
        }
        let answer = match response.decision() {
            Decision::Allow => Answer::Allow,
            Decision::Deny => Answer::Deny,
        };
        Ruling { answer, policies }
    }

    /// What follows where these policies forbid: taking the token back where one
    /// says so, another sign-in where all ask for it.
    fn forbidden(&self, policies: &[String]) -> Answer {
        let meant: Vec<Option<&Demanded>> = policies.iter().map(|id| self.meant.get(id)).collect();
        if meant.contains(&Some(&Demanded::Revoke)) {
            return Answer::Revoke;
        }
        let mut needed = SignIn::default();
        for own in meant {
            let Some(Demanded::StepUp(sign_in)) = own else {
                return Answer::Deny;
            };
            match needed.and(sign_in.clone()) {
                Some(both) => needed = both,
                None => return Answer::Deny,
            }
        }
        Answer::StepUp(needed)
    }

    /// Whether a policy permits it, whatever forbids it.
    fn permits(&self, request: &Request, set: &PolicySet, entities: &Entities) -> bool {
        let permits = set.policies().filter(|own| own.effect() == Effect::Permit);
        let Ok(permits) = PolicySet::from_policies(permits.cloned()) else {
            return false;
        };
        let response = self.authorizer.is_authorized(request, &permits, entities);
        response.decision() == Decision::Allow
    }
}

/// The policy that could not be evaluated.
fn id_of(error: &AuthorizationError) -> String {
    let AuthorizationError::PolicyEvaluationError(error) = error;
    error.policy_id().to_string()
}
