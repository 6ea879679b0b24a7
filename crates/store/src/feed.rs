//! The feed of revocations: one head row, records numbered in commit order.

use symbolon_protocol::Timestamp;

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::revocation::{Revocation, Target};
use crate::row::Row;
use crate::statement::statements;

pub use symbolon_token::Position;

/// The feed from one place on.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The place of the last record.
    pub head: Position,
    /// When the last record was made.
    pub head_time: Timestamp,
    /// The version of clients, resources, organizations and people.
    pub configuration: i64,
    /// Records after the place that was asked from, in order.
    pub revocations: Vec<Revocation>,
    /// Whether this is a snapshot: what was known before is void.
    pub reset: bool,
}

/// Some records of the feed, in order.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// The epoch now, whose records these are.
    pub epoch: i64,
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

/// Reads the feed: all of it, or what came after a place.
#[derive(Clone, Copy, Debug)]
pub struct LoadFeed {
    /// The last place that is known; `None` asks for a snapshot.
    pub after: Option<Position>,
}

statements! {
    // One statement is one snapshot on either engine: no record below the head
    // is missing, and none above it comes along. The head comes along even
    // where no record does.
    LOAD = "SELECT h.epoch, h.sequence, h.time, h.configuration,
            r.sequence, r.kind, r.target, r.expires, r.at
        FROM feed_head h LEFT JOIN revocation r ON r.epoch = h.epoch AND r.sequence >
            CASE WHEN h.epoch = ?1 AND h.sequence >= ?2 THEN ?2 ELSE -1 END
        ORDER BY r.sequence";
    PAGE = "SELECT h.epoch, h.sequence, h.time, h.configuration,
            r.sequence, r.kind, r.target, r.expires, r.at
        FROM feed_head h LEFT JOIN revocation r ON r.epoch = h.epoch AND r.sequence > ?1
        ORDER BY r.sequence LIMIT ?2";
    BUMP = "UPDATE feed_head SET configuration = configuration + 1 WHERE one = 1";
}

impl Act for LoadFeed {
    type Out = Feed;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Feed, Fault> {
        let after = self.after.unwrap_or(NOWHERE);
        let mut feed = Feed::nowhere();
        let binds = binds![after.epoch, after.sequence];
        tx.each(&LOAD, binds, |row| add(&mut feed, &row)).await?;
        feed.check_head()?;
        feed.reset = after.epoch != feed.head.epoch || after.sequence > feed.head.sequence;
        Ok(feed)
    }
}

impl Act for LoadFeedPage {
    type Out = FeedPage;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<FeedPage, Fault> {
        let mut feed = Feed::nowhere();
        let binds = binds![self.after, self.limit];
        tx.each(&PAGE, binds, |row| add(&mut feed, &row)).await?;
        feed.check_head()?;
        Ok(FeedPage {
            epoch: feed.head.epoch,
            revocations: feed.revocations,
        })
    }
}

const NOWHERE: Position = Position {
    epoch: -1,
    sequence: -1,
};

impl Feed {
    fn nowhere() -> Self {
        Self {
            head: NOWHERE,
            head_time: Timestamp::EPOCH,
            configuration: 0,
            revocations: Vec::new(),
            reset: false,
        }
    }

    fn check_head(&self) -> Result<(), Fault> {
        if self.head == NOWHERE {
            return Err(Fault::broken("the feed has no head"));
        }
        Ok(())
    }
}

fn add(feed: &mut Feed, row: &Row) -> Result<(), Fault> {
    feed.head = row.position(0)?;
    feed.head_time = row.time(2)?;
    feed.configuration = row.number(3)?;
    let Some(sequence) = row.number_or_none(4)? else {
        return Ok(());
    };
    let kind = u8::try_from(row.number(5)?).map_err(|_| Fault::unreadable(5))?;
    feed.revocations.push(Revocation {
        position: Position {
            epoch: feed.head.epoch,
            sequence,
        },
        target: Target::from_parts(kind, row.bytes(6)?).ok_or(Fault::unreadable(6))?,
        expires: row.time(7)?,
        at: row.time(8)?,
    });
    Ok(())
}

/// Says that a client, a resource, an organization or a person has changed.
/// It takes the head's lock, so it stands among an act's last statements.
pub(crate) async fn bump_configuration(tx: &mut Tx<'_>) -> Result<(), Fault> {
    tx.run(&BUMP, &[]).await?;
    Ok(())
}
