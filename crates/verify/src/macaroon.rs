//! What whoever holds a macaroon can do with it, without asking anyone: read
//! its caveats, narrow it, and bind discharges.
//!
//! ```
//! use symbolon_verify::macaroon::{Caveat, attenuate};
//!
//! # let held = "AgETaHR0cDovL2V4YW1wbGUub3JnLwIFa2V5aWQAAAYgfN7nklEcW8b1KEhYBd_psk54XijiqZMB-dcRxgnjjvc";
//! let read_only: Caveat = "method = GET,HEAD".parse()?;
//! let until: Caveat = "before = 2026-12-01T18:00:00Z".parse()?;
//! let narrower = attenuate(held, &[read_only, until]);
//! assert!(narrower.is_ok());
//! # Ok::<(), symbolon_verify::macaroon::InvalidCaveat>(())
//! ```
//!
//! Spec: Macaroons NDSS 2014 §2

pub use symbolon_token::macaroon::{
    Caveat, Contents, Count, Flaw, InvalidCaveat, Request, ShownCaveat, attenuate, inspect,
    is_macaroon, present, require,
};

use serde_json::{Map, Value};
use symbolon_protocol::Timestamp;
use symbolon_token::Ancestor;
use symbolon_token::explain::Refused;
use symbolon_token::jwt::check_claims;
use symbolon_token::macaroon::{Context, SharedPresented, is_counted};
use symbolon_token::revocation::Target;

use crate::bearer::Purpose;
use crate::check::Presentation;
use crate::introspection::{Counting, Question};
use crate::macaroon_keys::NotGiven;
use crate::principal::Facts;
use crate::refusal::{CannotKnow, Refusal};
use crate::requirement::{MAX_STALENESS, Revocation, Staleness};
use crate::uses::{Due, USES_LEFT};
use crate::verifier::Verifier;

impl Verifier {
    /// A macaroon: under the key of this resource it is checked here, else the
    /// issuer is asked. In both cases it is judged for the request, and the uses
    /// that are due are left to be counted.
    pub(crate) async fn read_macaroon(
        &self,
        one: &Presentation<'_>,
        purpose: Purpose,
    ) -> Result<(Facts, Due), Refusal> {
        match SharedPresented::parse(one.token).map_err(Refused::Macaroon)? {
            Some(shared) => self.read_shared(one, shared, purpose).await,
            None => self.read_vouched(one).await,
        }
    }

    async fn read_shared(
        &self,
        one: &Presentation<'_>,
        shared: SharedPresented,
        purpose: Purpose,
    ) -> Result<(Facts, Due), Refusal> {
        let config = &self.inner.config;
        let expected = self.expected(one);
        let audience = shared.claimed_audience().to_owned();
        if !expected.audiences.contains(&audience) {
            return Err(Refusal::Refused(Refused::Audience {
                expected: expected.audiences.first().cloned().unwrap_or_default(),
                found: vec![audience],
            }));
        }
        let credentials = config
            .credentials
            .as_ref()
            .ok_or(Refusal::CannotKnow(CannotKnow::NoSource))?;
        let id = shared
            .claimed_key()
            .ok_or(Refused::Macaroon(Flaw::Identifier))?;
        let given = self
            .inner
            .sources
            .macaroon_keys
            .find(credentials, &audience, &id);
        let given = given.await.map_err(|why| match why {
            NotGiven::Unknown => Refused::Macaroon(Flaw::Identifier).into(),
            NotGiven::CannotKnow => Refusal::CannotKnow(CannotKnow::Keys),
        })?;
        let kid = shared.key_name();
        let token = shared
            .open(given.key(), given.bound(config.issuer.as_str()))
            .map_err(Refused::Macaroon)?;
        let keys = token.discharge_keys().to_vec();
        let judged = token.judge(&context(config.skew, one));
        let (claims, counts) = judged.map_err(Refused::Macaroon)?;
        let mut token = check_claims(claims, kid.as_deref(), expected)?;
        if let Some((marks, _)) = &mut token.rev {
            let target = Target::Key;
            let each = keys.into_iter().map(|name| Ancestor { target, name });
            marks.lineage.extend(each);
        }
        let facts = Facts::new(token, &self.inner.config.issuer).judged_for(one.request);
        // INVARIANT: asked before the records, as in `check_revocation`.
        let need_not_ask = self.need_not_ask(one, &counts);
        self.check_records(&facts)?;
        if need_not_ask {
            return Ok((facts, Due::here(counts)));
        }
        if !counts.is_empty() && purpose == Purpose::Decide {
            // Whoever says that it is active counts, too.
            return Ok((facts, Due::AtIssuer { left: None }));
        }
        let question = question(one, self.is_feed_stale());
        let claims = self.ask_active(credentials, &question).await?;
        Ok((facts, Due::said(claims.get(USES_LEFT))))
    }

    /// Whether what is known here is enough. Where uses are counted, whoever
    /// counts them is asked anyway, unless the route leaves that to this API.
    fn need_not_ask(&self, one: &Presentation<'_>, counts: &[Count]) -> bool {
        let is_at_expiry = one.requirement.freshness() == Revocation::AtExpiry;
        let usual = Staleness::AtMost(MAX_STALENESS);
        match &self.inner.sources.subscription {
            Some(subscription) if counts.is_empty() => match one.requirement.staleness(usual) {
                Staleness::Any => true,
                Staleness::AtMost(allowed) => subscription.age().is_some_and(|age| age <= allowed),
            },
            _ => is_at_expiry,
        }
    }

    async fn read_vouched(&self, one: &Presentation<'_>) -> Result<(Facts, Due), Refusal> {
        let Some(credentials) = &self.inner.config.credentials else {
            return Err(Refusal::CannotKnow(CannotKnow::NoSource));
        };
        let claims = self
            .ask_active(credentials, &question(one, self.is_feed_stale()))
            .await?;
        self.take_vouched(one, &claims)
    }

    /// What the issuer says of a macaroon that is active, and the uses that are
    /// left to be counted.
    fn take_vouched(
        &self,
        one: &Presentation<'_>,
        claims: &Map<String, Value>,
    ) -> Result<(Facts, Due), Refusal> {
        let mut token = self.vouched(claims)?;
        let due = Due::said(token.claims.remove(USES_LEFT).as_ref());
        let facts = Facts::new(token, &self.inner.config.issuer).judged_for(one.request);
        self.check_standing(one, &facts)?;
        self.check_records(&facts)?;
        Ok((facts, due))
    }

    /// What is said by now of a macaroon that something began with; nothing where
    /// what was known of it then is known still. No use is counted.
    ///
    /// One under the key of this resource goes by the feed, as a new request with
    /// it does. So does one whose uses are counted: the issuer would speak of
    /// another use, and what began with the last one would end at once. Where the
    /// feed is too old to go by, the issuer is asked about them all.
    pub(crate) async fn read_standing_macaroon(
        &self,
        one: &Presentation<'_>,
        facts: &Facts,
    ) -> Result<Option<Facts>, Refusal> {
        let shared = SharedPresented::parse(one.token);
        let is_shared = shared.map_err(Refused::Macaroon)?.is_some();
        let goes_by_feed = is_shared || is_counted(one.token);
        // INVARIANT: asked before the records, as in `check_revocation`.
        let need_not_ask = goes_by_feed && self.need_not_ask(one, &[]);
        self.check_records(facts)?;
        if need_not_ask {
            return Ok(None);
        }
        let credentials = self.inner.config.credentials.as_ref();
        let credentials = credentials.ok_or(Refusal::CannotKnow(CannotKnow::NoSource))?;
        let question = Question {
            token: one.token,
            request: one.request,
            resource: None,
            counting: Counting::Spare,
            // Many look at the same one: an answer is good for a second.
            is_for_once: false,
        };
        let claims = self.ask_active(credentials, &question).await;
        let claims = claims.map_err(|refusal| match refusal {
            // What is spent is inactive, which says nothing of what began with it.
            Refusal::Refused(Refused::Inactive) if is_counted(one.token) => {
                Refusal::CannotKnow(CannotKnow::NoSource)
            }
            other => other,
        })?;
        if is_shared {
            return Ok(None);
        }
        self.take_vouched(one, &claims)
            .map(|(facts, _)| Some(facts))
    }
}

/// Whether a macaroon is good for a request. No use is counted for the answer.
fn question<'a>(one: &Presentation<'a>, is_feed_stale: bool) -> Question<'a> {
    let is_counted = is_counted(one.token);
    Question {
        token: one.token,
        request: one.request,
        resource: None,
        counting: match is_counted {
            true => Counting::Spare,
            false => Counting::Use,
        },
        is_for_once: is_counted || is_feed_stale,
    }
}

fn context<'a>(skew: std::time::Duration, one: &Presentation<'a>) -> Context<'a> {
    let now: Timestamp = one.now;
    Context {
        now,
        skew,
        request: one.request,
    }
}
