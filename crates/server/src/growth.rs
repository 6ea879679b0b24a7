//! Keeps tables from growing: what has expired is forgotten in batches of one
//! kind, by one node at a time, so small that nobody waits for one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use symbolon_protocol::{ClientId, Timestamp};
use symbolon_store::{
    ClaimJob, EndIdle, EndUnusedClients, Fault, Lease, PURGE, PurgeExpired, Under,
};
use symbolon_token::Slot;

use crate::app::App;
use crate::job;

/// How long a node has the job. It is claimed again once a minute.
const SPAN: Duration = Duration::from_secs(90);
/// How long one run goes on.
const RUN: Duration = Duration::from_secs(45);
/// How long one batch may take: half of the 50 ms that nobody waits longer
/// than, since some of it is the disk's.
const BATCH: Duration = Duration::from_millis(25);
/// What follows a batch, in which others have their turn.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// How many rows a batch takes: fewer where the last of its kind was slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u32);

impl Size {
    const FEWEST: u32 = 8;
    const MOST: u32 = 1024;

    /// The size of the next batch, after one that took this long.
    pub(crate) fn after(self, took: Duration) -> Self {
        let next = match took {
            took if took > BATCH => self.0 / 2,
            took if took < BATCH / 4 => self.0 * 2,
            _ => self.0,
        };
        Self(next.clamp(Self::FEWEST, Self::MOST))
    }
}

/// How long a batch takes here that has nothing to do: the ways to a database
/// that is far away, which fewer rows make no shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EmptyBatch(Duration);

impl EmptyBatch {
    /// What a batch took beyond that. The quickest of all counts as one that had
    /// nothing to do.
    fn beyond(&mut self, took: Duration) -> Duration {
        self.0 = self.0.min(took);
        took.saturating_sub(self.0)
    }
}

/// Forgets what has expired by a time that has surely come, beside everything
/// else.
pub(crate) async fn forget(app: Arc<App>, now: Timestamp) {
    if let Err(fault) = run(&app, now, SPAN).await {
        tracing::warn!(cause = %fault, "could not remove what has expired");
    }
}

/// The same at once, holding the job for a span.
pub(crate) async fn run(app: &App, now: Timestamp, span: Duration) -> Result<(), Fault> {
    let clock = &app.edge.clock;
    let began = clock.monotonic();
    let claim = ClaimJob {
        name: PURGE,
        span,
        now,
    };
    let Some(lease) = app.store.act(claim).await? else {
        // Another node's, whose lease has not run out.
        return Ok(());
    };
    app.store.turn_days(&lease).await?;
    end_idle(app, lease).await?;
    purge(app, lease).await?;
    end_unused_clients(app, lease).await?;
    let span = RUN.saturating_sub(clock.monotonic().saturating_sub(began));
    job::retention::forget(app, lease, span).await
}

/// Forgets what has expired, a batch of each kind in turn, for as long as there
/// is any and the run goes on. A kind of which there is no more is not asked
/// about again: what is ended meanwhile, to go later, goes in the next run.
async fn purge(app: &App, lease: Lease) -> Result<(), Fault> {
    let clock = &app.edge.clock;
    let since = |began| clock.monotonic().saturating_sub(began);
    let batch = |kind, limit| {
        let now = lease.time;
        let act = PurgeExpired { now, limit }.of(kind);
        app.store.act(Under { lease, act })
    };
    let mut turns = VecDeque::from(PurgeExpired::KINDS.map(|kind| (kind, Size(64))));
    let began = clock.monotonic();
    batch(PurgeExpired::KINDS[0], 0).await?;
    let mut empty = EmptyBatch(since(began));
    while since(began) < RUN
        && let Some((kind, size)) = turns.pop_front()
    {
        let before = clock.monotonic();
        let Some(rows) = batch(kind, size.0).await? else {
            return Ok(());
        };
        let took = empty.beyond(since(before));
        if rows >= u64::from(size.0) {
            turns.push_back((kind, size.after(took)));
        }
        if rows > 0 {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Ends what nobody used for too long, in the slot whose minute it is: each
/// comes up within a day.
async fn end_idle(app: &App, lease: Lease) -> Result<(), Fault> {
    let minutes = lease.time.millis().unsigned_abs() / 60_000;
    let act = EndIdle {
        slot: Slot::of_turn(minutes),
        now: lease.time,
        limit: Size::MOST,
    };
    while let Some(rows) = app.store.act(Under { lease, act }).await? {
        if rows < u64::from(Size::MOST) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Where the last look at registrations ended: those that are used are many, and
/// none of them is looked at every minute.
#[derive(Debug, Default)]
pub(crate) struct LookedAt(Mutex<Option<(Timestamp, ClientId)>>);

impl LookedAt {
    fn lock(&self) -> MutexGuard<'_, Option<(Timestamp, ClientId)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends registered clients that nobody has used for as long as the
/// configuration keeps them: a few at once, since each is several statements,
/// and so many in a minute that a million are looked at within a day.
async fn end_unused_clients(app: &App, lease: Lease) -> Result<(), Fault> {
    const FEW: u32 = 64;
    const TURNS: usize = 16;
    let unused = app.settings().registration.unused_lifetime.duration();
    for _ in 0..TURNS {
        let act = EndUnusedClients {
            before: lease.time - unused,
            after: app.looked_at.lock().clone(),
            limit: FEW,
        };
        let Some(looked) = app.store.act(Under { lease, act }).await? else {
            break;
        };
        let is_last = looked.last.is_none();
        *app.looked_at.lock() = looked.last;
        if is_last {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_batch_is_followed_by_half_of_it_and_a_quick_one_by_twice() {
        let size = Size(64);

        assert_eq!(size.after(Duration::from_millis(40)), Size(32));
        assert_eq!(size.after(Duration::from_millis(10)), Size(64));
        assert_eq!(size.after(Duration::from_millis(1)), Size(128));
        assert_eq!(Size(8).after(Duration::from_secs(1)), Size(8));
        assert_eq!(Size(1024).after(Duration::ZERO), Size(1024));
    }

    #[test]
    fn a_database_that_is_far_away_makes_no_batch_smaller() {
        let ms = Duration::from_millis;
        let mut empty = EmptyBatch(ms(80));

        assert_eq!(Size(64).after(empty.beyond(ms(82))), Size(128));
        assert_eq!(Size(64).after(empty.beyond(ms(120))), Size(32));
        // The first was slow by chance.
        assert_eq!(Size(64).after(empty.beyond(ms(30))), Size(128));
        assert_eq!(Size(64).after(empty.beyond(ms(60))), Size(32));
    }
}
