//! How many events of one source a node looks at: a checked signature costs
//! more than a sent one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many may come at once.
const BURST: f64 = 200.0;
/// How many more may come each second.
const PER_SECOND: f64 = 50.0;

/// What is left to every source. There are as many as are configured.
#[derive(Default)]
pub(crate) struct SignalPace(Mutex<HashMap<String, Left>>);

struct Left {
    events: f64,
    at: Duration,
}

impl SignalPace {
    /// Whether another event of a source is looked at now.
    pub(crate) fn admits(&self, source: &str, now: Duration) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(source) {
            let full = Left {
                events: BURST,
                at: now,
            };
            all.insert(source.to_owned(), full);
        }
        let Some(left) = all.get_mut(source) else {
            return false;
        };
        let since = now.saturating_sub(left.at).as_secs_f64();
        left.events = (left.events + since * PER_SECOND).min(BURST);
        left.at = now;
        if left.events < 1.0 {
            return false;
        }
        left.events -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_source_is_bounded_and_another_is_not_kept_out() {
        let pace = SignalPace::default();
        let now = Duration::from_secs(1);

        let admitted = (0..1000).filter(|_| pace.admits("a", now)).count();

        assert_eq!(admitted, 200);
        assert!(pace.admits("b", now));
        let later = now + Duration::from_secs(1);
        let admitted = (0..1000).filter(|_| pace.admits("a", later)).count();
        assert_eq!(admitted, 50);
    }
}
