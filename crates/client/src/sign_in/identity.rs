//! What an issuer says of a person: who came, and that they have gone.
//!
//! Spec: OpenID Connect Core 1.0 §2, §3.1.3.7
//! Spec: OpenID Connect Back-Channel Logout 1.0 §2.4, §2.6

use std::time::Duration;

use serde_json::{Map, Value};
use symbolon_protocol::Timestamp;
use symbolon_token::Secret;
use symbolon_token::jose::Unverified;

use super::{Failed, Provider};

/// How far the issuer's clock may be from ours.
const SKEW: Duration = Duration::from_secs(60);
/// How old what says that somebody has gone may be.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Who came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The issuer's name for the person.
    pub subject: String,
    /// Its name for the session, where it gives one.
    pub session: Option<String>,
    /// When it said so, by its own clock: what is compared with
    /// [`LoggedOut::at`].
    pub issued: Timestamp,
    /// Everything that it says.
    pub claims: Map<String, Value>,
}

/// Who has gone: a session, or a person with all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedOut {
    /// The person.
    pub subject: Option<String>,
    /// The session.
    pub session: Option<String>,
    /// When the issuer said so, by its own clock.
    pub at: Timestamp,
}

impl Provider {
    /// Checks an ID token that answers a request of ours.
    pub(super) async fn identity(&self, text: &str, nonce: &str) -> Result<Identity, Failed> {
        let claims = self.claims(text, &[None, Some("JWT")]).await?;
        let said = claims
            .get("nonce")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !Secret::from(nonce).matches(said.as_bytes()) {
            return Err(Failed::Token("nonce"));
        }
        Ok(Identity {
            subject: text_of(&claims, "sub").ok_or(Failed::Token("sub"))?,
            session: text_of(&claims, "sid"),
            issued: time_of(&claims, "iat").ok_or(Failed::Token("iat"))?,
            claims,
        })
    }

    /// Checks what an issuer sends when somebody has gone.
    pub async fn logged_out(&self, text: &str) -> Result<LoggedOut, Failed> {
        let claims = self
            .claims(text, &[None, Some("logout+jwt"), Some("JWT")])
            .await?;
        let is_event = claims
            .get("events")
            .and_then(|events| events.get(EVENT))
            .is_some_and(Value::is_object);
        if !is_event {
            return Err(Failed::Token("events"));
        }
        // With one it could be an ID token that somebody passes off.
        if claims.contains_key("nonce") {
            return Err(Failed::Token("nonce"));
        }
        let at = time_of(&claims, "iat").ok_or(Failed::Token("iat"))?;
        if at + MAX_AGE + SKEW < self.0.clock.now() {
            return Err(Failed::Token("iat"));
        }
        text_of(&claims, "jti").ok_or(Failed::Token("jti"))?;
        let own = LoggedOut {
            subject: text_of(&claims, "sub"),
            session: text_of(&claims, "sid"),
            at,
        };
        match (&own.subject, &own.session) {
            (None, None) => Err(Failed::Token("sub")),
            _ => Ok(own),
        }
    }

    /// The claims of a token of the issuer's for this client, of one of a few
    /// types.
    async fn claims(
        &self,
        text: &str,
        types: &[Option<&str>],
    ) -> Result<Map<String, Value>, Failed> {
        let token = Unverified::parse(text).map_err(|_| Failed::Token("form"))?;
        let named = token.claimed_type();
        let fits = |own: &Option<&str>| match (own, named) {
            (None, None) => true,
            (Some(own), Some(named)) => own.eq_ignore_ascii_case(named),
            _ => false,
        };
        if !types.iter().any(fits) {
            return Err(Failed::Token("typ"));
        }
        // Those with a shared secret are not among what it knows.
        let algorithm = token.algorithm().ok_or(Failed::Token("alg"))?;
        let keys = self.0.found.keys(token.claimed_kid()).await?;
        let mut candidates = keys.candidates(token.claimed_kid(), algorithm);
        let claims = candidates.find_map(|key| token.verify(key).ok());
        let claims = claims.ok_or(Failed::Token("signature"))?;
        self.check(&claims)?;
        Ok(claims)
    }

    fn check(&self, claims: &Map<String, Value>) -> Result<(), Failed> {
        let own = &self.0.own;
        if text_of(claims, "iss").as_deref() != Some(self.0.issuer.as_str()) {
            return Err(Failed::Token("iss"));
        }
        let (is_for_us, is_for_others) = match claims.get("aud") {
            Some(Value::String(one)) => (*one == own.client_id, false),
            Some(Value::Array(all)) => {
                (all.iter().any(|one| *one == *own.client_id), all.len() > 1)
            }
            _ => (false, false),
        };
        if !is_for_us {
            return Err(Failed::Token("aud"));
        }
        let party = text_of(claims, "azp");
        let is_ours = match &party {
            Some(party) => *party == own.client_id,
            None => !is_for_others,
        };
        if !is_ours {
            return Err(Failed::Token("azp"));
        }
        let now = self.0.clock.now();
        let expires = time_of(claims, "exp").ok_or(Failed::Token("exp"))?;
        if expires + SKEW <= now {
            return Err(Failed::Token("exp"));
        }
        let issued = time_of(claims, "iat").ok_or(Failed::Token("iat"))?;
        match issued > now + SKEW {
            true => Err(Failed::Token("iat")),
            false => Ok(()),
        }
    }
}

fn text_of(claims: &Map<String, Value>, name: &str) -> Option<String> {
    let text = claims.get(name)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn time_of(claims: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    let value = claims.get(name)?;
    let seconds = value.as_i64().or_else(|| {
        // Some issuers write fractions.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what is too large is clamped"
        )]
        value
            .as_f64()
            .filter(|own| own.is_finite())
            .map(|own| own as i64)
    })?;
    Some(Timestamp::from_millis(seconds.saturating_mul(1000)))
}
