//! The revocations that this process knows of: read at every check without a
//! lock, written in batches.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use symbolon_protocol::Timestamp;
use symbolon_token::revocation::{Hit, Revocation, Target};
use symbolon_token::{Marks, Position, RevocationSet};

#[derive(Default)]
struct Held {
    set: RevocationSet,
    /// Whether the epoch of the set is the issuer's own.
    has_begun: bool,
}

/// A handle to the set of revocations that a verifier looks into. Clones are
/// the same set.
#[derive(Clone)]
pub struct Revocations {
    held: Arc<ArcSwap<Held>>,
    writing: Arc<Mutex<()>>,
}

impl Default for Revocations {
    fn default() -> Self {
        Self {
            held: Arc::new(ArcSwap::from_pointee(Held::default())),
            writing: Arc::default(),
        }
    }
}

impl Revocations {
    /// Forgets everything and begins at a position of the issuer's feed: from
    /// now on tokens of another epoch are dead.
    pub fn begin(&self, position: Position) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.held.store(Arc::new(Held {
            set: RevocationSet::new(position),
            has_begun: true,
        }));
    }

    /// Puts a whole set in the place of what is held, all at once.
    pub(crate) fn replace(&self, set: RevocationSet) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.held.store(Arc::new(Held {
            set,
            has_begun: true,
        }));
    }

    /// Takes records in and notes how far they reach, all at once.
    pub(crate) fn extend(&self, records: Vec<Revocation>, sequence: i64) {
        self.change(|set| {
            records.into_iter().for_each(|record| set.apply(record));
            set.advance(sequence);
        });
    }

    /// Takes records in, all at once. Readers go on with the set before until
    /// the new one is whole. That costs a few microseconds for each record,
    /// however many are held.
    pub fn apply(&self, records: impl IntoIterator<Item = Revocation>) {
        self.change(|set| records.into_iter().for_each(|record| set.apply(record)));
    }

    /// Notes that everything up to `sequence` has been applied.
    pub fn advance(&self, sequence: i64) {
        self.change(|set| set.advance(sequence));
    }

    /// Drops what can hit nothing any more. A clock that is ahead drops what still
    /// can: say a time that has surely come.
    pub fn purge(&self, now: Timestamp) {
        self.change(|set| set.purge(now));
    }

    /// How many records are held.
    pub fn len(&self) -> usize {
        self.held.load().set.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn change(&self, change: impl FnOnce(&mut RevocationSet)) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.held.load();
        let mut set = held.set.clone();
        change(&mut set);
        self.held.store(Arc::new(Held {
            set,
            has_begun: held.has_begun,
        }));
    }

    /// How far the issuer's feed was read.
    pub(crate) fn position(&self) -> Position {
        self.held.load().set.position()
    }

    /// Whether the key of a mark was distrusted.
    pub(crate) fn hit_key(&self, key: Option<u64>) -> Option<Hit> {
        let held = self.held.load();
        let hit = key.is_some_and(|key| held.set.hits_key(key));
        hit.then_some(Hit::Record(Target::Key))
    }

    /// Whether a key is named by a record.
    pub(crate) fn names_key(&self, key: u64) -> bool {
        self.hit_key(Some(key)).is_some()
    }

    pub(crate) fn hit(&self, marks: &Marks, mut position: Position) -> Option<Hit> {
        let held = self.held.load();
        if !held.has_begun {
            // Nobody has said yet which epoch it is.
            position.epoch = held.set.position().epoch;
        }
        held.set.hit(marks, position)
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revocations({})", self.len())
    }
}
