//! What one request is charged with, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use super::count::Standing;
use super::settings::Limit;
use super::subject::Subject;

/// One limit that one request is asked of.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    pub(crate) limit: Arc<Known>,
    pub(crate) subject: Subject,
    /// Whose count it is, in words, for those who are told.
    pub(crate) whose: Arc<Whose>,
    pub(crate) amount: u64,
}

/// Whose count it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Whose {
    pub(crate) per: &'static str,
    pub(crate) issuer: String,
    pub(crate) name: String,
}

/// A limit, and what its counts are found by.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) limit: Limit,
    /// Name and kind: a limit whose number was changed goes on with its counts,
    /// one that became another kind begins anew.
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "only shared counts are found by it")
    )]
    pub(crate) id: String,
    pub(crate) number: u64,
}

/// What was charged, and can be given back.
#[derive(Debug, Clone)]
pub(crate) struct Receipt {
    pub(crate) charge: Charge,
    pub(crate) standing: Standing,
    pub(crate) counted: Counted,
}

/// Who counted.
#[cfg_attr(
    not(feature = "redis"),
    expect(
        dead_code,
        reason = "only gateways that count together do so elsewhere"
    )
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    Here,
    Together,
    /// Out of a batch that this process has.
    Leased,
}

/// Why a request may not pass.
#[derive(Debug)]
pub(crate) enum Denied {
    /// It would go beyond limits.
    Exceeded(Vec<Violated>),
    /// Nobody can count.
    Unavailable(Charge),
}

/// A limit that a request would go beyond.
#[derive(Debug)]
pub(crate) struct Violated {
    pub(crate) charge: Charge,
    pub(crate) standing: Standing,
    /// After which time it would not, if ever.
    pub(crate) wait: Option<Duration>,
}
