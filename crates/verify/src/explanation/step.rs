//! The six checks, key binding and policy, and what became of each.

use serde::Serialize;
use symbolon_token::explain::{Check, Refused};

use crate::authentication::SignIn;
use crate::refusal::{CannotKnow, Refusal};

/// What became of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// Nobody can say, or the issuer does not.
    Unknown,
    /// Nothing demands it here, so nobody was asked.
    NotAsked,
    /// One before it ended the matter.
    NotReached,
}

/// One check and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The check's name.
    pub check: &'static str,
    /// What became of it.
    pub outcome: Outcome,
}

/// The name of the step that asks whether the sender holds the key.
pub(super) const BINDING: &str = "binding";
/// The name of the step that asks for what a route demands beside scopes: how
/// the person signed in.
pub(super) const POLICY: &str = "policy";

/// The steps of a token that is good, at a route that demands a sign-in, or none.
pub(super) fn passed(is_bound: bool, sign_in: &SignIn) -> Vec<Step> {
    let where_asked = |is_asked| match is_asked {
        true => Outcome::Passed,
        false => Outcome::NotAsked,
    };
    let policy = where_asked(sign_in.is_demanded());
    list(|_| Outcome::Passed, where_asked(is_bound), policy)
}

/// The steps of a token that is not.
pub(super) fn refused(rendering: &str, refusal: &Refusal, is_bound: bool) -> Vec<Step> {
    let is_about_sign_in = matches!(refusal, Refusal::Authentication(_));
    let binding = match refusal.check() {
        _ if refusal.is_about_binding() => Outcome::Failed,
        // Asked before scope and sign-in, and after everything else.
        check if check == Some(Check::Scope) || is_about_sign_in => match is_bound {
            true => Outcome::Passed,
            false => Outcome::NotAsked,
        },
        _ => Outcome::NotReached,
    };
    let of = |check| outcome(rendering, refusal, check);
    let policy = match is_about_sign_in {
        true => Outcome::Failed,
        false => Outcome::NotReached,
    };
    list(of, binding, policy)
}

fn list(of: impl Fn(Check) -> Outcome, binding: Outcome, policy: Outcome) -> Vec<Step> {
    let step = |check: Check| Step {
        check: check.name(),
        outcome: of(check),
    };
    let more = [(BINDING, binding), (POLICY, policy)];
    let more = more.map(|(check, outcome)| Step { check, outcome });
    Check::ALL.into_iter().map(step).chain(more).collect()
}

fn outcome(rendering: &str, refusal: &Refusal, check: Check) -> Outcome {
    let by_word = matches!(rendering, "opaque" | "macaroon" | "api_key");
    match refusal {
        // Between revocation and scope.
        other if other.is_about_binding() => match check {
            Check::Scope => Outcome::NotReached,
            _ => Outcome::Passed,
        },
        Refusal::Authentication(_) => Outcome::Passed,
        // Of an opaque token the issuer says yes or no, never why.
        Refusal::Refused(Refused::Inactive) if by_word && check < Check::Revocation => {
            Outcome::Unknown
        }
        Refusal::CannotKnow(CannotKnow::Introspection) if by_word => Outcome::Unknown,
        _ => match refusal.check() {
            None => Outcome::NotReached,
            Some(failed) if check < failed => Outcome::Passed,
            Some(failed) if check > failed => Outcome::NotReached,
            Some(_) if matches!(refusal, Refusal::CannotKnow(_)) => Outcome::Unknown,
            Some(_) => Outcome::Failed,
        },
    }
}
