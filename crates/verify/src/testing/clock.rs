//! A clock that stands still.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_token::Clock;

/// The instant at which it begins: 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000;

/// A clock that moves only when it is told to; in milliseconds.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl TestClock {
    pub(super) const fn new() -> Self {
        Self(AtomicI64::new(START))
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.now().since(Timestamp::EPOCH)
    }
}
