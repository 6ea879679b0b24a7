//! How fast rotations are. Not run unless asked: `--ignored --nocapture`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use symbolon_testkit::{START, SeededEntropy};

use super::Folder;
use crate::conformance::World;
use crate::refresh_family::{Rotate, Rotated};
use crate::store::Store;

async fn measure(store: Store, callers: usize) {
    let entropy = Arc::new(SeededEntropy::new(5));
    let world = World::new(store.clone(), entropy, START);
    let scene = world.scene().await.unwrap();
    let done = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for _ in 0..callers {
        let mut rotate: Rotate = world.rotate(&world.family(&scene).await.unwrap());
        let (store, done) = (store.clone(), Arc::clone(&done));
        tasks.push(tokio::spawn(async move {
            loop {
                let out = store.act(rotate.clone()).await.unwrap();
                assert!(matches!(out, Rotated::To(_)), "{out:?}");
                done.fetch_add(1, Ordering::Relaxed);
                rotate.generation += 1;
                rotate.presented = rotate.next;
                rotate.next[..4].copy_from_slice(&rotate.generation.to_be_bytes());
            }
        }));
    }
    const SECONDS: u64 = 5;
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let rate = done.load(Ordering::Relaxed) / SECONDS;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    println!("{callers} callers: {rate} rotations a second");
    assert!(rate > 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn rotations_on_sqlite() {
    let folder = Folder::new();
    measure(folder.store().await, 64).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn rotations_on_postgresql() {
    let Some(schema) = super::nodes::Schema::new("speed").await else {
        return;
    };
    let options = crate::store::Options {
        pool_size: 32,
        ..crate::store::Options::new(schema.url(), 1)
    };
    let store = Store::open(&options).await.unwrap();
    store.migrate().await.unwrap();
    measure(store, 64).await;
    schema.drop().await;
}
