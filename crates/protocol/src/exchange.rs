//! What a client may do with tokens that it holds or was shown: nothing but
//! narrow its own, unless this says more.
//!
//! Spec: RFC 8693 §2.1, §3

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::client::{Client, Problem};
use crate::uri::{ForeignIssuer, ResourceIdentifier};
use crate::vocabulary::{ConsentPolicy, GrantType, TokenKind};

/// How many entries each list may have.
pub const MAX_ENTRIES: usize = 100;
/// Begins the name of every kind of token on the wire.
const URN: &str = "urn:ietf:params:oauth:token-type:";
/// The name of an API key on the wire, which no specification has.
const API_KEY: &str = "urn:symbolon:params:oauth:token-type:api_key";

impl TokenKind {
    /// The kind that an identifier of the wire names.
    pub fn from_urn(text: &str) -> Option<Self> {
        if text == API_KEY {
            return Some(Self::ApiKey);
        }
        let kind = text.strip_prefix(URN)?.parse().ok();
        kind.filter(|kind| *kind != Self::ApiKey)
    }

    /// The identifier on the wire.
    pub const fn urn(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::RefreshToken => "urn:ietf:params:oauth:token-type:refresh_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
            Self::Saml2 => "urn:ietf:params:oauth:token-type:saml2",
            Self::ApiKey => API_KEY,
        }
    }
}

/// What a client may exchange. A client without one may narrow the access
/// tokens that were issued to it, at the API that they are for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExchangePolicy {
    /// APIs whose tokens it may present although they were issued to others.
    pub from: Vec<ResourceIdentifier>,
    /// APIs that it may move a token to; each has to agree by its own
    /// `exchange_from`.
    pub to: Vec<ResourceIdentifier>,
    /// The kinds of token that it may present.
    pub accepts: Vec<TokenKind>,
    /// The kinds of token that it may ask for.
    pub issues: Vec<TokenKind>,
    /// Trusted issuers whose JWTs it may present.
    pub issuers: Vec<ForeignIssuer>,
    /// Whether it may present a token of another client and name no actor.
    pub impersonate: bool,
    /// Whether it may exchange at all although it proves nothing about itself.
    pub public: bool,
}

impl Default for ExchangePolicy {
    fn default() -> Self {
        Self {
            from: Vec::new(),
            to: Vec::new(),
            accepts: vec![TokenKind::AccessToken, TokenKind::Jwt],
            issues: vec![TokenKind::AccessToken, TokenKind::Jwt],
            issuers: Vec::new(),
            impersonate: false,
            public: false,
        }
    }
}

impl Client {
    /// What it may exchange.
    pub fn exchange_policy(&self) -> Cow<'_, ExchangePolicy> {
        let own = self.exchange.as_ref().map(Cow::Borrowed);
        own.unwrap_or_default()
    }

    /// Whether a person would have to be asked before this client gets tokens,
    /// so that no grant may pass them over.
    pub fn asks_people(&self) -> bool {
        self.acts_for_people() && self.consent == ConsentPolicy::Ask
    }

    pub(crate) fn check_exchange(&self, problems: &mut Vec<Problem>) {
        let mut add = |field: &str, message: String| {
            problems.push(Problem {
                field: field.to_owned(),
                message,
            });
        };
        let by_assertion =
            self.may_use(GrantType::JwtBearer) || self.may_use(GrantType::Saml2Bearer);
        if by_assertion && self.asks_people() {
            let message = "`jwt-bearer` or `saml2-bearer` beside `authorization_code` needs `consent = \"first_party\"`: nobody is asked for what an assertion gives";
            add("grants", message.to_owned());
        }
        let Some(policy) = &self.exchange else {
            return;
        };
        if !self.may_use(GrantType::TokenExchange) && !by_assertion {
            let message = "needs the grant `urn:ietf:params:oauth:grant-type:token-exchange` or `urn:ietf:params:oauth:grant-type:jwt-bearer`";
            add("exchange", message.to_owned());
        }
        let long = policy.from.len().max(policy.to.len());
        if long.max(policy.issuers.len()) > MAX_ENTRIES {
            add(
                "exchange",
                format!("has at most {MAX_ENTRIES} entries in a list"),
            );
        }
        if let Some(resource) = policy.to.iter().find(|own| !self.resources.contains(own)) {
            add(
                "exchange",
                format!("`{resource}` of `to` is not among `resources`"),
            );
        }
        if policy.issues.contains(&TokenKind::RefreshToken) {
            let message = "`issues`: no refresh token comes of an exchange";
            add("exchange", message.to_owned());
        }
        if policy.issues.contains(&TokenKind::ApiKey) {
            let message = "`issues`: no API key comes of an exchange; an administrator makes it";
            add("exchange", message.to_owned());
        }
        let tells = [TokenKind::IdToken, TokenKind::Saml2];
        if !self.is_confidential() && tells.iter().any(|own| policy.issues.contains(own)) {
            let message = "`issues`: a public client gets no ID token and no assertion of an exchange: whoever has its access token could ask for one in its name";
            add("exchange", message.to_owned());
        }
        let beyond_its_own = !(policy.from.is_empty()
            && policy.to.is_empty()
            && policy.issuers.is_empty()
            && !policy.impersonate);
        let secrets = policy.accepts.contains(&TokenKind::RefreshToken);
        if !self.is_confidential() && (beyond_its_own || secrets) {
            let message = "a public client narrows its own access tokens and nothing else: whoever copies it could do the rest";
            add("exchange", message.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientKind;

    fn client(exchange: ExchangePolicy) -> Client {
        let mut client = Client::new("api".parse().unwrap(), ClientKind::Service);
        client.grants = vec![GrantType::TokenExchange];
        client.exchange = Some(exchange);
        client
    }

    fn problems(client: &Client) -> Vec<String> {
        let problems = client.problems();
        problems.into_iter().map(|own| own.field).collect()
    }

    #[test]
    fn kinds_have_the_identifiers_of_the_registry() {
        for kind in TokenKind::ALL {
            let registry = match kind {
                // The registry has no name for it.
                TokenKind::ApiKey => "urn:symbolon:params:oauth:token-type:",
                _ => URN,
            };
            assert_eq!(kind.urn(), format!("{registry}{kind}"));
            assert_eq!(TokenKind::from_urn(kind.urn()), Some(*kind));
        }
        for unknown in [
            "access_token",
            "urn:ietf:params:oauth:token-type:saml1",
            URN,
            "",
        ] {
            assert_eq!(TokenKind::from_urn(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_policy_that_contradicts_its_client_is_a_problem() {
        let orders: ResourceIdentifier = "https://orders.example".parse().unwrap();
        assert_eq!(problems(&client(ExchangePolicy::default())), [""; 0]);

        let elsewhere = ExchangePolicy {
            to: vec![orders.clone()],
            ..Default::default()
        };
        assert_eq!(problems(&client(elsewhere.clone())), ["exchange"]);
        let mut known = client(elsewhere);
        known.resources = vec![orders];
        assert_eq!(problems(&known), [""; 0]);

        let renewing = ExchangePolicy {
            issues: vec![TokenKind::RefreshToken],
            ..Default::default()
        };
        assert_eq!(problems(&client(renewing)), ["exchange"]);

        let mut idle = client(ExchangePolicy::default());
        idle.grants = vec![GrantType::ClientCredentials];
        assert_eq!(problems(&idle), ["exchange"]);
    }

    #[test]
    fn a_public_client_gets_no_further_than_its_own_tokens() {
        let public = |exchange| {
            let mut client = client(exchange);
            client.kind = ClientKind::Native;
            client
        };
        let own = ExchangePolicy {
            public: true,
            ..Default::default()
        };
        assert_eq!(problems(&public(own.clone())), [""; 0]);
        let other = ExchangePolicy {
            impersonate: true,
            ..own.clone()
        };
        assert_eq!(problems(&public(other)), ["exchange"]);
        let secret = ExchangePolicy {
            accepts: vec![TokenKind::RefreshToken],
            ..own
        };
        assert_eq!(problems(&public(secret)), ["exchange"]);
    }

    #[test]
    fn an_assertion_passes_over_nobody_who_would_be_asked() {
        let mut asking = client(ExchangePolicy::default());
        asking.grants = vec![GrantType::AuthorizationCode, GrantType::JwtBearer];
        asking.redirect_uris = vec!["https://app.example/cb".parse().unwrap()];
        assert_eq!(problems(&asking), ["grants"]);

        asking.consent = ConsentPolicy::FirstParty;
        assert_eq!(problems(&asking), [""; 0]);
    }
}
