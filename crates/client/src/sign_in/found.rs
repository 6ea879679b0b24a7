//! What an issuer says of itself, found once and kept: endpoints and keys.
//!
//! Spec: RFC 8414 §3
//! Spec: OpenID Connect Discovery 1.0 §4
//! Spec: RFC 7517 §5

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use symbolon_protocol::Issuer;
use symbolon_protocol::metadata::{ServerMetadata, addresses};
use symbolon_token::Clock;
use symbolon_token::jose::KeySet;
use tokio::sync::Mutex;

use super::Failed;
use super::fetch::{Http, checked};

/// After how long it is read again.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// For how long a failure stands for the next attempts too.
const PAUSE: Duration = Duration::from_secs(1);
/// How often keys are looked for at most because a token names one that is not
/// known.
const COOLDOWN: Duration = Duration::from_secs(30);

/// The addresses that are used here.
#[derive(Debug)]
pub(super) struct Endpoints {
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) jwks_uri: String,
    pub(super) revocation_endpoint: Option<String>,
    pub(super) end_session_endpoint: Option<String>,
    /// Whether its answers say whose they are (RFC 9207 §3).
    pub(super) names_itself: bool,
    /// Whether it lets a request name claims.
    pub(super) takes_claims: bool,
}

struct Kept<T> {
    at: Duration,
    what: Arc<T>,
}

/// What asking brought.
#[derive(Default)]
struct Asked {
    kept: Option<Kept<Endpoints>>,
    /// When it last failed, and why.
    failed: Option<(Duration, Failed)>,
}

pub(super) struct Found {
    issuer: Issuer,
    http: Http,
    clock: Arc<dyn Clock>,
    /// Held while somebody asks, so that one asks for all.
    endpoints: Mutex<Asked>,
    keys: Mutex<Option<Kept<KeySet>>>,
}

impl Found {
    pub(super) fn new(issuer: Issuer, http: Http, clock: Arc<dyn Clock>) -> Self {
        Self {
            issuer,
            http,
            clock,
            endpoints: Mutex::default(),
            keys: Mutex::new(None),
        }
    }

    /// The addresses. What was found once serves on where asking again fails.
    pub(super) async fn endpoints(&self) -> Result<Arc<Endpoints>, Failed> {
        let mut asked = self.endpoints.lock().await;
        let now = self.clock.monotonic();
        let known = asked.kept.as_ref();
        if let Some(own) = known
            && now.saturating_sub(own.at) < MAX_AGE
        {
            return Ok(Arc::clone(&own.what));
        }
        let known = known.map(|own| Arc::clone(&own.what));
        if let Some((at, why)) = &asked.failed
            && now.saturating_sub(*at) < PAUSE
        {
            return known.ok_or_else(|| why.clone());
        }
        match self.ask().await {
            Ok(found) => {
                let what = Arc::new(found);
                *asked = Asked {
                    kept: Some(Kept {
                        at: now,
                        what: Arc::clone(&what),
                    }),
                    failed: None,
                };
                Ok(what)
            }
            Err(why) => {
                // Those who waited meanwhile do not wait for the same again.
                asked.failed = Some((self.clock.monotonic(), why.clone()));
                known.ok_or(why)
            }
        }
    }

    async fn ask(&self) -> Result<Endpoints, Failed> {
        let mut last = Failed::Unreachable;
        for address in addresses(&self.issuer) {
            let answer = self.http.read(&address).await?;
            match answer.status.as_u16() {
                200 => return self.read(&answer.body),
                status => last = Failed::Status(status),
            }
        }
        Err(last)
    }

    fn read(&self, body: &[u8]) -> Result<Endpoints, Failed> {
        let metadata: ServerMetadata =
            serde_json::from_slice(body).map_err(|_| Failed::Malformed("metadata"))?;
        if metadata.issuer != self.issuer.as_str() {
            return Err(Failed::Malformed("the metadata of this issuer"));
        }
        let missing = || Failed::Malformed("metadata with the endpoints of the code flow");
        let other = |name: &str| {
            let value = metadata.other.get(name)?.as_str()?;
            Some(value.to_owned())
        };
        let says = |name: &str| metadata.other.get(name) == Some(&Value::Bool(true));
        let found = Endpoints {
            end_session_endpoint: other("end_session_endpoint"),
            names_itself: says("authorization_response_iss_parameter_supported"),
            takes_claims: says("claims_parameter_supported"),
            authorization_endpoint: metadata.authorization_endpoint.ok_or_else(missing)?,
            token_endpoint: metadata.token_endpoint.ok_or_else(missing)?,
            jwks_uri: metadata.jwks_uri.ok_or_else(missing)?,
            revocation_endpoint: metadata.revocation_endpoint,
        };
        let used = [
            Some(&found.authorization_endpoint),
            Some(&found.token_endpoint),
            Some(&found.jwks_uri),
            found.revocation_endpoint.as_ref(),
            found.end_session_endpoint.as_ref(),
        ];
        for address in used.into_iter().flatten() {
            // Plain http on this machine is for an issuer that is here itself.
            if checked(address)?.scheme() == "http" && !self.issuer.is_plain_http() {
                return Err(Failed::Address);
            }
        }
        Ok(found)
    }

    /// The keys, asked for anew where `kid` is not among them, but no more often
    /// than the cooldown lets: names that somebody made up cost nothing.
    pub(super) async fn keys(&self, kid: Option<&str>) -> Result<Arc<KeySet>, Failed> {
        let address = self.endpoints().await?.jwks_uri.clone();
        let mut kept = self.keys.lock().await;
        let now = self.clock.monotonic();
        if let Some(own) = &*kept {
            let age = now.saturating_sub(own.at);
            let knows = kid.is_none_or(|kid| own.what.names(kid));
            if age < COOLDOWN || (knows && age < MAX_AGE) {
                return Ok(Arc::clone(&own.what));
            }
        }
        let answer = self.http.read(&address).await?;
        if answer.status.as_u16() != 200 {
            return Err(Failed::Status(answer.status.as_u16()));
        }
        let set = KeySet::parse(&answer.body).map_err(|_| Failed::Malformed("a key set"))?;
        let what = Arc::new(set);
        *kept = Some(Kept {
            at: now,
            what: Arc::clone(&what),
        });
        Ok(what)
    }
}
