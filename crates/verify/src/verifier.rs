//! The verifier: set up in one place, shared by every route.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde_json::{Value, json};
use symbolon_protocol::{ClientId, Issuer, ResourceIdentifier};
use symbolon_token::Secret;
use symbolon_token::dpop::ProofMemory;
use symbolon_token::jose::{Algorithm, Header, Unverified};
use symbolon_token::macaroon::Count;

use crate::ambient::{SystemClock, SystemEntropy};
use crate::binding;
use crate::config::{self, Config, Following, ForeignKeys, Nonces};
use crate::decision::Decision;
use crate::discovery::Discovery;
use crate::fetch::Http;
use crate::introspection::{Credentials, Introspection};
use crate::keys::{self, Keys};
use crate::macaroon_keys::MacaroonKeys;
use crate::misconfigured::Misconfigured;
use crate::remembered::Remembered;
use crate::revocations::Revocations;
use crate::steady::Steady;
use crate::subscription::{self, FeedState, FeedTrouble, Subscription};

/// Checks access tokens of one issuer for one API. Clones are cheap and share
/// everything.
///
/// None is made without an issuer, an audience and the algorithms that are
/// allowed:
///
/// ```
/// use symbolon_verify::{Algorithm, Verifier};
///
/// let issuer = "https://as.example.com";
/// let made = Verifier::new(issuer, "https://api.example.com", [Algorithm::Es256]);
/// assert!(made.is_ok());
/// assert!(Verifier::new(issuer, "https://api.example.com", []).is_err());
/// ```
///
/// ```compile_fail
/// let _ = symbolon_verify::Verifier::new("https://as.example.com", "https://api.example.com");
/// ```
///
/// ```compile_fail
/// use symbolon_verify::{Algorithm, Verifier};
/// let _ = Verifier::new("https://as.example.com", [Algorithm::Es256]);
/// ```
///
/// ```compile_fail
/// let _ = symbolon_verify::Verifier::new("https://as.example.com");
/// ```
///
/// ```compile_fail
/// let _ = symbolon_verify::Verifier::default();
/// ```
///
/// ```compile_fail
/// let _ = symbolon_verify::Verifier { inner: todo!() };
/// ```
#[derive(Clone)]
pub struct Verifier {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) sources: Sources,
    pub(crate) remembered: Remembered,
    /// Of the last token whose signature was good.
    pub(crate) header: ArcSwapOption<Header>,
    pub(crate) proofs: ProofMemory,
    /// What that memory goes by.
    pub(crate) steady: Steady,
}

/// What is fetched from the issuer, once for all verifiers that share it.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) discovery: Arc<Discovery>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) introspection: Arc<Introspection>,
    pub(crate) macaroon_keys: Arc<MacaroonKeys>,
    /// Where the issuer's feed is followed.
    pub(crate) subscription: Option<Arc<Subscription>>,
}

impl Sources {
    fn of(config: &Config) -> Self {
        let (http, clock) = (config.http.clone(), Arc::clone(&config.clock));
        let discovery = Discovery::new(config.issuer.clone(), http.clone(), Arc::clone(&clock));
        let discovery = Arc::new(discovery);
        let keys = Keys::new(keys::Sources {
            discovery: Arc::clone(&discovery),
            http: http.clone(),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&config.entropy),
            stale_if_error: config.stale_if_error,
            issuer: config.issuer.as_str().into(),
        });
        let macaroon_keys = MacaroonKeys::new(
            Arc::clone(&discovery),
            http.clone(),
            Arc::clone(&clock),
            config.issuer.as_str(),
        );
        Self {
            keys: Arc::new(keys),
            macaroon_keys: Arc::new(macaroon_keys),
            subscription: subscription(config, &discovery).map(Arc::new),
            introspection: Arc::new(Introspection::new(Arc::clone(&discovery), http, clock)),
            discovery,
        }
    }
}

impl Sources {
    /// The same for a verifier of another API, whose feed is its own.
    pub(crate) fn for_another(&self, config: &Config) -> Self {
        Self {
            subscription: subscription(config, &self.discovery).map(Arc::new),
            ..self.clone()
        }
    }
}

impl Inner {
    pub(crate) fn of(config: Config, sources: Sources) -> Self {
        let steady = Steady::new(Arc::clone(&config.clock));
        Self {
            proofs: ProofMemory::new(&*config.entropy, steady.now(), config.skew),
            steady,
            sources,
            remembered: Remembered::new(),
            header: ArcSwapOption::empty(),
            config,
        }
    }

    pub(crate) fn remember_header(&self, read: &Unverified<'_>) {
        let known = self.header.load();
        if !known
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, read.header()))
        {
            self.header.store(Some(Arc::clone(read.header())));
        }
    }
}

/// Why a verifier is not ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(String);

impl Verifier {
    /// A verifier of tokens that `issuer` made for `audience` under one of
    /// `algorithms`. It fetches nothing before the first token or
    /// [`ready`](Self::ready).
    pub fn new(
        issuer: &str,
        audience: &str,
        algorithms: impl IntoIterator<Item = Algorithm>,
    ) -> Result<Self, Misconfigured> {
        let issuer: Issuer = issuer.parse().map_err(Misconfigured::Issuer)?;
        let resource: ResourceIdentifier = audience.parse().map_err(Misconfigured::Audience)?;
        let algorithms: Vec<Algorithm> = algorithms.into_iter().collect();
        if algorithms.is_empty() {
            return Err(Misconfigured::NoAlgorithm);
        }
        let http = Http::new().map_err(|why| Misconfigured::Outbound(why.to_string()))?;
        Ok(Self::with(Config {
            issuer,
            origin: binding::origin(resource.as_str()),
            nonces: Nonces::WhereNeeded,
            audiences: vec![resource.as_str().to_owned()],
            resource,
            algorithms,
            credentials: None,
            decryption: Vec::new(),
            scopes: Vec::new(),
            key_header: None,
            foreign_keys: ForeignKeys::Refused,
            skew: config::CLOCK_SKEW,
            stale_if_error: config::STALE_IF_ERROR,
            hook: None,
            counter: None,
            uses: None,
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy),
            http,
            revocations: Revocations::default(),
            following: Following::Nothing,
            others: Vec::new(),
        }))
    }

    fn with(config: Config) -> Self {
        let sources = Sources::of(&config);
        Self {
            inner: Arc::new(Inner::of(config, sources)),
        }
    }

    /// The same with one thing changed. What was fetched is fetched anew.
    pub(crate) fn but(&self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = self.inner.config.clone();
        change(&mut config);
        if config.following == Following::Feed {
            // Each subscription fills a set of its own.
            config.revocations = Revocations::default();
        }
        Self::with(config)
    }

    /// Asks the issuer, as this client, about opaque tokens and about what was
    /// taken back.
    pub fn introspect_as(self, id: &str, secret: impl Into<Secret>) -> Result<Self, Misconfigured> {
        let secret = secret.into();
        if id.parse::<ClientId>().is_err() {
            return Err(Misconfigured::Credentials("the client id is not one"));
        }
        if secret.is_empty() {
            return Err(Misconfigured::Credentials("the secret is empty"));
        }
        let id = id.to_owned();
        let credentials = Arc::new(Credentials { id, secret });
        Ok(self.but(|config| config.credentials = Some(credentials)))
    }

    /// Follows the issuer's revocation feed, as the client of
    /// [`introspect_as`](Self::introspect_as), which has to be an introspection
    /// client of this API's resource: what is taken back is known here within a
    /// second, without asking about each token. It begins with the first check
    /// or [`ready`](Self::ready), and goes on in the background.
    ///
    /// A route then goes by the feed; see [`Requirement::max_staleness`] for
    /// what becomes of tokens while the feed cannot be read.
    ///
    /// ```
    /// # fn main() -> Result<(), symbolon_verify::Misconfigured> {
    /// use symbolon_verify::{Algorithm, Verifier};
    /// let verifier = Verifier::new("https://as.example.com", "https://api.example.com", [Algorithm::Es256])?
    ///     .introspect_as("orders-api", "its secret")?
    ///     .subscribe()?;
    /// assert_eq!(verifier.feed().unwrap().age(), None, "not reached yet");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`Requirement::max_staleness`]: crate::Requirement::max_staleness
    pub fn subscribe(self) -> Result<Self, Misconfigured> {
        if self.inner.config.credentials.is_none() {
            return Err(Misconfigured::Credentials(
                "the feed is read as a client: say `introspect_as` first",
            ));
        }
        Ok(self.but(|config| config.following = Following::Feed))
    }

    /// What is known of the revocation feed, where it is followed: numbers to
    /// export. They are also given to the `metrics` facade, as
    /// `revocations_age_seconds` and `revocations_records`.
    pub fn feed(&self) -> Option<FeedState> {
        let subscription = self.inner.sources.subscription.as_ref();
        subscription.map(|own| own.shown())
    }

    /// Why the revocation feed is not followed, where it is meant to be and is
    /// not: for logs and readiness.
    pub fn feed_trouble(&self) -> Option<FeedTrouble> {
        self.inner.sources.subscription.as_ref()?.trouble()
    }

    /// Takes tokens for another identifier of the same API too.
    pub fn also_known_as(self, audience: &str) -> Result<Self, Misconfigured> {
        let audience: ResourceIdentifier = audience.parse().map_err(Misconfigured::Audience)?;
        Ok(self.but(|config| config.audiences.push(audience.as_str().to_owned())))
    }

    /// How far the clocks of issuer and API may differ: 10 seconds unless told
    /// otherwise, 120 at most. A token is refused from its end plus this span on.
    pub fn clock_skew(self, skew: Duration) -> Result<Self, Misconfigured> {
        if skew > config::MAX_CLOCK_SKEW {
            return Err(Misconfigured::Span("clock skew: at most 120 seconds"));
        }
        Ok(self.but(|config| config.skew = skew))
    }

    /// How old the issuer's keys may become while it cannot be reached: a day
    /// unless told otherwise, between a minute and a week.
    pub fn stale_if_error(self, span: Duration) -> Result<Self, Misconfigured> {
        if !(config::MIN_STALE_IF_ERROR..=config::MAX_STALE_IF_ERROR).contains(&span) {
            return Err(Misconfigured::Span(
                "stale_if_error: between a minute and a week",
            ));
        }
        Ok(self.but(|config| config.stale_if_error = span))
    }

    /// Under which origin callers reach this API: what the address in a DPoP
    /// proof has to begin with. Without, it is the origin of the audience, where
    /// that is a web address. What a request says of its host is never believed.
    ///
    /// ```
    /// use symbolon_verify::{Algorithm, Verifier};
    ///
    /// # fn main() -> Result<(), symbolon_verify::Misconfigured> {
    /// let verifier = Verifier::new("https://as.example.com", "urn:example:orders", [Algorithm::Es256])?
    ///     .reached_at("https://api.example.com")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reached_at(self, origin: &str) -> Result<Self, Misconfigured> {
        let bare = binding::origin(origin).ok_or(Misconfigured::Origin)?;
        let is_whole = origin.trim_end_matches('/').eq_ignore_ascii_case(&bare);
        let origin = is_whole.then_some(bare).ok_or(Misconfigured::Origin)?;
        Ok(self.but(|config| config.origin = Some(origin)))
    }

    /// Takes only DPoP proofs that carry a nonce of this process. Then a proof
    /// is good once over all processes that serve the API; otherwise once for
    /// each, restarts included.
    #[must_use]
    pub fn require_dpop_nonce(self) -> Self {
        self.but(|config| config.nonces = Nonces::Always)
    }

    /// The scopes that the metadata document of this API names.
    #[must_use]
    pub fn scopes<S: Into<String>>(self, scopes: impl IntoIterator<Item = S>) -> Self {
        let scopes = scopes.into_iter().map(Into::into).collect();
        self.but(|config| config.scopes = scopes)
    }

    /// Calls `hook` with every decision of a layer: for logs and metrics.
    #[must_use]
    pub fn on_decision(self, hook: impl Fn(&Decision<'_>) + Send + Sync + 'static) -> Self {
        self.but(|config| config.hook = Some(Arc::new(hook)))
    }

    /// Counts uses of macaroons that are checked here (`budget`, `single-use`)
    /// where a route says [`Revocation::AtExpiry`](crate::Revocation::AtExpiry).
    /// `counter` takes one use from each count, or none from any, and says
    /// whether it could; it keeps a count until its end. Without a counter such
    /// a macaroon is refused. Elsewhere the issuer counts.
    #[must_use]
    pub fn count_uses(self, counter: impl Fn(&[Count]) -> bool + Send + Sync + 'static) -> Self {
        self.but(|config| config.counter = Some(Arc::new(counter)))
    }

    /// Remembers with other processes what was used: a DPoP proof is good once
    /// for all of them, and uses of macaroons that are checked here are counted
    /// by it instead of by [`count_uses`](Self::count_uses). Where it cannot
    /// say, the request gets 503.
    #[must_use]
    pub fn share_uses(self, uses: Arc<dyn crate::SharedUses>) -> Self {
        self.but(|config| config.uses = Some(uses))
    }

    /// Takes time from elsewhere than this machine's clock: for processes that
    /// have a clock of their own, and for tests.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn symbolon_token::Clock>) -> Self {
        self.but(|config| config.clock = clock)
    }

    /// Takes answers from elsewhere than the network.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn answered_by(self, responder: crate::testing::Responder) -> Self {
        self.but(|config| config.http.answer_by(responder))
    }

    /// Takes randomness from elsewhere than this machine.
    #[must_use]
    pub fn with_entropy(self, entropy: Arc<dyn symbolon_token::Entropy>) -> Self {
        self.but(|config| config.entropy = entropy)
    }

    /// Fetches the issuer's keys, and a snapshot of its revocation feed where
    /// that is followed, so that the first token waits for neither. For a
    /// readiness check.
    pub async fn ready(&self) -> Result<(), NotReady> {
        for own in self.issuers() {
            own.ready_alone().await?;
        }
        Ok(())
    }

    async fn ready_alone(&self) -> Result<(), NotReady> {
        if let Some(subscription) = &self.inner.sources.subscription {
            subscription.tick();
        }
        let ready = self.inner.sources.keys.ready().await;
        ready.map_err(|why| NotReady(format!("no key of the issuer could be had: {why}")))?;
        if let Some(subscription) = &self.inner.sources.subscription {
            let reached = subscription.ready().await;
            reached.map_err(|why| NotReady(format!("revocation feed: {why}")))?;
        }
        Ok(())
    }

    /// The set of revocations that this verifier looks into.
    pub fn revocations(&self) -> Revocations {
        self.inner.config.revocations.clone()
    }

    /// The metadata document of this API.
    ///
    /// Spec: RFC 9728 §2
    pub fn metadata(&self) -> Value {
        let config = &self.inner.config;
        let mut document = json!({
            "resource": config.resource,
            "authorization_servers": self.issuers().map(Self::issuer).collect::<Vec<_>>(),
            "bearer_methods_supported": ["header"],
        });
        if self.takes_proofs() {
            let names = symbolon_token::dpop::ALGORITHMS.map(Algorithm::as_str);
            document["dpop_signing_alg_values_supported"] = json!(names);
        }
        if !config.scopes.is_empty() {
            document["scopes_supported"] = config.scopes.clone().into();
        }
        document
    }

    /// Where that document belongs: the well-known name before the path of the
    /// API. Nothing where its identifier is no web address.
    ///
    /// Spec: RFC 9728 §3.1
    pub fn metadata_address(&self) -> Option<String> {
        let url = url::Url::parse(self.inner.config.resource.as_str()).ok()?;
        if !matches!(url.scheme(), "https" | "http") {
            return None;
        }
        let path = if url.path() == "/" { "" } else { url.path() };
        let origin = url.origin().ascii_serialization();
        let query = url.query().map(|query| format!("?{query}"));
        Some(format!(
            "{origin}/.well-known/oauth-protected-resource{path}{}",
            query.unwrap_or_default()
        ))
    }
}

/// The subscription that a configuration asks for.
fn subscription(config: &Config, discovery: &Arc<Discovery>) -> Option<Subscription> {
    let credentials = config.credentials.as_ref()?;
    (config.following == Following::Feed).then(|| {
        Subscription::new(subscription::Sources {
            discovery: Arc::clone(discovery),
            http: config.http.clone(),
            clock: Arc::clone(&config.clock),
            entropy: Arc::clone(&config.entropy),
            credentials: Arc::clone(credentials),
            issuer: config.issuer.as_str().to_owned(),
            resource: config.resource.as_str().to_owned(),
            revocations: config.revocations.clone(),
        })
    })
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.inner.config;
        f.debug_struct("Verifier")
            .field("issuer", &config.issuer)
            .field("audiences", &config.audiences)
            .field("algorithms", &config.algorithms)
            .finish_non_exhaustive()
    }
}
