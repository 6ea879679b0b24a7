//! What stands behind a session: the person and the tokens, sealed under the
//! secret that only their browser has. A copy of the database opens nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use symbolon_client::sign_in::Tokens;
use symbolon_protocol::Timestamp;
use symbolon_token::seal::SealingKey;
use symbolon_token::{Browser, Entropy, Id, Secret};

use super::cookie::Ticket;

const USE: &str = "browser session";

/// An access token for one API.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Access {
    token: String,
    /// Until when, in milliseconds.
    expires: i64,
    /// From when on another is got while nobody waits, likewise.
    renew_from: i64,
}

/// How long before its end an access token is renewed at most.
const EARLY: i64 = 30_000;

/// The inside of a session.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Held {
    /// What the issuer says of the person.
    pub(super) claims: Map<String, Value>,
    id_token: String,
    refresh_token: Option<String>,
    /// Access tokens, by the API that each is for.
    access: BTreeMap<String, Access>,
}

impl Held {
    /// What a sign-in brought: its access token is for `resource`.
    pub(super) fn new(
        tokens: &Tokens,
        claims: Map<String, Value>,
        resource: &str,
        now: Timestamp,
    ) -> Self {
        let id_token = tokens.id_token.as_ref();
        let mut own = Self {
            claims,
            id_token: id_token.map_or("", Secret::expose_str).to_owned(),
            refresh_token: None,
            access: BTreeMap::new(),
        };
        own.take(tokens, resource, now);
        own
    }

    /// Takes what a renewal brought.
    pub(super) fn take(&mut self, tokens: &Tokens, resource: &str, now: Timestamp) {
        let expires = tokens.expires.millis();
        let life = expires.saturating_sub(now.millis());
        let access = Access {
            token: tokens.access_token.expose_str().to_owned(),
            expires,
            renew_from: expires - (life / 5).clamp(0, EARLY),
        };
        self.access.insert(resource.to_owned(), access);
        if let Some(renewed) = &tokens.refresh_token {
            self.refresh_token = Some(renewed.expose_str().to_owned());
        }
    }

    /// The access token for an API, while it is good, and whether to get another.
    pub(super) fn access(&self, resource: &str, now: Timestamp) -> Option<(&str, bool)> {
        let own = self.access.get(resource)?;
        let is_good = now.millis() < own.expires;
        is_good.then_some((&own.token, own.renew_from <= now.millis()))
    }

    pub(super) fn refresh_token(&self) -> Option<Secret> {
        self.refresh_token.as_deref().map(Secret::from)
    }

    pub(super) fn id_token(&self) -> Option<Secret> {
        (!self.id_token.is_empty()).then(|| Secret::from(self.id_token.as_str()))
    }

    /// Seals it for the browser that holds the ticket.
    pub(super) fn seal(&self, ticket: &Ticket, entropy: &dyn Entropy) -> Vec<u8> {
        let plain = Secret::new(serde_json::to_vec(self).unwrap_or_default());
        let key = SealingKey::from_secret(ticket.secret.expose(), USE);
        key.seal(about(&ticket.id), plain.expose(), entropy)
    }

    /// Opens it.
    pub(super) fn open(ticket: &Ticket, sealed: &[u8]) -> Option<Self> {
        let key = SealingKey::from_secret(ticket.secret.expose(), USE);
        let plain = key.open(about(&ticket.id), sealed).ok()?;
        serde_json::from_slice(plain.expose()).ok()
    }
}

fn about(id: &Id<Browser>) -> &[u8] {
    id.as_bytes()
}

#[cfg(test)]
mod tests {
    use symbolon_testkit::SeededEntropy;
    use symbolon_token::Slot;

    use super::*;

    const API: &str = "https://api.example.com";

    #[test]
    fn only_the_browser_that_it_is_for_opens_it() {
        let entropy = SeededEntropy::new(9);
        let tokens = Tokens {
            access_token: Secret::from("access"),
            expires: Timestamp::from_millis(1000),
            refresh_token: Some(Secret::from("refresh")),
            id_token: Some(Secret::from("id")),
            scope: None,
        };
        let held = Held::new(&tokens, Map::new(), API, Timestamp::from_millis(0));
        let slot = Slot::random(&entropy);
        let (own, other) = (Ticket::new(slot, &entropy), Ticket::new(slot, &entropy));
        let sealed = held.seal(&own, &entropy);
        let opened = Held::open(&own, &sealed).unwrap();
        let at = |millis: i64| opened.access(API, Timestamp::from_millis(millis));
        assert_eq!(at(0), Some(("access", false)));
        assert_eq!(at(800), Some(("access", true)));
        assert_eq!(at(1000), None);
        assert_eq!(opened.refresh_token().unwrap().expose(), b"refresh");
        assert!(Held::open(&other, &sealed).is_none());
        let moved = Ticket {
            id: other.id,
            secret: own.secret.clone(),
        };
        assert!(Held::open(&moved, &sealed).is_none());
        for text in ["access", "refresh"] {
            let text = text.as_bytes();
            assert!(!sealed.windows(text.len()).any(|window| window == text));
        }
    }
}
