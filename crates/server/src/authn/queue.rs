//! Who waits in front of the password hash: many, since waiting costs next to
//! nothing, but no network so many that others find no room.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limit::network;

/// Everybody who is inside.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    inside: Arc<Mutex<Inside>>,
    most: usize,
}

#[derive(Debug, Default)]
struct Inside {
    all: usize,
    networks: HashMap<IpAddr, usize>,
}

impl Queue {
    /// A queue with room for so many, and for half of them from one network.
    pub(super) fn new(most: usize) -> Self {
        Self {
            inside: Arc::default(),
            most,
        }
    }

    /// A place, where there is one for callers from that address; an
    /// administrator has none.
    pub(super) fn enter(&self, from: Option<IpAddr>) -> Option<Place> {
        let network = from.map(network);
        let mut inside = lock(&self.inside);
        if inside.all >= self.most {
            return None;
        }
        if let Some(network) = network {
            let own = inside.networks.entry(network).or_default();
            if *own >= (self.most / 2).max(1) {
                return None;
            }
            *own += 1;
        }
        inside.all += 1;
        drop(inside);
        Some(Place {
            inside: Arc::clone(&self.inside),
            network,
        })
    }
}

/// One of those inside, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    inside: Arc<Mutex<Inside>>,
    network: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = lock(&self.inside);
        inside.all -= 1;
        if let Some(network) = self.network
            && let Some(own) = inside.networks.get_mut(&network)
        {
            *own -= 1;
            if *own == 0 {
                inside.networks.remove(&network);
            }
        }
    }
}

fn lock(inside: &Mutex<Inside>) -> MutexGuard<'_, Inside> {
    // Each change is a few numbers, so a panic elsewhere left no half of one.
    inside.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn one_network_leaves_room_for_others() {
        let queue = Queue::new(16);
        let crowd: Vec<Place> = std::iter::from_fn(|| queue.enter(address("192.0.2.1"))).collect();

        assert_eq!(crowd.len(), 8);
        assert!(queue.enter(address("192.0.2.77")).is_none(), "a neighbour");
        assert!(queue.enter(address("198.51.100.1")).is_some());
        assert!(queue.enter(None).is_some());
        drop(crowd);
        assert!(queue.enter(address("192.0.2.1")).is_some());
    }

    #[test]
    fn the_queue_ends_and_nothing_is_remembered_of_who_left() {
        let queue = Queue::new(4);
        let all: Vec<Place> = std::iter::from_fn(|| queue.enter(None)).collect();

        assert_eq!(all.len(), 4);
        assert!(queue.enter(address("192.0.2.1")).is_none());
        drop(all);
        drop(queue.enter(address("192.0.2.1")));
        assert!(lock(&queue.inside).networks.is_empty());
        assert_eq!(lock(&queue.inside).all, 0);
    }
}
