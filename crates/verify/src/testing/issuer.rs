//! The issuer: its keys, what it took back, and whether it answers.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use symbolon_protocol::SigningAlgorithm;
use symbolon_token::jose::{Algorithm, SigningKey, Unverified, VerifyingKey};

use super::clock::TestClock;
use super::token::TestToken;
use crate::verifier::Verifier;

/// Answers instead of the network: the address, and the form that was sent.
pub(crate) type Responder = Arc<dyn Fn(&str, Option<&str>) -> Option<Value> + Send + Sync>;

/// An issuer of access tokens that lives in the test.
#[derive(Clone)]
pub struct Issuer(Arc<Inner>);

pub(super) struct Inner {
    pub(super) audience: String,
    pub(super) key: SigningKey,
    pub(super) clock: Arc<TestClock>,
    /// How many tokens were made: their names.
    pub(super) made: AtomicU64,
    /// The API keys that were made, and what they say.
    pub(super) keys: Mutex<HashMap<String, Value>>,
    /// The names of tokens that were taken back.
    revoked: Mutex<HashSet<String>>,
    is_down: AtomicBool,
}

impl Issuer {
    /// The issuer `https://issuer.test`, whose tokens are for `audience`.
    #[expect(clippy::expect_used, reason = "a test without an issuer stops there")]
    pub fn new(audience: &str) -> Self {
        let algorithm = SigningAlgorithm::Es256;
        let document = SigningKey::generate(algorithm).expect("a key");
        let key = SigningKey::from_pkcs8(algorithm, &document).expect("that key");
        Self(Arc::new(Inner {
            audience: audience.to_owned(),
            key,
            clock: Arc::new(TestClock::new()),
            made: AtomicU64::new(0),
            keys: Mutex::default(),
            revoked: Mutex::default(),
            is_down: AtomicBool::new(false),
        }))
    }

    /// A verifier of its tokens: ES256, its own keys, asking it about opaque
    /// tokens and about what was taken back, on its clock. Change it as you
    /// would any other.
    #[expect(
        clippy::expect_used,
        reason = "a test with an impossible audience stops there"
    )]
    pub fn verifier(&self) -> Verifier {
        let inner = Arc::clone(&self.0);
        let responder: Responder = Arc::new(move |address, form| inner.answer(address, form));
        let made = Verifier::new(ISSUER, &self.0.audience, [Algorithm::Es256]);
        let asking = made.and_then(|own| own.introspect_as("tests", "tests"));
        let clock = Arc::clone(&self.0.clock);
        let verifier = asking.expect("the audience is a resource identifier");
        verifier.with_clock(clock).answered_by(responder)
    }

    /// A good token of the client `client` for the person `usr_test`, without
    /// scopes, that lives ten minutes. Change one thing and test that.
    pub fn token(&self) -> TestToken {
        TestToken::new(&self.0)
    }

    /// Takes a token or an API key back. A verifier that asked about it within the last
    /// second of the clock hears of it in the next.
    pub fn revoke(&self, token: &str) {
        if let Some(id) = self.0.id(token) {
            self.0.revoke(id);
        }
    }

    /// Whether it answers from now on: what nobody can know then is neither
    /// yes nor no.
    pub fn answers(&self, availability: Availability) {
        let is_down = availability == Availability::Down;
        self.0.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Moves its clock, which is its verifiers' too.
    pub fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    /// That clock, for what else the test measures by it.
    pub fn clock(&self) -> Arc<TestClock> {
        Arc::clone(&self.0.clock)
    }
}

/// Whether an [`Issuer`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// It does.
    Up,
    /// It cannot be reached.
    Down,
}

impl Inner {
    pub(super) fn revoke(&self, id: String) {
        let revoked = self.revoked.lock();
        revoked.unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    /// The name of a token or an API key of its own.
    fn id(&self, token: &str) -> Option<String> {
        let claims = match self.claims_of_key(token) {
            Some(claims) => claims,
            None => {
                let key = self.key.public_jwk();
                let key = VerifyingKey::from_jwk(key.as_object()?).ok()?;
                Value::Object(Unverified::parse(token).ok()?.verify(&key).ok()?)
            }
        };
        Some(claims.get("jti")?.as_str()?.to_owned())
    }

    fn claims_of_key(&self, text: &str) -> Option<Value> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(text).cloned()
    }

    /// What the network would bring; nothing where nobody answers.
    fn answer(&self, address: &str, form: Option<&str>) -> Option<Value> {
        if self.is_down.load(Ordering::SeqCst) {
            return None;
        }
        let path = address.strip_prefix(ISSUER)?;
        if path.starts_with("/.well-known/") {
            return Some(json!({
                "issuer": ISSUER,
                "jwks_uri": format!("{ISSUER}/jwks"),
                "introspection_endpoint": format!("{ISSUER}/introspect"),
            }));
        }
        match (path, form) {
            ("/jwks", None) => Some(json!({ "keys": [self.key.public_jwk()] })),
            ("/introspect", Some(form)) => Some(self.introspect(form)),
            _ => None,
        }
    }

    fn introspect(&self, form: &str) -> Value {
        let mut pairs = url::form_urlencoded::parse(form.as_bytes());
        let token = pairs.find(|(name, _)| name == "token");
        let token = token.map(|(_, token)| token).unwrap_or_default();
        let revoked = self.revoked.lock();
        let revoked = revoked.unwrap_or_else(PoisonError::into_inner);
        if self.id(&token).is_none_or(|id| revoked.contains(&id)) {
            return json!({ "active": false });
        }
        let mut says = self.claims_of_key(&token).unwrap_or_else(|| json!({}));
        says["active"] = true.into();
        says
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let audience = &self.0.audience;
        f.debug_struct("Issuer")
            .field("audience", audience)
            .finish_non_exhaustive()
    }
}

/// The issuer's name, in tokens and addresses.
pub(super) const ISSUER: &str = "https://issuer.test";
