//! Why a token is good or not, check by check, for people and scripts.
//!
//! 1. `recognize` (of the engine) says what was shown and what was done to it.
//! 2. The token is judged as any other; `step` says what became of each check.
//! 3. `finding` goes from the refusal to its one cause, with the help of
//!    `signature` and `key` (which edit, which key), `claim`, `proof`,
//!    `encrypted` and `clock`.
//! 4. `difference` puts what was wanted beside what was found, `demanded` names
//!    the setting that wanted it.
//!
//! Nothing here shows the token, its signature, or a credential inside it.

mod claim;
mod clock;
mod demanded;
mod difference;
mod encrypted;
mod finding;
mod key;
mod proof;
mod shown;
mod signature;
mod step;

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};
use symbolon_token::explain::{Check, Refused};
use symbolon_token::jose::{Invalid, KeySet, Unverified};
use symbolon_token::macaroon::{Request, is_counted};
use symbolon_token::recognize::{Defect, Recognized, What};

use self::finding::Seen;
use self::shown::{caveats, is_unasked, masked, rendering};
use crate::bearer::{Presented, Purpose, Sent, shown_in};
use crate::chain;
use crate::principal::Principal;
use crate::refusal::{Refusal, printable};
use crate::requirement::{MAX_STALENESS, Requirement};
use crate::subscription::FeedState;
use crate::uses::Due;
use crate::verifier::Verifier;

pub use self::clock::ClockShown;
pub use self::demanded::Demanded;
pub use self::difference::Difference;
pub use self::key::KeyShown;
pub use self::step::{Outcome, Step};

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

/// Who vouches for the claims that are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Vouched {
    /// The issuer: the signature is good, and so is every check before the one
    /// that failed, where one did.
    Verified,
    /// Nobody: they are what the text says, whoever wrote it.
    Unverified,
}

/// What was signed is the issuer's word, whatever else is wrong with it.
fn vouched(rendering: &str, checks: &[Step]) -> Vouched {
    let is_good =
        |step: &Step| step.check == Check::Signature.name() && step.outcome == Outcome::Passed;
    match matches!(rendering, "jwt" | "jwe") && checks.iter().any(is_good) {
        true => Vouched::Verified,
        false => Vouched::Unverified,
    }
}

/// Why a token is good or not. The first line to show is `cause`, the second
/// `repair`, then the rest.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The whole answer in a word.
    pub verdict: Verdict,
    /// `jwt`, `jwe` (a JWT that is encrypted), `opaque`, `macaroon`, `api_key` or
    /// `other`.
    pub rendering: &'static str,
    /// A stable word: the refusal's, as logs have it.
    pub code: &'static str,
    /// The one cause in a stable word, finer than `code`.
    pub root: &'static str,
    /// The cause in one plain sentence.
    pub cause: String,
    /// What would repair it; empty for a good token.
    pub repair: String,
    /// What was shown, by its form alone.
    pub shown: What,
    /// The same in words.
    pub shown_words: &'static str,
    /// What was done to it on its way, the outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub defects: Vec<&'static str>,
    /// What the token would be without that, where it can be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<String>,
    /// The six checks in order, then key binding and policy.
    pub checks: Vec<Step>,
    /// The setting that demanded what was not met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demanded: Option<Demanded>,
    /// What was wanted beside what was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// Which key the token names, and which one verifies it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyShown>,
    /// This machine's clock beside the issuer's, where time was the matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockShown>,
    /// What is known of the revocation feed, where it is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<FeedState>,
    /// How many uses of a macaroon are left, where uses are counted and whoever
    /// counts them says so. None is counted for an explanation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses_left: Option<u64>,
    /// Who vouches for `claims`.
    pub vouched: Vouched,
    /// What the token says, as far as it can be read. Values may hold anything
    /// but credentials.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub claims: Map<String, Value>,
    /// Who acts for whom, and what the token was derived from, one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
}

impl Explanation {
    /// Takes revocation out of what passed.
    fn says_but(&mut self, why: &str) {
        let but = format!("every check passed but revocation, {why}");
        self.cause = self.cause.replacen("every check passed", &but, 1);
    }
}

/// A token, and how it was shown.
struct Shown<'a> {
    text: &'a str,
    sent: Result<Sent<'a>, Refusal>,
    request: Request<'a>,
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
        let shown = Shown {
            text: token,
            sent: self.sent(Presented::Token(token)),
            request,
        };
        self.explain_shown(&shown, requirement).await
    }

    /// The same of a whole request, in which possession of a key can be judged:
    /// scheme, DPoP proof and certificate included.
    pub async fn explain_presented<'a>(
        &self,
        presented: impl Into<Presented<'a>>,
        requirement: &Requirement,
    ) -> Explanation {
        let presented: Presented<'a> = presented.into();
        let sent = self.sent(presented);
        let text = match &sent {
            Ok(sent) => sent.token,
            Err(_) => shown_in(presented),
        };
        let shown = Shown {
            text,
            sent,
            request: Request::default(),
        };
        self.explain_shown(&shown, requirement).await
    }

    async fn explain_shown(&self, shown: &Shown<'_>, requirement: &Requirement) -> Explanation {
        let own = self.of(shown.text);
        own.explain_alone(self, shown, requirement).await
    }

    /// What callers prove to hold is proved to the API, whoever made their token.
    async fn explain_alone(
        &self,
        api: &Self,
        shown: &Shown<'_>,
        requirement: &Requirement,
    ) -> Explanation {
        let judged = match &shown.sent {
            Ok(sent) => {
                let sent = Sent {
                    purpose: Purpose::Explain,
                    ..*sent
                };
                let judged = self.judge_uncounted(api, sent, requirement, shown.request);
                judged.await.and_then(|(principal, due)| {
                    self.check_counted(&due)?;
                    Ok((principal, due))
                })
            }
            Err(refusal) => Err(refusal.clone()),
        };
        let mut explanation = match judged {
            Ok((principal, due)) => self.valid(shown, requirement, (&principal, &due)),
            Err(refusal) => self.refused(shown, requirement, &refusal).await,
        };
        let revocation = Check::Revocation.name();
        let unasked = is_unasked(shown.text, explanation.rendering, requirement);
        for step in &mut explanation.checks {
            if unasked && step.check == revocation && step.outcome == Outcome::Passed {
                step.outcome = Outcome::NotAsked;
            }
        }
        if unasked && explanation.verdict == Verdict::Valid {
            explanation.says_but("which was not asked");
        } else if let Some(feed) = explanation.feed
            && explanation.verdict == Verdict::Valid
            && matches!(explanation.rendering, "jwt" | "jwe")
            && feed.age().is_none_or(|age| age > MAX_STALENESS)
        {
            // The route lets it through all the same.
            for step in &mut explanation.checks {
                if step.check == revocation {
                    step.outcome = Outcome::Unknown;
                }
            }
            explanation.says_but(&match feed.age() {
                Some(age) => format!("which was last known {} s ago", age.as_secs()),
                None => "since the feed was never reached".to_owned(),
            });
        }
        explanation
    }

    /// The text, or what is inside it where it is encrypted to this API.
    fn readable<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match rendering(text) {
            "jwe" => self.opened(text).unwrap_or_default(),
            _ => Cow::Borrowed(text),
        }
    }

    fn valid(
        &self,
        shown: &Shown<'_>,
        requirement: &Requirement,
        (principal, due): (&Principal, &Due),
    ) -> Explanation {
        let recognized = Recognized::of(shown.text);
        let claims = principal.claims().clone();
        let opened = self.readable(shown.text);
        let token = Unverified::parse(&opened).ok();
        let known = self.inner.sources.keys.current();
        let key = token.map(|token| {
            let mut own = key::shown(&token, known.as_ref().map(|known| &*known.set));
            own.verifies.clone_from(&own.named);
            own
        });
        Explanation {
            verdict: Verdict::Valid,
            rendering: rendering(shown.text),
            code: "valid",
            root: "valid",
            cause: format!(
                "valid: every check passed; the token of `{}` ends at {}{}",
                printable(principal.subject()),
                principal.expires(),
                uses(due)
            ),
            repair: String::new(),
            shown: recognized.what,
            shown_words: recognized.what.words(),
            defects: Vec::new(),
            repaired: None,
            checks: step::passed(claims.contains_key("cnf"), requirement.sign_in()),
            demanded: None,
            differences: Vec::new(),
            key,
            clock: None,
            feed: self.feed(),
            uses_left: due.left(),
            vouched: Vouched::Verified,
            chain: chain::of(&claims),
            claims: masked(claims),
        }
    }

    /// The key that verifies a text, or would have but for an edit.
    fn found(
        &self,
        (text, claims): (&str, &Map<String, Value>),
        requirement: &Requirement,
        set: Option<&KeySet>,
    ) -> Option<key::Found> {
        let needed: Vec<String> = requirement.scopes().map(str::to_owned).collect();
        let audiences = match requirement.own_audience() {
            Some(own) => std::slice::from_ref(own),
            None => &self.inner.config.audiences,
        };
        key::Search::new(text, set?)?.run(claims, (&needed, audiences))
    }

    async fn refused(
        &self,
        shown: &Shown<'_>,
        requirement: &Requirement,
        refusal: &Refusal,
    ) -> Explanation {
        let (recognized, rendering) = (Recognized::of(shown.text), rendering(shown.text));
        let opened = self.readable(shown.text);
        let token = Unverified::parse(&opened);
        let claims = match rendering {
            "macaroon" => Ok(caveats(shown.text)),
            _ => token
                .as_ref()
                .map_err(|invalid| *invalid)
                .and_then(Unverified::dangerous_claims_without_key),
        };
        let claims = claims.unwrap_or_default();
        let clock = match is_about_time(refusal) {
            true => Some(self.compare_clocks().await),
            false => None,
        };
        if is_about_keys(refusal) {
            // Where none can be had, none is shown.
            let _ = self.inner.sources.keys.ready().await;
        }
        let known = self.inner.sources.keys.current();
        let set = known.as_ref().map(|known| &*known.set);
        let searched = set.filter(|_| is_about_keys(refusal));
        let found = self.found((&opened, &claims), requirement, searched);
        let token = token.ok();
        let mut key = token.as_ref().map(|token| key::shown(token, set));
        if let (Some(key), Some(found)) = (&mut key, &found) {
            key.verifies = Some(found.kid.clone());
        }
        let cause = finding::of(&Seen {
            refusal,
            recognized: &recognized,
            text: shown.text,
            token: token.as_ref(),
            claims: &claims,
            found: found.as_ref(),
            clock: clock.as_ref(),
            issuer: self.inner.config.issuer.as_str(),
        });
        let defects = recognized.defects.iter();
        let checks = step::refused(rendering, refusal, claims.contains_key("cnf"));
        let vouched = vouched(rendering, &checks);
        name_by_check(key.as_mut(), vouched);
        Explanation {
            verdict: match refusal {
                Refusal::CannotKnow(_) => Verdict::CannotKnow,
                _ => Verdict::Refused,
            },
            rendering,
            code: refusal.code(),
            root: cause.root,
            cause: printable(&cause.cause),
            repair: printable(&cause.repair),
            shown: recognized.what,
            shown_words: recognized.what.words(),
            defects: defects.map(|own| Defect::code(*own)).collect(),
            repaired: self.repaired(&recognized, requirement, shown).await,
            feed: self.feed(),
            uses_left: None,
            vouched,
            checks,
            demanded: demanded::of(refusal, requirement, &self.inner.config),
            differences: self.differences(shown, refusal, &claims),
            key,
            clock,
            chain: chain::of(&claims),
            claims: masked(claims),
        }
    }

    /// What the token would be without what was done to it. A macaroon whose
    /// uses are counted is not used up for that.
    async fn repaired(
        &self,
        recognized: &Recognized,
        requirement: &Requirement,
        shown: &Shown<'_>,
    ) -> Option<String> {
        let bare = recognized.repaired().filter(|own| !is_counted(own))?;
        let sent = self.sent(Presented::Token(bare)).ok()?;
        Some(match self.judge(sent, requirement, shown.request).await {
            Ok(_) => "without that, the token is valid".to_owned(),
            Err(refusal) => format!("without that, it would be refused too: {}", refusal.cause()),
        })
    }
}

/// What is known of the uses of a macaroon, none of which was counted.
fn uses(due: &Due) -> String {
    match (due, due.left()) {
        (Due::Nothing, _) => String::new(),
        (_, Some(left)) => format!("; uses left: {left}, this was none"),
        (_, None) => "; its uses are counted, and nobody was asked how many are left".to_owned(),
    }
}

/// Names the key of a signature that was good: the check went by the name, and
/// nobody searched.
fn name_by_check(key: Option<&mut KeyShown>, vouched: Vouched) {
    if let Some(key) = key
        && key.verifies.is_none()
        && vouched == Vouched::Verified
    {
        key.verifies.clone_from(&key.named);
    }
}

fn is_about_time(refusal: &Refusal) -> bool {
    use symbolon_token::dpop::InvalidProof;
    matches!(
        refusal,
        Refusal::Refused(Refused::Expired { .. } | Refused::NotYet { .. })
            | Refusal::Proof(InvalidProof::Time)
    )
}

fn is_about_keys(refusal: &Refusal) -> bool {
    use Invalid::{Algorithm, Signature, UnknownKey};
    matches!(
        refusal,
        Refusal::Refused(Refused::Signature(Algorithm | Signature | UnknownKey))
            | Refusal::Refused(Refused::NotAnAccessToken(_))
    )
}
