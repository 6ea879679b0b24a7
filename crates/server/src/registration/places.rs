//! How many documents are asked for at once: few in all, and fewer of one site.
//! Whoever names slow addresses of their own keeps nobody else from being known.
//!
//! Spec: draft-ietf-oauth-client-id-metadata-document-02 §6

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// How many are asked for at once.
const MOST: usize = 8;
/// How many of one site.
const MOST_OF_SITE: usize = 2;

/// The places of those that are being asked for.
pub(super) struct Places {
    all: Semaphore,
    sites: Mutex<HashMap<String, usize>>,
}

/// A place, until it is dropped.
pub(super) struct Place<'p> {
    of: &'p Places,
    site: String,
    _place: SemaphorePermit<'p>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            all: Semaphore::new(MOST),
            sites: Mutex::default(),
        }
    }
}

impl Places {
    /// A place for a document of a host, where there is one.
    pub(super) fn take(&self, host: &str) -> Option<Place<'_>> {
        let site = site(host);
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        if sites.get(site).is_some_and(|own| *own >= MOST_OF_SITE) {
            return None;
        }
        let place = self.all.try_acquire().ok()?;
        *sites.entry(site.to_owned()).or_insert(0) += 1;
        Some(Place {
            of: self,
            site: site.to_owned(),
            _place: place,
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let sites = self.of.sites.lock();
        let mut sites = sites.unwrap_or_else(PoisonError::into_inner);
        let left = sites.get(&self.site).map_or(0, |own| own.saturating_sub(1));
        match left {
            0 => drop(sites.remove(&self.site)),
            left => drop(sites.insert(std::mem::take(&mut self.site), left)),
        }
    }
}

/// What hosts that one party can name without end have in common: the last two
/// labels of a name.
fn site(host: &str) -> &str {
    let is_address = host.parse::<std::net::IpAddr>().is_ok() || host.starts_with('[');
    let mut dots = host.rmatch_indices('.');
    match dots.nth(1) {
        Some((at, _)) if !is_address => &host[at + 1..],
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: I241
    #[test]
    fn one_site_has_few_places_whatever_its_hosts_are_called() {
        let places = Places::default();
        let first = places.take("a.evil.example");
        let second = places.take("b.c.evil.example");
        assert!(first.is_some() && second.is_some());
        assert!(places.take("d.evil.example").is_none());
        assert!(places.take("evil.example").is_none());

        assert!(
            places.take("app.good.example").is_some(),
            "others have theirs"
        );
        drop(first);
        assert!(places.take("d.evil.example").is_some());
    }

    #[test]
    fn there_are_few_in_all_and_every_one_comes_back() {
        let places = Places::default();
        let all: Vec<_> = (0..MOST)
            .map(|at| places.take(&format!("{at}.test")))
            .collect();
        assert!(all.iter().all(Option::is_some));
        assert!(places.take("one.more.test").is_none());

        drop(all);

        assert!(places.take("one.more.test").is_some());
        assert!(places.sites.lock().unwrap().is_empty());
        for (host, own) in [
            ("localhost", "localhost"),
            ("192.0.2.7", "192.0.2.7"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("app.example.com", "example.com"),
            ("example.com", "example.com"),
        ] {
            assert_eq!(site(host), own);
        }
    }
}
