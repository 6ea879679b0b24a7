//! What a running server removes once a minute, at once.

use symbolon_store::PurgeExpired;

use crate::app::App;

/// Removes what has expired, from the store and from memory.
///
/// # Panics
///
/// Where the store cannot be written.
#[expect(clippy::expect_used, reason = "tests stop where something is missing")]
pub async fn purge(app: &App) {
    let now = app.edge.clock.now();
    app.feed.purge(now - app.settings().clock_skew);
    let purged = app.store.act(PurgeExpired { now, limit: 1000 }).await;
    purged.expect("a store that can be written");
}
