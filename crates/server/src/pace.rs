//! How often devices may ask: kept in memory, since a poll writes nothing.
//!
//! A device that asks before its interval is over is told to slow down, and its
//! interval grows by five seconds for good. Each node keeps the pace that it saw;
//! after a restart every interval is the first one again.
//!
//! Spec: RFC 8628 §3.5

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use symbolon_protocol::Timestamp;
use symbolon_token::{DeviceAuthorization, Id};

/// The first interval, and what it grows by, in seconds.
pub(crate) const INTERVAL_SECONDS: u64 = 5;
/// How much sooner than its interval a poll may arrive: networks are uneven.
const SLACK: Duration = Duration::from_millis(500);
/// How many devices are watched at once.
const MAX_DEVICES: u64 = 100_000;
/// How long a device that does not ask is remembered.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// The pace of every device that waits.
pub(crate) struct PollPace(Cache<Id<DeviceAuthorization>, Arc<Mutex<Pace>>>);

struct Pace {
    last: Option<Timestamp>,
    interval: Duration,
}

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

    /// Takes note of a poll of what still waits. Only what is in the store gets
    /// here, so a stranger's inventions are not remembered.
    pub(crate) fn poll(&self, device: Id<DeviceAuthorization>, now: Timestamp) -> Polled {
        let pace = self.0.get_with(device, || {
            Arc::new(Mutex::new(Pace {
                last: None,
                interval: Duration::from_secs(INTERVAL_SECONDS),
            }))
        });
        let mut pace = pace.lock().unwrap_or_else(PoisonError::into_inner);
        let last = pace.last.replace(now);
        let is_early = |last: Timestamp| now.since(last) + SLACK < pace.interval;
        if last.is_some_and(is_early) {
            pace.interval += Duration::from_secs(INTERVAL_SECONDS);
            return Polled::TooSoon;
        }
        Polled::InTime
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
        let mut after = |seconds| {
            now = now + Duration::from_secs(seconds);
            pace.poll(device(1), now)
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
        pace.poll(device(1), START);

        assert_eq!(pace.poll(device(2), START), Polled::InTime);
        assert_eq!(pace.poll(device(1), START), Polled::TooSoon);
    }

    #[test]
    fn a_poll_that_the_network_sped_up_a_little_is_in_time() {
        let pace = PollPace::new();
        pace.poll(device(1), START);

        let almost = START + Duration::from_millis(4_600);

        assert_eq!(pace.poll(device(1), almost), Polled::InTime);
    }
}
