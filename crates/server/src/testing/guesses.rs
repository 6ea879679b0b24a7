//! Wrong guesses of a great many strangers, without them.

use std::time::Duration;

use symbolon_store::{CountUses, Use};

use crate::app::App;

/// Counts wrong codes of devices as if people everywhere had typed them.
///
/// # Panics
///
/// Where the store cannot be written.
pub async fn wrong_user_codes(app: &App, number: usize) {
    counted(app, ("user-code-all", b""), number).await;
}

/// Counts something as if it had happened so often in ten minutes: under which
/// label, and of whom.
///
/// # Panics
///
/// Where the store cannot be written.
#[expect(clippy::expect_used, reason = "tests stop where something is missing")]
pub async fn counted(app: &App, (label, part): (&str, &[u8]), number: usize) {
    let now = app.edge.clock.now();
    let one = Use {
        name: app.keys.load().ring.name_mac(label, &[part]),
        limit: u32::MAX,
        until: now + Duration::from_secs(10 * 60),
    };
    let uses = vec![one; number];
    let counted = app.store.act(CountUses { uses, now }).await;
    counted.expect("a store that can be written");
}
