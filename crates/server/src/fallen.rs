//! A head of the feed that fell: after a failover to a standby that had not
//! received everything, the database gives numbers out a second time.
//!
//! Tokens carry the place up to which their maker had read, so a record with a
//! number that was used before hits none of them. And whoever follows the feed
//! believes nobody who tells less than was known. So a node that reads a head
//! below its own raises it, goes on with what it knows, and has recorded again
//!
//! 1. what it had read and the database has lost,
//! 2. what others recorded meanwhile under numbers that were used before.
//!
//! Others may have been quicker, and the head stand where it stood or beyond. So
//! the last records that are known come along with each page, and are compared:
//! what stands neither where it stood nor behind has been lost.
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
    /// The last records up to there, and those of this node beyond it.
    pub(crate) known: Vec<Revocation>,
}

/// How many of the last records are compared each time.
pub(crate) const COMPARED: usize = 64;

impl Footing {
    /// What is known in the epoch of what was read.
    fn own(&self) -> impl Iterator<Item = &Revocation> {
        let epoch = self.position.epoch;
        self.known
            .iter()
            .filter(move |own| own.position.epoch == epoch)
    }

    /// From where to read, so that what is known comes along.
    pub(crate) fn from(&self) -> Option<Position> {
        let Position { epoch, sequence } = self.position;
        let first = self.own().map(|own| own.position.sequence - 1).min();
        let sequence = first.map_or(sequence, |first| first.min(sequence));
        let from = Position { epoch, sequence };
        (self.position != Position::default()).then_some(from)
    }

    /// The furthest place that was seen committed before anything was read.
    pub(crate) fn furthest(&self) -> Position {
        let furthest = self.own().map(|own| own.position).max();
        furthest.unwrap_or(self.position).max(self.position)
    }

    /// Whether the database has lost what was known, where `latest` is the latest time
    /// by which anything may have been forgotten.
    pub(crate) fn has_fallen(&self, read: &Feed, latest: Timestamp) -> bool {
        if read.head.epoch != self.position.epoch {
            return false;
        }
        let held = read.revocations.iter().map(|own| (&own.target, own));
        let held: HashMap<&Target, &Revocation> = held.collect();
        // A number is given out once.
        let is_another = |own: &Revocation| {
            let held = &read.revocations;
            let found = held.binary_search_by_key(&own.position, |held| held.position);
            found.is_ok_and(|found| held[found].target != own.target)
        };
        // One record may have taken the place of many.
        let is_condensed = |own: &Revocation| {
            let later = read.revocations.iter().rev();
            matches!(own.target, Target::Token(_))
                && later
                    .take_while(|held| held.position > own.position)
                    .any(|held| matches!(held.target, Target::ClientSubject(..)))
        };
        let is_lost = |own: &Revocation| match held.get(&own.target) {
            // Made again it stands further behind.
            Some(held) if held.position == own.position => held.at != own.at,
            Some(held) => held.position < own.position,
            // Nobody forgets what can hit something still.
            None => own.expires > latest && !is_condensed(own),
        };
        let is_lost = |own| is_another(own) || is_lost(own);
        read.head < self.furthest() || self.own().any(is_lost)
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
pub(crate) struct Owed {
    records: Mutex<Option<RaiseHead>>,
    /// Up to where a fall was seen of which nothing is noted yet: once the head is
    /// raised, the database says nothing of it any more.
    begun: Mutex<Option<Position>>,
}

impl Owed {
    fn lock(&self) -> MutexGuard<'_, Option<RaiseHead>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a fall was seen that is not mended.
    pub(crate) fn begun(&self) -> Option<Position> {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that one was seen, or that there is nothing more to be noted of it.
    pub(crate) fn begin(&self, seen: Option<Position>) {
        *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = seen;
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
        self.begin(None);
    }

    /// Raises the head to a place, before all that the database holds is read:
    /// whoever records something meanwhile records it beyond.
    pub(crate) async fn raise(store: &Store, seen: Position, now: Timestamp) -> Result<(), Broken> {
        let again = Vec::new();
        store.act(RaiseHead { seen, again, now }).await?;
        Ok(())
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
/// `begins`, in order) and of all that the database holds. What had ended by a time
/// has not.
pub(crate) fn again<'a>(
    known: impl Iterator<Item = &'a Revocation>,
    begins: i64,
    read: &'a Feed,
    time: Timestamp,
) -> Vec<(Target, Timestamp)> {
    let by_target = |own: &'a Revocation| (&own.target, own);
    // Of a target that was recorded twice, the last.
    let known: HashMap<&Target, &Revocation> = known.map(by_target).collect();
    let held: HashMap<&Target, &Revocation> = read.revocations.iter().map(by_target).collect();
    let lost = known.values().filter(|own| {
        let held = held.get(&own.target);
        held.is_none_or(|held| held.position != own.position) && own.expires > time
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

    fn later(own: &Revocation) -> Revocation {
        Revocation {
            at: own.at + std::time::Duration::from_secs(1),
            ..own.clone()
        }
    }

    /// Many tokens of one client and person may be condensed into one record.
    #[test]
    fn a_token_for_which_another_record_stands_is_not_lost() {
        let token = Target::Token(symbolon_token::Id::from_bytes([1; 16]).unwrap());
        let all = Target::ClientSubject("web".parse().unwrap(), "usr_x".to_owned());
        let footing = Footing {
            position: at(7),
            known: vec![Revocation {
                target: token,
                ..record(7, "")
            }],
        };

        let condensed = Revocation {
            target: all,
            ..record(8, "")
        };
        let before = Revocation {
            position: at(5),
            ..condensed.clone()
        };
        for (held, wanted) in [
            (condensed, false),
            (before, true),
            (record(8, "eight"), true),
        ] {
            let read = read(8, vec![held]);
            assert_eq!(footing.has_fallen(&read, Timestamp::EPOCH), wanted);
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
        let other = |sequence| record(sequence, "other");
        for (head, records, wanted) in [
            (
                9,
                vec![seven.clone(), record(8, "eight"), nine.clone()],
                false,
            ),
            // Made again since.
            (11, vec![record(10, "seven"), record(11, "nine")], false),
            (6, vec![], true),
            (7, vec![seven.clone()], true),
            (9, vec![seven.clone(), other(9)], true),
            (9, vec![other(7), nine.clone()], true),
            // The lost number was passed over.
            (10, vec![seven.clone(), other(10)], true),
            // The same was taken back under it, at another time.
            (9, vec![seven.clone(), later(&nine)], true),
        ] {
            let read = read(head, records);
            let has_fallen = footing.has_fallen(&read, Timestamp::EPOCH);
            assert_eq!(has_fallen, wanted, "{read:?}");
        }
        let forgotten = read(9, vec![]);
        assert!(!footing.has_fallen(&forgotten, Timestamp::FAR));
        let reused = read(9, vec![other(7)]);
        assert!(footing.has_fallen(&reused, Timestamp::FAR));
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
