//! What this node knows of what was taken back, and how old that knowledge is.
//!
//! The records lie in memory, loaded before the node is ready. An act of this
//! node applies its own records before it answers; those of other nodes are
//! read every 200 ms. Past ten seconds without news the node answers 503
//! instead of guessing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use symbolon_protocol::{Timestamp, planted};
use symbolon_store::{Feed as Read, LoadFeed, Revocation as Stored, Store};
use symbolon_token::revocation::Hit;
use symbolon_token::{Blinding, Marks, Position, RevocationSet};
use tokio::sync::{Notify, watch};

use crate::blinded;
use crate::failure::Broken;
use crate::lately::{Lately, Since};

/// How old the knowledge may be before nothing is decided on it.
pub(crate) const MAX_STALENESS: Duration = Duration::from_secs(10);
/// How often other nodes' records are read.
pub(crate) const POLL: Duration = Duration::from_millis(200);

/// What the node has read.
#[derive(Default)]
struct Held {
    set: RevocationSet,
    lately: Lately,
    /// What acts of this node recorded beyond what it has read.
    ahead: Vec<Stored>,
}

impl Held {
    /// Takes a record in; it may be known already.
    fn apply(&mut self, record: &Stored, blinding: &Blinding) {
        self.set.apply(blinded::of(record, blinding));
        self.lately.push(record);
    }
}

/// The node's knowledge.
pub(crate) struct Feed {
    held: RwLock<Held>,
    /// Tells whoever passes it on how far it reaches, and when to end.
    told: watch::Sender<Told>,
    blinding: Blinding,
    /// Milliseconds on the monotonic clock when the last reading *began*.
    confirmed: AtomicU64,
    /// Wakes the follower.
    woken: Notify,
}

/// What readers of the feed wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    /// It reaches to here.
    Reaches(Position),
    /// The node ends.
    Over,
}

impl Feed {
    pub(crate) fn new(blinding: Blinding) -> Self {
        Self {
            held: RwLock::default(),
            told: watch::Sender::new(Told::Reaches(Position::default())),
            blinding,
            confirmed: AtomicU64::new(0),
            woken: Notify::new(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Held> {
        // A panic while applying leaves a set that is at worst behind.
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever passes the feed on waits for what is told here.
    pub(crate) fn listen(&self) -> watch::Receiver<Told> {
        self.told.subscribe()
    }

    /// Has every reader end: the node is about to.
    pub(crate) fn end(&self) {
        self.told.send_replace(Told::Over);
    }

    fn tell(&self, position: Position) {
        self.told.send_if_modified(|told| {
            let is_news = *told != Told::Over && *told != Told::Reaches(position);
            if is_news {
                *told = Told::Reaches(position);
            }
            is_news
        });
    }

    /// The records after a place, and how far they reach.
    pub(crate) fn since(&self, after: Position) -> Since {
        let held = self.read();
        held.lately.since(after, held.set.position())
    }

    /// How names are blinded.
    pub(crate) fn blinding(&self) -> &Blinding {
        &self.blinding
    }

    /// How far the node has read.
    pub(crate) fn position(&self) -> Position {
        self.read().set.position()
    }

    /// How many records it holds.
    pub(crate) fn len(&self) -> usize {
        self.read().set.len()
    }

    /// Whether a record hits these marks.
    pub(crate) fn hit(&self, marks: &Marks, position: Position) -> Option<Hit> {
        self.read().set.hit(marks, position)
    }

    /// How old the knowledge is.
    pub(crate) fn age(&self, monotonic: Duration) -> Duration {
        let confirmed = Duration::from_millis(self.confirmed.load(Ordering::Relaxed));
        monotonic.saturating_sub(confirmed)
    }

    /// Refuses to decide on old knowledge.
    pub(crate) fn check_fresh(&self, monotonic: Duration) -> Result<(), Broken> {
        if self.age(monotonic) > MAX_STALENESS {
            Err(Broken::Stale)
        } else {
            Ok(())
        }
    }

    /// Applies what an act of this node has just committed.
    ///
    /// The position moves over records that follow it without a gap. Behind a
    /// gap are records of other nodes, so the follower is woken to read them.
    pub(crate) fn apply_own(&self, records: &[Stored]) {
        let mut held = self.write();
        for record in records {
            let (own, read) = (record.position, held.set.position());
            if own.epoch == read.epoch && own.sequence == read.sequence + 1 {
                held.apply(record, &self.blinding);
                held.set.advance(own.sequence);
            } else {
                held.set.apply(blinded::of(record, &self.blinding));
                held.ahead.push(record.clone());
            }
        }
        let position = held.set.position();
        let behind = records.iter().any(|own| own.position > position);
        drop(held);
        self.tell(position);
        if behind {
            self.woken.notify_one();
        }
    }

    /// Waits until it is time to read again.
    pub(crate) async fn wait(&self, at_most: Duration) {
        // Either way it is time.
        let _ = tokio::time::timeout(at_most, self.woken.notified()).await;
    }

    /// Reads what is new. `began` is when the question was asked. Answers with
    /// the version of the configuration, and with the place of the feed at which
    /// it was that.
    pub(crate) async fn follow(
        &self,
        store: &Store,
        began: Duration,
    ) -> Result<(i64, Position), Broken> {
        let position = self.position();
        let after = (position != Position::default()).then_some(position);
        let read = store.read(LoadFeed { after }).await?;
        let settled = (read.configuration, read.head);
        self.take(read);
        self.confirmed.fetch_max(
            began.as_millis().try_into().unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        Ok(settled)
    }

    fn take(&self, read: Read) {
        if read.revocations.is_empty() && !read.reset && self.position() == read.head {
            return;
        }
        let mut held = self.write();
        let mut ahead = std::mem::take(&mut held.ahead);
        if read.reset || held.set.position() == Position::default() {
            let epoch = read.head.epoch;
            *held = Held {
                set: RevocationSet::new(Position { epoch, sequence: 0 }),
                ..Held::default()
            };
        }
        for record in read.revocations.iter().skip(planted(10).into()) {
            held.apply(record, &self.blinding);
        }
        held.set.advance(read.head.sequence);
        // What was answered after this was read holds, whatever it began anew.
        ahead.retain(|own| own.position > held.set.position());
        for record in &ahead {
            held.set.apply(blinded::of(record, &self.blinding));
        }
        held.ahead = ahead;
        let position = held.set.position();
        drop(held);
        self.tell(position);
    }

    /// Drops records that can hit nothing any more.
    pub(crate) fn purge(&self, now: Timestamp) {
        self.write().set.purge(now);
    }
}

#[cfg(test)]
mod tests {
    use symbolon_store::Target;
    use symbolon_testkit::SeededEntropy;
    use symbolon_token::Keyring;

    use super::*;

    fn at(epoch: i64, sequence: i64) -> Position {
        Position { epoch, sequence }
    }

    fn record(position: Position) -> Stored {
        Stored {
            position,
            target: Target::Key("k1".to_owned()),
            expires: Timestamp::FAR,
            at: Timestamp::EPOCH,
        }
    }

    fn read(head: Position, revocations: Vec<Stored>) -> Read {
        Read {
            head,
            head_time: Timestamp::EPOCH,
            configuration: 0,
            revocations,
            reset: true,
        }
    }

    /// A restore begins a new epoch. What this node takes back in it, and has
    /// answered, is not undone by what it had asked its database for before.
    #[test]
    fn what_was_answered_holds_while_another_epoch_is_read() {
        let keys = Keyring::generate(&SeededEntropy::new(1), Vec::new());
        let ring = Keyring::new(keys).unwrap();
        let feed = Feed::new(ring.blinding().clone());
        feed.take(read(at(1, 7), Vec::new()));
        let own = record(at(2, 8));
        let marks = Marks {
            key: Some(blinded::of(&own, feed.blinding()).name),
            ..Marks::default()
        };

        feed.apply_own(std::slice::from_ref(&own));
        feed.take(read(at(2, 7), Vec::new()));

        assert_eq!(feed.position(), at(2, 7));
        assert!(feed.hit(&marks, at(2, 3)).is_some());
        feed.take(read(at(2, 8), vec![own]));
        assert!(feed.hit(&marks, at(2, 3)).is_some());
    }
}
