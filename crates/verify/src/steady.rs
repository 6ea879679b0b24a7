//! A wall clock that goes ahead no faster than time passes: by it is forgotten
//! what refuses. One that is ahead for a moment would forget what was used, and
//! take it again when it is right.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_token::Clock;

pub(crate) struct Steady {
    clock: Arc<dyn Clock>,
    /// What it said last, and when by the running clock.
    last: Mutex<(Timestamp, Duration)>,
}

impl Steady {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            last: Mutex::new((clock.now(), clock.monotonic())),
            clock,
        }
    }

    /// The earlier of what the wall clock says and of what was said last, with
    /// the time since. Spans between two answers are never too long.
    pub(crate) fn now(&self) -> Timestamp {
        let (wall, running) = (self.clock.now(), self.clock.monotonic());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (said, at) = *last;
        let now = wall.min(said + running.saturating_sub(at));
        *last = (now, running.max(at));
        now
    }
}
