//! The gateway: a plan that can be exchanged while requests run, and what it
//! takes from its surroundings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use symbolon_token::{Clock, Entropy};
use symbolon_verify::Misconfigured;

use crate::plan::Plan;
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
    is_ending: AtomicBool,
}

impl Shared {
    /// The plan that holds now.
    pub(crate) fn plan(&self) -> Arc<Plan> {
        self.plan.load_full()
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
    /// An upstream cannot be set up.
    #[error("{0}")]
    Upstream(String),
    /// The key for assertions is none.
    #[error("the assertion key is no private key for ES256")]
    Key,
}

impl PlanError {
    /// A stable word for scripts.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Verifier(_) => "gateway.verifier",
            Self::NoUpstream(_) | Self::Upstream(_) => "gateway.upstream",
            Self::NoIssuer => "gateway.issuer",
            Self::Key => "gateway.assertion_key",
        }
    }
}

impl From<NoUpstream> for PlanError {
    fn from(error: NoUpstream) -> Self {
        Self::Upstream(error.to_string())
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
        let plan = Plan::new(settings, None)?;
        Ok(Self {
            shared: Arc::new(Shared {
                plan: ArcSwap::from_pointee(plan),
                edge,
                is_ending: AtomicBool::new(false),
            }),
        })
    }

    /// Fetches the keys of every issuer and reaches its feed, so that the first
    /// request waits for neither; gives up after a while.
    pub async fn warm(&self) {
        warm(&self.shared.plan()).await;
    }

    /// Puts new settings in force at once; requests that run go on under the
    /// old ones, and open streams that the new ones refuse end. Settings with
    /// which nothing can be set up change nothing.
    pub async fn reload(&self, settings: Settings) -> Result<(), PlanError> {
        let before = self.shared.plan();
        let plan = Plan::new(settings, Some(&before))?;
        warm(&plan).await;
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
            match ready {
                Ok(Ok(())) => {}
                Ok(Err(why)) => return Err(why.to_string()),
                Err(_) => return Err("an issuer does not answer".into()),
            }
        }
        Ok(())
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

async fn warm(plan: &Plan) {
    for verifier in plan.verifiers() {
        // An issuer that is away makes its own tokens wait, and nothing else.
        let _ = tokio::time::timeout(WARMING, verifier.ready()).await;
    }
}
