//! What this node knows of what was taken back, and how old that knowledge is.
//!
//! The records lie in memory, loaded before the node is ready. An act of this
//! node applies its own records before it answers; those of other nodes are
//! read every 200 ms. Past ten seconds without news the node answers 503
//! instead of guessing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_store::{Feed as Read, LoadFeed, Revocation as Stored, Store, Target as Named};
use symbolon_token::revocation::{self, Hit, Target, pair_name, public_name, token_name};
use symbolon_token::{Blinding, Id, Marks, Person, Position, RevocationSet};

use tokio::sync::Notify;

use crate::failure::Broken;

/// How old the knowledge may be before nothing is decided on it.
pub(crate) const MAX_STALENESS: Duration = Duration::from_secs(10);
/// How often other nodes' records are read.
pub(crate) const POLL: Duration = Duration::from_millis(200);

/// The node's knowledge.
pub(crate) struct Feed {
    set: RwLock<RevocationSet>,
    blinding: Blinding,
    /// Milliseconds on the monotonic clock when the last reading *began*.
    confirmed: AtomicU64,
    /// Wakes the follower.
    woken: Notify,
}

impl Feed {
    pub(crate) fn new(blinding: Blinding) -> Self {
        Self {
            set: RwLock::default(),
            blinding,
            confirmed: AtomicU64::new(0),
            woken: Notify::new(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, RevocationSet> {
        // A panic while applying leaves a set that is at worst behind.
        self.set.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, RevocationSet> {
        self.set.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// How names are blinded.
    pub(crate) fn blinding(&self) -> &Blinding {
        &self.blinding
    }

    /// How far the node has read.
    pub(crate) fn position(&self) -> Position {
        self.read().position()
    }

    /// How many records it holds.
    pub(crate) fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether a record hits these marks.
    pub(crate) fn hit(&self, marks: &Marks, position: Position) -> Option<Hit> {
        self.read().hit(marks, position)
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
        let mut set = self.write();
        for record in records {
            set.apply(self.named(record));
            if record.position.sequence == set.position().sequence + 1 {
                set.advance(record.position.sequence);
            }
        }
        let behind = records.iter().any(|own| own.position > set.position());
        drop(set);
        if behind {
            self.woken.notify_one();
        }
    }

    /// Waits until it is time to read again.
    pub(crate) async fn wait(&self, at_most: Duration) {
        // Either way it is time.
        let _ = tokio::time::timeout(at_most, self.woken.notified()).await;
    }

    /// Reads what is new. `began` is when the question was asked.
    pub(crate) async fn follow(&self, store: &Store, began: Duration) -> Result<i64, Broken> {
        let position = self.position();
        let after = (position != Position::default()).then_some(position);
        let read = store.read(LoadFeed { after }).await?;
        let configuration = read.configuration;
        self.take(read);
        self.confirmed.fetch_max(
            began.as_millis().try_into().unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        Ok(configuration)
    }

    fn take(&self, read: Read) {
        if read.revocations.is_empty() && !read.reset && self.position() == read.head {
            return;
        }
        let mut set = self.write();
        if read.reset || set.position() == Position::default() {
            *set = RevocationSet::new(Position {
                epoch: read.head.epoch,
                sequence: 0,
            });
        }
        for record in &read.revocations {
            set.apply(self.named(record));
        }
        set.advance(read.head.sequence);
    }

    /// Drops records that can hit nothing any more.
    pub(crate) fn purge(&self, now: Timestamp) {
        self.write().purge(now);
    }

    /// The record under its blinded name.
    fn named(&self, record: &Stored) -> revocation::Revocation {
        let client = |id: &str| self.blinding.name(Target::Client, id.as_bytes());
        let (target, name) = match &record.target {
            Named::Token(id) => (Target::Token, token_name(&id.to_string())),
            Named::Family(id) => (
                Target::Family,
                self.blinding.name(Target::Family, id.as_bytes()),
            ),
            Named::Grant(id) => (
                Target::Grant,
                self.blinding.name(Target::Grant, id.as_bytes()),
            ),
            Named::Session(id) => (
                Target::Session,
                self.blinding.name(Target::Session, id.as_bytes()),
            ),
            Named::Subject(id) => (
                Target::Subject,
                self.blinding.name(Target::Subject, id.as_bytes()),
            ),
            Named::Client(id) => (Target::Client, client(id.as_str())),
            Named::ClientSubject(id, subject) => {
                let subject = self.subject(subject);
                (
                    Target::ClientSubject,
                    pair_name(Target::ClientSubject, client(id.as_str()), subject),
                )
            }
            Named::Organization(id) => (
                Target::Organization,
                self.blinding
                    .name(Target::Organization, id.as_str().as_bytes()),
            ),
            Named::Membership(id, person) => {
                let organization = self
                    .blinding
                    .name(Target::Organization, id.as_str().as_bytes());
                let subject = self.blinding.name(Target::Subject, person.as_bytes());
                (
                    Target::Membership,
                    pair_name(Target::Membership, organization, subject),
                )
            }
            Named::Issuer(issuer) => (Target::Issuer, public_name(Target::Issuer, issuer)),
            Named::Key(kid) => (Target::Key, public_name(Target::Key, kid)),
            Named::Resource(own) => (Target::Resource, public_name(Target::Resource, own)),
        };
        revocation::Revocation {
            sequence: record.position.sequence,
            target,
            name,
            expires: record.expires,
        }
    }

    fn subject(&self, text: &str) -> u64 {
        match text.parse::<Id<Person>>() {
            Ok(person) => self.blinding.name(Target::Subject, person.as_bytes()),
            Err(_) => self.blinding.name(Target::Subject, text.as_bytes()),
        }
    }
}
