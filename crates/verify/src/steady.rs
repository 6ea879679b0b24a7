//! A wall clock that goes on as time passes, whatever the machine's is set to
//! meanwhile: by it is forgotten what refuses. One that was ahead for a moment
//! would forget what was used, and take it again when it is right.

use std::sync::Arc;
use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_token::Clock;

pub(crate) struct Steady {
    clock: Arc<dyn Clock>,
    /// What it said at first, and when by the running clock.
    first: (Timestamp, Duration),
}

impl Steady {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            first: (clock.now(), clock.monotonic()),
            clock,
        }
    }

    /// What the wall clock said at first, and the time since.
    pub(crate) fn now(&self) -> Timestamp {
        let (said, at) = self.first;
        said + self.clock.monotonic().saturating_sub(at)
    }
}
