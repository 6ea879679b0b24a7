//! A configuration that is worked out, and then met by something newer.

use std::sync::Arc;

use symbolon_store::{AuditEvent, CreatePerson, Person};
use symbolon_token::{Id, Slot};

use crate::app::App;
use crate::apply::carry_out;
use crate::config::Config;

/// Works out what a configuration changes, has somebody sign up under a name,
/// and only then carries it out: why that is refused.
///
/// # Panics
///
/// Where it is not refused, or the store cannot be written.
#[expect(clippy::expect_used, reason = "tests stop where something is missing")]
pub async fn undone_by(app: &Arc<App>, config: &Config, username: &str) -> String {
    let planned = crate::apply::plan(app, config).await.expect("a good plan");
    let now = app.edge.clock.now();
    let id = Id::new(Slot::random(app.entropy()), app.entropy());
    let person = Person {
        id,
        username: username.to_owned(),
        document: serde_json::Map::new(),
        password: None,
        enabled: true,
        created: now,
        updated: now,
    };
    let act = CreatePerson {
        person,
        login_names: vec![username.to_owned()],
        audit: AuditEvent::new("user.create", "test"),
        now,
    };
    app.store.act(act).await.expect("a store");
    let outcome = carry_out(app, planned).await;
    outcome.expect_err("a conflict").to_string()
}
