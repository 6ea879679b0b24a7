//! Who is calling, once every check has passed.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use symbolon_protocol::{Issuer, Scopes, Timestamp};
use symbolon_token::jwt::AccessToken;
use symbolon_token::keyring::PAIRWISE;

/// What a token says that signature or issuer vouched for. Whether it is good
/// here and now is asked again each time.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) token: AccessToken,
    pub(crate) audiences: Vec<String>,
    /// Who made it.
    issuer: Issuer,
}

impl Facts {
    pub(crate) fn new(mut token: AccessToken, issuer: &Issuer) -> Self {
        // A token for a sector of its own leaves out of its lineage what names
        // the person: her own marks stand for that.
        if token.subject.starts_with(PAIRWISE)
            && let Some((marks, _)) = &mut token.rev
        {
            let implied = marks.implied();
            marks.lineage.extend(implied);
        }
        let audiences = match token.claims.get("aud") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(all)) => all
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        };
        Self {
            token,
            audiences,
            issuer: issuer.clone(),
        }
    }
}

/// Whoever a good access token speaks for. Only a check makes one, so a
/// handler that takes one cannot be reached without.
#[derive(Clone)]
pub struct Principal(Arc<Facts>);

impl Principal {
    pub(crate) fn new(facts: Arc<Facts>) -> Self {
        Self(facts)
    }

    /// Who made the token. Subjects and clients are named by it: the same name
    /// at another issuer is somebody else.
    pub fn issuer(&self) -> &str {
        self.0.issuer.as_str()
    }

    pub(crate) fn facts(&self) -> &Arc<Facts> {
        &self.0
    }

    /// The subject: a person, or the client itself.
    pub fn subject(&self) -> &str {
        &self.0.token.subject
    }

    /// The client that sent the token.
    pub fn client(&self) -> &str {
        &self.0.token.client
    }

    /// Whether the client speaks for itself and no person is behind it.
    pub fn is_client_alone(&self) -> bool {
        self.subject() == self.client()
    }

    /// What the token permits.
    pub fn scopes(&self) -> &Scopes {
        &self.0.token.scopes
    }

    /// Whether the token carries a scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().contains(scope)
    }

    /// The token's identifier (`jti`).
    pub fn token_id(&self) -> &str {
        &self.0.token.jti
    }

    /// When the token ends.
    pub fn expires(&self) -> Timestamp {
        self.0.token.expires
    }

    /// The organization for which the token was issued.
    pub fn organization(&self) -> Option<&str> {
        self.claim("organization").and_then(Value::as_str)
    }

    /// The roles in that organization.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        let roles = self.claim("roles").and_then(Value::as_array);
        roles.into_iter().flatten().filter_map(Value::as_str)
    }

    /// Whether whoever sent the token has proved to hold a key that it is bound
    /// to. A token that is stolen from such a principal is worth nothing.
    pub fn is_key_bound(&self) -> bool {
        self.0.token.binding.is_bound()
    }

    /// One claim.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims().get(name)
    }

    /// Every claim.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.0.token.claims
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("subject", &self.subject())
            .field("client", &self.client())
            .field("token_id", &self.token_id())
            .finish_non_exhaustive()
    }
}
