//! Forgets sessions that ran out, a while after.

use std::time::Duration;

use symbolon_store::PurgeExpired;
use tokio::sync::watch;

use crate::gateway::Gateway;

/// How often.
const PAUSE: Duration = Duration::from_secs(10 * 60);
/// How many rows at once.
const LIMIT: u32 = 500;

/// Forgets until the gateway stops.
pub(crate) async fn purge(gateway: Gateway, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
        let plan = gateway.shared.plan();
        let Some(browser) = &plan.browser else {
            continue;
        };
        loop {
            let act = PurgeExpired {
                now: gateway.shared.edge.clock.now(),
                limit: LIMIT,
            };
            match browser.store().act(act).await {
                Ok(gone) if gone.browser_sessions == u64::from(LIMIT) => {}
                Ok(_) => break,
                Err(fault) => {
                    tracing::warn!(cause = %fault, "old sessions were not forgotten");
                    break;
                }
            }
        }
    }
}
