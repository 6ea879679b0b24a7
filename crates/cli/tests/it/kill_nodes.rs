//! N01: each of several processes over one database is killed in turn under
//! mixed load. Nothing that any of them answered is lost or undone, and nothing
//! that is good once is taken twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use symbolon_testkit::Row;

use crate::mixed::Mixed;
use crate::program::{Engine, PATIENCE, Plan, Site, number};

/// How many processes there are.
const NODES: usize = 3;

/// How long after it was acknowledged every node knows what one took back. In
/// the short form, which runs beside other tests, it is enough that a node which
/// does not know answers nothing.
fn known_within() -> Duration {
    Row::N01.size(Duration::from_secs(10), Duration::from_secs(5))
}

/// How often each is killed, and how many requests there are a second. The
/// short form runs beside other tests.
fn size() -> (usize, u32) {
    Row::N01.size((10, 60), (100, 200))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_are_killed_in_turn_lose_nothing_that_any_answered() {
    let (rounds, rate) = size();
    let first = Site::planned(Plan::new(Engine::Postgres)).await;
    let mut nodes: Vec<Site> = (1..NODES).map(|_| first.node()).collect();
    nodes.insert(0, first);
    let mut mixed = Mixed::new(nodes, known_within());
    let mut programs = Vec::new();
    for node in &mixed.nodes {
        programs.push(Some(node.start().await));
    }
    mixed.begin().await;
    let mixed = Arc::new(mixed);
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(Arc::clone(&mixed).drive(rate, Arc::clone(&stop)));

    let mut slowest = Duration::ZERO;
    for turn in 0..rounds * NODES {
        let before = mixed.written();
        let works = async {
            while mixed.written() < before + u64::from(rate / 4) && !load.is_finished() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let works = tokio::time::timeout(PATIENCE, works);
        works.await.expect("nobody gets anywhere");
        if load.is_finished() {
            break;
        }
        tokio::time::sleep(Duration::from_micros(number() % 300_000)).await;
        let place = turn % NODES;
        programs[place].take().unwrap().kill().await;
        let again = mixed.nodes[place].start().await;
        slowest = slowest.max(again.took);
        programs[place] = Some(again);
    }
    stop.store(true, Ordering::Relaxed);
    let drained = tokio::time::timeout(PATIENCE * 4, load).await;
    drained.expect("something is never answered").unwrap();

    eprintln!(
        "N01: {rounds} kills of each of {NODES} nodes, {:?}, ready again after at most {slowest:?}",
        mixed.counts
    );
    mixed.check().await;
    for program in programs.into_iter().flatten() {
        assert!(program.end().await.success());
    }
}
