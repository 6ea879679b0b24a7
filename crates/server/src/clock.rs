//! The edge: the one place where the real clock and the real randomness are read.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use symbolon_protocol::Timestamp;
use symbolon_token::{Clock, Entropy};

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// Starts measuring durations now.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the edge that the lint points to"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }
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
        self.0.elapsed()
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
