//! The machine's own clock and randomness: the edge where both come from.
//!
//! Durations count on while the machine sleeps or a virtual one is paused: what was
//! known before is as old as it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use symbolon_protocol::Timestamp;
use symbolon_token::{Clock, Entropy};

#[derive(Debug)]
pub(crate) struct SystemClock(Duration);

impl SystemClock {
    pub(crate) fn new() -> Self {
        Self(running())
    }
}

/// How long the machine has run.
#[cfg(target_os = "linux")]
fn running() -> Duration {
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(since.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(since.tv_nsec).unwrap_or_default())
}

/// How long the machine has run, sleep left out: other systems say no more.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn running() -> Duration {
    static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    BEGAN.get_or_init(std::time::Instant::now).elapsed()
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        // A clock before 1970 shows 1970: then every token is from the future.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::EPOCH + since
    }

    fn monotonic(&self) -> Duration {
        running().saturating_sub(self.0)
    }
}

#[derive(Debug)]
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the entropy")]
    fn fill(&self, bytes: &mut [u8]) {
        if aws_lc_rs::rand::fill(bytes).is_err() {
            // There is no safe answer without randomness.
            std::process::abort();
        }
    }
}
