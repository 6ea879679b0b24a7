//! Links what was done into the audit chain, once a second.
//!
//! Every node does it, for rows of every process: whoever comes first links,
//! and what a process left behind that was killed is linked by the next. Nothing
//! is linked to a head that no anchor holds. And a node remembers the head that
//! it saw last; a chain that is shorter than that, or another one, was changed by
//! somebody who cannot sign.

use std::sync::Arc;
use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_store::{AuditHead, Fault, Held, LinkAudit, Linked, Linking, UnlinkedAudit};
use symbolon_token::audit::LinkHash;

use crate::app::App;
use crate::keys::KeysError;
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
    unanchored: Outage,
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
        let mut linking = turn(app, discover, now, seen.head()).await?;
        if matches!(linking, Linking::Unanchored(_)) {
            // By a key, perhaps, that another node has and this one has not read.
            if let Err(KeysError::Store(fault)) = app.reload_keys().await {
                return Err(fault);
            }
            linking = turn(app, discover, now, seen.head()).await?;
        }
        let at = app.edge.clock.monotonic();
        let linked = match linking {
            Linking::Unanchored(head) => {
                seen.stop(head, at);
                return Ok(());
            }
            Linking::Done(linked) => linked,
        };
        let _ = seen.unanchored.worked(at);
        seen.compare(&linked);
        metric::audit(linked.head);
        if linked.rows < BATCH {
            return Ok(());
        }
        discover = false;
        tokio::time::sleep(BREATH).await;
    }
}

async fn turn(
    app: &App,
    discover: bool,
    now: Timestamp,
    seen: Option<AuditHead>,
) -> Result<Linking, Fault> {
    let act = LinkAudit {
        signer: Arc::clone(&app.keys.load().ring) as _,
        seen,
        discover,
        limit: BATCH,
        now,
    };
    app.store.act(act).await
}

impl Seen {
    /// Whether more time has gone by since the last turn than can have.
    fn is_jump(&mut self, now: Timestamp) -> bool {
        let before = self.at.replace(now);
        before.is_some_and(|before| now.since(before) > JUMP)
    }

    /// The head that it saw last, if any.
    fn head(&self) -> Option<AuditHead> {
        let (link, hash, epoch) = (self.head, self.hash, self.epoch);
        (epoch != 0).then_some(AuditHead { link, hash, epoch })
    }

    /// Tells that nothing is linked any more.
    fn stop(&mut self, head: i64, now: Duration) {
        if let Told::Now { times } = self.unanchored.failed(now) {
            metric::audit_broken();
            tracing::error!(
                head,
                times,
                "the head of the audit chain is not the one that was anchored or that this node saw: somebody changed it, and nothing is linked to it; run `symbolon audit verify`"
            );
        }
    }

    /// Another epoch is a restore, whose chain is the backup's.
    fn compare(&mut self, linked: &Linked) {
        let is_same_store = self.epoch == linked.epoch;
        let before = linked.head - i64::from(linked.rows);
        let is_seen = is_same_store && (before, linked.before) == (self.head, self.hash);
        let is_other = is_same_store && before <= self.head && !is_seen;
        if is_other {
            metric::audit_broken();
            tracing::error!(
                seen = self.head,
                found = before,
                "the audit chain is not the one that this node saw: somebody changed it; run `symbolon audit verify`"
            );
        }
        if linked.held == Held::Distrusted && !is_seen {
            metric::audit_broken();
            tracing::error!(
                found = before,
                "the audit chain goes on from a head that a distrusted key signed, and this node did not see it before; run `symbolon audit verify --expect` with a head that was noted"
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
            hash: [head.to_be_bytes()[7]; 32],
            before: [(head - i64::from(rows)).to_be_bytes()[7]; 32],
            held: Held::Signed,
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

    /// How often something was told.
    fn told(of: impl FnOnce(&mut Seen)) -> String {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || of(&mut Seen::default()));
        let text = recorder.handle().render();
        let count = text
            .lines()
            .find_map(|line| line.strip_prefix("symbolon_audit_broken_total "));
        count.unwrap_or("0").to_owned()
    }

    #[test]
    fn a_chain_of_the_same_length_that_is_another_is_told_whatever_came_since() {
        let goes_on = told(|seen| {
            seen.compare(&linked(5, 5, 1));
            seen.compare(&linked(6, 1, 1));
        });
        let is_other = told(|seen| {
            seen.compare(&linked(5, 5, 1));
            seen.compare(&Linked {
                before: [99; 32],
                ..linked(6, 1, 1)
            });
        });
        assert_eq!((&*goes_on, &*is_other), ("0", "1"));
    }

    #[test]
    fn what_no_anchor_holds_is_told_once_a_minute() {
        let count = told(|seen| {
            for second in 0..61 {
                seen.stop(6, Duration::from_secs(second));
            }
        });
        assert_eq!(count, "2");
    }

    #[test]
    fn a_head_of_a_distrusted_key_is_told_by_who_did_not_see_it() {
        let distrusted = |rows| Linked {
            held: Held::Distrusted,
            ..linked(6, rows, 1)
        };
        let saw = told(|seen| {
            seen.compare(&linked(5, 5, 1));
            seen.compare(&distrusted(1));
        });
        let did_not = told(|seen| seen.compare(&distrusted(1)));
        assert_eq!((&*saw, &*did_not), ("0", "1"));
    }

    #[test]
    fn a_chain_that_was_cut_is_seen_once_and_a_restore_is_not() {
        let restored = |seen: &mut Seen| {
            seen.compare(&linked(5, 5, 1));
            seen.compare(&linked(8, 3, 1));
            seen.compare(&linked(3, 0, 2));
        };
        let cut = |seen: &mut Seen| {
            restored(seen);
            seen.compare(&linked(2, 0, 2));
            seen.compare(&linked(2, 0, 2));
        };
        assert_eq!((&*told(restored), &*told(cut)), ("0", "1"));
    }
}
