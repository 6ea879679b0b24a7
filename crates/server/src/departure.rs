//! Takes everything back that a person has running, whoever asks for it: an
//! administrator, a partner, or an event of somebody else's.

use symbolon_store::{AuditEvent, RevokePerson, Updated};
use symbolon_token::{Id, Person};

use crate::cx::Cx;
use crate::failure::Failure;

/// The act of taking it all back.
pub(crate) fn act(cx: &Cx, id: Id<Person>, audit: AuditEvent) -> RevokePerson {
    RevokePerson {
        id,
        audit,
        now: cx.now,
        horizon: cx.token_horizon(cx.now),
    }
}

/// Ends sessions, families and tokens of a person.
pub(crate) async fn revoke(cx: &Cx, id: Id<Person>, audit: AuditEvent) -> Result<Updated, Failure> {
    let outcome = cx.store.act(act(cx, id, audit)).await?;
    follow(cx).await;
    Ok(outcome)
}

/// Brings what this node holds in memory up to what was just committed. What
/// cannot be read now is read with the next turn of the feed.
pub(crate) async fn follow(cx: &Cx) {
    if let Err(broken) = cx.app.follow().await {
        tracing::warn!(request = %cx.request, cause = %broken, "could not follow a change");
    }
}
