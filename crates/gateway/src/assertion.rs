//! What the gateway says to an upstream about a request: signed, for that
//! upstream, that method and that target alone, and good for thirty seconds.
//!
//! Spec: RFC 7519 §4.1
//! Spec: RFC 7515 §4.1.9
//! Spec: RFC 8693 §4.1, §4.2, §4.3
//! Spec: RFC 9493 §3.2.3, §4.1
//! Spec: RFC 7517 §5

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};
use symbolon_protocol::{SigningAlgorithm, Timestamp};
use symbolon_token::jose::{Invalid, KeySet, SigningKey, Unverified};
use symbolon_token::{Digest, Entropy, Secret, random};
use symbolon_verify::Principal;

use crate::mcp::SessionKey;
use crate::repeated::Repeated;

/// The one header in which it comes.
pub(crate) const ASSERTION: HeaderName = HeaderName::from_static("symbolon-assertion");
/// Where the keys are published, on the public and on the admin listener.
pub(crate) const KEYS_PATH: &str = "/.well-known/symbolon-gateway/jwks.json";
/// The kind of token, so that none of another kind passes for it.
const TYP: &str = "gateway-assertion+jwt";
/// How long it is good.
const LIFETIME: Duration = Duration::from_secs(30);
/// How far the clock of an upstream may be behind.
const SKEW: Duration = Duration::from_secs(5);

/// The key that signs assertions.
#[derive(Debug)]
pub struct KeyOfGateway {
    key: SigningKey,
    /// Published, and signs nothing: gateways and services change keys one after
    /// the other.
    other: Option<SigningKey>,
    issuer: String,
    /// What ties sessions of MCP to their callers.
    pub(crate) sessions: SessionKey,
    repeated: Repeated,
}

/// A request that is said something about.
pub(crate) struct Said<'a> {
    pub(crate) upstream: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) method: &'a Method,
    pub(crate) path_and_query: &'a str,
}

impl KeyOfGateway {
    /// The key of a PKCS#8 document (ES256), or a new one, and another that is
    /// published beside it; `issuer` is what assertions say they come from.
    pub(crate) fn new(
        document: Option<&Secret>,
        other: Option<&Secret>,
        issuer: &str,
    ) -> Option<Self> {
        let algorithm = SigningAlgorithm::Es256;
        let drawn;
        let document = match document {
            Some(document) => document,
            None => {
                drawn = SigningKey::generate(algorithm).ok()?;
                &drawn
            }
        };
        let read = |own: &Secret| SigningKey::from_pkcs8(algorithm, own).ok();
        let key = read(document)?;
        let beside = match other {
            None => None,
            Some(own) => Some(read(own)?).filter(|own| own.kid() != key.kid()),
        };
        let sessions = SessionKey::from_secret(document.expose());
        Some(Self {
            key,
            other: beside,
            issuer: issuer.to_owned(),
            sessions: match other {
                Some(own) => sessions.and_of(own.expose()),
                None => sessions,
            },
            repeated: Repeated::new(),
        })
    }

    /// A new key as its PKCS#8 document, to be kept in a file that several
    /// gateways share.
    pub fn draw() -> Option<Secret> {
        SigningKey::generate(SigningAlgorithm::Es256).ok()
    }

    /// The public halves as a key set.
    pub fn public(&self) -> Value {
        let all = std::iter::once(&self.key).chain(&self.other);
        let all: Vec<_> = all.map(SigningKey::public_jwk).collect();
        json!({ "keys": all })
    }

    /// Says that something happened, as a security event token.
    ///
    /// Spec: RFC 8417 §2.2
    pub(crate) fn tell(&self, mut claims: Value) -> String {
        claims["iss"] = Value::from(self.issuer.as_str());
        self.key.sign("secevent+jwt", claims.to_string().as_bytes())
    }

    /// Says who calls, to one upstream, for one request; of a safe one that comes
    /// again it says the same again for a moment.
    pub(crate) fn say(
        &self,
        principal: &Principal,
        said: &Said<'_>,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Option<HeaderValue> {
        if let Some(again) = self.repeated.find(principal, said, now) {
            return Some(again);
        }
        let assertion = self.say_anew(principal, said, now, entropy);
        let assertion = HeaderValue::from_str(&assertion).ok()?;
        self.repeated.keep((principal, said), &assertion, now);
        Some(assertion)
    }

    fn say_anew(
        &self,
        principal: &Principal,
        said: &Said<'_>,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> String {
        let jti = BASE64_URL_SAFE_NO_PAD.encode(random::<16>(entropy));
        let mut claims = json!({
            "iss": self.issuer,
            "aud": said.upstream,
            "sub": principal.subject(),
            "sub_id": {
                "format": "iss_sub",
                "iss": principal.issuer(),
                "sub": principal.subject(),
            },
            "client_id": principal.client(),
            "scope": principal.scopes().to_string(),
            "jti": jti,
            "iat": now.seconds(),
            "exp": (now + LIFETIME).seconds(),
            "request_id": said.request_id,
            "htm": said.method.as_str(),
            "target_sha256": target_digest(said.path_and_query),
        });
        for name in ["act", "organization"] {
            if let Some(value) = principal.claim(name) {
                claims[name] = value.clone();
            }
        }
        self.key.sign(TYP, claims.to_string().as_bytes())
    }
}

/// What an upstream expects of an assertion.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The name of the upstream.
    pub upstream: &'a str,
    /// The method of the request.
    pub method: &'a str,
    /// Path and query of the request, as they came.
    pub path_and_query: &'a str,
    /// The time.
    pub now: Timestamp,
}

/// Why an assertion is not believed. `code` is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAsserted {
    /// It is malformed, of another kind, or not by the gateway.
    #[error("the assertion is not by the gateway")]
    Signature,
    /// Its time is over, or has not come.
    #[error("the assertion is not of this moment")]
    Time,
    /// It is for another upstream.
    #[error("the assertion is for another service")]
    Upstream,
    /// It is about another request.
    #[error("the assertion is about another request")]
    Request,
}

/// The claims of a good assertion. Only a check makes one.
#[derive(Debug, Clone)]
pub struct Asserted(Map<String, Value>);

impl Asserted {
    /// Checks an assertion against the key set of the gateway.
    pub fn check(
        keys: &Map<String, Value>,
        assertion: &str,
        expected: &Expected<'_>,
    ) -> Result<Self, NotAsserted> {
        let refused = |_: Invalid| NotAsserted::Signature;
        let unverified = Unverified::parse(assertion).map_err(refused)?;
        let algorithm = unverified.algorithm().ok_or(NotAsserted::Signature)?;
        if unverified.claimed_type() != Some(TYP) {
            return Err(NotAsserted::Signature);
        }
        let keys = KeySet::from_json(keys).map_err(|_| NotAsserted::Signature)?;
        let claims = keys
            .candidates(unverified.claimed_kid(), algorithm)
            .find_map(|key| unverified.verify(key).ok())
            .ok_or(NotAsserted::Signature)?;
        let instant = |name: &str| claims.get(name).and_then(Value::as_i64);
        let (now, skew) = (expected.now.seconds(), SKEW.as_secs().cast_signed());
        let is_now = instant("iat").is_some_and(|iat| iat <= now + skew)
            && instant("exp").is_some_and(|exp| now < exp + skew);
        let says = |name: &str, text: &str| claims.get(name).and_then(Value::as_str) == Some(text);
        if !is_now {
            return Err(NotAsserted::Time);
        }
        if !says("aud", expected.upstream) {
            return Err(NotAsserted::Upstream);
        }
        let digest = target_digest(expected.path_and_query);
        if !says("htm", expected.method) || !says("target_sha256", &digest) {
            return Err(NotAsserted::Request);
        }
        Ok(Self(claims))
    }

    /// One claim, where it is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }
}

/// The digest of path and query as they are sent.
fn target_digest(path_and_query: &str) -> String {
    let digest = Digest::of(path_and_query.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(digest.as_bytes())
}
