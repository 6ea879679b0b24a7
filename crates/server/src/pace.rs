//! How often devices may ask. When one asked last is kept in memory, since a poll
//! in time writes nothing; how often it came too soon is in the store.
//!
//! A device that asks before its interval is over is told to slow down, and its
//! interval grows by five seconds for good, at every node and over restarts. A
//! node times what it saw itself, so a device that asks N nodes by turns may ask
//! N times as often before the first of them finds it too soon, and no more:
//! from then on all of them know the longer interval. What it gains is answers
//! that nobody has decided yet; its code is no easier to guess.
//!
//! Spec: RFC 8628 §3.5

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use symbolon_protocol::Timestamp;
use symbolon_token::{DeviceAuthorization, Id};

/// The first interval, and what it grows by, in seconds.
pub(crate) const INTERVAL_SECONDS: u64 = 5;
/// How often an interval grows: to five minutes and five seconds.
pub(crate) const MAX_SLOWED: u32 = 60;
/// How much sooner than its interval a poll may arrive: networks are uneven.
const SLACK: Duration = Duration::from_millis(500);
/// How many devices are watched at once.
const MAX_DEVICES: u64 = 100_000;
/// How long a device that does not ask is remembered.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// The pace of every device that waits.
pub(crate) struct PollPace(Cache<Id<DeviceAuthorization>, Arc<Mutex<Option<Timestamp>>>>);

/// Whether a device kept its interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Polled {
    InTime,
    TooSoon,
}

impl PollPace {
    pub(crate) fn new() -> Self {
        Self(
            Cache::builder()
                .max_capacity(MAX_DEVICES)
                .time_to_idle(IDLE)
                .build(),
        )
    }

    /// Takes note of a poll of what still waits and was told so often to slow
    /// down. Only what is in the store gets here, so a stranger's inventions are
    /// not remembered.
    pub(crate) fn poll(
        &self,
        device: Id<DeviceAuthorization>,
        slowed: u32,
        now: Timestamp,
    ) -> Polled {
        let last = self.0.get_with(device, Arc::default);
        let last = last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(now);
        let interval = Duration::from_secs(INTERVAL_SECONDS) * (1 + slowed.min(MAX_SLOWED));
        match last {
            Some(last) if now.since(last) + SLACK < interval => Polled::TooSoon,
            _ => Polled::InTime,
        }
    }
}

#[cfg(test)]
mod tests {
    use symbolon_testkit::START;

    use super::*;

    fn device(byte: u8) -> Id<DeviceAuthorization> {
        let mut bytes = [byte; 16];
        bytes[0] = 0;
        Id::from_bytes(bytes).unwrap()
    }

    #[test]
    fn the_interval_grows_for_good_whenever_a_device_asks_too_soon() {
        let pace = PollPace::new();
        let mut now = START;
        let mut slowed = 0;
        let mut after = |seconds| {
            now = now + Duration::from_secs(seconds);
            let polled = pace.poll(device(1), slowed, now);
            slowed += u32::from(polled == Polled::TooSoon);
            polled
        };

        assert_eq!(after(0), Polled::InTime, "the first poll comes at once");
        assert_eq!(after(5), Polled::InTime);
        assert_eq!(after(1), Polled::TooSoon, "now ten seconds");
        assert_eq!(after(9), Polled::TooSoon, "now fifteen seconds");
        assert_eq!(after(15), Polled::InTime);
        assert_eq!(after(10), Polled::TooSoon, "it does not shrink again");
    }

    #[test]
    fn one_device_does_not_slow_another_down() {
        let pace = PollPace::new();
        pace.poll(device(1), 0, START);

        assert_eq!(pace.poll(device(2), 0, START), Polled::InTime);
        assert_eq!(pace.poll(device(1), 0, START), Polled::TooSoon);
    }

    #[test]
    fn a_poll_that_the_network_sped_up_a_little_is_in_time() {
        let pace = PollPace::new();
        pace.poll(device(1), 0, START);

        let almost = START + Duration::from_millis(4_600);

        assert_eq!(pace.poll(device(1), 0, almost), Polled::InTime);
    }
}
