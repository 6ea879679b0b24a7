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
use symbolon_token::{Digest, Entropy};

use crate::acquainted::Acquainted;

/// How many sources are counted at once.
const MAX_SOURCES: u64 = 100_000;
/// How long a wrong guess counts.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);
/// How many wrong guesses one source has per client and window.
const MAX_GUESSES: u32 = 20;

/// Counts wrong guesses of client secrets by source address and client.
///
/// A source that has used up its guesses is refused before anything is
/// compared, so that the right one is not found among the wrong ones. One that
/// showed the right secret lately is let through: whoever shares an address
/// with a running client cannot lock it out, and the secret is no news there.
///
/// A client's identifier may be long and is a stranger's choice, so a digest
/// stands for it: an entry has one size.
pub(crate) struct GuessLimit {
    wrong: Cache<Source, Arc<AtomicU32>>,
    known: Acquainted,
}

/// A source address and a client.
type Source = (IpAddr, Digest);

fn key(source: IpAddr, client: &str) -> Source {
    (host(source), Digest::of(client.as_bytes()))
}

impl GuessLimit {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        Self {
            wrong: Cache::builder()
                .max_capacity(MAX_SOURCES)
                .time_to_live(WINDOW)
                .build(),
            known: Acquainted::new(entropy),
        }
    }

    /// Whether this source has no guesses left. A right secret from elsewhere
    /// is never affected.
    pub(crate) fn is_exhausted(&self, source: IpAddr, client: &str) -> bool {
        // On a quiet day nothing is counted, and nothing needs to be hashed.
        if self.wrong.entry_count() == 0 {
            return false;
        }
        let count = self.wrong.get(&key(source, client));
        count.is_some_and(|count| count.load(Ordering::Relaxed) >= MAX_GUESSES)
    }

    /// Whether a secret of this source is not even compared.
    pub(crate) fn is_shut_out(&self, source: IpAddr, client: &str, now: Timestamp) -> bool {
        self.is_exhausted(source, client) && !self.known.knows(host(source), client, now)
    }

    /// Counts a wrong guess.
    pub(crate) fn count(&self, source: IpAddr, client: &str) {
        self.wrong
            .get_with(key(source, client), Arc::default)
            .fetch_add(1, Ordering::Relaxed);
        self.wrong.run_pending_tasks();
    }

    /// Notes that this source has shown the right secret.
    pub(crate) fn remember(&self, source: IpAddr, client: &str, now: Timestamp) {
        self.known.note(host(source), client, now);
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
    use symbolon_testkit::{START, SeededEntropy};

    use super::*;

    #[test]
    fn a_source_without_guesses_is_shut_out_unless_it_knew_the_secret() {
        let limit = GuessLimit::new(&SeededEntropy::new(1));
        let [thief, owner] = ["192.0.2.1", "192.0.2.2"].map(|own| own.parse().unwrap());
        limit.remember(owner, "job", START);

        for source in [thief, owner] {
            for _ in 0..MAX_GUESSES {
                assert!(!limit.is_shut_out(source, "job", START));
                limit.count(source, "job");
            }
        }

        assert!(limit.is_shut_out(thief, "job", START));
        assert!(!limit.is_shut_out(thief, "other", START));
        assert!(!limit.is_shut_out(owner, "job", START));
        assert!(limit.is_exhausted(owner, "job"), "wrong ones are told so");
    }

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
