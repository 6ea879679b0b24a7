//! Guess limits that live in memory: bounded, and per source, so that nobody
//! can lock another out.
//!
//! Spec: RFC 6749 §10.10

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use symbolon_protocol::Timestamp;
use symbolon_token::Digest;

/// How many sources are counted at once.
const MAX_SOURCES: u64 = 100_000;
/// How long a wrong guess counts.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);
/// How many wrong guesses one source has per client and window.
const MAX_GUESSES: u32 = 20;

/// Counts wrong guesses of client secrets by source address and client.
///
/// A client's identifier may be long and is a stranger's choice, so a digest
/// stands for it: an entry has one size.
pub(crate) struct GuessLimit(Cache<Source, Arc<AtomicU32>>);

/// A source address and a client.
type Source = (IpAddr, Digest);

fn key(source: IpAddr, client: &str) -> Source {
    (host(source), Digest::of(client.as_bytes()))
}

impl GuessLimit {
    pub(crate) fn new() -> Self {
        Self(
            Cache::builder()
                .max_capacity(MAX_SOURCES)
                .time_to_live(WINDOW)
                .build(),
        )
    }

    /// Whether this source has guesses left. A right secret from elsewhere is
    /// never affected.
    pub(crate) fn is_exhausted(&self, source: IpAddr, client: &str) -> bool {
        // On a quiet day nothing is counted, and nothing needs to be hashed.
        if self.0.entry_count() == 0 {
            return false;
        }
        let count = self.0.get(&key(source, client));
        count.is_some_and(|count| count.load(Ordering::Relaxed) >= MAX_GUESSES)
    }

    /// Counts a wrong guess.
    pub(crate) fn count(&self, source: IpAddr, client: &str) {
        self.0
            .get_with(key(source, client), Arc::default)
            .fetch_add(1, Ordering::Relaxed);
        self.0.run_pending_tasks();
    }
}

/// How long a node goes by what it heard of a counter, before it asks again:
/// another node may have forgiven a guess.
const HEARSAY: Duration = Duration::from_secs(10);

/// Counters of guesses that are used up, as this node lately heard.
pub(crate) struct Limited(Cache<[u8; 32], (Timestamp, Timestamp)>);

impl Limited {
    pub(crate) fn new() -> Self {
        Self(
            Cache::builder()
                .max_capacity(MAX_SOURCES)
                .time_to_live(HEARSAY)
                .build(),
        )
    }

    /// How long to wait until a counter is free again, where it is not.
    pub(crate) fn find(&self, name: &[u8; 32], now: Timestamp) -> Option<Duration> {
        let (heard, until) = self.0.get(name)?;
        (now < heard + HEARSAY && now < until).then(|| until.since(now))
    }

    /// Notes that a counter is used up for a while.
    pub(crate) fn note(&self, name: [u8; 32], now: Timestamp, wait: Duration) {
        self.0.insert(name, (now, now + wait));
    }

    /// Notes that a counter has a guess left.
    pub(crate) fn forget(&self, name: &[u8; 32]) {
        self.0.invalidate(name);
    }
}

/// One machine: an address of version 4, a /64 of version 6.
pub(crate) fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        v6 => network(v6),
    }
}

/// The site of one customer, which may have 65,536 networks: a /48 of version
/// 6. Version 4 has none.
pub(crate) fn site(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = address.to_canonical() else {
        return None;
    };
    let mut octets = v6.octets();
    octets[6..].fill(0);
    Some(IpAddr::from(octets))
}

/// The network of one customer: a /24 of version 4, a /64 of version 6.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            IpAddr::from([a, b, c, 0])
        }
        IpAddr::V6(v6) => {
            let mut octets = v6.octets();
            octets[8..].fill(0);
            IpAddr::from(octets)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_site_are_counted_together() {
        let parsed = |text: &str| text.parse::<IpAddr>().unwrap();

        let one = site(parsed("2001:db8:7:1::1"));

        assert_eq!(one, site(parsed("2001:db8:7:ffff::9")));
        assert_ne!(one, site(parsed("2001:db8:8:1::1")));
        assert_eq!(site(parsed("192.0.2.1")), None);
        assert_eq!(site(parsed("::ffff:192.0.2.1")), None);
    }
}
