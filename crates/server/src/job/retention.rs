//! Lets go of audit records that are older than they have to be kept.
//!
//! It is part of the job of forgetting, so one node at a time does it, by a time
//! that the database and the node agree has come. A day is added to what was
//! configured: a clock that jumped ahead by less costs no record.

use std::time::Duration;

use symbolon_store::{Fault, ForgetAudit, Lease, MoveAuditStart, Under};

use crate::app::App;
use crate::growth::{PAUSE, Size};

/// How far a clock may be ahead without a record that is missed afterwards.
const MARGIN: Duration = Duration::from_secs(25 * 60 * 60);

/// Names the next start of the trail where it is time, and deletes what is
/// before the start, in batches, for at most this long.
pub(crate) async fn forget(app: &App, lease: Lease, span: Duration) -> Result<(), Fault> {
    let retention = app.settings().audit_retention;
    if retention.is_zero() {
        return Ok(());
    }
    let act = MoveAuditStart {
        before: lease.time - retention - MARGIN,
        retention_seconds: retention.as_secs(),
        now: lease.time,
    };
    if let Some(Some(through)) = app.store.act(Under { lease, act }).await? {
        tracing::info!(through, "audit records that are old enough will be let go");
    }
    let clock = &app.edge.clock;
    let (began, mut size) = (clock.monotonic(), Size(64));
    loop {
        let before = clock.monotonic();
        let act = ForgetAudit { limit: size.0 };
        let gone = app.store.act(Under { lease, act }).await?;
        // Another node has the job by now, or nothing is left.
        if gone.is_none_or(|gone| gone < u64::from(size.0)) {
            return Ok(());
        }
        if clock.monotonic().saturating_sub(began) >= span {
            return Ok(());
        }
        size = size.after(clock.monotonic().saturating_sub(before));
        tokio::time::sleep(PAUSE).await;
    }
}
