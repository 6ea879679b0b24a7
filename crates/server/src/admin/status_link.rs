//! One-time links to the status page, and the visits that they open.
//!
//! Both live in memory alone, as digests: they die with the process and with
//! the administration token that made them, and a link that was used is gone.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_token::mark::{Kind, write_fixed};
use symbolon_token::{Digest, Entropy, Secret, random};

use super::Bearer;
use crate::app::App;

/// How long a link can be opened.
pub(super) const LINK_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// How long a visit lasts.
pub(super) const VISIT_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How many of each are remembered; the oldest goes first.
const MAX_REMEMBERED: usize = 64;

/// Links that were given out, and visits that were opened.
pub(crate) struct StatusLinks {
    base: String,
    port: u16,
    bearer: Arc<Bearer>,
    remembered: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    links: Vec<Word>,
    visits: Vec<Word>,
}

/// A word that opens something for a while.
struct Word {
    digest: Digest,
    ends: Timestamp,
    /// The administration token that it comes of: once another has taken its
    /// place, the word opens nothing.
    token: Digest,
}

impl App {
    /// A link that opens the status page once, within ten minutes.
    pub fn status_link(&self) -> String {
        self.status_link_of(self.status_links.bearer.digest())
    }

    /// The same, by whoever showed the token of a digest.
    pub(super) fn status_link_of(&self, token: Digest) -> String {
        let now = self.edge.clock.now();
        let word = self.status_links.open(token, now, self.entropy());
        format!(
            "{}/status?link={}",
            self.status_links.base,
            word.expose_str()
        )
    }
}

impl StatusLinks {
    /// Links to the listener at an address, made by whoever shows the bearer.
    pub(crate) fn new(mut listen: SocketAddr, bearer: Arc<Bearer>) -> Self {
        if listen.ip().is_unspecified() {
            listen.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        Self {
            base: format!("http://{listen}"),
            port: listen.port(),
            bearer,
            remembered: Mutex::default(),
        }
    }

    /// The port of the listener.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        // A panic in between leaves a list that is at worst one entry short.
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a link.
    fn open(&self, token: Digest, now: Timestamp, entropy: &dyn Entropy) -> Secret {
        remember(
            &mut self.lock().links,
            (token, now + LINK_LIFETIME),
            entropy,
        )
    }

    fn is_good(&self, word: &Word, now: Timestamp) -> bool {
        word.ends > now && word.token.matches(&self.bearer.digest())
    }

    /// Uses a link up; answers what the browser holds during its visit.
    pub(super) fn spend(
        &self,
        link: &str,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Option<Secret> {
        let digest = Digest::of(link.as_bytes());
        let mut remembered = self.lock();
        let at = remembered
            .links
            .iter()
            .position(|own| own.digest.matches(&digest))?;
        let link = remembered.links.swap_remove(at);
        let visit = (link.token, now + VISIT_LIFETIME);
        self.is_good(&link, now)
            .then(|| remember(&mut remembered.visits, visit, entropy))
    }

    /// Whether a browser is on a visit.
    pub(super) fn is_visiting(&self, cookie: &str, now: Timestamp) -> bool {
        let digest = Digest::of(cookie.as_bytes());
        let remembered = self.lock();
        let found = remembered
            .visits
            .iter()
            .find(|own| own.digest.matches(&digest));
        found.is_some_and(|visit| self.is_good(visit, now))
    }
}

fn remember(
    list: &mut Vec<Word>,
    (token, ends): (Digest, Timestamp),
    entropy: &dyn Entropy,
) -> Secret {
    let word = Secret::from(write_fixed(Kind::Administration, &random::<32>(entropy)));
    if list.len() >= MAX_REMEMBERED {
        let oldest = list.iter().enumerate().min_by_key(|(_, own)| own.ends);
        if let Some((at, _)) = oldest {
            list.swap_remove(at);
        }
    }
    list.push(Word {
        digest: Digest::of(word.expose()),
        ends,
        token,
    });
    word
}

#[cfg(test)]
mod tests {
    use symbolon_testkit::{START, SeededEntropy};

    use super::*;

    fn links() -> StatusLinks {
        let bearer = Arc::new(Bearer::new(&Secret::from("the one of before")));
        StatusLinks::new(SocketAddr::from(([0, 0, 0, 0], 8090)), bearer)
    }

    impl StatusLinks {
        fn link(&self, now: Timestamp, entropy: &dyn Entropy) -> Secret {
            self.open(self.bearer.digest(), now, entropy)
        }
    }

    #[test]
    fn a_link_opens_one_visit_and_no_second() {
        let (links, entropy) = (links(), SeededEntropy::new(1));
        let link = links.link(START, &entropy);

        let visit = links.spend(link.expose_str(), START, &entropy).unwrap();

        assert!(links.is_visiting(visit.expose_str(), START));
        assert!(links.spend(link.expose_str(), START, &entropy).is_none());
        assert!(!links.is_visiting(link.expose_str(), START));
    }

    #[test]
    fn links_and_visits_end() {
        let (links, entropy) = (links(), SeededEntropy::new(2));
        let link = links.link(START, &entropy);
        let late = links.link(START, &entropy);

        let visit = links.spend(link.expose_str(), START, &entropy).unwrap();

        assert!(
            links
                .spend(late.expose_str(), START + LINK_LIFETIME, &entropy)
                .is_none()
        );
        assert!(!links.is_visiting(visit.expose_str(), START + VISIT_LIFETIME));
    }

    #[test]
    fn links_and_visits_end_with_the_token_that_made_them() {
        let (links, entropy) = (links(), SeededEntropy::new(4));
        let [link, late] = [(); 2].map(|()| links.link(START, &entropy));
        let visit = links.spend(link.expose_str(), START, &entropy).unwrap();
        let old = links.bearer.digest();

        links.bearer.become_only(&Secret::from("the one of now"));

        assert!(!links.is_visiting(visit.expose_str(), START));
        assert!(links.spend(late.expose_str(), START, &entropy).is_none());
        let raced = links.open(old, START, &entropy);
        assert!(links.spend(raced.expose_str(), START, &entropy).is_none());
        let own = links.link(START, &entropy);
        let visit = links.spend(own.expose_str(), START, &entropy).unwrap();
        assert!(links.is_visiting(visit.expose_str(), START));
    }

    #[test]
    fn a_great_many_links_take_no_more_room() {
        let (links, entropy) = (links(), SeededEntropy::new(3));
        let first = links.link(START, &entropy);
        for second in 1..=200 {
            links.link(START + Duration::from_secs(second), &entropy);
        }
        assert_eq!(links.lock().links.len(), MAX_REMEMBERED);
        assert!(links.spend(first.expose_str(), START, &entropy).is_none());
    }
}
