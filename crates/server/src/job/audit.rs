//! Links what was done into the audit chain, once a second.
//!
//! Every node does it, for rows of every process: whoever comes first links,
//! and what a process left behind that was killed is linked by the next. A node
//! remembers the head that it saw last; a chain that is shorter than that, or
//! another one, was changed by somebody who cannot sign.

use std::sync::Arc;
use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_store::{Fault, LinkAudit, Linked, UnlinkedAudit};
use symbolon_token::audit::LinkHash;

use crate::app::App;
use crate::metric;
use crate::outage::{Outage, Told};

/// How often.
const TURN: Duration = Duration::from_secs(1);
/// How many turns go by between two searches for processes that never linked.
const DISCOVER_TURNS: u32 = 60;
/// By how much time may have gone on between two turns. Where it is more, the
/// clock has jumped, and who wrote lately seems to have done so long ago.
const JUMP: Duration = Duration::from_secs(10 * 60);
/// How many rows one transaction links at most: it stands in the writer's way
/// for a few milliseconds, and the way to a database may be long.
const BATCH: u32 = 64;
/// How long others may write between two batches.
const BREATH: Duration = Duration::from_millis(5);

/// What this node has seen of the chain.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    head: i64,
    hash: LinkHash,
    epoch: i64,
    /// When it looked last.
    at: Option<Timestamp>,
    outage: Outage,
}

/// Links until the process ends.
pub(crate) async fn link_for_ever(app: Arc<App>) {
    let mut seen = Seen::default();
    let mut turn = 0_u32;
    loop {
        let search = turn.is_multiple_of(DISCOVER_TURNS);
        let now = app.edge.clock.monotonic();
        match link(&app, search, &mut seen).await {
            Ok(()) => {
                // Whoever reads what was taken back says that it works again.
                let _ = seen.outage.worked(now);
            }
            Err(fault) => {
                if let Told::Now { times } = seen.outage.failed(now) {
                    tracing::warn!(cause = %fault, times, "could not link the audit trail");
                }
            }
        }
        turn = turn.wrapping_add(1);
        tokio::time::sleep(TURN).await;
    }
}

/// Links all that waits.
pub(crate) async fn link(app: &App, search: bool, seen: &mut Seen) -> Result<(), Fault> {
    let now = app.edge.clock.now();
    let search = seen.is_jump(now) || search;
    if !search && !app.store.read(UnlinkedAudit { now }).await? {
        return Ok(());
    }
    let mut discover = search;
    loop {
        let act = LinkAudit {
            signer: Arc::clone(&app.keys.load().ring) as _,
            discover,
            limit: BATCH,
            now,
        };
        let linked = app.store.act(act).await?;
        seen.compare(&linked);
        metric::audit(linked.head);
        if linked.rows < BATCH {
            return Ok(());
        }
        discover = false;
        tokio::time::sleep(BREATH).await;
    }
}

impl Seen {
    /// Whether more time has gone by since the last turn than can have.
    fn is_jump(&mut self, now: Timestamp) -> bool {
        let before = self.at.replace(now);
        before.is_some_and(|before| now.since(before) > JUMP)
    }

    /// Another epoch is a restore, whose chain is the backup's.
    fn compare(&mut self, linked: &Linked) {
        let is_same_store = self.epoch == linked.epoch;
        let before = linked.head - i64::from(linked.rows);
        let is_other = before == self.head && linked.rows == 0 && linked.hash != self.hash;
        if is_same_store && (before < self.head || is_other) {
            metric::audit_broken();
            tracing::error!(
                seen = self.head,
                found = before,
                "the audit chain is not the one that this node saw: somebody changed it; run `symbolon audit verify`"
            );
        }
        (self.head, self.hash, self.epoch) = (linked.head, linked.hash, linked.epoch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked(head: i64, rows: u32, epoch: i64) -> Linked {
        Linked {
            rows,
            void: 0,
            head,
            hash: [1; 32],
            epoch,
        }
    }

    #[test]
    fn whoever_wrote_before_a_jump_ahead_is_looked_for_at_once() {
        let mut seen = Seen::default();
        let at = |seconds: i64| Timestamp::from_seconds(1_767_225_600 + seconds);

        let turns = [0, 1, 86_400, 86_401, 2];

        let jumps = turns.map(|seconds| seen.is_jump(at(seconds)));
        assert_eq!(jumps, [false, false, true, false, false]);
    }

    #[test]
    fn a_chain_that_was_cut_is_seen_once_and_a_restore_is_not() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let broken = || handle.render().lines().any(|line| line.ends_with(" 1"));
        metrics::with_local_recorder(&recorder, || {
            let mut seen = Seen::default();
            seen.compare(&linked(5, 5, 1));
            seen.compare(&linked(8, 3, 1));
            seen.compare(&linked(3, 0, 2));
            assert!(!broken(), "{}", handle.render());

            seen.compare(&linked(2, 0, 2));
        });
        assert!(broken(), "{}", handle.render());
    }
}
