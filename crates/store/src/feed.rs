//! The feed of revocations: one head row, records numbered in commit order.
//!
//! It is read page by page: a database that answers a page within a call's
//! deadline need not answer a million records within it.

use std::sync::{Mutex, PoisonError};

use symbolon_protocol::Timestamp;

use crate::act::{Act, Settled, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::revocation::{self, Revocation, Target};
use crate::row::Row;
use crate::statement::statements;
use crate::store::Store;

pub use symbolon_token::Position;

/// The feed from one place on.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The place of the last record.
    pub head: Position,
    /// When the last record was made.
    pub head_time: Timestamp,
    /// Which version of everything else it is.
    pub version: Version,
    /// Records after the place that was asked from, in order.
    pub revocations: Vec<Revocation>,
    /// Whether this is a snapshot: what was known before is void.
    pub reset: bool,
}

/// A version of what nodes keep in memory. Two that differ are of different
/// times; which is later they do not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// Rises with every change.
    pub all: i64,
    /// The same without changes of people, their memberships and API keys: of
    /// those there are many, and what is kept of all clients, resources and
    /// organizations need not be read again for them.
    pub configuration: i64,
}

/// Some records of the feed, in order.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// The place of the last record of all, whose epoch these are of.
    pub head: Position,
    /// When that was made.
    pub head_time: Timestamp,
    /// Which version of everything else it is.
    pub version: Version,
    /// The records, of which there may be more where it is full.
    pub revocations: Vec<Revocation>,
}

/// Reads a page of the feed. Numbers follow commits, so whoever reads page
/// after page until one is not full has missed nothing: what is recorded again
/// meanwhile comes under a larger number.
#[derive(Clone, Copy, Debug)]
pub struct LoadFeedPage {
    /// The last sequence that is known.
    pub after: i64,
    /// At most how many.
    pub limit: u32,
}

/// Raises the head to a place that somebody has seen, where it has fallen below
/// it: a database that lost commits would give numbers out a second time, which
/// hit nothing that was issued after the first. In another epoch it changes
/// nothing.
#[derive(Clone, Debug)]
pub struct RaiseHead {
    /// The place.
    pub seen: Position,
    /// What is recorded again, under numbers beyond it, and until when that can
    /// hit anything.
    pub again: Vec<(Target, Timestamp)>,
    /// The time.
    pub now: Timestamp,
}

/// The furthest place that this process has seen committed. What it records has
/// a larger number, whatever its database has lost since.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Position>);

impl Seen {
    pub(crate) fn note(&self, place: Position) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = place.max(*seen);
    }

    pub(crate) fn place(&self) -> Position {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many records are read at once.
const PAGE: u32 = 10_000;

/// Reads the feed: what came after a place, or all of it, where none is known
/// or the place is of another epoch or beyond the head.
pub async fn read_feed(store: &Store, after: Option<Position>) -> Result<Feed, Fault> {
    let (mut last, mut reset) = (after.unwrap_or(NOWHERE), after.is_none());
    let mut revocations = Vec::new();
    loop {
        let page = LoadFeedPage {
            after: last.sequence,
            limit: PAGE,
        };
        let page = store.read(page).await?;
        let resumes = page.head.epoch == last.epoch && page.head >= last;
        if last.sequence != NOWHERE.sequence && !resumes {
            (last, reset) = (NOWHERE, true);
            revocations.clear();
            continue;
        }
        let is_full = page.revocations.len() >= PAGE as usize;
        revocations.extend(page.revocations);
        match revocations.last() {
            Some(record) if is_full => last = record.position,
            _ => {
                return Ok(Feed {
                    head: page.head,
                    head_time: page.head_time,
                    version: page.version,
                    revocations,
                    reset,
                });
            }
        }
    }
}

statements! {
    // One statement is one snapshot on either engine: no record of the page is
    // missing, and none above the head comes along. The head comes along even
    // where no record does. The page is cut within, by the index: cut outside, it
    // would be sorted out of all records anew each time.
    PAGE_OF_RECORDS = "SELECT h.epoch, h.sequence, h.time, h.configuration, h.people,
            r.sequence, r.kind, r.target, r.expires, r.at
        FROM feed_head h LEFT JOIN (SELECT epoch, sequence, kind, target, expires, at
            FROM revocation
            WHERE epoch = (SELECT epoch FROM feed_head WHERE one = 1) AND sequence > ?1
            ORDER BY sequence LIMIT ?2) r ON r.epoch = h.epoch
        ORDER BY r.sequence";
    RAISE = "UPDATE feed_head SET sequence = {greatest}(sequence, ?2)
        WHERE one = 1 AND epoch = ?1";
    // By the database's clock, so that a number which a database has lost is not
    // given to another change: whoever has read the one would not read the other.
    BUMP = "UPDATE feed_head SET configuration = {greatest}(configuration + 1, {began})
        WHERE one = 1";
    // A version that knows nothing of the second number raises the first alone:
    // then more is read again than need be.
    BUMP_PEOPLE = "UPDATE feed_head SET configuration = {greatest}(configuration + 1, {began}),
            people = people + {greatest}(1, {began} - configuration)
        WHERE one = 1";
}

impl Act for LoadFeedPage {
    type Out = FeedPage;
    const SINGLE: bool = true;
    const READS_THE_FEED: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<FeedPage, Fault> {
        let mut page = FeedPage {
            head: NOWHERE,
            head_time: Timestamp::EPOCH,
            version: Version::default(),
            revocations: Vec::new(),
        };
        let binds = binds![self.after, self.limit];
        tx.each(&PAGE_OF_RECORDS, binds, |row| add(&mut page, &row))
            .await?;
        if page.head == NOWHERE {
            return Err(Fault::broken("the feed has no head"));
        }
        tx.shared.seen.note(page.head);
        Ok(page)
    }
}

impl Act for RaiseHead {
    type Out = ();
    const ONLY_TAKES_BACK: bool = true;

    /// A second time raises nothing and records what was recorded.
    async fn settled(&self, _tx: &mut Tx<'_>) -> Result<Settled<()>, Fault> {
        Ok(Settled::Undone)
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let binds = binds![self.seen.epoch, self.seen.sequence];
        if tx.run(&RAISE, binds).await? > 0 {
            revocation::record_again(tx, &self.again, self.now).await?;
        }
        Ok(())
    }
}

const NOWHERE: Position = Position {
    epoch: -1,
    sequence: -1,
};

fn add(page: &mut FeedPage, row: &Row) -> Result<(), Fault> {
    page.head = row.position(0)?;
    page.head_time = row.time(2)?;
    let all = row.number(3)?;
    page.version = Version {
        all,
        configuration: all - row.number(4)?,
    };
    let Some(sequence) = row.number_or_none(5)? else {
        return Ok(());
    };
    let kind = u8::try_from(row.number(6)?).map_err(|_| Fault::unreadable(6))?;
    page.revocations.push(Revocation {
        position: Position {
            epoch: page.head.epoch,
            sequence,
        },
        target: Target::from_parts(kind, row.bytes(7)?).ok_or(Fault::unreadable(7))?,
        expires: row.time(8)?,
        at: row.time(9)?,
    });
    Ok(())
}

/// Says that a client, a resource, an organization, a trusted issuer or a key has
/// changed. It takes the head's lock, so it stands among an act's last statements.
pub(crate) async fn bump_configuration(tx: &mut Tx<'_>) -> Result<(), Fault> {
    tx.run(&BUMP, &[]).await?;
    Ok(())
}

/// Says that a person, a membership or an API key has changed, and nothing else.
/// It takes the head's lock, so it stands among an act's last statements.
pub(crate) async fn bump_people(tx: &mut Tx<'_>) -> Result<(), Fault> {
    tx.run(&BUMP_PEOPLE, &[]).await?;
    Ok(())
}
