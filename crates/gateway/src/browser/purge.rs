//! Forgets sessions that ran out, a while after, and nothing else: the store may
//! be the issuer's. One gateway at a time does it, in batches that nobody waits
//! for, and by a time that the store agrees has come, whatever its own clock says.

use std::time::Duration;

use symbolon_store::{ClaimBrowserSessions, Fault, PurgeBrowserSessions, Store, Under};
use tokio::sync::watch;

use crate::gateway::{Edge, Gateway};

/// How often.
const PAUSE: Duration = Duration::from_secs(10 * 60);
/// How long a gateway has the job.
const SPAN: Duration = Duration::from_secs(90);
/// How long one run goes on.
const RUN: Duration = Duration::from_secs(45);
/// How many rows a batch takes.
const LIMIT: u32 = 64;
/// What follows a batch, in which others have their turn.
const REST: Duration = Duration::from_millis(10);

/// Forgets, at the start and then again and again, until the gateway stops.
pub(crate) async fn purge(gateway: Gateway, mut stopped: watch::Receiver<bool>) {
    loop {
        let plan = gateway.shared.plan();
        let store = plan.browser.as_ref().map(|own| own.store().clone());
        // A plan that is replaced meanwhile is not kept for this.
        drop(plan);
        if let Some(store) = store
            && let Err(fault) = run(&store, &gateway.shared.edge).await
        {
            tracing::warn!(cause = %fault, "old sessions were not forgotten");
        }
        tokio::select! {
            _ = stopped.changed() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Forgets for as long as there is any and the run goes on.
async fn run(store: &Store, edge: &Edge) -> Result<(), Fault> {
    let clock = &edge.clock;
    let began = clock.monotonic();
    let claim = ClaimBrowserSessions {
        span: SPAN,
        now: clock.now(),
    };
    let Some(lease) = store.act(claim).await? else {
        // Another gateway's, whose lease has not run out.
        return Ok(());
    };
    let act = PurgeBrowserSessions {
        now: lease.time,
        limit: LIMIT,
    };
    while clock.monotonic().saturating_sub(began) < RUN {
        match store.act(Under { lease, act }).await? {
            Some(gone) if gone == u64::from(LIMIT) => tokio::time::sleep(REST).await,
            Some(_) | None => break,
        }
    }
    Ok(())
}
