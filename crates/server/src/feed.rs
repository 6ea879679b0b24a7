//! What this node knows of what was taken back, and how old that knowledge is.
//!
//! The records lie in memory, loaded before the node is ready. An act of this
//! node applies its own records before it answers; those of other nodes are
//! read every 200 ms. Past ten seconds without news the node answers 503
//! instead of guessing.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use symbolon_protocol::{Timestamp, planted};
use symbolon_store::{
    Feed as Read, FindHighWater, PURGE, Revocation as Stored, Store, Version, read_feed,
};
use symbolon_token::revocation::{Hit, Revocation};
use symbolon_token::{Blinding, Marks, Position, RevocationSet};
use tokio::sync::{Notify, watch};

use crate::blinded;
use crate::failure::Broken;
use crate::fallen::{self, COMPARED, Footing, Owed};
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
    /// Up to which place it was compared with what the database holds.
    compared: Position,
    /// Up to which place it is settled what the database has lost.
    mended: Position,
    /// What came while a copy of the set is purged.
    meanwhile: Option<Vec<Revocation>>,
}

impl Held {
    /// Takes a record in; it may be known already.
    fn apply(&mut self, record: &Stored, blinding: &Blinding) {
        self.put(record, blinding);
        self.lately.push(record);
    }

    /// Takes a record into the set alone.
    fn put(&mut self, record: &Stored, blinding: &Blinding) {
        let record = blinded::of(record, blinding);
        if let Some(meanwhile) = &mut self.meanwhile {
            meanwhile.push(record);
        }
        self.set.apply(record);
    }
}

/// The node's knowledge.
pub(crate) struct Feed {
    held: RwLock<Held>,
    /// One purge at a time.
    purging: Mutex<()>,
    /// Tells whoever passes it on how far it reaches, and when to end.
    told: watch::Sender<Told>,
    blinding: Blinding,
    /// Milliseconds on the monotonic clock when the last reading *began*.
    confirmed: AtomicU64,
    /// By which time the database may have forgotten what had ended, in milliseconds
    /// and as it was last asked: a clock that was ahead may have been believed.
    forgotten: AtomicI64,
    /// What the database has to be told again.
    owed: Owed,
    /// One call at a time has what was lost recorded again.
    mending: tokio::sync::Mutex<()>,
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
            purging: Mutex::default(),
            told: watch::Sender::new(Told::Reaches(Position::default())),
            blinding,
            confirmed: AtomicU64::new(0),
            forgotten: AtomicI64::new(i64::MIN),
            owed: Owed::default(),
            mending: tokio::sync::Mutex::default(),
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
                held.put(record, &self.blinding);
                // What was read long ago may be told again.
                if own > read {
                    held.ahead.push(record.clone());
                }
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

    /// Reads what is new. `began` and `now` are when the question was asked. Answers with
    /// the version of the configuration, and with the place of the feed at which
    /// it was that.
    pub(crate) async fn follow(
        &self,
        store: &Store,
        (began, now): (Duration, Timestamp),
    ) -> Result<(Version, Position), Broken> {
        let mut footing = self.footing();
        let mut read = read_feed(store, footing.from()).await?;
        let forgotten = Timestamp::from_millis(self.forgotten.load(Ordering::Relaxed));
        if footing.has_fallen(&read, now.max(forgotten)) || self.owed.begun().is_some() {
            let _one = self.mending.lock().await;
            (footing, read) = self.mend(store, now).await?;
        }
        // Another call may have been given up halfway.
        self.owed.bring(store).await?;
        footing.strip(&mut read);
        let settled = (read.version, read.head);
        self.take(read);
        self.confirmed.fetch_max(
            began.as_millis().try_into().unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        Ok(settled)
    }

    /// Has recorded again what the database has lost, unless another call has had
    /// that done; reads on from there.
    async fn mend(&self, store: &Store, now: Timestamp) -> Result<(Footing, Read), Broken> {
        let footing = self.footing();
        let read = read_feed(store, footing.from()).await?;
        // Asked after that was read: what it lacks was forgotten by then.
        let forgotten = store.read(FindHighWater { name: PURGE }).await?;
        self.forgotten.store(forgotten.millis(), Ordering::Relaxed);
        let begun = self.owed.begun();
        if begun.is_none() && !footing.has_fallen(&read, now.max(forgotten)) {
            return Ok((footing, read));
        }
        let seen = footing.furthest().max(begun.unwrap_or_default());
        self.owed.begin(Some(seen));
        Owed::raise(store, seen, read.head_time).await?;
        self.fall(&read_feed(store, None).await?, seen, (now, forgotten));
        self.owed.bring(store).await?;
        let read = read_feed(store, footing.from()).await?;
        if read.reset && read.head.epoch == footing.position.epoch {
            return Err(Broken::Impossible("the feed fell while it was mended"));
        }
        Ok((footing, read))
    }

    fn footing(&self) -> Footing {
        let held = self.read();
        let known = held.lately.last(COMPARED, held.compared).chain(&held.ahead);
        let known = known.filter(|own| own.position > held.mended);
        Footing {
            position: held.set.position(),
            known: known.cloned().collect(),
        }
    }

    /// Takes what the database holds, all of it, since it has lost something. It is
    /// no news but for what others recorded, and nothing that was known is given
    /// up for it.
    fn fall(&self, read: &Read, seen: Position, (now, forgotten): (Timestamp, Timestamp)) {
        // Another epoch has begun meanwhile, which is read as such.
        if read.head.epoch != seen.epoch {
            self.owed.begin(None);
            return;
        }
        let mut held = self.write();
        let (begins, lately) = held.lately.all();
        // A clock that was ahead may have told the head's time. Where one was believed
        // and set right, what ends before the time that it had reached may have been
        // forgotten: until then a loss of that is not made good.
        let time = read.head_time.min(now).max(forgotten);
        let again = fallen::again(lately.chain(&held.ahead), begins, read, time);
        for record in &read.revocations {
            held.put(record, &self.blinding);
        }
        held.mended = read.head.max(seen);
        drop(held);
        self.owed.note(seen, read, again);
    }

    fn take(&self, read: Read) {
        let is_news = !read.revocations.is_empty() || read.reset;
        if !is_news && self.position() == read.head {
            if self.read().compared != read.head {
                self.write().compared = read.head;
            }
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
        held.compared = read.head.max(held.compared);
        // What was answered after this was read holds, whatever it began anew.
        ahead.retain(|own| own.position > held.set.position());
        for record in &ahead {
            held.put(record, &self.blinding);
        }
        held.ahead = ahead;
        let position = held.set.position();
        drop(held);
        self.tell(position);
    }

    /// Drops records that can hit nothing any more. Nobody waits for it: a copy
    /// is purged, and takes the set's place with what came meanwhile.
    pub(crate) fn purge(&self, now: Timestamp) {
        let _purging = self.purging.lock().unwrap_or_else(PoisonError::into_inner);
        let mut set = self.copy();
        set.purge(now);
        self.replace(set);
    }

    fn copy(&self) -> RevocationSet {
        let mut held = self.write();
        held.meanwhile = Some(Vec::new());
        held.set.clone()
    }

    fn replace(&self, mut set: RevocationSet) {
        let mut held = self.write();
        // Where the set began anew, the copy is of what is void.
        let Some(meanwhile) = held.meanwhile.take() else {
            return;
        };
        for record in meanwhile {
            set.apply(record);
        }
        set.advance(held.set.position().sequence);
        let before = std::mem::replace(&mut held.set, set);
        // Its memory is given back while nobody waits.
        drop(held);
        drop(before);
    }
}

#[cfg(test)]
mod tests {
    use symbolon_store::Target;
    use symbolon_testkit::SeededEntropy;
    use symbolon_token::Keyring;
    use tokio::time::Instant;

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
            version: Version::default(),
            revocations,
            reset: true,
        }
    }

    fn feed() -> Feed {
        let keys = Keyring::generate(&SeededEntropy::new(1), Vec::new());
        Feed::new(Keyring::new(keys).unwrap().blinding().clone())
    }

    fn marks(feed: &Feed, record: &Stored) -> Marks {
        Marks {
            key: Some(blinded::of(record, feed.blinding()).name),
            ..Marks::default()
        }
    }

    /// Records that come while a copy is purged are in what takes its place, and
    /// nobody waits for it.
    #[test]
    fn what_comes_while_a_copy_is_purged_is_not_forgotten() {
        let feed = feed();
        let named = |sequence, expires| Stored {
            target: Target::Key(format!("k{sequence}")),
            expires,
            ..record(at(1, sequence))
        };
        let old = named(1, Timestamp::from_seconds(5));
        let [own, other, ahead] = [2, 3, 5].map(|sequence| named(sequence, Timestamp::FAR));
        feed.take(read(at(1, 1), vec![old.clone()]));

        let mut copy = feed.copy();
        copy.purge(Timestamp::from_seconds(60));
        feed.apply_own(std::slice::from_ref(&own));
        assert!(feed.hit(&marks(&feed, &old), at(1, 0)).is_some());
        feed.take(Read {
            reset: false,
            ..read(at(1, 3), vec![other.clone()])
        });
        feed.apply_own(std::slice::from_ref(&ahead));
        feed.replace(copy);

        let hits = [&old, &own, &other, &ahead]
            .map(|record| feed.hit(&marks(&feed, record), at(1, 0)).is_some());
        assert_eq!(hits, [false, true, true, true]);
        assert_eq!((feed.position(), feed.len()), (at(1, 3), 3));
        let other_epoch = feed.copy();
        feed.take(read(at(2, 0), Vec::new()));
        feed.replace(other_epoch);
        assert_eq!(feed.position(), at(2, 0), "the copy is of what is void");
    }

    /// How long a purge of many records took, and the slowest look meanwhile.
    fn purged_beside_a_look() -> (Duration, Duration) {
        let feed = feed();
        let record = |sequence: i64| Stored {
            target: Target::Key(sequence.to_string()),
            expires: Timestamp::from_seconds(sequence % 2 * 10),
            ..record(at(1, sequence))
        };
        feed.take(read(at(1, 100_000), (1..=100_000).map(record).collect()));
        let spans = std::thread::scope(|scope| {
            let purge = scope.spawn(|| {
                let began = Instant::now();
                feed.purge(Timestamp::from_seconds(5));
                began.elapsed()
            });
            let mut slowest = Duration::ZERO;
            while !purge.is_finished() {
                let began = Instant::now();
                feed.position();
                slowest = slowest.max(began.elapsed());
            }
            (purge.join().unwrap(), slowest)
        });
        assert_eq!(feed.len(), 50_000);
        spans
    }

    #[test]
    fn nobody_who_looks_waits_for_a_purge() {
        // A machine that does much else may stop whoever looks now and then.
        let mut spans = (0..5).map(|_| purged_beside_a_look());
        let is_free = spans.any(|(purged, slowest)| slowest < purged / 2);
        assert!(is_free, "every look waited");
    }

    /// A restore begins a new epoch. What this node takes back in it, and has
    /// answered, is not undone by what it had asked its database for before.
    #[test]
    fn what_was_answered_holds_while_another_epoch_is_read() {
        let feed = feed();
        feed.take(read(at(1, 7), Vec::new()));
        let own = record(at(2, 8));
        let marks = marks(&feed, &own);

        feed.apply_own(std::slice::from_ref(&own));
        feed.take(read(at(2, 7), Vec::new()));

        assert_eq!(feed.position(), at(2, 7));
        assert!(feed.hit(&marks, at(2, 3)).is_some());
        feed.take(read(at(2, 8), vec![own]));
        assert!(feed.hit(&marks, at(2, 3)).is_some());
    }
}
