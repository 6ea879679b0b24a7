//! Wrong guesses of a great many strangers, without them.

use std::time::Duration;

use symbolon_store::{CountUses, Use};

use crate::app::App;

/// Counts wrong codes of devices as if people everywhere had typed them.
///
/// # Panics
///
/// Where the store cannot be written.
#[expect(clippy::expect_used, reason = "tests stop where something is missing")]
pub async fn wrong_user_codes(app: &App, number: usize) {
    let now = app.edge.clock.now();
    let one = Use {
        name: app.keys.load().ring.name_mac("user-code-all", &[b""]),
        limit: u32::MAX,
        until: now + Duration::from_secs(10 * 60),
    };
    let uses = vec![one; number];
    let counted = app.store.act(CountUses { uses, now }).await;
    counted.expect("a store that can be written");
}
