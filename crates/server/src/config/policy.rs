//! `[policy]` and `[risk]`: what the file says of them, read and compared. What
//! answers by it is the gateway; here stand the words alone.

use std::path::PathBuf;

use symbolon_protocol::Lifetime;
use symbolon_token::Secret;
use url::Url;

use super::finding::Location;

/// `[policy]`.
#[derive(Debug)]
pub struct PolicyConfig {
    /// Files of policies.
    pub files: Vec<PathBuf>,
    /// Files of schemas.
    pub schemas: Vec<PathBuf>,
    /// Files of entities.
    pub entities: Vec<PathBuf>,
    /// Whether answers stand in the log alone.
    pub is_shadow: bool,
    /// The evaluation endpoint of a decision point elsewhere.
    pub authzen_url: Option<Url>,
    /// What is shown there.
    pub authzen_token: Option<Secret>,
    /// How long it may take.
    pub authzen_timeout: Lifetime,
    /// What callers of the gateway's own decision point show.
    pub evaluation_token: Option<Secret>,
    /// The origin under which they reach it.
    pub evaluation_url: Option<String>,
    /// Where the section stands.
    pub at: Location,
}

/// What a route says of policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoutePolicy {
    /// Nothing.
    #[default]
    AsUsual,
    /// Answers act.
    Enforce,
    /// Answers stand in the log alone.
    Shadow,
    /// None is asked.
    Off,
}

/// `[risk]`.
#[derive(Debug)]
pub struct RiskConfig {
    /// Whether thresholds stand in the log alone.
    pub is_shadow: bool,
    /// What signals weigh, where that is not as usual.
    pub weights: Vec<(String, u8)>,
    /// From which score on a person signs in again.
    pub step_up: Option<u8>,
    /// In one of these classes.
    pub step_up_acr: Vec<String>,
    /// How long ago at most.
    pub step_up_max_age: Option<Lifetime>,
    /// From which score on a request is refused.
    pub refuse: Option<u8>,
    /// From which score on a token is taken back.
    pub revoke: Option<u8>,
    /// Where, and what is shown there.
    pub revoke_at: Option<(Url, Secret)>,
    /// The table of places.
    pub places: Option<PathBuf>,
    /// After which time something new is usual.
    pub familiar_after: Lifetime,
    /// How many refusals are unusual.
    pub failures: u8,
    /// Within which time.
    pub failures_within: Lifetime,
    /// How fast anybody travels.
    pub max_speed_kmh: u32,
    /// Where the table of places is named.
    pub at: Location,
}

/// The words of all signals.
pub const RISK_SIGNALS: [&str; 6] = [
    "new_network",
    "impossible_travel",
    "new_user_agent",
    "missing_binding",
    "failures",
    "security_event",
];
