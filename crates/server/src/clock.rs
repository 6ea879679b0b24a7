//! The edge: the one place where the real clock and the real randomness are read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use symbolon_protocol::Timestamp;
use symbolon_token::{Clock, Entropy};

/// The machine's clock. Durations count on while the machine sleeps or a virtual
/// one is paused: what was known before is as old as it is.
#[derive(Debug)]
pub struct SystemClock(Duration);

impl SystemClock {
    /// Starts measuring durations now.
    pub fn start() -> Self {
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
#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge that the lint points to"
)]
fn running() -> Duration {
    static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    BEGAN.get_or_init(std::time::Instant::now).elapsed()
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the edge that the lint points to"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::EPOCH + since
    }

    fn monotonic(&self) -> Duration {
        running().saturating_sub(self.0)
    }
}

/// The operating system's randomness, by way of the cryptographic library.
#[derive(Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::expect_used,
        reason = "there is no safe answer without randomness"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        symbolon_token::clock::system_random(bytes).expect("the operating system gives randomness");
    }
}
