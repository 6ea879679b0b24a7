//! Fixed clock, seeded randomness, sizes of tests, peers, ports, a network that
//! fails: for tests only.

pub mod linear;
#[expect(clippy::expect_used, reason = "a test without its peer stops there")]
mod peer;
#[expect(clippy::expect_used, reason = "a test without its port stops there")]
mod port;
mod proxy;
mod size;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_token::{Clock, Digest, Entropy};

pub use peer::Peer;
pub use port::free_port;
pub use proxy::Proxy;
pub use size::Row;

/// The instant at which test clocks start: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_seconds(1_767_225_600);

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock that shows [`START`].
    pub fn new() -> Self {
        Self::at(START)
    }

    /// A clock that shows an instant.
    pub fn at(instant: Timestamp) -> Self {
        Self(AtomicI64::new(instant.millis()))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(
            i64::try_from(by.as_millis()).unwrap_or(i64::MAX),
            Ordering::SeqCst,
        );
    }

    /// Sets the clock back.
    pub fn set_back(&self, by: Duration) {
        self.0.fetch_sub(
            i64::try_from(by.as_millis()).unwrap_or(i64::MAX),
            Ordering::SeqCst,
        );
    }
}

impl Default for FixedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.now().since(Timestamp::EPOCH)
    }
}

/// Randomness that is the same in every run with the same seed.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: u64,
    drawn: AtomicU64,
}

impl SeededEntropy {
    /// Begins a stream.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            drawn: AtomicU64::new(0),
        }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let number = self.drawn.fetch_add(1, Ordering::SeqCst);
            let block = Digest::of(&[self.seed.to_be_bytes(), number.to_be_bytes()].concat());
            chunk.copy_from_slice(&block.as_bytes()[..chunk.len()]);
        }
    }
}

/// An instant from its RFC 3339 seconds, as tests write it.
pub fn at(seconds_after_start: i64) -> Timestamp {
    Timestamp::from_seconds(START.seconds() + seconds_after_start)
}
