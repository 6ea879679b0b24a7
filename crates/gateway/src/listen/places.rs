//! How many connections are open at once: in all, and from one source.
//!
//! Spec: RFC 6585 §4
//! Spec: RFC 4291 §2.5.4

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How many connections one listener has at most; a WebSocket keeps its place.
pub(super) const MAX_CONNECTIONS: usize = 10_000;

/// The places of one listener.
pub(super) struct Places {
    number: usize,
    all: Arc<Semaphore>,
    sources: Mutex<HashMap<IpAddr, usize>>,
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Anybody: a quarter of the places, and at least a few.
    Stranger(IpAddr),
    /// A trusted proxy, through which everybody may come.
    Proxy(IpAddr),
}

/// A connection's place, given back when it is dropped.
pub(crate) struct Place {
    source: IpAddr,
    places: Arc<Places>,
    _one: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(number: usize) -> Self {
        Self {
            number,
            all: Arc::new(Semaphore::new(number)),
            sources: Mutex::default(),
        }
    }

    fn sources(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Each change is one step, so a panic elsewhere left no half of one.
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room for one more.
    pub(super) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// Room for one more, if there is some now.
    pub(super) fn room_now(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).try_acquire_owned().ok()
    }

    /// Gives room to a source; `None` where it has had its share.
    pub(super) fn seat(self: &Arc<Self>, from: Source, one: OwnedSemaphorePermit) -> Option<Place> {
        let (source, most) = match from {
            Source::Stranger(address) => (network(address), (self.number / 4).max(8)),
            Source::Proxy(address) => (network(address), usize::MAX),
        };
        let mut sources = self.sources();
        let taken = sources.entry(source).or_default();
        if *taken >= most {
            return None;
        }
        *taken += 1;
        drop(sources);
        Some(Place {
            source,
            places: Arc::clone(self),
            _one: one,
        })
    }

    /// Waits until every connection has ended, or for long enough.
    pub(super) async fn wait_until_empty(&self, at_most: Duration) {
        let all = u32::try_from(self.number).unwrap_or(u32::MAX);
        // Every connection and every tunnel holds a place until it has ended.
        let _ = timeout(at_most, self.all.acquire_many(all)).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sources = self.places.sources();
        if let Some(taken) = sources.get_mut(&self.source) {
            *taken -= 1;
            if *taken == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

/// Whoever has an address of version 6 has a whole network of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(own) => IpAddr::V4(own),
        IpAddr::V6(own) => {
            let bits = u128::from(own) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(bits))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(text: &str) -> Source {
        Source::Stranger(text.parse().unwrap())
    }

    fn take(places: &Arc<Places>, from: Source) -> Option<Place> {
        places.seat(from, places.room_now()?)
    }

    #[test]
    fn one_source_has_a_share_and_leaves_the_rest_to_others() {
        let places = Arc::new(Places::new(64));

        let mut held: Vec<Place> = Vec::new();
        while let Some(place) = take(&places, stranger("192.0.2.1")) {
            held.push(place);
        }

        assert_eq!(held.len(), 16);
        assert!(take(&places, stranger("::ffff:192.0.2.1")).is_none());
        assert!(take(&places, stranger("192.0.2.2")).is_some());
        held.pop();
        assert!(take(&places, stranger("192.0.2.1")).is_some());
    }

    #[test]
    fn a_trusted_proxy_may_fill_every_place_and_nothing_of_it_is_kept() {
        let places = Arc::new(Places::new(64));
        let proxy = Source::Proxy("192.0.2.9".parse().unwrap());

        let held: Vec<Place> = std::iter::from_fn(|| take(&places, proxy)).collect();

        assert_eq!(held.len(), 64);
        drop(held);
        assert!(places.sources().is_empty());
    }

    #[test]
    fn addresses_of_one_version_6_network_are_one_source() {
        let places = Arc::new(Places::new(32));
        let of_network = |n: u8| take(&places, stranger(&format!("2001:db8::{n:x}")));

        let held: Vec<Place> = (0..40).filter_map(of_network).collect();

        assert_eq!(held.len(), 8);
    }
}
