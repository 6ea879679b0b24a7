//! The server against a plain model of what it promises: random sequences of
//! issue, use, narrow, exchange, rotate, revoke, switch off and on, delete and
//! make again, expire, crash, restore and clock jump.
//!
//! `book` is the model, `op` draws sequences, `ask`, `issue`, `take` and `time`
//! carry operations out on server and model alike, `check` and `last` hold the
//! invariants (I01 …) by their ids.
//!
//! A failure tells its seed and the shortest sequence that was found to fail
//! still. `SYMBOLON_MODEL_SEED=n` runs the sequence of one seed; those that
//! failed once are kept in [`REGRESSIONS`] and run first.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests stop where something is missing"
)]

mod ask;
mod book;
mod check;
mod guess;
mod issue;
mod last;
mod node;
mod op;
mod proof;
mod scripts;
mod setting;
mod shrink;
mod take;
mod time;
mod world;

use futures_util::StreamExt;
use symbolon_testkit::Row;

use crate::op::{Step, sequence};
use crate::world::{Broken, Engine, World};

/// Seeds that failed once: a clock that was set right a day back, and then fell
/// back again.
const REGRESSIONS: [u64; 1] = [4];

/// By how many seconds the clock of the second node is ahead, in turn.
const APART: [i64; 2] = [30, -30];

/// How many operations a sequence has.
const LENGTH: usize = 60;

/// Runs a sequence on an engine of its own.
async fn run(engine: Engine, steps: Vec<Step>) -> Result<(), Broken> {
    // A panic is a finding like any other.
    let running = tokio::spawn(async move {
        let mut world = World::begin(engine).await;
        for step in steps {
            world.step(step).await?;
        }
        world.last().await?;
        world.end().await;
        Ok(())
    });
    running.await.unwrap_or_else(|panic| {
        Err(Broken {
            invariant: "panic",
            why: panic.to_string(),
        })
    })
}

async fn hold_for(engine: Engine, begin: u64, count: u64) {
    let asked = std::env::var("SYMBOLON_MODEL_SEED").ok();
    let seeds: Vec<u64> = match asked {
        Some(seed) => vec![seed.parse().unwrap()],
        None => REGRESSIONS
            .into_iter()
            .chain(begin..begin + count)
            .collect(),
    };
    for seed in seeds {
        let steps = sequence(seed, LENGTH);
        let Err(broken) = run(engine, steps.clone()).await else {
            continue;
        };
        let (steps, broken) = shrink::shortest(engine, steps, broken).await;
        panic!(
            "seed {seed} on {engine:?}: {}: {}\nby {steps:#?}\nagain with SYMBOLON_MODEL_SEED={seed}",
            broken.invariant, broken.why
        );
    }
}

/// Runs every script, and tells of all that fail.
async fn scripts_hold(engine: Engine) {
    // Where there are two nodes, what one begins the other ends: either way,
    // and where clocks are apart the one that is behind begins first.
    let firsts = match engine {
        Engine::Sqlite => 0..1,
        Engine::TwoNodes => 0..2,
        Engine::Apart(1..) => 0..1,
        Engine::Apart(_) => 1..2,
    };
    let all = scripts::SCRIPTS
        .iter()
        .flat_map(|script| firsts.clone().map(move |first| (script, first)));
    let broken = async |(script, first): (&scripts::Script, u8)| {
        let broken = run(engine, scripts::steps(script, first)).await.err()?;
        let (invariant, why) = (broken.invariant, broken.why);
        Some(format!(
            "{} from node {first}: {invariant}: {why}",
            script.0
        ))
    };
    // Each has servers of its own, which wait more than they work.
    let each = futures_util::stream::iter(all.map(broken)).buffer_unordered(4);
    let failed: Vec<String> = each.filter_map(async |own| own).collect().await;
    assert!(failed.is_empty(), "{engine:?}: {failed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_seldom_comes_up_holds_on_sqlite() {
    scripts_hold(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_seldom_comes_up_holds_on_two_nodes() {
    scripts_hold(Engine::TwoNodes).await;
}

/// Row R30 of the reliability catalogue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_seldom_comes_up_holds_on_two_nodes_whose_clocks_are_apart() {
    for seconds in APART {
        scripts_hold(Engine::Apart(seconds)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_does_what_the_model_says_on_sqlite() {
    hold_for(Engine::Sqlite, 1, Row::M01.size(16, 2_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_does_what_the_model_says_on_two_nodes() {
    hold_for(Engine::TwoNodes, 1_000_001, Row::M01.size(5, 1_000)).await;
}

/// Row R30 of the reliability catalogue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_does_what_the_model_says_on_two_nodes_whose_clocks_are_apart() {
    for (seconds, begin) in APART.into_iter().zip([2_000_001, 3_000_001]) {
        hold_for(Engine::Apart(seconds), begin, Row::R30.size(3, 500)).await;
    }
}
