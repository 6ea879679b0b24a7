//! Whether a token that was good at the beginning of something is good still:
//! for streams that outlast the check they began with.
//!
//! Spec: RFC 9068 §4
//! Spec: RFC 7009 §2

use symbolon_token::macaroon::Request;

use crate::check::{Rendering, check_scopes};
use crate::principal::{Facts, Principal};
use crate::refusal::Refusal;
use crate::requirement::Requirement;
use crate::verifier::Verifier;

impl Verifier {
    /// Asks again what time and others can change about the token of a
    /// principal: its end, its audience here, whether it was taken back, and
    /// whether it covers what is demanded now. How long ago the person signed in
    /// is asked where something begins. Signature and key binding were
    /// proved once and stay so; a use of a macaroon is not counted again.
    ///
    /// With the feed ([`subscribe`](Self::subscribe)) a JWT or a macaroon costs
    /// a look into memory; an opaque token, and a JWT without the feed, ask the
    /// issuer at most once a second.
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

    async fn check_standing_alone(
        &self,
        facts: &Facts,
        token: &str,
        requirement: &Requirement,
    ) -> Result<(), Refusal> {
        let rendering = Rendering::of(token)?;
        let opened = match rendering {
            Rendering::Jwt => self.opened(token)?,
            Rendering::Opaque | Rendering::Macaroon | Rendering::ApiKey => token.into(),
        };
        let one = self.presentation(&opened, requirement, Request::default());
        self.check_standing(&one, facts)?;
        match rendering {
            Rendering::Jwt => self.check_revocation(&one, facts).await?,
            Rendering::Opaque => {
                self.read_opaque(&one).await?;
            }
            Rendering::ApiKey => {
                self.read_api_key(&one).await?;
            }
            Rendering::Macaroon => self.check_records(facts)?,
        }
        check_scopes(requirement, facts)?;
        let sign_in = requirement.sign_in();
        sign_in
            .check_class(&facts.token.claims)
            .map_err(Refusal::Authentication)?;
        Ok(())
    }
}
