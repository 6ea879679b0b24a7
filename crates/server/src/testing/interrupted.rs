//! A node that stops amid what it takes back, and what time does meanwhile.

use symbolon_protocol::ClientId;
use symbolon_store::{AuditEvent, GrantsOfClient, SetClientEnabled, WithdrawGrant};

use crate::app::App;

/// Disables a client, and stops before its rows have ended.
///
/// # Panics
///
/// Where the store cannot be written.
pub async fn disable_in_part(app: &App, client: &ClientId) {
    let now = app.edge.clock.now();
    let act = SetClientEnabled {
        id: client.clone(),
        enabled: false,
        audit: AuditEvent::new("client.disable", "system"),
        now,
        horizon: app.horizon(now),
    };
    app.store.act(act).await.expect("a store");
}

/// Has everybody withdraw what they let a client do.
///
/// # Panics
///
/// Where the store cannot be written.
pub async fn withdraw_all(app: &App, client: &ClientId) {
    let now = app.edge.clock.now();
    let all = GrantsOfClient {
        client: client.clone(),
        after: None,
        limit: u32::MAX,
    };
    for grant in app.store.read(all).await.expect("a store") {
        let act = WithdrawGrant {
            id: grant.id,
            now,
            horizon: now,
            audit: AuditEvent::new("grant.withdraw", "system"),
        };
        app.store.act(act).await.expect("a store");
    }
}
