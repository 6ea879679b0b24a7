//! What a session opened and is open still: it ends with the session, whatever
//! becomes of the token that stood in its place.
//!
//! Spec: RFC 10017 §6.1
//! Spec: OpenID Connect Back-Channel Logout 1.0 §2.7

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use symbolon_store::FindBrowserSession;
use symbolon_token::{Browser as Kind, Id};

use super::Browser;

/// How often the session's row is read, together with the pause between looks
/// less than the second in which what is open has to end.
const ASKED_EVERY: Duration = Duration::from_millis(700);
/// How long the store may be silent before what is open ends.
const SILENCE: Duration = Duration::from_secs(10);

/// The session that something was opened by.
pub(crate) struct Open {
    id: Id<Kind>,
    known: Mutex<Known>,
}

/// When its row was asked for, and since when there was no answer.
#[derive(Clone, Copy, Default)]
struct Known {
    asked: Option<Duration>,
    silent: Option<Duration>,
}

impl Open {
    pub(super) fn new(id: Id<Kind>) -> Self {
        Self {
            id,
            known: Mutex::default(),
        }
    }

    fn known(&self) -> Known {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn know(&self, known: Known) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

impl Browser {
    /// Whether the session is there still, so that what it opened may go on.
    pub(crate) async fn holds(&self, open: &Open) -> bool {
        let clock = &self.0.edge.clock;
        let now = clock.monotonic();
        let mut known = open.known();
        if known.asked.is_some_and(|at| now < at + ASKED_EVERY) {
            return true;
        }
        known.asked = Some(now);
        open.know(known);
        let find = FindBrowserSession {
            id: open.id,
            now: clock.now(),
        };
        let is_there = match self.store().read(find).await {
            Ok(found) => {
                known.silent = None;
                found.is_some()
            }
            Err(_) => {
                let since = *known.silent.get_or_insert(now);
                now < since + SILENCE
            }
        };
        if !is_there {
            // Whoever looks next is told the same.
            known.asked = None;
            self.0.recent.forget(&open.id);
        }
        open.know(known);
        is_there
    }
}
