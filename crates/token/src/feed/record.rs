//! Records as a stream carries them: 25 bytes each, numbers with the most
//! significant byte first.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the number of the target; one that a reader does not know it passes over |
//! | 8 | the blinded name |
//! | 8 | the sequence |
//! | 8 | the end, in seconds since 1970, rounded up: from then on it hits nothing |

use aws_lc_rs::digest;
use symbolon_protocol::Timestamp;

use crate::revocation::{Revocation, Target};

/// How long a packed record is.
pub const RECORD_BYTES: usize = 25;

/// Writes a record behind others.
pub fn pack(record: &Revocation, out: &mut Vec<u8>) {
    let sequence = u64::try_from(record.sequence).unwrap_or(0);
    let up = record.expires.millis().saturating_add(999).div_euclid(1000);
    out.push(record.target as u8);
    out.extend(record.name.to_be_bytes());
    out.extend(sequence.to_be_bytes());
    out.extend(u64::try_from(up).unwrap_or(0).to_be_bytes());
}

/// What stands in a place for a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unpacked {
    /// A record.
    Known(Revocation),
    /// One about something that this reader has no marks for, so that no token
    /// which it can read could be hit: with its sequence.
    Unknown(i64),
}

impl Unpacked {
    /// Its number.
    pub const fn sequence(&self) -> i64 {
        match self {
            Self::Known(record) => record.sequence,
            Self::Unknown(sequence) => *sequence,
        }
    }
}

/// Reads packed records; `None` where they are not whole, or a number is none
/// that a server counts to.
pub fn unpack(bytes: &[u8]) -> Option<impl ExactSizeIterator<Item = Unpacked>> {
    let (records, rest) = bytes.as_chunks::<RECORD_BYTES>();
    let is_good = rest.is_empty() && records.iter().all(|own| sequence(own).is_some());
    is_good.then(|| records.iter().map(one))
}

fn one(bytes: &[u8; RECORD_BYTES]) -> Unpacked {
    // INVARIANT: `unpack` saw that the sequence fits.
    let sequence = sequence(bytes).unwrap_or(0);
    let Some(target) = Target::numbered(bytes[0]) else {
        return Unpacked::Unknown(sequence);
    };
    let expires = i64::try_from(number(bytes, 17)).unwrap_or(i64::MAX);
    Unpacked::Known(Revocation {
        sequence,
        target,
        name: number(bytes, 1),
        expires: Timestamp::from_seconds(expires).min(Timestamp::FAR),
    })
}

fn sequence(bytes: &[u8; RECORD_BYTES]) -> Option<i64> {
    i64::try_from(number(bytes, 9)).ok()
}

fn number(bytes: &[u8; RECORD_BYTES], at: usize) -> u64 {
    let mut own = [0; 8];
    own.copy_from_slice(&bytes[at..at + 8]);
    u64::from_be_bytes(own)
}

/// Counts and digests records as they pass.
#[derive(Clone)]
pub struct Tally {
    count: u64,
    digest: digest::Context,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            count: 0,
            digest: digest::Context::new(&digest::SHA256),
        }
    }
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tally({})", self.count)
    }
}

impl Tally {
    /// Takes whole packed records in.
    pub fn add(&mut self, packed: &[u8]) {
        self.count += (packed.len() / RECORD_BYTES) as u64;
        self.digest.update(packed);
    }

    /// How many records passed so far.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// How many passed, and the SHA-256 of their bytes. The next begins anew.
    pub fn take(&mut self) -> (u64, [u8; 32]) {
        let own = std::mem::take(self);
        let mut out = [0; 32];
        out.copy_from_slice(own.digest.finish().as_ref());
        (own.count, out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_is_written_as_the_table_says() {
        let mut out = Vec::new();
        let record = Revocation {
            sequence: 258,
            target: Target::Session,
            name: 0x0102_0304_0506_0708,
            expires: Timestamp::from_millis(5_001),
        };

        pack(&record, &mut out);

        let expected = [
            4, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 6,
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn what_is_no_record_is_refused_and_what_is_unknown_passed_over() {
        let good = [
            4, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 6,
        ];
        assert_eq!(unpack(&good).unwrap().count(), 1);
        assert!(unpack(&good[1..]).is_none());
        let mut negative = good;
        negative[9] = 0x80;
        assert!(unpack(&negative).is_none());
        let mut unknown = good;
        unknown[0] = 200;
        let found: Vec<_> = unpack(&unknown).unwrap().collect();
        assert_eq!(found, [Unpacked::Unknown(258)]);
    }

    proptest! {
        #[test]
        fn records_read_back_as_they_were_written(
            all in proptest::collection::vec((1_u8..=12, any::<u64>(), 0..i64::MAX, 0_i64..4_000_000_000), 0..20),
        ) {
            let records: Vec<_> = all
                .into_iter()
                .map(|(target, name, sequence, seconds)| Revocation {
                    sequence,
                    target: Target::numbered(target).unwrap(),
                    name,
                    expires: Timestamp::from_seconds(seconds),
                })
                .collect();
            let mut bytes = Vec::new();
            records.iter().for_each(|own| pack(own, &mut bytes));
            let read: Vec<_> = unpack(&bytes).unwrap().collect();
            let expected: Vec<_> = records.into_iter().map(Unpacked::Known).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
