//! What a running server removes once a minute, at once, and by which time.

use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_store::{ClaimJob, EndUnusedClients, PURGE, PurgeExpired};

use crate::app::App;
use crate::growth;
use crate::job;
use crate::outbox;

/// Takes the time that a node tells for time that has passed: its clock did not
/// jump.
pub fn believe(app: &App) {
    app.steady.believe();
}

/// The time that a node tells.
pub fn time_of(app: &App) -> Timestamp {
    app.edge.clock.now()
}

/// Removes what has expired, from the store and from memory.
///
/// # Panics
///
/// Where the store cannot be written.
#[expect(clippy::expect_used, reason = "tests stop where something is missing")]
pub async fn purge(app: &App) {
    let now = app.edge.clock.now();
    app.forget_records(now);
    let purged = app.store.act(PurgeExpired { now, limit: 1000 }).await;
    purged.expect("a store that can be written");
    let unused = app.settings().registration.unused_lifetime.duration();
    let act = EndUnusedClients {
        before: now - unused,
        after: None,
        limit: 1000,
    };
    let ended = app.store.act(act).await;
    ended.expect("a store that can be written");
}

/// Lets go of audit records that are old enough, as the same job does.
///
/// # Panics
///
/// Where the store cannot be written, or another node has the job.
#[expect(clippy::expect_used, reason = "tests stop where something is missing")]
pub async fn forget_audit(app: &App) {
    let claim = ClaimJob {
        name: PURGE,
        span: Duration::from_secs(60),
        now: app.edge.clock.now(),
    };
    let lease = app.store.act(claim).await;
    let lease = lease
        .expect("a store that can be written")
        .expect("the only node");
    let done = job::retention::forget(app, lease, Duration::from_secs(60)).await;
    done.expect("a store that can be written");
}

/// Links all that was done so far into the audit chain, whoever did it.
///
/// # Panics
///
/// Where the store cannot be written.
#[expect(clippy::expect_used, reason = "tests stop where something is missing")]
pub async fn link_audit(app: &App) {
    let linked = job::audit::link(app, true, &mut job::audit::Seen::default()).await;
    linked.expect("a store that can be written");
}

/// Looks over the outbox, as a node does twice a minute: what waited too long is
/// dead, and what waits for nobody goes.
pub async fn sweep_outbox(app: &App) {
    outbox::sweep(app).await;
}

/// Does what a node does once a minute: forgets what has expired by the time
/// that it believes to have come, writes that time down, and notes how long
/// tokens live. The job is free again at once.
///
/// # Panics
///
/// Where the store cannot be written.
#[expect(clippy::expect_used, reason = "tests stop where something is missing")]
pub async fn forget(app: &App) {
    let believed = app.believed();
    app.forget_records(believed);
    let done = growth::run(app, believed, Duration::ZERO).await;
    done.expect("a store that can be written");
    app.note_token_life().await;
}
