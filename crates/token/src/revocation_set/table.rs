//! One of the small tables that a set of revocations lies in.

use hashbrown::HashTable;
use hashbrown::hash_table;
use symbolon_protocol::Timestamp;

use crate::revocation::{Revocation, Target};

/// The largest sequence that an entry has room for.
const MAX_SEQUENCE: u64 = (1 << 56) - 1;
/// The end of what never expires.
const NEVER: u32 = u32::MAX;

/// A record in 20 bytes: in halves, so that none is lost to alignment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    name: [u32; 2],
    /// The target in the highest byte, the sequence in the others.
    sequence: [u32; 2],
    /// Seconds since 1970, rounded up.
    expires: u32,
}

impl Entry {
    pub(super) fn of(record: &Revocation) -> Self {
        let sequence = u64::try_from(record.sequence).unwrap_or(0);
        let target = u64::from(record.target as u8) << 56;
        Self {
            name: halves(record.name),
            sequence: halves(target | sequence.min(MAX_SEQUENCE)),
            expires: seconds(record.expires),
        }
    }

    pub(super) fn name(&self) -> u64 {
        whole(self.name)
    }

    pub(super) fn target(&self) -> u8 {
        whole(self.sequence).to_be_bytes()[0]
    }

    fn sequence(&self) -> u64 {
        whole(self.sequence) & MAX_SEQUENCE
    }

    fn is(&self, target: u8, name: u64) -> bool {
        self.name() == name && self.target() == target
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.expires != NEVER && i64::from(self.expires) <= now.seconds()
    }

    /// The larger sequence and the later end of two records of one thing.
    fn join(&mut self, other: &Self) {
        let target = u64::from(self.target()) << 56;
        let sequence = self.sequence().max(other.sequence());
        self.sequence = halves(target | sequence);
        self.expires = self.expires.max(other.expires);
    }
}

fn halves(number: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    [
        u32::from_be_bytes([a, b, c, d]),
        u32::from_be_bytes([e, f, g, h]),
    ]
}

fn whole([high, low]: [u32; 2]) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The first whole second at which something is over; what is further away
/// than 2106 never is.
fn seconds(end: Timestamp) -> u32 {
    let up = end.millis().saturating_add(999).div_euclid(1000);
    u32::try_from(up.max(0)).unwrap_or(NEVER)
}

/// Records of which no two are about the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(HashTable<Entry>);

impl Table {
    /// Puts a record in, or joins it with the one that is there. Whether it is
    /// a new one.
    pub(super) fn put(&mut self, hash: u64, new: Entry, hasher: impl Fn(&Entry) -> u64) -> bool {
        let is_same = |own: &Entry| own.is(new.target(), new.name());
        match self.0.entry(hash, is_same, hasher) {
            hash_table::Entry::Occupied(mut own) => {
                own.get_mut().join(&new);
                false
            }
            hash_table::Entry::Vacant(place) => {
                place.insert(new);
                true
            }
        }
    }

    /// The sequence of the record about something.
    pub(super) fn find(&self, hash: u64, target: Target, name: u64) -> Option<i64> {
        let found = self.0.find(hash, |own| own.is(target as u8, name))?;
        // INVARIANT: 56 bits, so it fits.
        Some(i64::try_from(found.sequence()).unwrap_or(i64::MAX))
    }

    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        self.0.iter().any(|own| own.is_over(now))
    }

    /// Drops what is over, and tells of which target each was.
    pub(super) fn purge(&mut self, now: Timestamp, mut dropped: impl FnMut(u8)) {
        self.0.retain(|own| {
            let is_over = own.is_over(now);
            if is_over {
                dropped(own.target());
            }
            !is_over
        });
    }
}
