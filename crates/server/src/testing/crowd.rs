//! A client that a great many people have let do something.

use symbolon_protocol::{Agreement, ClientId};
use symbolon_store::{AuditEvent, ClientRow, Consent, Consented, Fault, MANY};
use symbolon_token::{Id, Slot};
use tokio::task::{JoinError, JoinSet};

use crate::app::App;

type Written = Result<Result<Consented, Fault>, JoinError>;

#[expect(clippy::expect_used, reason = "tests stop where something is missing")]
fn done(written: Option<Written>) {
    let written = written.expect("one that writes");
    let written = written.expect("an act that does not panic");
    written.expect("a store that can be written");
}

/// Lets more people agree to a client than are dealt with in one act. Nobody
/// knows who they are.
///
/// # Panics
///
/// Where the store cannot be written.
pub async fn crowd(app: &App, client: &ClientId) {
    let now = app.edge.clock.now();
    let consent = |number| {
        let slot = Slot::of_turn(number);
        Consent {
            id: Id::new(slot, app.entropy()),
            person: Id::new(slot, app.entropy()),
            client: client.clone(),
            client_row: ClientRow::Required,
            organization: None,
            session: None,
            agreement: Agreement::default(),
            former: None,
            horizon: now,
            audit: AuditEvent::new("grant.consent", "system"),
            now,
        }
    };
    let mut writing = JoinSet::new();
    for number in 0..u64::from(MANY) + 10 {
        let (store, act) = (app.store.clone(), consent(number));
        writing.spawn(async move { store.act(act).await });
        if writing.len() >= 64 {
            done(writing.join_next().await);
        }
    }
    while let Some(written) = writing.join_next().await {
        done(Some(written));
    }
}
