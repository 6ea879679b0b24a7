//! `[[limit]]`, `[[plan]]`, and what a route says of them: the words alone. What
//! counts by them is the gateway.

use std::path::PathBuf;
use std::time::Duration;

use symbolon_token::Secret;

/// Limits and plans, and who counts.
#[derive(Debug, Default)]
pub struct GatewayQuotas {
    /// The limits.
    pub limits: Vec<GatewayLimit>,
    /// The plans.
    pub plans: Vec<GatewayPlan>,
    /// Where gateways count together.
    pub redis: Option<GatewayRedis>,
    /// Where it is told that a limit is nearly or all used up.
    pub webhook: Option<LimitWebhook>,
}

/// `[[limit]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayLimit {
    /// Its name.
    pub name: String,
    /// Who has a count of their own: a word of `PER`.
    pub per: String,
    /// What is counted.
    pub rule: LimitRule,
    /// Who counts.
    pub mode: LimitMode,
    /// Whether this process counts where nobody else can.
    pub local_on_error: bool,
    /// Whether what the upstream failed costs nothing.
    pub give_back: bool,
}

/// Who may have a count of their own.
pub(super) const PER: [&str; 6] = ["key", "client", "person", "organization", "plan", "address"];
/// The periods of the calendar.
pub(super) const PERIODS: [&str; 5] = ["hour", "day", "week", "month", "year"];

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitRule {
    /// `rate`.
    Rate {
        /// How much.
        limit: u64,
        /// In which span.
        period: Duration,
        /// How much at once.
        burst: u64,
    },
    /// `quota` with a `period` of the calendar: a word of `PERIODS`.
    Quota {
        /// How much.
        limit: u64,
        /// In which period.
        period: String,
    },
    /// `quota` with a `window`.
    Rolling {
        /// How much.
        limit: u64,
        /// In any span of this length.
        window: Duration,
    },
    /// `credits`.
    Credits {
        /// How many.
        capacity: u64,
        /// How many come back.
        refill: u64,
        /// How often.
        every: Duration,
    },
    /// `concurrency`.
    Concurrent {
        /// How many.
        limit: u64,
    },
}

impl LimitRule {
    /// The most that can be had at once.
    pub(super) const fn most(&self) -> u64 {
        match self {
            Self::Rate { burst, .. } => *burst,
            Self::Quota { limit, .. }
            | Self::Rolling { limit, .. }
            | Self::Concurrent { limit } => *limit,
            Self::Credits { capacity, .. } => *capacity,
        }
    }
}

/// `mode`, and `lease`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitMode {
    /// Each process for itself.
    Process,
    /// Together, each request.
    Strict,
    /// Together, in batches.
    Leased(u64),
}

/// `[[plan]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayPlan {
    /// Its name.
    pub name: String,
    /// The names of its limits.
    pub limits: Vec<String>,
    /// What it has.
    pub features: Vec<String>,
    /// Which clients have it.
    pub clients: Vec<String>,
    /// Which organizations have it.
    pub organizations: Vec<String>,
    /// Whether everybody has it who has no other.
    pub is_default: bool,
}

/// `redis_url`, and what is shown and checked there.
#[derive(Debug)]
pub struct GatewayRedis {
    /// One address, or several of one cluster.
    pub addresses: Vec<String>,
    /// Who comes, where that is said.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// Who signs its certificate: these alone. The usual ones without.
    pub authority: Option<PathBuf>,
}

/// `limit_webhook`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitWebhook {
    /// The name of an upstream.
    pub upstream: String,
    /// The path there.
    pub path: String,
}

/// What a route says of limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteQuota {
    /// The names of its limits.
    pub limits: Vec<String>,
    /// What one request costs.
    pub cost: u64,
    /// What it belongs to.
    pub feature: Option<String>,
}
