//! Ports for programs that are told where to listen.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Below those that systems give to outgoing connections, and apart from those
/// that tests of the binary take.
const PORTS: Range<u16> = 12_000..20_000;

/// The ports that tests of this process were given.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port on which nobody listens, and that no other test of this process gets.
pub fn free_port() -> u16 {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    // Somewhere else in each process, as several run at the same time.
    let count = u64::try_from(PORTS.len()).unwrap_or(1);
    let skip = RandomState::new().hash_one(0) % count;
    let mut all = PORTS
        .cycle()
        .skip(usize::try_from(skip).unwrap_or_default());
    let is_free = |port: &u16| {
        !given.contains(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
    };
    let port = all.by_ref().take(PORTS.len()).find(is_free);
    let port = port.expect("a port that is free");
    given.insert(port);
    port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_given_what_another_was() {
        let ports: BTreeSet<u16> = (0..100).map(|_| free_port()).collect();

        assert_eq!(ports.len(), 100);
        assert!(ports.iter().all(|own| PORTS.contains(own)));
    }
}
