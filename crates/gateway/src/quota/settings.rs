//! What a gateway is told of limits and plans. Whoever makes these has checked
//! that names are there once and lead somewhere.

use std::path::PathBuf;
use std::time::Duration;

use symbolon_token::Secret;

use super::period::Period;

/// Everything about limits and plans.
#[derive(Debug, Default)]
pub struct Quotas {
    /// The limits, by name.
    pub limits: Vec<Limit>,
    /// The plans.
    pub plans: Vec<ServicePlan>,
    /// Whose clients, organizations and API keys plans are for: what another
    /// issuer calls by the same name has the default plan.
    pub issuer: Option<String>,
    /// Where gateways count together; each for itself without.
    pub redis: Option<Redis>,
    /// Where it is told that a limit is nearly or all used up.
    pub notices: Option<Notices>,
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name, which answers and numbers carry.
    pub name: String,
    /// Who has a count of their own.
    pub per: Per,
    /// What is counted, and how far.
    pub rule: Rule,
    /// Who counts, where gateways count together.
    pub counting: Counting,
    /// What becomes of a request where nobody can count.
    pub on_error: OnError,
    /// What becomes of what was spent where the upstream failed.
    pub upstream_failed: Spent,
}

/// Who has a count of their own. Whoever has no key, person or organization
/// counts as the client that calls, so that leaving one out escapes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Per {
    /// Each API key.
    Key,
    /// Each client.
    Client,
    /// Each person.
    Person,
    /// Each organization.
    Organization,
    /// All who have one plan together.
    Plan,
    /// Each address, IPv6 by its first 64 bits.
    Address,
}

impl Per {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Client => "client",
            Self::Person => "person",
            Self::Organization => "organization",
            Self::Plan => "plan",
            Self::Address => "address",
        }
    }
}

/// What is counted, and how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// So much for each period, evenly, and at most `burst` at once.
    Rate {
        /// How much.
        limit: u64,
        /// In which span.
        period: Duration,
        /// How much at once.
        burst: u64,
    },
    /// So much in each period of the calendar.
    Quota {
        /// How much.
        limit: u64,
        /// In which period.
        period: Period,
    },
    /// So much in any span of this length.
    Rolling {
        /// How much.
        limit: u64,
        /// The span.
        window: Duration,
    },
    /// A balance that is spent and filled up again.
    Credits {
        /// The balance to begin with, and at most.
        capacity: u64,
        /// How much comes back.
        refill: u64,
        /// How often.
        every: Duration,
    },
    /// So many at the same time.
    Concurrent {
        /// How many.
        limit: u64,
    },
}

impl Rule {
    /// The most that can be had at once.
    pub const fn most(&self) -> u64 {
        match self {
            Self::Rate { burst, .. } => *burst,
            Self::Quota { limit, .. }
            | Self::Rolling { limit, .. }
            | Self::Concurrent { limit } => *limit,
            Self::Credits { capacity, .. } => *capacity,
        }
    }

    /// Whether places are held instead of units spent.
    pub(crate) const fn is_held(&self) -> bool {
        matches!(self, Self::Concurrent { .. })
    }
}

/// Who counts, where gateways count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// This process for itself.
    Process,
    /// All together: each request is asked for.
    Strict,
    /// All together, in batches that each gateway takes and spends. At worst
    /// the limit is passed by one batch for each gateway.
    Leased {
        /// How large a batch is.
        batch: u64,
    },
}

/// What becomes of a request where nobody can count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// It is refused with 503.
    Refuse,
    /// This process counts for itself for the while.
    Local,
}

/// What becomes of what was spent on a request that the upstream failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// It stays spent.
    Stays,
    /// It is given back.
    GivenBack,
}

/// A plan: what whoever has it may use, and how much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePlan {
    /// Its name.
    pub name: String,
    /// The features that it has.
    pub features: Vec<String>,
    /// The names of its limits.
    pub limits: Vec<String>,
    /// The clients that have it.
    pub clients: Vec<String>,
    /// The organizations that have it.
    pub organizations: Vec<String>,
    /// Whether everybody has it who has no other.
    pub is_default: bool,
}

/// Where gateways count together.
#[derive(Debug)]
pub struct Redis {
    /// One address, or several of one cluster.
    pub addresses: Vec<String>,
    /// Who comes, where it has users.
    pub user: Option<String>,
    /// The password, where there is one.
    pub password: Option<Secret>,
    /// Who signs its certificate, in PEM: these alone. Without, those whom the
    /// web believes.
    pub authority: Option<PathBuf>,
    /// How long one act may take, its connection included.
    pub deadline: Duration,
}

impl Redis {
    /// How long one act may take where nothing else is said.
    pub const DEADLINE: Duration = Duration::from_millis(250);
}

/// Where it is told that a limit is nearly or all used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notices {
    /// The name of an upstream.
    pub upstream: String,
    /// The path there.
    pub path: String,
}

/// What a route says of limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteQuota {
    /// The names of its limits, besides those of the caller's plan.
    pub limits: Vec<String>,
    /// What one request costs; none of its limits is asked where that is nothing,
    /// those of how many at a time apart.
    pub cost: u64,
    /// The feature that the caller's plan has to have.
    pub feature: Option<String>,
}

impl Default for RouteQuota {
    fn default() -> Self {
        Self {
            limits: Vec::new(),
            cost: 1,
            feature: None,
        }
    }
}
