//! Why a token is good or not, check by check, for people and scripts.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};
use symbolon_token::explain::{Check, Refused};
use symbolon_token::jose::jwe::is_encrypted;
use symbolon_token::jose::{Invalid, Unverified};
use symbolon_token::macaroon::{Request, SharedPresented, ShownCaveat, inspect};

use crate::bearer::Presented;
use crate::chain;
use crate::check::Rendering;
use crate::principal::Principal;
use crate::refusal::{CannotKnow, Refusal, printable};
use crate::requirement::{Requirement, Revocation};
use crate::verifier::Verifier;

/// The whole answer in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every check passed that the requirement asks for; `checks` says whether
    /// revocation is one of them.
    Valid,
    /// One failed.
    Refused,
    /// One could not be made.
    CannotKnow,
}

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
    /// The route does without it, so nobody was asked.
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

/// Who vouches for the claims that are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Vouched {
    /// The issuer: every check that was made passed.
    Verified,
    /// Nobody: they are what the text says, whoever wrote it.
    Unverified,
}

/// Why a token is good or not. The first line to show is `cause`, the second
/// `repair`, then the rest.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The whole answer in a word.
    pub verdict: Verdict,
    /// `jwt`, `jwe` (a JWT that is encrypted), `opaque`, `macaroon` or `other`.
    pub rendering: &'static str,
    /// A stable word.
    pub code: &'static str,
    /// The cause in one plain sentence.
    pub cause: String,
    /// What would repair it; empty for a good token.
    pub repair: String,
    /// The six checks in order.
    pub checks: Vec<Step>,
    /// Who vouches for `claims`.
    pub vouched: Vouched,
    /// What the token says, as far as it can be read. Values may hold anything.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub claims: Map<String, Value>,
    /// Who acts for whom, and what the token was derived from, one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
}

impl Verifier {
    /// Checks a token and says what each check found. What nobody vouches for
    /// is labelled so.
    pub async fn explain(&self, token: &str, requirement: &Requirement) -> Explanation {
        self.explain_request(token, requirement, Request::default())
            .await
    }

    /// The same, with what is known of the request that a macaroon's
    /// conditions are judged for.
    pub async fn explain_request(
        &self,
        token: &str,
        requirement: &Requirement,
        request: Request<'_>,
    ) -> Explanation {
        let rendering = match Rendering::of(token) {
            Ok(Rendering::Jwt) if is_encrypted(token) => "jwe",
            Ok(Rendering::Jwt) if Unverified::parse(token).is_ok() => "jwt",
            Ok(Rendering::Opaque) | Err(Refused::Seal) => "opaque",
            Ok(Rendering::Macaroon) => "macaroon",
            _ => "other",
        };
        // Of an opaque token the issuer is asked in any case.
        let is_read_here = match rendering {
            "macaroon" => matches!(SharedPresented::parse(token), Ok(Some(_))),
            rendering => matches!(rendering, "jwt" | "jwe"),
        };
        let unasked = is_read_here && requirement.freshness() == Revocation::AtExpiry;
        let judged = match Presented::Token(token).sent() {
            Ok(sent) => self.judge(sent, requirement, request).await,
            Err(refusal) => Err(refusal),
        };
        let mut explanation = match judged {
            Ok(principal) => valid(rendering, &principal, unasked),
            Err(refusal) => self.refused(rendering, token, &refusal),
        };
        let revocation = Check::Revocation.name();
        for step in explanation
            .checks
            .iter_mut()
            .filter(|step| step.check == revocation)
        {
            if unasked && step.outcome == Outcome::Passed {
                step.outcome = Outcome::NotAsked;
            }
        }
        explanation
    }

    fn refused(&self, rendering: &'static str, token: &str, refusal: &Refusal) -> Explanation {
        let is_unknown = matches!(refusal, Refusal::CannotKnow(_));
        let opened = match rendering {
            "jwe" => self.opened(token).unwrap_or_default(),
            _ => Cow::Borrowed(token),
        };
        let token = &*opened;
        let claims = match rendering {
            "macaroon" => Ok(caveats(token)),
            _ => Unverified::parse(token).and_then(|own| own.dangerous_claims_without_key()),
        };
        let claims = claims.unwrap_or_default();
        let foreign = self.foreign(refusal, &claims);
        let (cause, repair) = foreign.unwrap_or_else(|| (refusal.cause(), refusal.repair()));
        Explanation {
            verdict: if is_unknown {
                Verdict::CannotKnow
            } else {
                Verdict::Refused
            },
            rendering,
            code: refusal.code(),
            cause,
            repair,
            checks: steps(|check| outcome(rendering, refusal, check)),
            vouched: Vouched::Unverified,
            chain: chain::of(&claims),
            claims,
        }
    }

    /// Cause and repair where the key is unknown because the token says itself
    /// that it is another issuer's. Nobody vouches for that; for the search it
    /// is the first thing to know.
    fn foreign(&self, refusal: &Refusal, claims: &Map<String, Value>) -> Option<(String, String)> {
        let unknown = Refusal::Refused(Refused::Signature(Invalid::UnknownKey));
        let trusted = self.inner.config.issuer.as_str();
        let claimed = claims.get("iss").and_then(Value::as_str)?;
        if *refusal != unknown || claimed == trusted {
            return None;
        }
        let cause = format!(
            "signature: no key of that name is known here: the token claims issuer `{claimed}`, this verifier trusts `{trusted}`"
        );
        let issuer = Refused::Issuer {
            expected: trusted.to_owned(),
            found: claimed.to_owned(),
        };
        Some((printable(&cause), printable(&issuer.repair())))
    }
}

fn valid(rendering: &'static str, principal: &Principal, unasked: bool) -> Explanation {
    let but = if unasked {
        " but revocation, which was not asked"
    } else {
        ""
    };
    let claims = principal.claims().clone();
    Explanation {
        verdict: Verdict::Valid,
        rendering,
        code: "valid",
        cause: format!(
            "valid: every check passed{but}; the token of `{}` ends at {}",
            printable(principal.subject()),
            principal.expires()
        ),
        repair: String::new(),
        checks: steps(|_| Outcome::Passed),
        vouched: Vouched::Verified,
        chain: chain::of(&claims),
        claims,
    }
}

/// What whoever holds a macaroon sees of it.
fn caveats(token: &str) -> Map<String, Value> {
    let mut shown = Map::new();
    let Ok(contents) = inspect(token) else {
        return shown;
    };
    shown.insert("location".to_owned(), contents.location.into());
    let discharges = contents.discharges.iter().flatten();
    let all = contents.caveats.iter().chain(discharges);
    let all = all.map(|own| match own {
        ShownCaveat::FirstParty { text, .. } => Value::from(text.as_str()),
        ShownCaveat::ThirdParty { location, .. } => format!("discharged by {location}").into(),
    });
    shown.insert("caveats".to_owned(), all.collect());
    shown
}

fn steps(of: impl Fn(Check) -> Outcome) -> Vec<Step> {
    let step = |check: Check| Step {
        check: check.name(),
        outcome: of(check),
    };
    Check::ALL.into_iter().map(step).collect()
}

fn outcome(rendering: &str, refusal: &Refusal, check: Check) -> Outcome {
    let by_word = matches!(rendering, "opaque" | "macaroon");
    match refusal {
        // Between revocation and scope.
        other if other.is_about_binding() => match check {
            Check::Scope => Outcome::NotReached,
            _ => Outcome::Passed,
        },
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
