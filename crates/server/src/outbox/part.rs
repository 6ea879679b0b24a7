//! What waits for receivers that are gone, or for streams that are told in
//! another way by now: let go or moved in parts, so that nobody waits for it.

use symbolon_store::{Fault, ForgetGone, SettleStream, UnsettledStreams};

use crate::app::App;
use crate::growth::{PAUSE, Size};

/// How many streams one sweep puts right at most.
const MAX_STREAMS: u32 = 1000;

/// Puts right what others have left: whoever was interrupted, or wrote a message
/// by what its stream was a moment before.
pub(super) async fn put_right(app: &App) -> Result<(), Fault> {
    forget_gone(app).await?;
    let find = UnsettledStreams { limit: MAX_STREAMS };
    for id in app.store.read(find).await? {
        settle(app, &id).await?;
    }
    Ok(())
}

/// Does the rest of what a change of a stream has begun. Where that fails, the
/// next sweep does it.
pub(crate) async fn follow_stream(app: &App, id: &str) {
    if let Err(fault) = settle(app, id).await {
        tracing::debug!(cause = %fault, "what waits for a stream is put right later");
    }
}

/// The same of what somebody has deleted who was told things.
pub(crate) async fn follow_deletion(app: &App) {
    if let Err(fault) = forget_gone(app).await {
        tracing::debug!(cause = %fault, "what waited for nobody any more goes later");
    }
}

async fn settle(app: &App, id: &str) -> Result<(), Fault> {
    let (clock, mut size) = (&app.edge.clock, Size(64));
    loop {
        let (began, limit) = (clock.monotonic(), size.0);
        let id = id.to_owned();
        let rows = app.store.act(SettleStream { id, limit }).await?;
        if rows < u64::from(limit) {
            return Ok(());
        }
        size = size.after(clock.monotonic().saturating_sub(began));
        tokio::time::sleep(PAUSE).await;
    }
}

async fn forget_gone(app: &App) -> Result<(), Fault> {
    let (clock, mut size) = (&app.edge.clock, Size(64));
    loop {
        let began = clock.monotonic();
        let act = ForgetGone { limit: size.0 };
        if app.store.act(act).await?.is_none() {
            return Ok(());
        }
        size = size.after(clock.monotonic().saturating_sub(began));
        tokio::time::sleep(PAUSE).await;
    }
}
