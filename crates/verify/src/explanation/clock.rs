//! This machine's clock beside the issuer's.
//!
//! Spec: RFC 9110 §6.6.1

use serde::Serialize;
use symbolon_protocol::Timestamp;

use crate::verifier::Verifier;

/// A difference below this many seconds is how exact the header is.
const EXACT_SECONDS: i64 = 2;

/// What time it is here, and there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClockShown {
    /// What time it is on this machine.
    pub here: String,
    /// What time the issuer says it is (its `Date` header).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// By how many seconds this machine is ahead of the issuer; negative where
    /// it is behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead_seconds: Option<i64>,
    /// By how many seconds they may differ.
    pub allowed_seconds: u64,
}

impl ClockShown {
    /// By how many seconds this machine is ahead, where that is more than the
    /// header can tell.
    pub(super) fn ahead(&self) -> Option<i64> {
        self.ahead_seconds.filter(|own| own.abs() > EXACT_SECONDS)
    }
}

impl Verifier {
    /// Asks the issuer for its key set once more, to read the time of the
    /// answer; the middle of the exchange is when it was written.
    pub(super) async fn compare_clocks(&self) -> ClockShown {
        let inner = &self.inner;
        let before = inner.config.clock.now();
        let said = match inner.sources.discovery.find().await {
            Ok(found) => inner.config.http.read(&found.jwks_uri).await.ok(),
            Err(_) => None,
        };
        let here = inner.config.clock.now();
        let middle = Timestamp::from_millis(i64::midpoint(before.millis(), here.millis()));
        let issuer = said.and_then(|answer| answer.date);
        ClockShown {
            here: here.to_string(),
            issuer: issuer.map(|own| own.to_string()),
            ahead_seconds: issuer.map(|own| middle.seconds() - own.seconds()),
            allowed_seconds: inner.config.skew.as_secs(),
        }
    }
}
