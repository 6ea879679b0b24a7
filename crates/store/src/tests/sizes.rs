//! How much room a million of each noun takes: what `docs/sizing.md` says.

use std::sync::Arc;
use std::time::Duration;

use symbolon_testkit::{START, SeededEntropy};

use super::Folder;
use crate::RevokeToken;
use crate::act::Act;
use crate::conformance::{Scene, World};
use crate::spent::{CLIENT_ASSERTION, SpendOnce};
use crate::store::Store;

/// How many of each are made, by so many callers at once.
const NUMBER: usize = 8_000;
const CALLERS: usize = 16;

/// A noun, and how to make one.
const NOUNS: [&str; 6] = [
    "person",
    "session",
    "grant",
    "family",
    "revocation",
    "spent",
];

/// Again where the machine is too busy: what is measured is room, not time.
async fn insist<A: Act + Clone>(world: &World, act: A) {
    while world.store.act(act.clone()).await.is_err() {}
}

async fn make(world: &World, scene: &Scene, noun: &str) {
    match noun {
        "person" => {
            let mut create = world.person_named(&format!("{}@example.com", world.word()));
            let document = serde_json::json!({
                "name": "Alexandra Example", "email": "alexandra@example.com",
                "email_verified": true, "locale": "en-GB",
            });
            create.person.document = serde_json::from_value(document).unwrap();
            create.person.password =
                Some(format!("$argon2id$v=19$m=19456,t=2,p=1${}", "x".repeat(66)));
            insist(world, create).await;
        }
        "session" => {
            let mut open = world.session(world.id(world.slot()));
            open.device = "Firefox on Linux".to_owned();
            insist(world, open).await;
        }
        "grant" => {
            let person = world.id(world.slot());
            let consent = world.consent(person, &scene.client, "openid profile email read:orders");
            insist(world, consent).await;
        }
        "family" => {
            let mut family = world.new_family(scene);
            family.document = vec![7; 300];
            let redeem = world.redeem(scene, Some(family));
            insist(world, redeem).await;
        }
        "revocation" => {
            let revoke = RevokeToken {
                token: world.id(world.slot()),
                client: scene.client.clone(),
                subject: format!("usr_{}", world.word()),
                expires: world.horizon(),
                horizon: world.horizon(),
                now: world.now,
                audit: None,
            };
            insist(world, revoke).await;
        }
        _ => {
            let spend = SpendOnce {
                kind: CLIENT_ASSERTION,
                slot: world.slot(),
                key: world.bytes(),
                expires: world.horizon(),
            };
            insist(world, spend).await;
        }
    }
}

/// Makes many of each and prints what that adds to `size`.
async fn measure(store: Store, size: impl AsyncFn() -> u64) {
    let world = Arc::new(World::new(store, Arc::new(SeededEntropy::new(21)), START));
    let scene = Arc::new(world.scene().await.unwrap());
    let mut before = size().await;
    for noun in NOUNS {
        let callers = (0..CALLERS).map(|_| {
            let (world, scene) = (Arc::clone(&world), Arc::clone(&scene));
            tokio::spawn(async move {
                for _ in 0..NUMBER / CALLERS {
                    make(&world, &scene, noun).await;
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
        let now = size().await;
        let each = (now - before) / u64::try_from(NUMBER).unwrap();
        println!(
            "{noun:>10}: {each:4} bytes each, {:5} MiB a million",
            (each * 1_000_000) >> 20
        );
        before = now;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn sizes_on_sqlite() {
    let folder = Folder::new();
    let path = folder.path().join("symbolon.db");
    let size = async || {
        tokio::time::sleep(Duration::from_secs(1)).await;
        std::fs::metadata(&path).unwrap().len()
    };
    measure(folder.store().await, size).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn sizes_on_postgresql() {
    let Some(schema) = super::nodes::Schema::new("sizes").await else {
        return;
    };
    let store = schema.open(1).await;
    store.migrate().await.unwrap();
    let client = schema.connect().await;
    let size = async || {
        let text = "SELECT sum(pg_total_relation_size(oid))::BIGINT FROM pg_class
            WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'";
        let size: i64 = client.query_one(text, &[]).await.unwrap().get(0);
        u64::try_from(size).unwrap()
    };
    measure(store, size).await;
    schema.drop().await;
}
