//! Says in the log, once each, why nobody can know whether tokens were taken back:
//! a client that the issuer does not let read its feed, a secret that is another,
//! an issuer that is not reached.

use std::collections::BTreeMap;
use std::time::Duration;

use symbolon_verify::FeedTrouble;
use tokio::sync::watch;

use crate::gateway::Gateway;
use crate::plan::Plan;

/// How often it looks.
const PAUSE: Duration = Duration::from_millis(500);
/// How many looks in a row have to find it: a stream that ends is opened again
/// at once.
const LOOKS: u8 = 2;

/// Looks until the gateway stops.
pub(crate) async fn watch(gateway: Gateway, mut stopped: watch::Receiver<bool>) {
    let mut known = Known::default();
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
        known.look(&gateway.shared.plan());
    }
}

/// What was found, by its cause, and in how many looks in a row.
#[derive(Default)]
struct Known(BTreeMap<String, (FeedTrouble, u8)>);

impl Known {
    fn look(&mut self, plan: &Plan) {
        let before = std::mem::take(&mut self.0);
        for trouble in plan
            .verifiers()
            .filter_map(symbolon_verify::Verifier::feed_trouble)
        {
            let looks = before.get(&trouble.cause).map_or(0, |(_, looks)| *looks);
            let looks = looks.saturating_add(1);
            if looks == LOOKS && !self.0.contains_key(&trouble.cause) {
                tracing::warn!(
                    code = trouble.code,
                    cause = %trouble.cause,
                    repair = %trouble.repair,
                    "nobody can know what was taken back"
                );
            }
            let cause = trouble.cause.clone();
            self.0.insert(cause, (trouble, looks));
        }
        for (cause, (trouble, looks)) in before {
            if looks >= LOOKS && !self.0.contains_key(&cause) {
                tracing::info!(code = trouble.code, was = %cause, "that is over");
            }
        }
    }
}
