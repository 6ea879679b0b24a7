//! Which sources lately showed the right secret of which client: asked at
//! every request of a client, so it is one number read from memory, and
//! written only when an hour has passed.
//!
//! A place holds the last one that fell on it. Who was displaced is a stranger
//! again until the secret is next shown; a stranger cannot aim at a place,
//! because its number comes from a key of this process.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use siphasher::sip::SipHasher24;
use symbolon_protocol::Timestamp;
use symbolon_token::{Entropy, random};

/// How many places there are: half a mebibyte.
const PLACES: usize = 1 << 16;
/// How many bits of a place tell the hour; the others tell who.
const HOUR_BITS: u32 = 24;
const HOURS: u64 = (1 << HOUR_BITS) - 1;
/// For how many hours a source is remembered.
const LIFETIME_HOURS: u64 = 24;
const HOUR_SECONDS: i64 = 60 * 60;

/// The sources that lately showed a right secret.
pub(crate) struct Acquainted {
    key: SipHasher24,
    places: Box<[AtomicU64]>,
}

impl Acquainted {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        Self {
            key: SipHasher24::new_with_key(&random(entropy)),
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Notes that a source has shown the right secret of a client.
    pub(crate) fn note(&self, source: IpAddr, client: &str, now: Timestamp) {
        let (place, who) = self.find(source, client);
        let told = who | hour(now);
        // Read first: a write at every request would pass the line from core to core.
        if place.load(Ordering::Relaxed) != told {
            place.store(told, Ordering::Relaxed);
        }
    }

    /// Whether it did so within the last day.
    pub(crate) fn knows(&self, source: IpAddr, client: &str, now: Timestamp) -> bool {
        let (place, who) = self.find(source, client);
        let told = place.load(Ordering::Relaxed);
        told & !HOURS == who && hour(now).saturating_sub(told & HOURS) <= LIFETIME_HOURS
    }

    fn find(&self, source: IpAddr, client: &str) -> (&AtomicU64, u64) {
        let mut hasher = self.key;
        source.hash(&mut hasher);
        hasher.write(client.as_bytes());
        let number = hasher.finish();
        // The lowest bit that is kept is set, so that an empty place is nobody.
        let who = (number & !HOURS) | (HOURS + 1);
        let at = usize::try_from(number & HOURS).unwrap_or_default() % PLACES;
        (&self.places[at], who)
    }
}

fn hour(now: Timestamp) -> u64 {
    u64::try_from(now.seconds() / HOUR_SECONDS).unwrap_or_default() & HOURS
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use symbolon_testkit::{START, SeededEntropy};

    use super::*;

    #[test]
    fn a_source_is_known_for_a_day_with_its_client_alone() {
        let known = Acquainted::new(&SeededEntropy::new(1));
        let (here, there) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let day = Duration::from_secs(24 * 60 * 60);
        assert!(!known.knows(here, "web", START));

        known.note(here, "web", START);

        assert!(known.knows(here, "web", START));
        assert!(known.knows(here, "web", START + day));
        assert!(!known.knows(here, "web", START + day * 2));
        assert!(!known.knows(here, "job", START) && !known.knows(there, "web", START));
        known.note(here, "web", START + day);
        assert!(known.knows(here, "web", START + day * 2));
    }
}
