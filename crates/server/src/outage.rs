//! How a fault that lasts is told: when it begins, once a minute, and when it
//! is over; not five times a second.

use std::time::Duration;

/// How long nothing is said after something was.
const SILENCE: Duration = Duration::from_secs(60);

/// What is known of a fault that lasts.
#[derive(Debug, Default)]
pub(crate) struct Outage(Option<Lasting>);

#[derive(Debug)]
struct Lasting {
    since: Duration,
    told: Duration,
    times: u64,
}

/// What is to be said of a failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is the first, or nothing was said for a while: how often it has
    /// failed since the beginning.
    Now {
        /// This time included.
        times: u64,
    },
    /// Nothing.
    Silent,
}

/// A fault that has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Over {
    /// How often it failed.
    pub(crate) times: u64,
    /// For how long.
    pub(crate) lasted: Duration,
}

impl Outage {
    /// Notes a failure at an instant of the monotonic clock.
    pub(crate) fn failed(&mut self, now: Duration) -> Told {
        let Some(lasting) = &mut self.0 else {
            self.0 = Some(Lasting {
                since: now,
                told: now,
                times: 1,
            });
            return Told::Now { times: 1 };
        };
        lasting.times += 1;
        if now.saturating_sub(lasting.told) < SILENCE {
            return Told::Silent;
        }
        lasting.told = now;
        Told::Now {
            times: lasting.times,
        }
    }

    /// Notes a success; what was over by it.
    pub(crate) fn worked(&mut self, now: Duration) -> Option<Over> {
        let lasting = self.0.take()?;
        Some(Over {
            times: lasting.times,
            lasted: now.saturating_sub(lasting.since),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_outage_is_told_once_a_minute_and_at_its_end() {
        let (mut outage, mut lines) = (Outage::default(), Vec::new());
        let poll = Duration::from_millis(200);

        for turn in 0..5 * 60 * 60 {
            if let Told::Now { times } = outage.failed(poll * turn) {
                lines.push(times);
            }
        }
        let over = outage.worked(poll * (5 * 60 * 60)).unwrap();

        assert_eq!(lines.len(), 60);
        assert_eq!(lines[..3], [1, 301, 601]);
        assert_eq!(
            (over.times, over.lasted),
            (18_000, Duration::from_secs(3600))
        );
    }

    #[test]
    fn what_works_says_nothing_and_the_next_outage_begins_anew() {
        let mut outage = Outage::default();
        assert_eq!(outage.worked(Duration::ZERO), None);
        assert_eq!(outage.failed(Duration::ZERO), Told::Now { times: 1 });
        assert_eq!(outage.failed(Duration::from_secs(1)), Told::Silent);
        assert!(outage.worked(Duration::from_secs(2)).is_some());

        let again = outage.failed(Duration::from_secs(3));

        assert_eq!(again, Told::Now { times: 1 });
    }
}
