//! A resource: an API that takes access tokens.
//!
//! Spec: RFC 8707 §2

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::Problem;
use crate::display::{self, MAX_NAME_BYTES};
use crate::encryption::{self, Encryption, RegisteredKeys};
use crate::identifier::{ClientId, OrganizationId};
use crate::lifetime::Lifetime;
use crate::mapping::ClaimMappings;
use crate::scope::Scopes;
use crate::uri::{NOT_PLAIN, ResourceIdentifier};
use crate::vocabulary::{
    ContentEncryption, KeyManagement, MacaroonKeys, SigningAlgorithm, TakenKeys, TokenFormat,
};

/// Everything about a resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// The audience, exactly as clients must send it.
    pub identifier: ResourceIdentifier,
    /// The name that people are shown; the host by default.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Other spellings that mean this resource. Tokens carry the identifier.
    #[serde(default)]
    pub aliases: Vec<ResourceIdentifier>,
    /// The scopes it knows.
    #[serde(default)]
    pub scopes: Scopes,
    /// Scopes that are named apart on the consent page and never granted by default.
    #[serde(default)]
    pub sensitive_scopes: Scopes,
    /// What a scope means, in words for the consent page.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub scope_descriptions: std::collections::BTreeMap<String, String>,
    /// How its access tokens are written down.
    #[serde(default = "jwt")]
    pub token_format: TokenFormat,
    /// How long its access tokens live, where not as the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_lifetime: Option<Lifetime>,
    /// Why its access tokens live longer than a day, where they do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub access_token_lifetime_reason: String,
    /// Whether only tokens bound to a key are issued for it.
    #[serde(default)]
    pub require_key_binding: bool,
    /// Whether its JWTs have a place in a status list, for verifiers that read
    /// no feed. Each of them is written down until it expires, then.
    #[serde(default)]
    pub status_list: bool,
    /// How its JWTs are signed.
    #[serde(default = "es256")]
    pub signing_alg: SigningAlgorithm,
    /// Who can check its macaroons; the server alone by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macaroon_keys: Option<MacaroonKeys>,
    /// The client that may introspect its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection_client: Option<ClientId>,
    /// The clients that may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub introspection_clients: Vec<ClientId>,
    /// Clients that may move tokens of other APIs here, or the APIs that such
    /// tokens may come from. Nobody by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchange_from: Vec<String>,
    /// Its public keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Where it publishes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// How the key of its access tokens reaches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_encrypted_response_alg: Option<KeyManagement>,
    /// How its access tokens are encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_encrypted_response_enc: Option<ContentEncryption>,
    /// Which API keys it takes.
    #[serde(default = "live", skip_serializing_if = "is_live")]
    pub api_keys: TakenKeys,
    /// Claims that its access tokens tell besides those of RFC 9068.
    #[serde(default, skip_serializing_if = "ClaimMappings::is_empty")]
    pub claims: ClaimMappings,
    /// The organization it belongs to.
    #[serde(
        default,
        deserialize_with = "crate::client::empty_as_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub organization: Option<OrganizationId>,
}

impl Resource {
    /// A resource with the defaults of the configuration file.
    pub fn new(identifier: ResourceIdentifier) -> Self {
        Self {
            identifier,
            name: String::new(),
            aliases: Vec::new(),
            scopes: Scopes::empty(),
            sensitive_scopes: Scopes::empty(),
            scope_descriptions: std::collections::BTreeMap::new(),
            token_format: TokenFormat::Jwt,
            access_token_lifetime: None,
            access_token_lifetime_reason: String::new(),
            require_key_binding: false,
            status_list: false,
            signing_alg: SigningAlgorithm::Es256,
            macaroon_keys: None,
            introspection_client: None,
            introspection_clients: Vec::new(),
            exchange_from: Vec::new(),
            jwks: None,
            jwks_uri: None,
            access_token_encrypted_response_alg: None,
            access_token_encrypted_response_enc: None,
            api_keys: TakenKeys::Live,
            claims: ClaimMappings::default(),
            organization: None,
        }
    }

    /// Whether `text` means this resource.
    pub fn is_named(&self, text: &str) -> bool {
        self.identifier.as_str() == text || self.aliases.iter().any(|alias| alias.as_str() == text)
    }

    /// Every client that may introspect tokens for this resource.
    pub fn readers(&self) -> impl Iterator<Item = &ClientId> {
        self.introspection_client
            .iter()
            .chain(&self.introspection_clients)
    }

    /// Whether a client may introspect tokens for this resource.
    pub fn may_introspect(&self, client: &ClientId) -> bool {
        self.introspection_client.as_ref() == Some(client)
            || self.introspection_clients.contains(client)
    }

    /// Whether a client may move a token here that is for `audiences`.
    pub fn may_take_from(&self, client: &ClientId, audiences: &[ResourceIdentifier]) -> bool {
        self.exchange_from.iter().any(|own| {
            own == client.as_str() || audiences.iter().any(|audience| own == audience.as_str())
        })
    }

    /// Whether its macaroons are rooted in keys that it is given.
    pub fn shares_macaroon_keys(&self) -> bool {
        self.token_format == TokenFormat::Macaroon
            && self.macaroon_keys == Some(MacaroonKeys::Shared)
    }

    /// How its access tokens are encrypted, if they are.
    pub fn encryption(&self) -> Option<Encryption> {
        Encryption::of(
            self.access_token_encrypted_response_alg,
            self.access_token_encrypted_response_enc,
        )
    }

    /// Where its public keys are.
    pub fn registered_keys(&self) -> RegisteredKeys<'_> {
        RegisteredKeys {
            jwks: self.jwks.as_ref(),
            jwks_uri: self.jwks_uri.as_deref(),
        }
    }

    /// What does not fit together about encryption. Only a JWT can be read by
    /// whoever holds it.
    fn encryption_problem(&self) -> Option<Problem> {
        const ALG: &str = "access_token_encrypted_response_alg";
        let names = (ALG, "access_token_encrypted_response_enc");
        let given = (
            self.access_token_encrypted_response_alg.is_some(),
            self.access_token_encrypted_response_enc.is_some(),
        );
        let problem = encryption::problem(names, given, self.registered_keys());
        let is_jwt = self.token_format == TokenFormat::Jwt;
        problem.or_else(|| {
            let message = format!(
                "is for `token_format = \"jwt\"`: nobody but the server reads a token that is {}",
                self.token_format
            );
            (given.0 && !is_jwt).then(|| Problem::new(ALG, message))
        })
    }

    /// What is wrong with the name of a new one.
    pub fn name_problem(&self) -> Option<Problem> {
        let is_plain = self.identifier.is_plain();
        (!is_plain).then(|| Problem::new("identifier", NOT_PLAIN.to_owned()))
    }

    /// What does not fit together.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let extra = self.sensitive_scopes.without(&self.scopes);
        if !extra.is_empty() {
            problems.push(Problem::new(
                "sensitive_scopes",
                format!("`{extra}` is not among `scopes`"),
            ));
        }
        self.check_words(&mut problems);
        let nobody = self.introspection_client.is_none() && self.introspection_clients.is_empty();
        if self.shares_macaroon_keys() && nobody {
            problems.push(Problem::new(
                "macaroon_keys",
                "`shared` needs an `introspection_client`: it fetches the keys".to_owned(),
            ));
        }
        if self.exchange_from.len() > crate::exchange::MAX_ENTRIES {
            let most = crate::exchange::MAX_ENTRIES;
            let message = format!("has at most {most} entries");
            problems.push(Problem::new("exchange_from", message));
        }
        problems.extend(self.encryption_problem());
        problems.extend(self.claims.problems());
        let day = 24 * 60 * 60;
        let lifetime = self.access_token_lifetime.map_or(0, Lifetime::as_seconds);
        if lifetime > day && self.access_token_lifetime_reason.is_empty() {
            problems.push(Problem::new(
                "access_token_lifetime",
                "over a day needs `access_token_lifetime_reason`".to_owned(),
            ));
        }
        problems
    }

    /// What people are shown has to look like what it is.
    fn check_words(&self, problems: &mut Vec<Problem>) {
        if self.name.len() > MAX_NAME_BYTES {
            let message = format!("has at most {MAX_NAME_BYTES} bytes");
            problems.push(Problem::new("name", message));
        }
        if let Some(why) = display::problem(&self.name) {
            problems.push(Problem::new("name", why.to_owned()));
        }
        for (scope, words) in &self.scope_descriptions {
            if let Some(why) = display::problem(words) {
                let message = format!("the words for `{scope}`: {why}");
                problems.push(Problem::new("scope_descriptions", message));
            }
        }
    }
}

const fn jwt() -> TokenFormat {
    TokenFormat::Jwt
}
const fn live() -> TakenKeys {
    TakenKeys::Live
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands every member by reference"
)]
fn is_live(keys: &TakenKeys) -> bool {
    *keys == TakenKeys::Live
}

fn es256() -> SigningAlgorithm {
    SigningAlgorithm::Es256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_people_look_like_what_they_are() {
        let with = |name: &str, words: &str| {
            let mut resource = Resource::new("https://api.example.com".parse().unwrap());
            resource.name = name.to_owned();
            resource
                .scope_descriptions
                .insert("read".to_owned(), words.to_owned());
            let problems = resource.problems();
            let fields = problems.iter().map(|problem| problem.field.clone());
            fields.collect::<Vec<_>>()
        };

        assert!(with("Orders", "Read your orders").is_empty());
        assert_eq!(with("sredr\u{202e}O", "Read"), ["name"]);
        assert_eq!(with(&"x".repeat(257), "Read"), ["name"]);
        assert_eq!(with("Orders", "Re\u{200b}ad"), ["scope_descriptions"]);
    }
}
