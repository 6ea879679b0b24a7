//! Whether a token that was good at the beginning of something is good still:
//! for streams that outlast the check they began with.
//!
//! Spec: RFC 9068 §4
//! Spec: RFC 7009 §2

use std::sync::Arc;

use symbolon_token::Position;
use symbolon_token::explain::Refused;

use crate::check::{Presentation, check_scopes};
use crate::principal::{Facts, Principal};
use crate::refusal::Refusal;
use crate::rendering::Rendering;
use crate::requirement::Requirement;
use crate::verifier::Verifier;

impl Verifier {
    /// Asks again what time and others can change about the token of a
    /// principal: its end, its audience here, whether it was taken back, and
    /// whether it covers what is demanded now. How long ago the person signed in
    /// is asked where something begins. Signature and key binding were
    /// proved once and stay so; a use of a macaroon is not counted again.
    ///
    /// With the feed ([`subscribe`](Self::subscribe)) a JWT, or a macaroon that
    /// is checked here, costs a look into memory, for as long as the feed is
    /// fresh enough for the route. All else asks the issuer, at most once a
    /// second while the feed is fresh. A macaroon is asked about for the request
    /// that it was checked for, and what its discharges rest on with it; one
    /// whose uses are counted (`budget`, `single-use`) goes by the feed as well,
    /// since after the last use the issuer would know of none. An API key is
    /// asked about for the address that its request came from, and goes on for as
    /// long as the issuer says that it is good: `exp` is the end of an answer,
    /// not of the key.
    pub async fn check_standing_of(
        &self,
        principal: &Principal,
        token: &str,
        requirement: &Requirement,
    ) -> Result<(), Refusal> {
        let own = self.of(token);
        own.check_standing_alone(principal.facts(), token, requirement)
            .await
    }

    /// Whether the feed holds a record about something that a principal's token
    /// stands for: its person, client, session, grant, organization or
    /// membership. The token is newer than that record, or it would be refused;
    /// so something happened here, and not to this token. A record is held for
    /// as long as it could hit a token.
    pub fn has_record_about(&self, principal: &Principal) -> bool {
        let facts = principal.facts();
        let Some((marks, position)) = &facts.token.rev else {
            return false;
        };
        let mut issuers = self.issuers();
        let own = issuers.find(|own| own.issuer() == principal.issuer());
        let before_all = Position {
            sequence: i64::MIN,
            ..*position
        };
        own.is_some_and(|own| own.revocations().hit(marks, before_all).is_some())
    }

    async fn check_standing_alone(
        &self,
        facts: &Facts,
        token: &str,
        requirement: &Requirement,
    ) -> Result<(), Refusal> {
        // A key from elsewhere has no form of its own.
        let rendering = match facts.key {
            Some(_) => Rendering::ApiKey,
            None => Rendering::of(token)?,
        };
        let opened = match rendering {
            Rendering::Jwt => self.opened(token)?,
            Rendering::Opaque | Rendering::Macaroon | Rendering::ApiKey => token.into(),
        };
        let one = self.presentation(&opened, requirement, facts.began_with());
        // Before its end: what may outlast that was taken back all the same.
        self.check_records(facts)?;
        if facts.key.is_none() {
            self.check_standing(&one, facts)?;
        }
        let said = self.read_again(rendering, &one, facts).await;
        let now = said.map_err(|refusal| self.or_ended(refusal, facts))?;
        let facts = now.as_deref().unwrap_or(facts);
        check_scopes(requirement, facts)?;
        let sign_in = requirement.sign_in();
        sign_in
            .check_class(&facts.token.claims)
            .map_err(Refusal::Authentication)?;
        Ok(())
    }

    /// What the issuer says by now, where it was asked for more than yes or no.
    async fn read_again(
        &self,
        rendering: Rendering,
        one: &Presentation<'_>,
        facts: &Facts,
    ) -> Result<Option<Arc<Facts>>, Refusal> {
        match rendering {
            Rendering::Jwt => self.check_revocation(one, facts).await.map(|()| None),
            Rendering::Opaque => self.read_opaque(one).await.map(Some),
            Rendering::ApiKey => Ok(Some(Arc::new(self.read_api_key(one).await?))),
            Rendering::Macaroon => {
                let said = self.read_standing_macaroon(one, facts).await?;
                Ok(said.map(Arc::new))
            }
        }
    }

    /// An issuer calls inactive what has ended, too, by its own clock and when it
    /// answers: whoever lets that run on has to tell it from what was taken back.
    fn or_ended(&self, refusal: Refusal, facts: &Facts) -> Refusal {
        let config = &self.inner.config;
        let (now, expires) = (config.clock.now(), facts.token.expires);
        let may_have_ended = facts.key.is_none() && now + config.skew >= expires;
        match refusal {
            Refusal::Refused(Refused::Inactive) if may_have_ended => {
                Refused::Expired { expires, now }.into()
            }
            other => other,
        }
    }
}
