//! How far this node's clock and the database's are apart.
//!
//! Nodes whose clocks differ by half a minute work together. One that is
//! further off issues tokens that others refuse, or that live too long, so it
//! says that it is not ready, until its clock is set right.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_store::ReadClock;

use crate::app::App;

/// How far clocks may be apart: twice of what nodes are known to bear.
pub(crate) const MOST_APART: Duration = Duration::from_secs(60);

/// What was measured last, in milliseconds: more than nothing where this
/// node's clock is ahead.
#[derive(Debug, Default)]
pub(crate) struct Apart(AtomicI64);

impl Apart {
    /// Whether the clocks are too far apart to be ready.
    pub(crate) fn is_too_far(&self) -> bool {
        is_too_far(self.0.load(Ordering::Relaxed))
    }

    /// A time by which something is done that cannot be undone: no later than
    /// the database's clock says that it is. `told` is this node's own.
    pub(crate) fn at_most(&self, time: Timestamp, told: Timestamp) -> Timestamp {
        let ahead = self.0.load(Ordering::Relaxed).max(0);
        time.min(Timestamp::from_millis(told.millis().saturating_sub(ahead)))
    }

    /// A time that has come by the database's clock, or will have in a moment:
    /// whatever it has forgotten had ended by then. `told` is this node's own.
    pub(crate) fn at_least(&self, told: Timestamp) -> Timestamp {
        let behind = self.0.load(Ordering::Relaxed).min(0);
        Timestamp::from_millis(told.millis().saturating_sub(behind))
    }

    /// Takes a measurement in; answers what is to be said of it: that the
    /// clocks have gone too far apart, or that they are together again.
    fn note(&self, apart_ms: i64) -> Option<bool> {
        let before = self.0.swap(apart_ms, Ordering::Relaxed);
        let is_far = is_too_far(apart_ms);
        (is_far != is_too_far(before)).then_some(is_far)
    }
}

fn is_too_far(apart_ms: i64) -> bool {
    u128::from(apart_ms.unsigned_abs()) > MOST_APART.as_millis()
}

/// How far this node is ahead of a time that was read between two moments of
/// its own: nothing where it may have been any of those.
fn ahead_ms(before: Timestamp, read: Timestamp, after: Timestamp) -> i64 {
    let read = read.millis();
    if read < before.millis() {
        before.millis() - read
    } else {
        (after.millis() - read).min(0)
    }
}

impl App {
    /// The time by which what cannot be undone is done: not by a clock that may
    /// have jumped ahead, and never later than by the database's.
    pub(crate) fn sure(&self) -> Timestamp {
        let told = self.edge.clock.now();
        self.apart.at_most(self.steady.sure(), told)
    }

    /// The time that may be written down as having come. Asked once a minute.
    pub(crate) fn believed(&self) -> Timestamp {
        let told = self.edge.clock.now();
        self.apart.at_most(self.steady.believed(), told)
    }
}

/// Compares the clocks. Where the database cannot be asked, what was known
/// stays: that it is away is told elsewhere.
pub(crate) async fn measure(app: Arc<App>) {
    let before = app.edge.clock.now();
    let Ok(Some(read)) = app.store.read(ReadClock).await else {
        return;
    };
    let apart_ms = ahead_ms(before, read, app.edge.clock.now());
    crate::metric::apart(apart_ms);
    match app.apart.note(apart_ms) {
        Some(true) => tracing::warn!(
            ahead_seconds = apart_ms / 1000,
            most_seconds = MOST_APART.as_secs(),
            "the clocks of this machine and of the database are too far apart: this node is not ready until they are set right; let both follow one time server"
        ),
        Some(false) => {
            tracing::info!("the clocks of this machine and of the database are together again")
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + ms)
    }

    #[test]
    fn what_may_have_been_the_same_moment_is_not_apart() {
        assert_eq!(ahead_ms(at(0), at(0), at(0)), 0);
        assert_eq!(ahead_ms(at(0), at(1_500), at(2_000)), 0);
    }

    #[test]
    fn the_least_is_told_that_the_clocks_are_apart() {
        assert_eq!(ahead_ms(at(0), at(-5_000), at(2_000)), 5_000);
        assert_eq!(ahead_ms(at(0), at(9_000), at(2_000)), -7_000);
    }

    /// A clock that stays ahead is believed after an hour where nothing speaks
    /// against it; the database's does.
    #[test]
    fn no_time_is_later_than_the_databases() {
        let apart = Apart::default();
        assert_eq!(apart.at_most(at(90_000), at(90_000)), at(90_000));

        apart.note(86_400_000);

        assert_eq!(apart.at_most(at(86_400_000), at(86_400_000)), at(0));
        assert_eq!(apart.at_most(at(-5), at(86_400_000)), at(-5));
        apart.note(-30_000);
        assert_eq!(apart.at_most(at(0), at(0)), at(0), "nor is any hurried");
    }

    #[test]
    fn half_a_minute_is_borne_and_what_is_over_a_minute_is_told_once() {
        let apart = Apart::default();

        let told: Vec<_> = [30_000, -30_000, 60_000, 60_001, 90_000, -61_000, 10]
            .map(|ms| (apart.note(ms), apart.is_too_far()))
            .into();

        let quiet = (None, false);
        let far = (None, true);
        let expected = [quiet, quiet, quiet, (Some(true), true), far, far];
        assert_eq!(told[..6], expected);
        assert_eq!(told[6], (Some(false), false));
    }
}
