//! Who is calling, once every check has passed.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Map, Value};
use symbolon_protocol::{Issuer, Scopes, Timestamp};
use symbolon_token::jwt::AccessToken;
use symbolon_token::keyring::PAIRWISE;
use symbolon_token::macaroon::Request;

/// What a token says that signature or issuer vouched for. Whether it is good
/// here and now is asked again each time.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) token: AccessToken,
    pub(crate) audiences: Vec<String>,
    /// Who made it.
    issuer: Issuer,
    /// With what an API key was asked about, where it is one.
    pub(crate) key: Option<KeyAsked>,
    /// The request that a macaroon was judged for, where it is one.
    judged_for: Option<JudgedFor>,
}

/// What the issuer was told with an API key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyAsked {
    /// Where the request came from: the key may be good from there alone.
    pub(crate) address: Option<IpAddr>,
}

/// The request that a macaroon was judged for.
#[derive(Debug, Clone)]
struct JudgedFor {
    method: Option<String>,
    path: Option<String>,
    address: Option<IpAddr>,
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
            key: None,
            judged_for: None,
        }
    }

    /// The same of an API key.
    pub(crate) fn of_key(mut self, asked: KeyAsked) -> Self {
        self.key = Some(asked);
        self
    }

    /// The same of a macaroon that was judged for a request.
    pub(crate) fn judged_for(mut self, request: Request<'_>) -> Self {
        self.judged_for = Some(JudgedFor {
            method: request.method.map(str::to_owned),
            path: request.path.map(str::to_owned),
            address: request.address,
        });
        self
    }

    /// With which request it is asked about again: a key that is good from one
    /// network, and a macaroon that is good for one request, are good for what
    /// began there and so.
    pub(crate) fn began_with(&self) -> Request<'_> {
        match &self.judged_for {
            Some(own) => Request {
                method: own.method.as_deref(),
                path: own.path.as_deref(),
                address: own.address,
            },
            None => Request {
                address: self.key.and_then(|key| key.address),
                ..Request::default()
            },
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

    /// Whether both are of one token, and of one look at it: then all that they
    /// say is the same.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A number that this principal alone has for as long as it is held, for
    /// finding what was kept about it; [`is_same`](Self::is_same) compares.
    pub fn place(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
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

    /// Whether an API key was shown. Of one the issuer says for how long its
    /// answer may be gone by ([`expires`](Self::expires)); the key lives longer.
    pub fn is_api_key(&self) -> bool {
        self.0.key.is_some()
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
