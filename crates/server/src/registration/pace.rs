//! How often one network may register clients: kept in memory, and bounded.
//!
//! Spec: RFC 7591 §5

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::sync::Cache;

use crate::limit::network;

/// How many networks are counted at once.
const MAX_SOURCES: u64 = 100_000;
/// For how long a registration counts.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);
/// How many one network has in that time: a site full of people who begin at
/// once is served, a flood is not.
const MOST: u32 = 30;

/// Counts registrations by the network they come from.
pub(crate) struct RegistrationPace(Cache<IpAddr, Arc<AtomicU32>>);

impl RegistrationPace {
    pub(crate) fn new() -> Self {
        Self(
            Cache::builder()
                .max_capacity(MAX_SOURCES)
                .time_to_live(WINDOW)
                .build(),
        )
    }

    /// Counts one; whether it is one too many.
    pub(crate) fn is_exceeded_by(&self, source: IpAddr) -> bool {
        let count = self.0.get_with(network(source), Arc::default);
        count.fetch_add(1, Ordering::Relaxed) >= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_has_its_number_and_leaves_others_theirs() {
        let pace = RegistrationPace::new();
        let parsed = |text: &str| text.parse::<IpAddr>().unwrap();

        for last in 0..MOST {
            let neighbour = parsed(&format!("192.0.2.{}", last % 250));
            assert!(!pace.is_exceeded_by(neighbour));
        }

        assert!(pace.is_exceeded_by(parsed("192.0.2.77")));
        assert!(!pace.is_exceeded_by(parsed("198.51.100.1")));
    }
}
