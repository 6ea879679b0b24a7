//! Acts that only take back share a transaction on each node, so that a flood of
//! them holds up nobody else.

use std::time::Duration;

use symbolon_testkit::{Row, START, SeededEntropy};
use tokio::time::Instant;

use super::nodes::Schema;
use super::{ADD, Count, End, Write};
use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::conformance::World;
use crate::fault::Fault;
use crate::revocation::RevokeToken;
use crate::store::{Options, Store};

/// A row, written beside others, or a fault after it.
struct Beside(String, End);

impl Act for Beside {
    type Out = ();
    const ONLY_TAKES_BACK: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        tx.run(&ADD, binds![&self.0, b"x".as_slice()]).await?;
        match self.1 {
            End::Fault => Err(Fault::broken("as told")),
            End::Panic => panic!("as told"),
            _ => Ok(()),
        }
    }
}

/// A node with four connections.
async fn node(schema: &Schema) -> (Store, World) {
    let options = Options {
        pool_size: 4,
        ..Options::new(schema.url(), 1)
    };
    let store = Store::open(&options).await.unwrap();
    store.migrate().await.unwrap();
    let entropy = std::sync::Arc::new(SeededEntropy::new(5));
    let world = World::new(store.clone(), entropy, START);
    (store, world)
}

fn revocations(world: &World, count: u32) -> Vec<RevokeToken> {
    let client = world.client().unwrap().client.id;
    let one = |number: u32| RevokeToken {
        token: world.id(world.slot()),
        client: client.clone(),
        // One subject has at most a hundred.
        subject: format!("usr_{}", number % 8),
        expires: world.horizon(),
        horizon: world.horizon(),
        now: world.now,
        audit: Some(world.audit("token.revoke")),
    };
    (0..count).map(one).collect()
}

/// Whoever does something else gets a connection while hundreds wait for the
/// head of the feed.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_that_takes_back_leaves_connections_to_everybody_else() {
    let Some(schema) = Schema::new("flood").await else {
        return;
    };
    let (store, world) = node(&schema).await;
    let acts = revocations(&world, 120);
    let other = schema.connect().await;
    let hold = "BEGIN; SELECT sequence FROM feed_head WHERE one = 1 FOR UPDATE";
    other.batch_execute(hold).await.unwrap();
    let flood: Vec<_> = acts
        .into_iter()
        .map(|act| {
            let store = store.clone();
            tokio::spawn(async move { store.act(act).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;

    let began = Instant::now();
    for number in 0..8 {
        let write = Write(format!("row{number}"), End::Out);
        store.act(write).await.unwrap();
    }
    let took = began.elapsed();
    assert!(flood.iter().all(|act| !act.is_finished()), "none waits");
    other.batch_execute("COMMIT").await.unwrap();

    let bound = Row::R13.size(Duration::from_millis(1_600), Duration::from_millis(800));
    assert!(took < bound, "{took:?}");
    let mut numbers = Vec::new();
    for act in flood {
        let records = act.await.unwrap().unwrap();
        numbers.extend(records.iter().map(|own| own.position.sequence));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=120).collect::<Vec<_>>(), "each once, no gap");
    store.close().await;
    schema.drop().await;
}

/// One that fails, or panics, is its caller's alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_act_that_fails_among_others_undoes_none_of_them() {
    let Some(schema) = Schema::new("beside").await else {
        return;
    };
    let (store, _) = node(&schema).await;
    for round in 0..10 {
        let acts: Vec<_> = (0..64)
            .map(|number| {
                let end = match number % 16 {
                    3 => End::Fault,
                    9 => End::Panic,
                    _ => End::Out,
                };
                let (store, name) = (store.clone(), format!("row{round}-{number}"));
                let act = Beside(name.clone(), end);
                (name, end, tokio::spawn(async move { store.act(act).await }))
            })
            .collect();
        for (name, end, act) in acts {
            let out = act.await;
            let rows = store.read(Count(name)).await.unwrap();
            match end {
                End::Out => assert!(matches!(out, Ok(Ok(()))) && rows == 1, "{out:?}"),
                _ => assert!(!matches!(out, Ok(Ok(()))) && rows == 0, "{out:?}"),
            }
        }
    }
    let after = Beside("after".to_owned(), End::Out);
    store.act(after).await.unwrap();
    store.close().await;
    schema.drop().await;
}
