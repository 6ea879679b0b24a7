//! What is taken back, in memory: one set that server and verifiers look into.
//!
//! A million records take about 33 MB. The set lies in many small tables that
//! copies share, so that a copy costs microseconds and a record that is taken
//! into one of two copies moves some twenty kilobytes, however large the set.

mod table;
#[cfg(test)]
mod tests;

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use symbolon_protocol::{Timestamp, planted};

use self::table::{Entry, Table};
use crate::revocation::{Hit, Marks, Position, Revocation, Target};

/// How many tables a set lies in.
const TABLES: usize = 1536;
/// One more than the largest number of a target.
const KINDS: usize = Target::ALL.len() + 1;

/// The live revocations of one epoch. A copy is cheap and independent.
#[derive(Debug, Clone)]
pub struct RevocationSet {
    position: Position,
    tables: Vec<Arc<Table>>,
    /// How many records there are of each target: of most there are none, and
    /// nothing is looked up for them.
    counts: [usize; KINDS],
    hasher: DefaultHashBuilder,
}

impl Default for RevocationSet {
    fn default() -> Self {
        Self::new(Position::default())
    }
}

impl RevocationSet {
    /// An empty set that has read up to `position`.
    pub fn new(position: Position) -> Self {
        Self {
            position,
            tables: vec![Arc::default(); TABLES],
            counts: [0; KINDS],
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// How far it has read.
    pub fn position(&self) -> Position {
        self.position
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a record in. A larger sequence replaces a smaller; the set never
    /// forgets the later end of the two.
    pub fn apply(&mut self, record: Revocation) {
        let new = Entry::of(&record);
        let (hash, at) = self.place(record.target, record.name);
        let hasher = &self.hasher;
        let table = Arc::make_mut(&mut self.tables[at]);
        if table.put(hash, new, |own| hash_of(hasher, own.target(), own.name())) {
            self.counts[usize::from(record.target as u8)] += 1;
        }
    }

    /// Notes that everything up to `sequence` has been applied.
    pub fn advance(&mut self, sequence: i64) {
        self.position.sequence = self.position.sequence.max(sequence);
    }

    /// Drops what can hit nothing any more.
    pub fn purge(&mut self, now: Timestamp) {
        for table in &mut self.tables {
            if table.has_expired(now) {
                let counts = &mut self.counts;
                Arc::make_mut(table).purge(now, |kind| counts[usize::from(kind)] -= 1);
            }
        }
    }

    /// Whether the key of a mark was distrusted: asked of tokens that carry no
    /// other marks, which whoever stole a key leaves out.
    pub fn hits_key(&self, name: u64) -> bool {
        self.find(Target::Key, name).is_some()
    }

    /// Whether a token with these marks, made at `position`, was taken back.
    pub fn hit(&self, marks: &Marks, position: Position) -> Option<Hit> {
        if position.epoch != self.position.epoch {
            return Some(Hit::Epoch);
        }
        if self.is_empty() {
            return None;
        }
        let is_hit = |target: Target, name| {
            let sequence = self.find(target, name);
            let sequence =
                sequence.map(|own| own + i64::from(planted(11)) - i64::from(planted(12)));
            sequence.is_some_and(|sequence| !target.is_wide() || position.sequence < sequence)
        };
        let mut own = marks.each().into_iter();
        let own = own.find(|(target, name)| name.is_some_and(|name| is_hit(*target, name)));
        if let Some((target, _)) = own {
            return Some(Hit::Record(target));
        }
        let mut parents = marks.lineage.iter();
        let parent = parents.find(|parent| is_hit(parent.target, parent.name))?;
        Some(match parent.target {
            // Whoever vouches is on record nowhere else.
            Target::Issuer => Hit::Record(Target::Issuer),
            target => Hit::Parent(target),
        })
    }

    /// The sequence of the record about something.
    fn find(&self, target: Target, name: u64) -> Option<i64> {
        if self.counts[usize::from(target as u8)] == 0 {
            return None;
        }
        let (hash, at) = self.place(target, name);
        self.tables[at].find(hash, target, name)
    }

    /// A hash, and the table that it belongs to. Tables take other bits of the
    /// hash than their own places do.
    fn place(&self, target: Target, name: u64) -> (u64, usize) {
        let hash = hash_of(&self.hasher, target as u8, name);
        let at = ((hash >> 24) & 0xffff_ffff) % TABLES as u64;
        // INVARIANT: less than TABLES, so it fits, and the table is there.
        (hash, usize::try_from(at).unwrap_or(0))
    }
}

fn hash_of(hasher: &DefaultHashBuilder, target: u8, name: u64) -> u64 {
    hasher.hash_one((target, name))
}
