//! A token in the making: good, but for what a test breaks.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use symbolon_protocol::Environment;
use symbolon_token::explain::Check;
use symbolon_token::{Clock, Slot, api_key};

use super::issuer::{ISSUER, Inner};
use crate::ambient::SystemEntropy;

/// How long a token lives where the test says nothing.
const LIFETIME: Duration = Duration::from_secs(600);

/// An access token (RFC 9068) of a test's [`Issuer`](super::Issuer).
#[derive(Clone)]
#[must_use = "it is no token before `sign`"]
pub struct TestToken {
    issuer: Arc<Inner>,
    claims: Map<String, Value>,
    lifetime: Duration,
    broken: Vec<Check>,
}

impl TestToken {
    pub(super) fn new(issuer: &Arc<Inner>) -> Self {
        let mut claims = Map::new();
        claims.insert("sub".to_owned(), json!("usr_test"));
        claims.insert("client_id".to_owned(), json!("client"));
        Self {
            issuer: Arc::clone(issuer),
            claims,
            lifetime: LIFETIME,
            broken: Vec::new(),
        }
    }

    /// Who it speaks for.
    pub fn subject(self, subject: &str) -> Self {
        self.claim("sub", subject)
    }

    /// The client that was granted it.
    pub fn client(self, client: &str) -> Self {
        self.claim("client_id", client)
    }

    /// What it permits.
    pub fn scopes<S: AsRef<str>>(self, scopes: impl IntoIterator<Item = S>) -> Self {
        let scopes: Vec<_> = scopes.into_iter().collect();
        let scopes: Vec<_> = scopes.iter().map(AsRef::as_ref).collect();
        self.claim("scope", scopes.join(" "))
    }

    /// How long it lives from now on, in whole seconds.
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Any claim, whatever it means.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Makes one check fail, and no other.
    pub fn breaking(mut self, check: Check) -> Self {
        self.broken.push(check);
        self
    }

    /// The token as it is sent.
    pub fn sign(&self) -> String {
        let claims = self.claims();
        let key = &self.issuer.key;
        let token = key.sign("at+jwt", claims.to_string().as_bytes());
        match self.is_broken(Check::Signature) {
            true => with_another_signature(&token),
            false => token,
        }
    }

    /// The same as an API key: a text that says nothing by itself, and of which
    /// the issuer says what the token would.
    pub fn sign_as_api_key(&self) -> String {
        let mut claims = self.claims();
        let environment = Environment::Live;
        let made = api_key::make(Slot::random(&SystemEntropy), environment, &SystemEntropy);
        let text = made.text.expose_str().to_owned();
        claims["api_key"] = json!({ "id": made.id, "name": "test", "environment": environment });
        if !self.is_broken(Check::Signature) {
            let keys = self.issuer.keys.lock();
            let mut keys = keys.unwrap_or_else(PoisonError::into_inner);
            keys.insert(text.clone(), claims);
        }
        text
    }

    fn is_broken(&self, check: Check) -> bool {
        self.broken.contains(&check)
    }

    fn claims(&self) -> Value {
        let number = self.issuer.made.fetch_add(1, Ordering::SeqCst);
        let id = format!("test-{number}");
        let now = self.issuer.clock.now().seconds();
        let lifetime = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX / 2);
        let begins = match self.is_broken(Check::Expiry) {
            // Any skew that can be configured is over.
            true => now.saturating_sub(lifetime).saturating_sub(3600),
            false => now,
        };
        let mut claims = json!({
            "iss": ISSUER,
            "aud": self.issuer.audience,
            "jti": id,
            "iat": begins,
            "exp": begins.saturating_add(lifetime),
        });
        for (name, value) in &self.claims {
            claims[name] = value.clone();
        }
        if self.is_broken(Check::Issuer) {
            claims["iss"] = json!("https://other-issuer.test");
        }
        if self.is_broken(Check::Audience) {
            claims["aud"] = json!("https://other-audience.test");
        }
        if self.is_broken(Check::Scope) {
            claims["scope"] = json!("other-scope.test");
        }
        if self.is_broken(Check::Revocation) {
            self.issuer.revoke(id);
        }
        claims
    }
}

/// The signature of nothing: still of the right form and length.
fn with_another_signature(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap_or_default();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let rest = signature.get(1..).unwrap_or_default();
    format!("{signed}.{first}{rest}")
}

impl std::fmt::Debug for TestToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestToken")
            .field("claims", &self.claims)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}
