//! Ends what a client or an organization has, where that is a great many: the
//! act that takes it back leaves the rows, which are ended part by part before
//! anybody is answered, while everybody else goes on.
//!
//! Who asks again after an interruption ends what is left, however little that
//! is by then. What is deleted is found by nobody who asks again, so where there
//! is a great many it is taken back first.

use symbolon_store::{Act, EndPart, Fault, FindRevocations, HasLeft, HasMany, Whole};
use symbolon_token::id::SLOTS;
use symbolon_token::{Position, Slot};

use crate::app::App;
use crate::cx::Cx;
use crate::growth::{PAUSE, Size};

/// Behind whatever is in the feed.
const EVER: Position = Position {
    epoch: i64::MAX,
    sequence: i64::MAX,
};

/// What is left of one that is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// People have agreed to it still.
    Grants,
    /// It is there, and nobody has agreed to it.
    Itself,
    /// Nothing: nor is it told of the end of any session.
    Nothing,
}

async fn has_many(app: &App, of: &Whole, leaves: Leaves) -> Result<bool, Fault> {
    let has_many = HasMany {
        of: of.clone(),
        listens: leaves == Leaves::Nothing,
    };
    app.store.read(has_many).await
}

/// Ends the rows that an act has left, which took all of one back and wrote the
/// record of it.
pub(crate) async fn finish(app: &App, of: &Whole, leaves: Leaves) -> Result<(), Fault> {
    let targets = vec![of.target()];
    let found = app.store.read(FindRevocations { targets }).await?;
    // A record is forgotten only of one that has been stopped ever since, so
    // nothing of it began later.
    let before = found.first().map_or(EVER, |record| record.position);
    let has_left = HasLeft {
        of: of.clone(),
        before,
        withdraws: leaves != Leaves::Grants,
        listens: leaves == Leaves::Nothing,
    };
    if !app.store.read(has_left).await? {
        return Ok(());
    }
    let clock = &app.edge.clock;
    let mut size = Size(64);
    for slot in (0..u64::from(SLOTS)).map(Slot::of_turn) {
        loop {
            let act = EndPart {
                of: of.clone(),
                slot,
                before,
                withdraws: leaves != Leaves::Grants,
                forgets: leaves == Leaves::Nothing,
                now: clock.now(),
                limit: size.0,
            };
            let (began, limit) = (clock.monotonic(), u64::from(size.0));
            let rows = app.store.act(act).await?;
            size = size.after(clock.monotonic().saturating_sub(began));
            if rows < limit {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Prepares that one is deleted, or that people are asked anew about it: where
/// it has a great many, `first` takes all of it back, and the rows end.
pub(crate) async fn empty<A: Act>(
    cx: &Cx,
    of: &Whole,
    leaves: Leaves,
    first: A,
) -> Result<(), Fault> {
    if !has_many(&cx.app, of, leaves).await? {
        return Ok(());
    }
    cx.store.act(first).await?;
    finish(&cx.app, of, leaves).await
}
