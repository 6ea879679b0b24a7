//! The records that a node read last, in order: what it passes on to readers
//! of the feed without asking its database for each of them.

use std::collections::VecDeque;
use std::sync::Arc;

use symbolon_store::Revocation;
use symbolon_token::Position;

/// How many records are kept.
const MAX_LATELY: usize = 8192;

/// The last records. None is missing between its beginning and where the node
/// has read to, but for those that were recorded again under a larger number.
#[derive(Default)]
pub(crate) struct Lately {
    /// Everything after this number is here.
    begins: i64,
    records: VecDeque<Arc<Revocation>>,
}

/// What came after a place.
pub(crate) enum Since {
    /// These records; with them, everything up to the place is known.
    Known(Vec<Arc<Revocation>>, Position),
    /// The place is further back than is remembered here.
    Further(Position),
    /// The place is of another epoch.
    OtherEpoch,
}

impl Lately {
    /// Takes the next record in. One that is here already is passed over.
    pub(crate) fn push(&mut self, record: &Revocation) {
        let sequence = record.position.sequence;
        let last = self.records.back().map(|own| own.position.sequence);
        if sequence <= last.unwrap_or(self.begins) {
            return;
        }
        if self.records.len() >= MAX_LATELY
            && let Some(first) = self.records.pop_front()
        {
            self.begins = first.position.sequence;
        }
        self.records.push_back(Arc::new(record.clone()));
    }

    /// All that are kept, and after which number they begin.
    pub(crate) fn all(&self) -> (i64, impl Iterator<Item = &Revocation>) {
        (self.begins, self.records.iter().map(Arc::as_ref))
    }

    /// The last so many up to a place, and all behind it, in order.
    pub(crate) fn last(&self, count: usize, until: Position) -> impl Iterator<Item = &Revocation> {
        let until = self.records.partition_point(|own| own.position <= until);
        let first = until.saturating_sub(count);
        self.records.range(first..).map(Arc::as_ref)
    }

    /// What came after a place, for a node that has read to `head`.
    pub(crate) fn since(&self, after: Position, head: Position) -> Since {
        if after.epoch != head.epoch {
            return Since::OtherEpoch;
        }
        if after.sequence < self.begins {
            return Since::Further(head);
        }
        let first = self
            .records
            .partition_point(|own| own.position.sequence <= after.sequence);
        let records = self.records.range(first..).cloned().collect();
        Since::Known(records, head.max(after))
    }
}

#[cfg(test)]
mod tests {
    use symbolon_protocol::Timestamp;
    use symbolon_store::Target;

    use super::*;

    fn at(sequence: i64) -> Position {
        Position { epoch: 1, sequence }
    }

    fn record(sequence: i64) -> Revocation {
        Revocation {
            position: at(sequence),
            target: Target::Key(sequence.to_string()),
            expires: Timestamp::FAR,
            at: Timestamp::EPOCH,
        }
    }

    fn numbers(since: &Since) -> Vec<i64> {
        match since {
            Since::Known(records, _) => records.iter().map(|own| own.position.sequence).collect(),
            _ => panic!("not known"),
        }
    }

    #[test]
    fn what_came_after_a_place_is_given_in_order_and_once() {
        let mut lately = Lately::default();
        for sequence in [1, 2, 2, 4, 3, 5] {
            lately.push(&record(sequence));
        }

        assert_eq!(numbers(&lately.since(at(0), at(5))), [1, 2, 4, 5]);
        assert_eq!(numbers(&lately.since(at(3), at(5))), [4, 5]);
        assert!(numbers(&lately.since(at(9), at(5))).is_empty());
    }

    #[test]
    fn what_was_not_compared_yet_pushes_out_nothing_that_was() {
        let mut lately = Lately::default();
        (1..=9).for_each(|sequence| lately.push(&record(sequence)));

        let last = |count, until| -> Vec<i64> {
            let last = lately.last(count, at(until));
            last.map(|own| own.position.sequence).collect()
        };

        assert_eq!(last(2, 9), [8, 9]);
        assert_eq!(last(2, 5), [4, 5, 6, 7, 8, 9]);
        assert_eq!(last(20, 5), (1..=9).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_forgotten_or_of_another_epoch_is_said_to_be() {
        let mut lately = Lately::default();
        let last = i64::try_from(MAX_LATELY).unwrap() + 3;
        (1..=last).for_each(|sequence| lately.push(&record(sequence)));

        assert!(matches!(lately.since(at(2), at(last)), Since::Further(_)));
        assert_eq!(numbers(&lately.since(at(3), at(last))).len(), MAX_LATELY);
        let elsewhere = Position {
            epoch: 2,
            sequence: 9,
        };
        assert!(matches!(
            lately.since(elsewhere, at(last)),
            Since::OtherEpoch
        ));
    }
}
