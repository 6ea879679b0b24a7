//! The lives that access tokens were issued with: a row of `meta` for each that
//! was in force lately, with the time by which the last token of it has ended.
//!
//! A lifetime that is lowered holds for what is issued from then on. What was
//! issued before lives on, whatever the configuration says now, so keys and
//! records of revocations ask here how long.
//!
//! 1. A resource that is created or changed notes, in the same act, the longer
//!    of what it says and what it said.
//! 2. A node notes the longest life that it issues with, at its start and
//!    before what it noted has come near its end.
//!
//! Spec: RFC 6749 §5.1

use std::time::Duration;

use symbolon_protocol::{Lifetime, Timestamp};

use crate::act::{Act, Settled, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::meta::RAISE;
use crate::row::Row;
use crate::statement::statements;

/// How much longer a life is noted for than a token of this moment lives: for
/// what is issued until it is noted again, by nodes whose clocks are apart, and
/// by one that has not heard yet that the life was lowered.
pub const NOTED_AHEAD: Duration = Duration::from_secs(60 * 60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Begins the names of the rows; the life in seconds follows.
const PREFIX: &str = "token-life:";

/// A life that tokens were issued with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLife {
    /// How long they live.
    pub life: Lifetime,
    /// When the last of them has ended.
    pub ends: Timestamp,
}

/// Notes that tokens are issued with a life, and forgets lives whose last token
/// has ended.
#[derive(Clone, Copy, Debug)]
pub struct NoteTokenLife {
    /// The life.
    pub life: Lifetime,
    /// The time by which tokens are issued.
    pub now: Timestamp,
    /// A time that has surely come.
    pub sure: Timestamp,
}

/// Reads every life that is noted.
#[derive(Clone, Copy, Debug)]
pub struct TokenLives;

statements! {
    // The names of the installation's facts are few, and go by no order that
    // all engines have in common.
    ALL = "SELECT name, value FROM meta WHERE name LIKE 'token-life:%'";
    FORGET = "DELETE FROM meta WHERE name LIKE 'token-life:%' AND value < ?1";
}

/// Notes a life. Of two times the later one stays: a node whose clock is behind
/// takes nothing back.
pub(crate) async fn note(tx: &mut Tx<'_>, life: Lifetime, now: Timestamp) -> Result<(), Fault> {
    let name = format!("{PREFIX}{}", life.as_seconds());
    let ends = now + life.duration() + NOTED_AHEAD;
    tx.run(&RAISE, binds![&name, to_value(ends).as_slice()])
        .await?;
    Ok(())
}

/// As numbers are stored there: the most significant byte first, so that bytes
/// compare as the times do.
fn to_value(time: Timestamp) -> [u8; 8] {
    time.millis().max(0).to_be_bytes()
}

fn read(row: &Row) -> Result<TokenLife, Fault> {
    let seconds = row.text(0)?.strip_prefix(PREFIX);
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    Ok(TokenLife {
        life: Lifetime::seconds(seconds.ok_or(Fault::unreadable(0))?),
        ends: Timestamp::from_millis(i64::from_be_bytes(row.array(1)?)),
    })
}

/// When the last token has ended of any life that is noted, by whichever node. A
/// life that was noted by a clock of years ahead counts as by one that was a day.
pub(crate) async fn last_ends(tx: &mut Tx<'_>, now: Timestamp) -> Result<Timestamp, Fault> {
    let lives = tx.all(&ALL, &[], read).await?;
    let most = |own: &TokenLife| now + own.life.duration() + NOTED_AHEAD + DAY;
    let ends = lives.iter().map(|own| own.ends.min(most(own)));
    Ok(ends.max().unwrap_or(Timestamp::EPOCH))
}

impl Act for NoteTokenLife {
    type Out = ();

    /// A second time changes nothing.
    async fn settled(&self, _: &mut Tx<'_>) -> Result<Settled<Self::Out>, Fault> {
        Ok(Settled::Undone)
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        note(tx, self.life, self.now).await?;
        tx.run(&FORGET, binds![to_value(self.sure).as_slice()])
            .await?;
        Ok(())
    }
}

impl Act for TokenLives {
    type Out = Vec<TokenLife>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<TokenLife>, Fault> {
        tx.all(&ALL, &[], read).await
    }
}
