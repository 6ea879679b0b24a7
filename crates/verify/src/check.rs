//! The checks, in the order in which a refusal is chosen: signature, expiry,
//! issuer, audience, revocation, key binding, scope, and last how the person
//! signed in. A use of a macaroon is counted behind all of them.
//!
//! Spec: RFC 9068 §4
//! Spec: RFC 7662 §2.2
//! Spec: RFC 6750 §3.1

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};
use symbolon_protocol::Timestamp;
use symbolon_token::Digest;
use symbolon_token::explain::{Refused, Shown};
use symbolon_token::jose::{Algorithm, Invalid, Unverified};
use symbolon_token::jwt::{self, AccessToken, Expected, check_claims, check_type};
use symbolon_token::macaroon::Request;

use crate::bearer::{Presented, Sent};
use crate::introspection::{Counting, Credentials, Question, Says};
use crate::keys::{Known, NotHeld};
use crate::layer::described;
use crate::principal::{Facts, Principal};
use crate::refusal::{CannotKnow, Refusal, Stale};
use crate::rendering::Rendering;
use crate::requirement::{MAX_STALENESS, Requirement, Revocation, Staleness};
use crate::uses::Due;
use crate::verifier::Verifier;

impl Verifier {
    /// Checks what a request presents, an access token of any kind or an API
    /// key, against what a route demands. Everything else about the token is told only where all six
    /// checks passed, and whoever sends it holds what it is bound to.
    pub async fn check<'a>(
        &self,
        presented: impl Into<Presented<'a>>,
        requirement: &Requirement,
    ) -> Result<Principal, Refusal> {
        let presented: Presented<'a> = presented.into();
        let sent = self.sent(presented)?;
        self.judge(sent, requirement, Request::default()).await
    }

    /// The same, with what is known of the request where it is not at hand
    /// whole: conditions of macaroons are judged for it. What is left out
    /// leaves conditions about it unmet.
    pub async fn check_request<'a>(
        &self,
        presented: impl Into<Presented<'a>>,
        requirement: &Requirement,
        request: Request<'_>,
    ) -> Result<Principal, Refusal> {
        let presented: Presented<'a> = presented.into();
        self.judge(self.sent(presented)?, requirement, request)
            .await
    }

    /// Judges a token as its issuer's verifier does.
    pub(crate) async fn judge(
        &self,
        sent: Sent<'_>,
        requirement: &Requirement,
        request: Request<'_>,
    ) -> Result<Principal, Refusal> {
        let own = self.of(sent.token);
        own.judge_own(self, sent, requirement, request).await
    }

    /// The same by the verifier of the token's issuer.
    pub(crate) async fn judge_own(
        &self,
        api: &Self,
        sent: Sent<'_>,
        requirement: &Requirement,
        request: Request<'_>,
    ) -> Result<Principal, Refusal> {
        let judged = self.judge_uncounted(api, sent, requirement, request).await;
        let (principal, due) = judged?;
        let request = sent.parts.map_or(request, described);
        self.settle(due, sent.token, request).await?;
        Ok(principal)
    }

    /// The one place where a principal is made; nobody may have it before the
    /// uses that are due were counted. What callers prove to hold is proved to
    /// the API, whoever made their token.
    pub(crate) async fn judge_uncounted(
        &self,
        api: &Self,
        sent: Sent<'_>,
        requirement: &Requirement,
        request: Request<'_>,
    ) -> Result<(Principal, Due), Refusal> {
        if let Some(subscription) = &self.inner.sources.subscription {
            subscription.tick();
        }
        let shown = self.rendering(sent)?;
        // From here on, what is inside is the token; whoever sent it proves
        // possession for what was sent.
        let opened = match shown {
            Rendering::Jwt => self.opened(sent.token)?,
            _ => Cow::Borrowed(sent.token),
        };
        let token = &*opened;
        let request = sent.parts.map_or(request, described);
        let one = self.presentation(token, requirement, request);
        let mut due = Due::Nothing;
        let facts = match shown {
            Rendering::Jwt => {
                let facts = self.read_jwt(&one).await?;
                self.check_revocation(&one, &facts).await?;
                facts
            }
            Rendering::Opaque => self.read_opaque(&one).await?,
            Rendering::Macaroon => {
                let (facts, uses) = self.read_macaroon(&one, sent.purpose).await?;
                due = uses;
                Arc::new(facts)
            }
            Rendering::ApiKey => Arc::new(self.read_api_key(&one).await?),
        };
        api.check_binding(sent, &facts.token.binding, one.now)
            .await?;
        check_scopes(requirement, &facts)?;
        let skew = self.inner.config.skew;
        requirement
            .sign_in()
            .check(&facts.token.claims, one.now, skew)
            .map_err(Refusal::Authentication)?;
        Ok((Principal::new(facts), due))
    }

    /// A token at a route now.
    pub(crate) fn presentation<'a>(
        &self,
        token: &'a str,
        requirement: &'a Requirement,
        request: Request<'a>,
    ) -> Presentation<'a> {
        Presentation {
            token,
            digest: Digest::of(token.as_bytes()),
            requirement,
            request,
            now: self.inner.config.clock.now(),
        }
    }

    /// Signature, expiry, issuer, audience of a JWT.
    async fn read_jwt(&self, one: &Presentation<'_>) -> Result<Arc<Facts>, Refusal> {
        let Self { inner } = self;
        inner.sources.keys.tick();
        if let Some(generation) = inner.sources.keys.generation()
            && let Some(facts) = inner.remembered.find(&one.digest, generation)
        {
            self.check_standing(one, &facts)?;
            return Ok(facts);
        }
        let unverified = {
            let beside = inner.header.load();
            Unverified::parse_beside(one.token, beside.as_ref()).map_err(Refused::Signature)?
        };
        check_type(&unverified)?;
        let named = unverified.algorithm();
        let algorithm = named
            .filter(|named| inner.config.algorithms.contains(named))
            .ok_or(Refused::Signature(Invalid::Algorithm))?;
        let known = self.holding(&unverified, None).await?;
        let refused = match self.signed(one, &known, (&unverified, algorithm)) {
            Err(Refused::Signature(why)) => why,
            other => return Ok(other?),
        };
        let is_by_another = matches!(refused, Invalid::Signature | Invalid::Algorithm);
        if unverified.claimed_kid().is_some() || !is_by_another {
            return Err(Refused::Signature(refused).into());
        }
        // An issuer that names no keys may sign with one that it shows by now.
        match self.holding(&unverified, Some(known.generation)).await {
            Ok(newer) => Ok(self.signed(one, &newer, (&unverified, algorithm))?),
            Err(Refusal::Refused(_)) => Err(Refused::Signature(refused).into()),
            Err(other) => Err(other),
        }
    }

    /// The keys that a token may be by; another set than one that was tried.
    async fn holding(
        &self,
        unverified: &Unverified<'_>,
        tried: Option<u64>,
    ) -> Result<Arc<Known>, Refusal> {
        let keys = &self.inner.sources.keys;
        let held = keys.holding(unverified.claimed_kid(), tried).await;
        held.map_err(|why| match why {
            NotHeld::Unknown => Refused::Signature(Invalid::UnknownKey).into(),
            NotHeld::CannotKnow => Refusal::CannotKnow(CannotKnow::Keys),
        })
    }

    /// What a token says, where one of these keys signed it.
    fn signed(
        &self,
        one: &Presentation<'_>,
        known: &Known,
        (unverified, algorithm): (&Unverified<'_>, Algorithm),
    ) -> Result<Arc<Facts>, Refused> {
        let mut refused = Invalid::Algorithm;
        for key in known
            .set
            .candidates(unverified.claimed_kid(), algorithm)
            .take(MAX_CANDIDATES)
        {
            match unverified.verify(key) {
                Ok(claims) => {
                    self.inner.remember_header(unverified);
                    return self.take_claims(one, known, claims, key.kid());
                }
                Err(why) => refused = why,
            }
        }
        Err(Refused::Signature(refused))
    }

    fn take_claims(
        &self,
        one: &Presentation<'_>,
        known: &Known,
        claims: Map<String, Value>,
        kid: Option<&str>,
    ) -> Result<Arc<Facts>, Refused> {
        let facts = Facts::new(
            check_claims(claims, kid, self.expected(one))?,
            &self.inner.config.issuer,
        );
        let facts = Arc::new(facts);
        let Self { inner } = self;
        inner
            .remembered
            .insert(&one.digest, known.generation, &facts);
        Ok(facts)
    }

    pub(crate) fn expected<'a>(&'a self, one: &Presentation<'a>) -> Expected<'a> {
        let config = &self.inner.config;
        Expected {
            issuer: config.issuer.as_str(),
            audiences: match one.requirement.own_audience() {
                Some(audience) => std::slice::from_ref(audience),
                None => &config.audiences,
            },
            skew: config.skew,
            now: one.now,
        }
    }

    /// Expiry and audience of a token whose other claims were good before: the
    /// two that time and route can change.
    pub(crate) fn check_standing(
        &self,
        one: &Presentation<'_>,
        facts: &Facts,
    ) -> Result<(), Refused> {
        let expected = self.expected(one);
        let (expires, now) = (facts.token.expires, one.now);
        if now >= expires + expected.skew {
            return Err(Refused::Expired { expires, now });
        }
        let is_meant = |own: &String| expected.audiences.contains(own);
        if !facts.audiences.iter().any(is_meant) {
            return Err(Refused::Audience {
                expected: expected.audiences.first().cloned().unwrap_or_default(),
                found: facts.audiences.clone(),
            });
        }
        Ok(())
    }

    /// The set in memory first, which costs nothing, then the issuer.
    pub(crate) async fn check_revocation(
        &self,
        one: &Presentation<'_>,
        facts: &Facts,
    ) -> Result<(), Refusal> {
        // INVARIANT: the age is read before the records, which are taken in before
        // it is set (`subscription`). The other way round, records that come
        // between the two would be vouched for without having been looked at.
        let subscription = self.inner.sources.subscription.as_ref();
        let age = subscription.map(|own| own.age());
        self.check_records(facts)?;
        if let Some(age) = age {
            let Staleness::AtMost(allowed) = one.requirement.staleness(Staleness::Any) else {
                return Ok(());
            };
            if age.is_some_and(|age| age <= allowed) {
                return Ok(());
            }
            let failure = || self.inner.sources.subscription.as_ref()?.failure();
            let asked = self.ask_whether_active(one).await;
            // The reason is looked up once the answer is there: what was asked waits
            // for it.
            return asked.map_err(|refusal| match refusal {
                Refusal::CannotKnow(_) => Refusal::CannotKnow(CannotKnow::Stale(Stale {
                    age,
                    allowed,
                    failure: failure(),
                })),
                other => other,
            });
        }
        if one.requirement.freshness() == Revocation::AtExpiry {
            return Ok(());
        }
        self.ask_whether_active(one).await
    }

    /// Whether a record of the feed hits what a token carries.
    pub(crate) fn check_records(&self, facts: &Facts) -> Result<(), Refused> {
        let revocations = &self.inner.config.revocations;
        let hit = match &facts.token.rev {
            Some((marks, position)) => revocations.hit(marks, *position),
            // Whoever stole a key leaves the marks out of what he forges.
            None => revocations.hit_key(facts.token.key),
        };
        hit.map_or(Ok(()), |hit| Err(Refused::Revoked(Some(hit))))
    }

    async fn ask_whether_active(&self, one: &Presentation<'_>) -> Result<(), Refusal> {
        let config = &self.inner.config;
        let Some(credentials) = &config.credentials else {
            return Err(Refusal::CannotKnow(CannotKnow::NoSource));
        };
        match self.ask(credentials, one).await {
            Says::Active(_) => Ok(()),
            Says::Inactive => Err(self.inactive().await),
            Says::Nothing => Err(Refusal::CannotKnow(CannotKnow::Introspection)),
        }
    }

    /// Signature and revocation of an opaque token by its issuer's word, the
    /// rest by the claims that come with it.
    pub(crate) async fn read_opaque(&self, one: &Presentation<'_>) -> Result<Arc<Facts>, Refusal> {
        let Some(credentials) = &self.inner.config.credentials else {
            return Err(Refused::NotAnAccessToken(Shown::Other(NOT_TAKEN)).into());
        };
        let claims = match self.ask(credentials, one).await {
            Says::Active(claims) => claims,
            Says::Inactive => return Err(self.inactive().await),
            Says::Nothing => return Err(Refusal::CannotKnow(CannotKnow::Introspection)),
        };
        let facts = Facts::new(self.vouched(&claims)?, &self.inner.config.issuer);
        self.check_standing(one, &facts)?;
        self.check_records(&facts)?;
        Ok(Arc::new(facts))
    }

    /// What the issuer says of an active token, for whoever goes on with such a one
    /// alone.
    pub(crate) async fn ask_active(
        &self,
        credentials: &Credentials,
        question: &Question<'_>,
    ) -> Result<Arc<Map<String, Value>>, Refusal> {
        let says = self
            .inner
            .sources
            .introspection
            .ask_about(credentials, question);
        match says.await {
            Says::Active(claims) => Ok(claims),
            Says::Inactive => Err(self.inactive().await),
            Says::Nothing => Err(Refusal::CannotKnow(CannotKnow::Introspection)),
        }
    }

    /// What "inactive" means. To a client that may not know of the API's tokens
    /// the issuer calls every one of them so.
    ///
    /// Spec: RFC 7662 §2.2
    pub(crate) async fn inactive(&self) -> Refusal {
        match &self.inner.sources.subscription {
            Some(own) if own.is_shut_out().await => Refusal::CannotKnow(CannotKnow::NotItsReader),
            _ => Refused::Inactive.into(),
        }
    }

    /// What the issuer says of a token. What it said a moment ago is a fact for
    /// as long as a record that hits it would be known.
    async fn ask(&self, credentials: &Credentials, one: &Presentation<'_>) -> Says {
        let introspection = &self.inner.sources.introspection;
        if !self.is_feed_stale() {
            return introspection.ask(credentials, one.token, &one.digest).await;
        }
        let question = Question {
            token: one.token,
            request: Request::default(),
            resource: None,
            counting: Counting::Use,
            is_for_once: true,
        };
        introspection.ask_about(credentials, &question).await
    }

    /// Whether the feed is followed, and too old to go by.
    pub(crate) fn is_feed_stale(&self) -> bool {
        let subscription = self.inner.sources.subscription.as_ref();
        subscription.is_some_and(|own| own.age().is_none_or(|age| age > MAX_STALENESS))
    }

    /// The token that an introspection response describes.
    pub(crate) fn vouched(&self, claims: &Map<String, Value>) -> Result<AccessToken, Refused> {
        let text = |name: &'static str| match claims.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
            Some(_) => Err(Refused::Claim(name)),
        };
        let instant = |name: &'static str| {
            let seconds = claims.get(name).and_then(Value::as_i64);
            let sane = seconds.filter(|own| (0..=Timestamp::FAR.seconds()).contains(own));
            sane.map(Timestamp::from_seconds)
                .ok_or(Refused::Claim(name))
        };
        let expires = instant("exp")?;
        let trusted = self.inner.config.issuer.as_str();
        if let Some(found) = text("iss")?.filter(|found| found != trusted) {
            let expected = trusted.to_owned();
            return Err(Refused::Issuer { expected, found });
        }
        let client = text("client_id")?.ok_or(Refused::Claim("client_id"))?;
        // None is written as one likes: RFC 7662 leaves it open.
        let scopes = match claims.get("scope") {
            Some(Value::String(none)) if none.is_empty() => String::new(),
            _ => text("scope")?.unwrap_or_default(),
        };
        Ok(AccessToken {
            subject: text("sub")?.unwrap_or_else(|| client.clone()),
            client,
            scopes: scopes.parse().map_err(|_| Refused::Claim("scope"))?,
            jti: text("jti")?.unwrap_or_default(),
            expires,
            issued: instant("iat").unwrap_or(Timestamp::EPOCH),
            binding: jwt::binding(claims)?,
            rev: jwt::rev(claims, None)?,
            key: None,
            claims: claims.clone(),
        })
    }
}

/// The last of the six: what the token permits against what the route demands.
pub(crate) fn check_scopes(requirement: &Requirement, facts: &Facts) -> Result<(), Refused> {
    if requirement.is_met_by(&facts.token.scopes) {
        return Ok(());
    }
    let found = facts.token.scopes.iter();
    Err(Refused::Scope {
        needed: requirement.scopes().map(str::to_owned).collect(),
        found: found.map(|scope| scope.as_str().to_owned()).collect(),
    })
}

/// One token at one route at one moment.
pub(crate) struct Presentation<'a> {
    pub(crate) token: &'a str,
    digest: Digest,
    pub(crate) requirement: &'a Requirement,
    pub(crate) request: Request<'a>,
    pub(crate) now: Timestamp,
}

/// How many keys are tried on a token that names none.
const MAX_CANDIDATES: usize = 4;
const NOT_TAKEN: &str = "an opaque token where only JWTs are taken (no introspection is set up)";
