//! Whether a server is asked: what checks said of it, and what became of the
//! requests that it got.
//!
//! Spec: RFC 9110 §15.6.4

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::settings::{Check, Ejection};

/// How a server stands. It is asked until something speaks against it.
#[derive(Debug)]
pub(super) struct Standing(Mutex<State>);

#[derive(Debug)]
struct State {
    /// What checks say.
    is_well: bool,
    /// How many checks in a row said the opposite.
    against: u32,
    /// How many requests in a row failed.
    failures: u32,
    /// Until when it is left alone.
    left_alone: Option<Instant>,
}

/// What an event made of a server, where it made a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turned {
    Up,
    Down,
}

impl Standing {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            is_well: true,
            against: 0,
            failures: 0,
            left_alone: None,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one step, so a panic elsewhere left no half of one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is asked.
    pub(super) fn is_up(&self, now: Instant) -> bool {
        let state = self.state();
        state.is_well && state.left_alone.is_none_or(|until| until <= now)
    }

    /// A check ended. One that ends well lets whoever was left alone come back.
    pub(super) fn checked(&self, is_good: bool, check: &Check) -> Option<Turned> {
        let mut state = self.state();
        if is_good == state.is_well {
            state.against = 0;
            return None;
        }
        state.against += 1;
        let (needed, turned) = match is_good {
            true => (check.healthy, Turned::Up),
            false => (check.unhealthy, Turned::Down),
        };
        if state.against < needed {
            return None;
        }
        state.is_well = is_good;
        state.against = 0;
        state.failures = 0;
        state.left_alone = None;
        Some(turned)
    }

    /// A request got an answer of its own. One that was on its way when the
    /// server was left alone does not bring it back early.
    pub(super) fn answered(&self, now: Instant) -> Option<Turned> {
        let mut state = self.state();
        state.failures = 0;
        state.left_alone.take_if(|until| *until <= now)?;
        state.is_well.then_some(Turned::Up)
    }

    /// A request found nobody, or no whole answer in time.
    pub(super) fn failed(&self, ejection: &Ejection, now: Instant) -> Option<Turned> {
        let mut state = self.state();
        state.failures += 1;
        if state.failures < ejection.failures {
            return None;
        }
        state.failures = 0;
        state.left_alone = Some(now + ejection.rest);
        state.is_well.then_some(Turned::Down)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const REST: Duration = Duration::from_secs(10);

    fn check() -> Check {
        Check {
            target: "/healthz".parse().unwrap(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            healthy: 2,
            unhealthy: 3,
        }
    }

    #[test]
    fn checks_turn_a_server_only_after_as_many_in_a_row_as_were_asked_for() {
        let (own, check, now) = (Standing::new(), check(), Instant::now());
        let say = |good: bool| own.checked(good, &check);

        assert_eq!([say(false), say(false), say(true), say(false)], [None; 4]);
        assert_eq!([say(false), say(false)], [None, Some(Turned::Down)]);
        assert!(!own.is_up(now));
        assert_eq!([say(true), say(false), say(true)], [None; 3]);
        assert_eq!(say(true), Some(Turned::Up));
        assert!(own.is_up(now));
    }

    #[test]
    fn a_server_that_fails_in_a_row_is_left_alone_for_a_while() {
        let (own, now) = (Standing::new(), Instant::now());
        let ejection = Ejection {
            failures: 2,
            rest: REST,
        };

        assert_eq!(own.failed(&ejection, now), None);
        assert_eq!(own.answered(now), None);
        assert_eq!(own.failed(&ejection, now), None);
        assert!(own.is_up(now));
        assert_eq!(own.failed(&ejection, now), Some(Turned::Down));
        assert!(!own.is_up(now));
        assert_eq!(own.answered(now), None);
        assert!(!own.is_up(now));
        assert!(own.is_up(now + REST));
        assert_eq!(own.answered(now + REST), Some(Turned::Up));
    }
}
