//! What a node reads of the others, half by half: as a moment finds it that
//! comes between the two.

use symbolon_store::read_feed;

use crate::app::App;

/// Reads what was taken back, and nothing of clients and resources.
///
/// # Panics
///
/// Where the store cannot be read.
#[expect(clippy::expect_used, reason = "tests stop where something is missing")]
pub async fn follow_feed(app: &App) {
    let asked = (app.edge.clock.monotonic(), app.edge.clock.now());
    let read = app.feed.follow(&app.store, asked).await;
    read.expect("a store that can be read");
}

/// Reads clients and resources, and nothing of what was taken back.
///
/// # Panics
///
/// Where the store cannot be read.
#[expect(clippy::expect_used, reason = "tests stop where something is missing")]
pub async fn follow_directory(app: &App) {
    let after = Some(app.feed.position());
    let read = read_feed(&app.store, after).await;
    let version = read.expect("a store that can be read").version;
    let read = app.read_anew(version).await;
    read.expect("a store that can be read");
}
