//! The sender: takes what waits in the outbox to whoever has to be told.
//!
//! 1. Every node looks for receivers that are due; a lease says who sends.
//! 2. The messages of a receiver are sent one after the other, in order;
//!    receivers are dealt with beside each other, in a random order, and whoever
//!    has had a place for some seconds gives it back.
//! 3. `delivery` sends one message, `logout_token` and `security_event` write it.
//! 4. What became of each is written under the lease. A message that fails is
//!    left alone for longer each time, and so is a receiver that cannot be
//!    reached, or where several fail in a row (`backoff`).
//!
//! Whatever is sent twice, after a crash or a lost answer, bears the same `jti`.
//!
//! Spec: OpenID Connect Back-Channel Logout 1.0 §2.5
//! Spec: RFC 8935 §2

mod backoff;
mod delivery;
mod logout_token;
pub(crate) mod part;
pub(crate) mod security_event;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_store::{
    BoundReceivers, Delivered, DueReceivers, LeaseReceiver, Leased, Noted, OutboxTotals, Pause,
    PurgeOutbox, SettleMessages, WaitingMessage,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::App;
use crate::failure::Broken;
use crate::metric;

use self::delivery::{NoReceiver, Receiver, Sent};

/// How often a node looks whether something is to be sent.
const LOOK: Duration = Duration::from_millis(250);
/// After how many looks what waited too long is declared dead, and counted.
const LOOKS_PER_SWEEP: u32 = 120;
/// How long a receiver is leased: the longest call fits into it beside [`SENDING`].
const LEASE: Duration = Duration::from_secs(30);
/// How long a node goes on sending to one receiver before others have its place.
const SENDING: Duration = Duration::from_secs(5);
/// How many messages are read under one lease.
const BATCH: u32 = 32;
/// How many receivers one node deals with at once.
const MAX_RECEIVERS: usize = 64;
/// Of how many that are due they are drawn.
const MAX_DUE: u32 = 1024;
/// How many rows of a kind one turn of a sweep takes.
const SWEEP_BATCH: u32 = 1000;
/// How long what is under way at the end may take.
const FAREWELL: Duration = Duration::from_secs(6);

/// Sends until the process ends.
pub(crate) async fn send_for_ever(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    let mut under_way: JoinSet<String> = JoinSet::new();
    let mut busy: HashSet<String> = HashSet::new();
    let mut looks = 0_u32;
    loop {
        if *stopped.borrow() {
            break;
        }
        tokio::select! {
            // Nobody can stop it any more, or somebody has: either way it ends.
            _ = stopped.changed() => break,
            Some(done) = under_way.join_next(), if !under_way.is_empty() => {
                match done {
                    Ok(receiver) => { busy.remove(&receiver); }
                    // Which one it was is unknown; leases keep out whoever is busy.
                    Err(_) => busy.clear(),
                }
            }
            () = tokio::time::sleep(LOOK) => {
                let all = due(&app, MAX_RECEIVERS.saturating_sub(busy.len())).await;
                for receiver in placed(all, &mut busy) {
                    under_way.spawn(deliver(Arc::clone(&app), receiver));
                }
                bound(&app).await;
                looks = looks.wrapping_add(1);
                if looks.is_multiple_of(LOOKS_PER_SWEEP) {
                    sweep(&app).await;
                }
            }
        }
    }
    // A message whose answer nobody waits for would be sent again.
    let rest = async { while under_way.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FAREWELL, rest).await;
}

/// Marks whoever has too many messages by now.
async fn bound(app: &App) {
    let written = app.store.written_receivers();
    if written.is_empty() {
        return;
    }
    if let Err(fault) = app.store.act(BoundReceivers { written }).await {
        // What is written next to one of them has it looked at again.
        tracing::debug!(cause = %fault, "could not count what waits");
    }
}

async fn due(app: &App, room: usize) -> Vec<String> {
    if room == 0 {
        return Vec::new();
    }
    let look = DueReceivers {
        now: app.edge.clock.now(),
        limit: MAX_DUE,
    };
    app.store.read(look).await.unwrap_or_else(|fault| {
        // The follower of the feed tells of an outage.
        tracing::debug!(cause = %fault, "could not read the outbox");
        Vec::new()
    })
}

/// Who gets the places that are free, and is busy from now on. They come in an order
/// drawn by chance, so nobody comes last each time while more are due.
fn placed(mut due: Vec<String>, busy: &mut HashSet<String>) -> Vec<String> {
    due.retain(|receiver| busy.len() < MAX_RECEIVERS && busy.insert(receiver.clone()));
    due
}

/// Sends what waits for one receiver, until nothing is left, it has to rest, or
/// others are to have its place.
async fn deliver(app: Arc<App>, receiver: String) -> String {
    let clock = &app.edge.clock;
    let until = clock.monotonic() + SENDING;
    loop {
        match turn(&app, &receiver, until).await {
            Ok(Turn::More) if clock.monotonic() < until => {}
            Ok(_) => return receiver,
            Err(broken) => {
                tracing::warn!(%receiver, cause = %broken, "could not go on with the outbox");
                return receiver;
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    More,
    Over,
}

/// One lease, under which something is sent until a time of the node's own clock.
async fn turn(app: &Arc<App>, receiver: &str, until: Duration) -> Result<Turn, Broken> {
    let now = app.edge.clock.now();
    let lease = LeaseReceiver {
        receiver: receiver.to_owned(),
        now,
        span: LEASE,
        limit: BATCH,
    };
    let Some(leased) = app.store.act(lease).await? else {
        return Ok(Turn::Over);
    };
    let mut settle = SettleMessages {
        receiver: receiver.to_owned(),
        fence: leased.fence,
        outcomes: Vec::new(),
        // As before, until it is known better.
        pause: Pause {
            failures: leased.failures,
            next_try: Timestamp::EPOCH,
        },
        now,
    };
    let whole = leased.messages.len();
    if let Err(broken) = send_all(app, leased, &mut settle, until).await {
        if settle.outcomes.is_empty() {
            return Err(broken);
        }
        // What was sent so far is settled: it would be sent again.
        tracing::warn!(%receiver, cause = %broken, "could not send all that waits");
    }
    settle.now = app.edge.clock.now();
    let rests = settle.pause.next_try > Timestamp::EPOCH;
    let is_done = whole == 0 || settle.outcomes.len() < whole || app.is_draining();
    if app.store.act(settle).await? == Noted::Late {
        tracing::warn!(%receiver, "this node stood still while it sent; another one goes on");
        return Ok(Turn::Over);
    }
    Ok(if rests || is_done {
        Turn::Over
    } else {
        Turn::More
    })
}

/// Sends until the receiver cannot be reached or the time is over. No two of the
/// messages are about the same subject.
async fn send_all(
    app: &Arc<App>,
    leased: Leased,
    settle: &mut SettleMessages,
    until: Duration,
) -> Result<(), Broken> {
    let cx = app.cx(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let mut failed_in_a_row = 0;
    for waiting in &leased.messages {
        if app.edge.clock.monotonic() > until || app.is_draining() {
            return Ok(());
        }
        // Asked each time: while others were sent, the receiver may have lost what
        // let it be told.
        let to = match Receiver::find(&cx, &settle.receiver).await? {
            Ok(to) => to,
            // What waits is about to be held.
            Err(NoReceiver::NotCalled) => return Ok(()),
            Err(NoReceiver::Gone(reason)) => {
                let never = Delivered::Never { reason };
                settle.outcomes.push((waiting.number, never));
                metric::delivered("unknown", "never");
                continue;
            }
        };
        let now = app.edge.clock.now();
        let sent = to.send(&cx, waiting, now).await;
        metric::delivered(to.kind(), sent.word());
        failed_in_a_row = match sent {
            Sent::Failed(_) => failed_in_a_row + 1,
            _ => 0,
        };
        settle.pause = match sent {
            Sent::Unreachable(_) => rest(app, leased.failures, now, Duration::ZERO),
            Sent::AskedForTime(_, asked) => rest(app, leased.failures, now, asked),
            Sent::Failed(_) if failed_in_a_row >= backoff::MAX_FAILED => {
                rest(app, leased.failures, now, Duration::ZERO)
            }
            // It says nothing of the receiver yet.
            Sent::Failed(_) => settle.pause,
            Sent::Taken | Sent::Refused(_) | Sent::Never(_) => Pause {
                failures: 0,
                next_try: Timestamp::EPOCH,
            },
        };
        let rests_until = settle.pause.next_try;
        let outcome = outcome(app, waiting, sent, (now, rests_until));
        settle.outcomes.push((waiting.number, outcome));
        if rests_until > Timestamp::EPOCH {
            return Ok(());
        }
    }
    Ok(())
}

/// What is written down of a message.
fn outcome(
    app: &App,
    waiting: &WaitingMessage,
    sent: Sent,
    (now, rests_until): (Timestamp, Timestamp),
) -> Delivered {
    let attempts = sent.attempts(waiting);
    match sent {
        Sent::Taken => Delivered::Taken,
        Sent::Never(reason) => Delivered::Never { reason },
        Sent::Refused(reason) if attempts >= backoff::MAX_REFUSALS => Delivered::Never { reason },
        Sent::Refused(reason) | Sent::Failed(reason) => {
            let failures = attempts.saturating_sub(1);
            Delivered::Later {
                attempts,
                next_try: now + backoff::after(failures, &*app.edge.entropy),
                reason,
            }
        }
        Sent::Unreachable(reason) | Sent::AskedForTime(reason, _) => Delivered::Later {
            attempts,
            next_try: rests_until,
            reason,
        },
    }
}

/// The receiver is left alone: longer each time, and as long as it asks within
/// the longest wait.
fn rest(app: &App, failures: u32, now: Timestamp, asked: Duration) -> Pause {
    let own = backoff::after(failures, &*app.edge.entropy);
    Pause {
        failures: failures.saturating_add(1),
        next_try: now + own.max(asked.min(backoff::LONGEST)),
    }
}

/// Declares dead what waited too long, and says how things stand.
pub(crate) async fn sweep(app: &App) {
    if let Err(fault) = part::put_right(app).await {
        tracing::warn!(cause = %fault, "could not put right what waits in the outbox");
    }
    loop {
        let purge = PurgeOutbox {
            // Not by a clock that may have jumped ahead: what is dead stays so.
            now: app.sure(),
            limit: SWEEP_BATCH,
        };
        match app.store.act(purge).await {
            Ok(swept) => {
                if swept.died > 0 {
                    let died = swept.died;
                    tracing::warn!(died, "messages were taken by nobody: they are dead letters");
                }
                if swept.most() < u64::from(SWEEP_BATCH) {
                    break;
                }
            }
            Err(fault) => {
                tracing::warn!(cause = %fault, "could not look over the outbox");
                return;
            }
        }
    }
    if let Ok(counted) = app.store.read(OutboxTotals).await {
        metric::outbox(&counted, app.edge.clock.now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(count: usize) -> Vec<String> {
        (0..count).map(|at| format!("client:{at:04}")).collect()
    }

    #[test]
    fn whoever_is_busy_gets_no_second_place() {
        let mut busy: HashSet<String> = due(60).into_iter().collect();

        let taken = placed(due(70), &mut busy);

        assert_eq!((taken.len(), busy.len()), (4, MAX_RECEIVERS));
        assert!(taken.iter().all(|own| !due(60).contains(own)));
    }
}
