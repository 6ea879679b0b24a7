//! R12: the primary of a synchronous pair dies under load, and the standby
//! takes over. Nobody is signed out, nothing that was answered is undone, and
//! nothing that is good once is taken twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use symbolon_testkit::Row;
use tokio::time::Instant;

use crate::cluster::Pair;
use crate::mixed::Mixed;
use crate::program::{PATIENCE, Site};

/// How long after it was acknowledged a node knows what another took back, or
/// answers nothing: while the database is away nobody can hear of it.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);

/// How often a primary dies, how many requests there are a second, and how soon
/// after the promotion something has to be written again. The short form runs
/// beside other tests.
fn size() -> (u32, u32, Duration) {
    let (short, long) = (Duration::from_secs(20), Duration::from_secs(5));
    Row::R12.size((2, 60, short), (20, 200, long))
}

/// Row R12 of the reliability catalogue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_loses_nothing_that_was_answered_and_signs_nobody_out() {
    let (rounds, rate, at_most) = size();
    let mut pair = Pair::start().await;
    let site = Site::over(&pair.url()).await;
    let other = site.node();
    let mut mixed = Mixed::new(vec![site, other], KNOWN_WITHIN);
    let programs = [mixed.nodes[0].start().await, mixed.nodes[1].start().await];
    mixed.begin().await;
    let mixed = Arc::new(mixed);
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(Arc::clone(&mixed).drive(rate, Arc::clone(&stop)));

    let mut slowest = Duration::ZERO;
    for round in 0..rounds {
        tokio::time::sleep(Duration::from_secs(1)).await;
        pair.fail_over().await;
        let (before, began) = (mixed.written(), Instant::now());
        while mixed.written() < before + 2 && !load.is_finished() {
            assert!(began.elapsed() < PATIENCE, "{}", mixed.nodes[0].printed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        slowest = slowest.max(began.elapsed());
        if load.is_finished() {
            break;
        }
        if round + 1 < rounds {
            pair.rebuild().await;
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);
    let drained = tokio::time::timeout(PATIENCE * 4, load).await;
    drained.expect("something is never answered").unwrap();

    eprintln!(
        "R12: {rounds} failovers, {:?}, writable after at most {slowest:?}",
        mixed.counts
    );
    assert!(slowest <= at_most, "writable only after {slowest:?}");
    mixed.check().await;
    for program in programs {
        assert!(program.end().await.success());
    }
}
