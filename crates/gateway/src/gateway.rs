//! The gateway: a plan that can be exchanged while requests run, and what it
//! takes from its surroundings.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use symbolon_token::{Clock, Entropy};
use symbolon_verify::{Misconfigured, Principal, Verifier};
use tokio::task::JoinSet;

use crate::plan::Plan;
use crate::quota::{Bank, NoLimit};
use crate::risk;
use crate::settings::Settings;
use crate::upstream::NoUpstream;

/// How long a new plan waits for keys and feed of an issuer that is new to it
/// before it takes over all the same.
const WARMING: Duration = Duration::from_secs(5);

/// Time and randomness.
#[derive(Clone)]
pub struct Edge {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// What every request shares.
pub(crate) struct Shared {
    plan: ArcSwap<Plan>,
    pub(crate) edge: Edge,
    pub(crate) bank: Arc<Bank>,
    memory: OnceLock<risk::Memory>,
    is_ending: AtomicBool,
}

impl Shared {
    /// The plan that holds now.
    pub(crate) fn plan(&self) -> Arc<Plan> {
        self.plan.load_full()
    }

    /// What is usual for whom. It stays while plans come and go, and takes no
    /// room before somebody asks.
    pub(crate) fn memory(&self) -> &risk::Memory {
        self.memory.get_or_init(risk::Memory::new)
    }

    /// Whether a token was to be taken back. It is remembered whatever the
    /// configuration says by now.
    pub(crate) fn is_dead(&self, shown: &[u8], principal: &Principal) -> bool {
        let names = || risk::names(shown, principal);
        self.memory.get().is_some_and(|own| own.is_dead(names))
    }
}

/// Why settings lead to no gateway.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A verifier cannot be set up.
    #[error(transparent)]
    Verifier(#[from] Misconfigured),
    /// A route names an upstream that is not there.
    #[error("no upstream is called `{0}`")]
    NoUpstream(String),
    /// A route names an issuer for which no verifier was made.
    #[error("a route has no issuer")]
    NoIssuer,
    /// Authorities that are to be trusted cannot be read.
    #[error("could not read authorities of `{path}`: {cause}")]
    Authorities {
        /// Which file.
        path: String,
        /// What the operating system said.
        cause: String,
    },
    /// An upstream cannot be set up.
    #[error("{0}")]
    Upstream(String),
    /// The browser's back end cannot be set up.
    #[error("the browser's back end cannot be set up: its issuer, address or authorities are none")]
    Browser,
    /// The key for assertions is none.
    #[error("the assertion key is no private key for ES256")]
    Key,
    /// A route or a plan names a limit that is not there.
    #[error("no limit is called `{0}`")]
    NoLimit(String),
    /// Gateways cannot count together there.
    #[error("could not use Redis: {0}")]
    Redis(String),
}

impl PlanError {
    /// A stable word for scripts.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Verifier(_) => "gateway.verifier",
            Self::NoUpstream(_) | Self::Upstream(_) => "gateway.upstream",
            Self::NoIssuer => "gateway.issuer",
            Self::Authorities { .. } => "trust_extra_ca",
            Self::Browser => "gateway.browser",
            Self::Key => "gateway.assertion_key",
            Self::NoLimit(_) => "gateway.limit",
            Self::Redis(_) => "gateway.redis_url",
        }
    }
}

impl From<NoUpstream> for PlanError {
    fn from(error: NoUpstream) -> Self {
        Self::Upstream(error.to_string())
    }
}

impl From<NoLimit> for PlanError {
    fn from(error: NoLimit) -> Self {
        Self::NoLimit(error.0)
    }
}

/// A gateway. Clones are the same one.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) shared: Arc<Shared>,
}

impl Gateway {
    /// Makes one. It fetches nothing before the first request or
    /// [`warm`](Self::warm).
    pub fn new(settings: Settings, edge: Edge) -> Result<Self, PlanError> {
        let bank = Bank::new(settings.quotas.redis.as_ref(), &edge)?;
        let bank = Arc::new(bank);
        let plan = Plan::new(settings, None, (&edge, &bank))?;
        Ok(Self {
            shared: Arc::new(Shared {
                plan: ArcSwap::from_pointee(plan),
                edge,
                bank,
                memory: OnceLock::new(),
                is_ending: AtomicBool::new(false),
            }),
        })
    }

    /// Fetches the keys of every issuer and reaches its feed, so that the first
    /// request waits for neither; gives up after a while.
    pub async fn warm(&self) {
        warm(self.shared.plan().verifiers().cloned()).await;
    }

    /// Puts new settings in force at once; requests that run go on under the
    /// old ones, and open streams that the new ones refuse end. Settings with
    /// which nothing can be set up change nothing.
    pub async fn reload(&self, settings: Settings) -> Result<(), PlanError> {
        let before = self.shared.plan();
        let own = (&self.shared.edge, &self.shared.bank);
        let plan = Plan::new(settings, Some(&before), own)?;
        // Those that are there already are as warm as they will be.
        warm(plan.new_verifiers(&before)).await;
        begin_checks(&plan);
        self.shared.plan.store(Arc::new(plan));
        Ok(())
    }

    /// Why it is not ready, where it is not: it is ending, or an issuer was
    /// never reached.
    pub async fn readiness(&self) -> Result<(), String> {
        if self.shared.is_ending.load(Ordering::Relaxed) {
            return Err("ending".into());
        }
        for verifier in self.shared.plan().verifiers() {
            let ready = tokio::time::timeout(Duration::from_secs(1), verifier.ready()).await;
            let why = match ready {
                Ok(Ok(())) => continue,
                Ok(Err(why)) => why.to_string(),
                Err(_) => "an issuer does not answer".to_owned(),
            };
            return Err(match verifier.feed_trouble() {
                Some(trouble) => format!("{}: {}", trouble.cause, trouble.repair),
                None => why,
            });
        }
        Ok(())
    }

    /// How its upstreams stand, a line for each that has servers.
    pub fn standing(&self) -> Vec<String> {
        let plan = self.shared.plan();
        let lines = plan.upstreams().iter().filter_map(|own| {
            let (up, all) = own.standing();
            let name = &own.settings.name;
            (all > 0).then(|| format!("upstream {name}: {up} of {all} up"))
        });
        lines.collect()
    }

    /// Begins to ask servers how they are.
    pub(crate) fn begin_checks(&self) {
        begin_checks(&self.shared.plan());
    }

    /// The public keys of assertions, as a key set.
    pub fn keys(&self) -> serde_json::Value {
        self.shared.plan().key.public()
    }

    /// From now on readiness is refused.
    pub(crate) fn begin_to_end(&self) {
        self.shared.is_ending.store(true, Ordering::Relaxed);
    }
}

fn begin_checks(plan: &Plan) {
    for upstream in plan.upstreams() {
        upstream.begin_checks();
    }
}

/// All at once: an issuer that is away makes its own tokens wait, and nothing
/// else.
async fn warm(verifiers: impl Iterator<Item = Verifier>) {
    let mut all = JoinSet::new();
    for verifier in verifiers {
        all.spawn(async move {
            let _ = tokio::time::timeout(WARMING, verifier.ready()).await;
        });
    }
    while all.join_next().await.is_some() {}
}
