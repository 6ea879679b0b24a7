//! Sessions that were read a moment ago. A page calls several times at once, and
//! each of these calls would read the same row.
//!
//! What is kept is the row as it is stored: digests, and tokens that only the
//! cookie opens. Whether the cookie fits is asked each time, and so is the token.
//! A session that ends here is forgotten at once; one that ends at another
//! gateway is believed for less than the second in which it has to be refused.

use std::time::Duration;

use quick_cache::sync::Cache;
use symbolon_protocol::Timestamp;
use symbolon_store::BrowserSession;
use symbolon_token::{Browser as Kind, Id};

/// How long a row is believed.
const FRESH: Duration = Duration::from_millis(500);
/// How many are kept: those of whoever calls within that time.
const MAX_KEPT: usize = 2_000;

/// Rows, and when each was asked for.
pub(super) struct Recent(Cache<Id<Kind>, (Duration, BrowserSession)>);

impl Recent {
    pub(super) fn new() -> Self {
        Self(Cache::new(MAX_KEPT))
    }

    /// A row that was asked for a moment ago, while its session lasts.
    pub(super) fn find(
        &self,
        id: &Id<Kind>,
        (now, time): (Duration, Timestamp),
    ) -> Option<BrowserSession> {
        let (asked, row) = self.0.get(id)?;
        let is_fresh = now.saturating_sub(asked) < FRESH;
        (is_fresh && time < row.idle_ends && time < row.absolute_ends).then_some(row)
    }

    /// Keeps a row; `asked` is when it was asked for, not when it came.
    pub(super) fn keep(&self, row: &BrowserSession, asked: Duration) {
        self.0.insert(row.id, (asked, row.clone()));
    }

    /// A session has changed, or ended.
    pub(super) fn forget(&self, id: &Id<Kind>) {
        self.0.remove(id);
    }

    /// Some have ended, and nobody knows which.
    pub(super) fn forget_all(&self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use symbolon_testkit::SeededEntropy;
    use symbolon_token::{Digest, Slot};

    use super::*;

    fn row() -> BrowserSession {
        let entropy = SeededEntropy::new(3);
        let at = Timestamp::from_millis;
        BrowserSession {
            id: Id::new(Slot::random(&entropy), &entropy),
            secret: Digest::of(b"secret"),
            held: Vec::new(),
            generation: 0,
            fence: 0,
            is_renewing: false,
            seen: at(0),
            idle_ends: at(60_000),
            absolute_ends: at(90_000),
        }
    }

    #[test]
    fn a_row_is_believed_for_a_moment_and_never_beyond_its_end() {
        let (recent, row) = (Recent::new(), row());
        let asked = Duration::from_secs(100);
        let find = |after: u64, time: i64| {
            let now = asked + Duration::from_millis(after);
            recent
                .find(&row.id, (now, Timestamp::from_millis(time)))
                .is_some()
        };
        assert!(!find(0, 0));

        recent.keep(&row, asked);

        assert!(find(0, 0) && find(499, 59_999));
        assert!(!find(500, 0));
        assert!(!find(0, 60_000));
        recent.forget(&row.id);
        assert!(!find(0, 0));
        recent.keep(&row, asked);
        recent.forget_all();
        assert!(!find(0, 0));
    }
}
