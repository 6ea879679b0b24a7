//! A head of the feed that fell: after a failover to a standby that had not
//! received everything, the database gives numbers out a second time.
//!
//! Tokens carry the place up to which their maker had read, so a record with a
//! number that was used before hits none of them. And whoever follows the feed
//! believes nobody who tells less than was known. So a node that reads a head
//! below its own, or another record under the number of its last one (others may
//! have been quicker, and the head stand where it stood), raises it, goes on with
//! what it knows, and has recorded again
//!
//! 1. what it had read and the database has lost,
//! 2. what others recorded meanwhile under numbers that were used before.
//!
//! Numbers that nothing is recorded under are no loss to any reader: the head
//! says how far the feed reaches, and every record that is made again leaves
//! such a number behind.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use symbolon_protocol::Timestamp;
use symbolon_store::{Feed, Position, RaiseHead, Revocation, Store, Target};

use crate::failure::Broken;
use crate::metric;

/// What a node stands on as it reads on: how far it has read, and what has to
/// stand in the database as it knew it.
pub(crate) struct Footing {
    pub(crate) position: Position,
    /// The last record that was read, and those of this node beyond it.
    pub(crate) known: Vec<Revocation>,
}

impl Footing {
    /// From where to read, so that the last record comes along.
    pub(crate) fn from(&self) -> Option<Position> {
        let Position { epoch, sequence } = self.position;
        let own = self.known.iter().filter(|own| own.position.epoch == epoch);
        let first = own.map(|own| own.position.sequence - 1).min();
        let sequence = first.map_or(sequence, |first| first.min(sequence));
        let from = Position { epoch, sequence };
        (self.position != Position::default()).then_some(from)
    }

    /// Whether the database has lost what was known: its head fell, or a number
    /// stands for something else. A number that stands for nothing is that of a
    /// record which was made again, or has been forgotten.
    pub(crate) fn has_fallen(&self, read: &Feed) -> bool {
        if read.head.epoch != self.position.epoch {
            return false;
        }
        let is_another = |own: &Revocation| {
            let held = &read.revocations;
            let found = held.binary_search_by_key(&own.position, |held| held.position);
            found.is_ok_and(|found| held[found].target != own.target)
        };
        read.head < self.position || self.known.iter().any(is_another)
    }

    /// Leaves what was not known yet.
    pub(crate) fn strip(&self, read: &mut Feed) {
        let is_news = |own: &Revocation| own.position > self.position;
        if !read.reset {
            read.revocations.retain(is_news);
        }
    }
}

/// How many records are made in one transaction: others who take something back
/// wait for it.
const BATCH: usize = 64;

/// What a node owes to its database, until it was taken there.
#[derive(Default)]
pub(crate) struct Owed(Mutex<Option<RaiseHead>>);

impl Owed {
    fn lock(&self) -> MutexGuard<'_, Option<RaiseHead>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the head fell below a place, and what is to be recorded again.
    pub(crate) fn note(&self, seen: Position, read: &Feed, again: Vec<(Target, Timestamp)>) {
        metric::head_fell();
        tracing::error!(
            head = read.head.sequence,
            seen = seen.sequence,
            again = again.len(),
            "the database has lost revocations that were committed: the head of the feed is raised, and what is known of them is recorded again"
        );
        *self.lock() = Some(RaiseHead {
            seen,
            again,
            now: read.head_time,
        });
    }

    /// Brings it to the database. What could not be brought stays owed.
    pub(crate) async fn bring(&self, store: &Store) -> Result<(), Broken> {
        while let Some(batch) = self.next() {
            store.act(batch.clone()).await?;
            self.strike(&batch);
        }
        Ok(())
    }

    fn next(&self) -> Option<RaiseHead> {
        let owed = self.lock();
        let owed = owed.as_ref()?;
        Some(RaiseHead {
            again: owed.again.iter().take(BATCH).cloned().collect(),
            ..*owed
        })
    }

    /// Another may bring the same at once, or note anew what is owed.
    fn strike(&self, batch: &RaiseHead) {
        let mut owed = self.lock();
        if let Some(own) = owed.as_mut().filter(|own| own.seen == batch.seen) {
            own.again.retain(|record| !batch.again.contains(record));
            if own.again.is_empty() {
                *owed = None;
            }
        }
    }
}

/// What has to be recorded again, of what this node knows (everything after
/// `begins`, in order) and of all that the database holds.
pub(crate) fn again<'a>(
    known: impl Iterator<Item = &'a Revocation>,
    begins: i64,
    read: &'a Feed,
) -> Vec<(Target, Timestamp)> {
    let by_target = |own: &'a Revocation| (&own.target, own);
    // Of a target that was recorded twice, the last.
    let known: HashMap<&Target, &Revocation> = known.map(by_target).collect();
    let held: HashMap<&Target, &Revocation> = read.revocations.iter().map(by_target).collect();
    let lost = known.values().filter(|own| {
        let held = held.get(&own.target);
        held.is_none_or(|held| held.position != own.position) && own.expires > read.head_time
    });
    let others = held.values().filter(|own| {
        let is_new = own.position.sequence > begins;
        is_new && !known.contains_key(&own.target)
    });
    let again = lost.chain(others);
    again.map(|own| (own.target.clone(), own.expires)).collect()
}

#[cfg(test)]
mod tests {
    use symbolon_store::Version;

    use super::*;

    fn record(sequence: i64, name: &str) -> Revocation {
        Revocation {
            position: at(sequence),
            target: Target::Key(name.to_owned()),
            expires: Timestamp::FAR,
            at: Timestamp::EPOCH,
        }
    }

    fn at(sequence: i64) -> Position {
        Position { epoch: 1, sequence }
    }

    fn read(head: i64, revocations: Vec<Revocation>) -> Feed {
        Feed {
            head: at(head),
            head_time: Timestamp::EPOCH,
            version: Version::default(),
            revocations,
            reset: false,
        }
    }

    #[test]
    fn a_lower_head_and_another_record_of_a_number_are_found_out() {
        let footing = Footing {
            position: at(7),
            known: vec![record(7, "seven"), record(9, "nine")],
        };
        let (seven, nine) = (record(7, "seven"), record(9, "nine"));

        assert_eq!(footing.from(), Some(at(6)));
        for (head, records, wanted) in [
            (7, vec![seven.clone()], false),
            (6, vec![], true),
            (7, vec![record(7, "other")], true),
            (9, vec![seven.clone(), record(8, "eight"), nine], false),
            (9, vec![seven.clone(), record(9, "other")], true),
            // Made again since, or forgotten.
            (10, vec![record(10, "seven")], false),
        ] {
            let read = read(head, records);
            assert_eq!(footing.has_fallen(&read), wanted, "{read:?}");
        }
        let mut news = read(8, vec![seven, record(8, "eight")]);
        footing.strip(&mut news);
        assert_eq!(news.revocations, [record(8, "eight")]);
    }

    #[test]
    fn whoever_knows_nothing_reads_everything() {
        let footing = Footing {
            position: Position::default(),
            known: Vec::new(),
        };
        assert_eq!(footing.from(), None);
    }
}
