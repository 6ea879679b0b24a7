//! A wall clock that does not run backwards: what has expired stays so.
//!
//! Where the machine's clock jumps back, time goes on as the monotonic clock
//! counts it. A jump ahead is followed at once, since it can only make things
//! expire, but it is not believed: when the clock returns, so does the time.
//! Across restarts the store keeps the latest time that was believed; where the
//! clock is ahead of it at a start, that is a jump like any other.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_token::Clock;

/// What is less is no jump: the clocks of a machine drift apart.
const DRIFT_MS: i64 = 60_000;
/// Who is behind by more was ahead before, and has been set right.
const REPAIR_MS: i64 = 12 * 60 * 60 * 1000;
/// How often in turn the clock has to be found ahead until that is believed;
/// it is asked once a minute.
const PATIENCE: u32 = 60;

/// A clock in front of the machine's own.
#[derive(Debug)]
pub(crate) struct Steady {
    inner: Arc<dyn Clock>,
    /// What the time that was told is ahead of the monotonic clock, in
    /// milliseconds.
    offset: AtomicI64,
    /// The same of the time that is believed.
    sure: AtomicI64,
    /// How often in turn it was found ahead of that.
    ahead: AtomicU32,
}

impl Steady {
    /// Begins with the later of the clock's own time and the latest time that
    /// was believed before, unless that is too far away to be true.
    pub(crate) fn new(inner: Arc<dyn Clock>, believed: Timestamp) -> Self {
        let wall = inner.now().millis();
        let gone_back = believed.millis().saturating_sub(wall);
        let is_known = believed > Timestamp::EPOCH;
        let (begin, sure) = if gone_back > REPAIR_MS {
            tracing::error!(
                hours = gone_back / 3_600_000,
                "the clock is behind the time that this installation has seen; it is taken to have been set right"
            );
            (wall, wall)
        } else {
            let begin = wall.max(believed.millis());
            (begin, if is_known { believed.millis() } else { begin })
        };
        let after = |time: i64| AtomicI64::new(time.saturating_sub(since(&*inner)));
        let (offset, sure) = (after(begin), after(sure));
        Self {
            inner,
            offset,
            sure,
            ahead: AtomicU32::new(0),
        }
    }

    /// The time that may be written down as having come: a jump ahead counts
    /// only once it has lasted an hour. Asked once a minute.
    pub(crate) fn believed(&self) -> Timestamp {
        let wall = self.inner.now().millis();
        // Who was ahead has been set right: what is told from here on does not
        // run backwards either.
        for offset in [&self.offset, &self.sure] {
            if self.time(offset).saturating_sub(wall) > REPAIR_MS {
                self.set(offset, wall);
            }
        }
        let sure = self.time(&self.sure);
        let ahead = wall.saturating_sub(sure);
        if ahead <= 0 {
            self.ahead.store(0, Ordering::Relaxed);
            return Timestamp::from_millis(sure);
        }
        let turns = self.ahead.fetch_add(1, Ordering::Relaxed);
        if ahead <= DRIFT_MS || turns >= PATIENCE {
            self.ahead.store(0, Ordering::Relaxed);
            self.set(&self.sure, wall);
            if self.time(&self.offset) < wall {
                self.set(&self.offset, wall);
            }
            return Timestamp::from_millis(wall);
        }
        Timestamp::from_millis(sure)
    }

    /// The time by which what cannot be undone is done: that of the clock, but
    /// where that has jumped ahead, what was believed before goes on.
    pub(crate) fn sure(&self) -> Timestamp {
        let (told, sure) = (self.now().millis(), self.time(&self.sure));
        let is_jump = told.saturating_sub(sure) > DRIFT_MS;
        Timestamp::from_millis(if is_jump { sure } else { told })
    }

    /// Takes the time as it is told for time that has passed.
    #[cfg(feature = "testing")]
    pub(crate) fn believe(&self) {
        let told = self.now().millis();
        for offset in [&self.offset, &self.sure] {
            self.set(offset, told);
        }
    }

    fn time(&self, offset: &AtomicI64) -> i64 {
        let offset = offset.load(Ordering::Relaxed);
        offset.saturating_add(since(&*self.inner))
    }

    fn set(&self, offset: &AtomicI64, time: i64) {
        let time = time.saturating_sub(since(&*self.inner));
        offset.store(time, Ordering::Relaxed);
    }
}

fn since(clock: &dyn Clock) -> i64 {
    i64::try_from(clock.monotonic().as_millis()).unwrap_or(i64::MAX)
}

impl Clock for Steady {
    fn now(&self) -> Timestamp {
        let (wall, steady) = (self.inner.now().millis(), self.time(&self.offset));
        let behind = steady.saturating_sub(wall);
        let is_repaired = behind > REPAIR_MS;
        Timestamp::from_millis(if is_repaired { wall } else { wall.max(steady) })
    }

    fn monotonic(&self) -> Duration {
        self.inner.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wall clock and a monotonic one that tests move apart.
    #[derive(Debug, Default)]
    struct Two {
        wall: AtomicI64,
        since: AtomicI64,
    }

    const HOUR: i64 = 3_600_000;
    const BEGIN: i64 = 1_767_225_600_000;

    impl Two {
        fn new() -> Arc<Self> {
            let two = Self::default();
            two.wall.store(BEGIN, Ordering::Relaxed);
            Arc::new(two)
        }

        fn jump(&self, by: i64) {
            self.wall.fetch_add(by, Ordering::Relaxed);
        }

        fn pass(&self, span: i64) {
            self.jump(span);
            self.since.fetch_add(span, Ordering::Relaxed);
        }
    }

    impl Clock for Two {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.wall.load(Ordering::Relaxed))
        }

        fn monotonic(&self) -> Duration {
            let since = self.since.load(Ordering::Relaxed);
            Duration::from_millis(since.unsigned_abs())
        }
    }

    fn steady(two: &Arc<Two>) -> Steady {
        Steady::new(Arc::clone(two) as _, Timestamp::EPOCH)
    }

    #[test]
    fn an_hour_back_turns_no_time_back() {
        let two = Two::new();
        let clock = steady(&two);
        two.pass(10 * HOUR);

        two.jump(-HOUR);
        assert_eq!(clock.now().millis(), BEGIN + 10 * HOUR);
        two.pass(1_000);

        assert_eq!(clock.now().millis(), BEGIN + 10 * HOUR + 1_000);
        assert_eq!(clock.believed(), clock.now());
        assert_eq!(clock.sure(), clock.now());
    }

    #[test]
    fn a_day_ahead_is_followed_and_left_again_and_never_believed() {
        let two = Two::new();
        let clock = steady(&two);

        two.jump(24 * HOUR);
        assert_eq!(clock.now().millis(), BEGIN + 24 * HOUR);
        assert_eq!(clock.believed().millis(), BEGIN);
        assert_eq!(clock.sure().millis(), BEGIN);
        two.jump(-24 * HOUR);

        assert_eq!(clock.now().millis(), BEGIN);
        assert_eq!(clock.believed().millis(), BEGIN);
    }

    /// A strobe of ten seconds at ten times a second.
    #[test]
    fn a_clock_that_flickers_tells_a_time_that_only_grows() {
        let two = Two::new();
        let clock = steady(&two);
        let mut last = clock.believed();

        for turn in 0..1_000 {
            two.pass(100);
            two.jump(if turn % 2 == 0 { 10_000 } else { -10_000 });
            let believed = clock.believed();
            assert!(believed >= last, "{believed:?} after {last:?}");
            last = believed;
        }

        assert!(last.millis() <= BEGIN + 1_000 * 100 + 10_000);
    }

    #[test]
    fn a_jump_ahead_that_lasts_an_hour_is_believed() {
        let two = Two::new();
        let clock = steady(&two);
        two.jump(30 * HOUR);

        let turns = (0..200).take_while(|_| {
            two.pass(60_000);
            clock.believed().millis() < BEGIN + 30 * HOUR
        });

        assert_eq!(turns.count(), 60);
        assert_eq!(clock.believed(), clock.now());
        assert_eq!(clock.sure(), clock.now());
    }

    #[test]
    fn what_was_believed_before_a_restart_holds_unless_it_cannot_be_true() {
        let two = Two::new();
        let later = |hours: i64| Timestamp::from_millis(BEGIN + hours * HOUR);

        let clock = Steady::new(Arc::clone(&two) as _, later(1));
        assert_eq!(clock.now(), later(1));

        let clock = Steady::new(Arc::clone(&two) as _, later(24));
        assert_eq!(clock.now().millis(), BEGIN);
    }

    /// A process that begins while the clock is ahead knows no better, but for
    /// what the store keeps.
    #[test]
    fn a_start_ahead_is_believed_only_once_it_has_lasted_an_hour() {
        let two = Two::new();
        let later = |hours: i64| Timestamp::from_millis(BEGIN + hours * HOUR);
        two.jump(24 * HOUR);

        let clock = Steady::new(Arc::clone(&two) as _, later(0));

        assert_eq!((clock.now(), clock.believed()), (later(24), later(0)));
        let turns = (0..200).take_while(|_| {
            two.pass(60_000);
            clock.believed() < later(24)
        });
        assert_eq!(turns.count(), 59);
        assert_eq!(clock.believed(), clock.now());
    }

    #[test]
    fn a_clock_that_was_set_right_still_does_not_run_backwards() {
        let two = Two::new();
        two.jump(24 * HOUR);
        let clock = Steady::new(Arc::clone(&two) as _, Timestamp::from_millis(BEGIN));
        two.jump(-24 * HOUR);
        assert_eq!(clock.believed().millis(), BEGIN);

        two.jump(-HOUR);

        assert_eq!(clock.now().millis(), BEGIN);
        assert_eq!(clock.believed().millis(), BEGIN);
    }

    /// R32: nothing overflows at the ends of time.
    #[test]
    fn the_ends_of_time_are_told_as_they_are() {
        let ends = [0, 2_147_483_648_000, 4_102_444_800_000, 253_402_300_799_000];
        for end in ends {
            let two = Two::new();
            two.wall.store(end, Ordering::Relaxed);

            let clock = steady(&two);

            assert_eq!(clock.now().millis(), end);
            assert_eq!(clock.believed().millis(), end);
        }
    }
}
