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
//! Numbers that nothing is recorded under are no loss to any reader: the head
//! says how far the feed reaches, and every record that is made again leaves
//! such a number behind.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use symbolon_protocol::Timestamp;
use symbolon_store::{Feed, Position, RaiseHead, Revocation, Store, Target};

use crate::failure::Broken;
use crate::metric;

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
