//! How many connections are open at once: in all, and from one source.
//!
//! Spec: RFC 6585 §4

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::limit::host;

/// How many connections one listener has at most.
const MAX_CONNECTIONS: u64 = 10_000;
/// How many connections are kept for administration.
const MAX_ADMINISTRATION: u64 = 256;
/// How many files the process keeps for everything but connections.
const RESERVED_FILES: u64 = 256;

/// How many connections a listener takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity(usize);

impl Capacity {
    /// For everybody: what the limit on open files leaves, so that strangers
    /// who hold connections open never leave the store or an administrator
    /// without one.
    pub fn of_everybody() -> Self {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let files = files.current.unwrap_or(u64::MAX);
        let left = files.saturating_sub(RESERVED_FILES + MAX_ADMINISTRATION);
        Self::at_most(left.clamp(16, MAX_CONNECTIONS))
    }

    /// For administration.
    pub fn of_administration() -> Self {
        Self::at_most(MAX_ADMINISTRATION)
    }

    /// Half of it, where two listeners share it.
    pub fn halved(self) -> Self {
        Self((self.0 / 2).max(8))
    }

    fn at_most(number: u64) -> Self {
        Self(usize::try_from(number).unwrap_or(usize::MAX))
    }

    /// How many of them one source may have: a quarter, and at least a few.
    fn of_one(self) -> usize {
        (self.0 / 4).max(8)
    }
}

/// The places of one listener.
pub(super) struct Places {
    capacity: Capacity,
    all: Arc<Semaphore>,
    sources: Mutex<HashMap<IpAddr, usize>>,
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Anybody.
    Stranger(IpAddr),
    /// A trusted proxy, through which everybody may come.
    Proxy(IpAddr),
}

impl Source {
    const fn address(self) -> IpAddr {
        match self {
            Self::Stranger(address) | Self::Proxy(address) => address,
        }
    }
}

/// A connection's place, given back when it is dropped.
pub(super) struct Place {
    source: IpAddr,
    places: Arc<Places>,
    _one: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(capacity: Capacity) -> Self {
        Self {
            capacity,
            all: Arc::new(Semaphore::new(capacity.0)),
            sources: Mutex::default(),
        }
    }

    fn sources(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Each change is one step, so a panic elsewhere left no half of one.
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place; `None` where the source has had its share.
    pub(super) async fn take(self: &Arc<Self>, source: Source) -> Option<Place> {
        let one = Arc::clone(&self.all).acquire_owned().await.ok()?;
        self.seat(source, one)
    }

    /// Takes a place if one is free now.
    pub(super) fn try_take(self: &Arc<Self>, source: Source) -> Option<Place> {
        let one = Arc::clone(&self.all).try_acquire_owned().ok()?;
        self.seat(source, one)
    }

    fn seat(self: &Arc<Self>, source: Source, one: OwnedSemaphorePermit) -> Option<Place> {
        let most = match source {
            Source::Stranger(_) => self.capacity.of_one(),
            Source::Proxy(_) => usize::MAX,
        };
        let source = host(source.address());
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
        let all = u32::try_from(self.capacity.0).unwrap_or(u32::MAX);
        // Every connection holds a place until it has ended.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Source {
        Source::Stranger(text.parse().unwrap())
    }

    #[test]
    fn one_source_has_a_share_and_leaves_the_rest_to_others() {
        let places = Arc::new(Places::new(Capacity(64)));

        let mut held: Vec<Place> = Vec::new();
        while let Some(place) = places.try_take(address("192.0.2.1")) {
            held.push(place);
        }

        assert_eq!(held.len(), 16);
        assert!(places.try_take(address("192.0.2.2")).is_some());
        held.pop();
        assert!(places.try_take(address("192.0.2.1")).is_some());
    }

    #[test]
    fn a_trusted_proxy_may_fill_every_place_and_is_still_counted() {
        let places = Arc::new(Places::new(Capacity(64)));
        let proxy = Source::Proxy("192.0.2.9".parse().unwrap());

        let held: Vec<Place> = std::iter::from_fn(|| places.try_take(proxy)).collect();

        assert_eq!(held.len(), 64);
        drop(held);
        assert!(places.sources().is_empty());
    }

    #[test]
    fn addresses_of_one_version_6_network_are_one_source() {
        let places = Arc::new(Places::new(Capacity(32)));
        let of_network = |n: u8| places.try_take(address(&format!("2001:db8::{n:x}")));

        let held: Vec<Place> = (0..40).filter_map(of_network).collect();

        assert_eq!(held.len(), 8);
    }

    #[test]
    fn nothing_is_remembered_of_who_has_gone() {
        let places = Arc::new(Places::new(Capacity(32)));
        drop(places.try_take(address("192.0.2.1")));
        assert!(places.sources().is_empty());
    }
}
