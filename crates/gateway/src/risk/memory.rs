//! What is usual for a subject: few facts of each, of as many subjects as there
//! is room for. Whoever was not seen for longest is forgotten first, and is
//! then met as for the first time, when nothing counts as unusual.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::sync::Cache;
use symbolon_token::Digest;
use symbolon_verify::Principal;

use super::places::Point;

/// How many networks and programs of a subject are known.
const MAX_FAMILIAR: usize = 8;
/// How many refusals are counted.
pub(crate) const MAX_FAILURES: usize = 16;
/// How many subjects, and how many addresses, are known.
const MAX_KNOWN: usize = 100_000;
/// How many names of tokens are remembered that were to be taken back, two of each.
const MAX_DEAD: usize = 20_000;

/// Names a subject or an address.
pub(crate) type Key = [u8; 32];

/// All that is known.
pub(crate) struct Memory {
    subjects: Cache<Key, Arc<Mutex<Seen>>>,
    addresses: Cache<Key, Arc<Mutex<Recent>>>,
    dead: Cache<Key, ()>,
    has_dead: AtomicBool,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            subjects: Cache::new(MAX_KNOWN),
            addresses: Cache::new(MAX_KNOWN),
            dead: Cache::new(MAX_DEAD),
            has_dead: AtomicBool::new(false),
        }
    }

    /// Does something with what is known of a subject.
    pub(crate) fn of_subject<T>(&self, key: &Key, act: impl FnOnce(&mut Seen) -> T) -> T {
        let made = || Ok::<_, Infallible>(Arc::default());
        let Ok(seen) = self.subjects.get_or_insert_with(key, made);
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut seen)
    }

    /// How often an address was refused since a time.
    pub(crate) fn failures_of(&self, key: &Key, since: i64) -> usize {
        self.addresses.get(key).map_or(0, |own| {
            let own = own.lock().unwrap_or_else(PoisonError::into_inner);
            own.count(since)
        })
    }

    /// Notes that an address was refused.
    pub(crate) fn refused(&self, key: &Key, now: i64) {
        let made = || Ok::<_, Infallible>(Arc::default());
        let Ok(own) = self.addresses.get_or_insert_with(key, made);
        let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
        own.note(now);
    }

    /// Notes that a token is to be taken back: it is refused here from now on,
    /// whatever becomes of that at the issuer.
    pub(crate) fn bury(&self, dead: &[Key]) {
        for key in dead {
            self.dead.insert(*key, ());
        }
        self.has_dead.store(true, Ordering::Release);
    }

    /// Whether a token was to be taken back, by any of its names.
    pub(crate) fn is_dead(&self, names: impl FnOnce() -> Vec<Key>) -> bool {
        let any = self.has_dead.load(Ordering::Acquire);
        any && names().iter().any(|key| self.dead.get(key).is_some())
    }
}

/// The names of a token: what was shown, and what its issuer calls it. Whoever
/// holds a macaroon writes it anew with each caveat that they add.
pub(crate) fn names(shown: &[u8], principal: &Principal) -> Vec<Key> {
    let mut all = vec![key(&[b"shown", shown])];
    let id = principal.token_id();
    if !id.is_empty() {
        let issuer = principal.issuer().as_bytes();
        all.push(key(&[b"issued", issuer, id.as_bytes()]));
    }
    all
}

/// A name of several parts, each with its length, so that no two run into each
/// other.
pub(crate) fn key(parts: &[&[u8]]) -> Key {
    let mut text = Vec::new();
    for part in parts {
        text.extend(part.len().to_be_bytes());
        text.extend(*part);
    }
    *Digest::of(&text).as_bytes()
}

/// What is known of a subject.
#[derive(Default)]
pub(crate) struct Seen {
    pub(super) networks: Familiar,
    pub(super) agents: Familiar,
    /// Where it was last, and when.
    pub(super) place: Option<(Point, i64)>,
    /// When it last travelled as nobody can.
    pub(super) travelled: Option<i64>,
    pub(super) failures: Recent,
}

/// Things that are known of a subject, the last one used last.
#[derive(Default)]
pub(super) struct Familiar(Vec<(u128, i64)>);

impl Familiar {
    /// Whether something is new: not known, or for less than `span` seconds.
    /// For a subject that is itself new, nothing is.
    pub(super) fn is_new(&self, what: u128, now: i64, span: i64) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let known = self.0.iter().find(|(own, _)| *own == what);
        known.is_none_or(|(_, since)| now < since.saturating_add(span))
    }

    pub(super) fn learn(&mut self, what: u128, now: i64) {
        let since = match self.0.iter().position(|(own, _)| *own == what) {
            Some(at) => self.0.remove(at).1,
            None if self.0.is_empty() => i64::MIN,
            None => now,
        };
        if self.0.len() == MAX_FAMILIAR {
            self.0.remove(0);
        }
        self.0.push((what, since));
    }
}

/// When the last few refusals were.
#[derive(Default)]
pub(crate) struct Recent(Vec<i64>);

impl Recent {
    pub(super) fn note(&mut self, now: i64) {
        if self.0.len() == MAX_FAILURES {
            self.0.remove(0);
        }
        self.0.push(now);
    }

    pub(super) fn count(&self, since: i64) -> usize {
        self.0.iter().filter(|own| **own >= since).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_first_is_usual_and_what_comes_later_becomes_so() {
        let mut own = Familiar::default();
        assert!(!own.is_new(1, 0, 3_600));
        own.learn(1, 0);
        assert!(!own.is_new(1, 0, 3_600));
        assert!(own.is_new(2, 10, 3_600));
        own.learn(2, 10);
        assert!(own.is_new(2, 3_609, 3_600));
        assert!(!own.is_new(2, 3_610, 3_600));
    }

    #[test]
    fn memory_of_a_subject_has_an_end() {
        let mut own = Familiar::default();
        for what in 0..1_000 {
            own.learn(what, 0);
        }
        assert_eq!(own.0.len(), MAX_FAMILIAR);
        let mut recent = Recent::default();
        for now in 0..1_000 {
            recent.note(now);
        }
        assert_eq!(recent.0.len(), MAX_FAILURES);
        assert_eq!(recent.count(990), 10);
    }

    #[test]
    fn memory_of_subjects_has_an_end() {
        let memory = Memory::new();
        for at in 0..(MAX_KNOWN * 2) {
            memory.refused(&key(&[&at.to_be_bytes()]), 0);
        }
        assert!(memory.addresses.len() <= MAX_KNOWN);
    }

    /// Attack: L339
    #[test]
    fn no_two_subjects_share_a_memory_by_running_into_each_other() {
        assert_ne!(key(&[b"a", b"bc"]), key(&[b"ab", b"c"]));
        assert_ne!(key(&[b"a"]), key(&[b"a", b""]));
    }

    #[test]
    fn a_token_that_was_buried_is_dead_and_no_other() {
        let memory = Memory::new();
        let named = |all: &[&[u8]]| all.iter().map(|own| key(&[own])).collect::<Vec<_>>();
        assert!(!memory.is_dead(|| named(&[b"one"])));
        memory.bury(&named(&[b"one", b"its id"]));
        assert!(memory.is_dead(|| named(&[b"one"])));
        assert!(memory.is_dead(|| named(&[b"one, narrowed", b"its id"])));
        assert!(!memory.is_dead(|| named(&[b"two", b"another id"])));
    }
}
