//! PostgreSQL: every behaviour, every statement, two nodes at once.

use std::sync::atomic::{AtomicU32, Ordering};

use symbolon_testkit::{Row, START, SeededEntropy};
use tokio_postgres::Client;

use super::steps::insist;
use super::{Count, End, Write, conform};
use crate::dialect::Engine;
use crate::statement::registered;
use crate::store::{Options, Store};

/// A schema of one test's own, gone when it says so.
pub(super) struct Schema {
    url: String,
    name: String,
}

/// How many schemas this process has made.
static NUMBER: AtomicU32 = AtomicU32::new(0);

const URL: &str = "SYMBOLON_TEST_POSTGRES";
const WITHOUT: &str = "SYMBOLON_TEST_WITHOUT_POSTGRES";

impl Schema {
    pub(super) async fn new(name: &str) -> Option<Self> {
        let Ok(url) = std::env::var(URL) else {
            assert!(
                std::env::var_os(WITHOUT).is_some(),
                "set {URL} to the URL of a PostgreSQL database, or {WITHOUT} to do without"
            );
            return None;
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("symbolon_{name}_{}_{number}", std::process::id());
        let schema = Self { url, name };
        schema.recreate().await;
        Some(schema)
    }

    pub(super) async fn client(&self, url: &str) -> Client {
        let address = crate::postgres::address::parse(url).unwrap();
        let (client, connection) = address.config.connect(address.tls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    pub(super) async fn recreate(&self) {
        let (client, name) = (self.client(&self.url).await, &self.name);
        let text = format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}");
        client.batch_execute(&text).await.unwrap();
    }

    pub(super) async fn drop(&self) {
        let text = format!("DROP SCHEMA {} CASCADE", self.name);
        self.client(&self.url)
            .await
            .batch_execute(&text)
            .await
            .unwrap();
    }

    /// The host and port of the server.
    pub(super) fn host(&self) -> String {
        let rest = self.url.split_once('@').unwrap().1;
        rest.split(['/', '?']).next().unwrap().to_owned()
    }

    /// What stands before the host in the URL, and after it.
    pub(super) fn around_host(&self) -> (String, String) {
        let (url, host) = (self.url(), self.host());
        let (before, after) = url.split_once(&format!("@{host}")).unwrap();
        (format!("{before}@"), after.to_owned())
    }

    /// A connection into the schema.
    pub(super) async fn connect(&self) -> Client {
        self.client(&self.url()).await
    }

    pub(super) fn url(&self) -> String {
        let sign = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{sign}options=-c%20search_path%3D{}", self.url, self.name)
    }

    pub(super) async fn open(&self, node: i64) -> Store {
        Store::open(&Options::new(self.url(), node)).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_conforms() {
    let Some(schema) = Schema::new("conforms").await else {
        return;
    };
    let store = schema.open(1).await;
    let options = Options::new(schema.url(), 1);
    let pending = || async { Store::pending_migrations(&options).await.unwrap().len() };
    let all = crate::migration::MIGRATIONS.len();
    assert_eq!(pending().await, all);
    assert_eq!(pending().await, all, "the question makes no table");
    let table = "SELECT to_regclass('migration') IS NULL";
    let client = schema.client(&schema.url()).await;
    assert!(
        client
            .query_one(table, &[])
            .await
            .unwrap()
            .get::<_, bool>(0)
    );
    store.migrate().await.unwrap();
    assert_eq!(pending().await, 0);

    conform(&store).await;

    store.close().await;
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_conforms_without_named_statements() {
    let Some(schema) = Schema::new("unnamed").await else {
        return;
    };
    let options = Options {
        named_statements: false,
        pool_size: 4,
        ..Options::new(schema.url(), 1)
    };
    let store = Store::open(&options).await.unwrap();
    store.migrate().await.unwrap();

    conform(&store).await;

    store.close().await;
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_is_prepared_by_postgresql() {
    let Some(schema) = Schema::new("prepared").await else {
        return;
    };
    schema.open(1).await.migrate().await.unwrap();
    let client = schema.client(&schema.url()).await;

    for sql in registered() {
        if sql.is_for(Engine::Postgres) {
            let text = sql.text(Engine::Postgres);
            assert!(!text.contains(['{', '?']), "{text}");
            client
                .prepare(text)
                .await
                .map_err(|error| format!("{error:?}: {text}"))
                .unwrap();
        }
    }
    schema.drop().await;
}

/// A migration of many rows takes longer than any request may.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_waits_for_another_that_migrates_for_long() {
    let Some(schema) = Schema::new("waits").await else {
        return;
    };
    let other = schema.client(&schema.url()).await;
    let table = Engine::Postgres.render(crate::migration::TABLE);
    other.batch_execute(&table).await.unwrap();
    let lock = "BEGIN; LOCK TABLE migration IN EXCLUSIVE MODE";
    other.batch_execute(lock).await.unwrap();
    let store = schema.open(1).await;
    let works = async {
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
        other.batch_execute("COMMIT").await.unwrap();
    };

    let (migrated, ()) = tokio::join!(store.migrate(), works);

    let all = crate::migration::MIGRATIONS.len();
    assert_eq!(migrated.unwrap().run.len(), all);
    store.close().await;
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_at_once_migrate_once() {
    let Some(schema) = Schema::new("migrate").await else {
        return;
    };
    let mut nodes = Vec::new();
    for node in 0..8 {
        let store = schema.open(node).await;
        nodes.push(tokio::spawn(async move { store.migrate().await.unwrap() }));
    }

    let mut runs = 0;
    for node in nodes {
        runs += node.await.unwrap().run.len();
    }

    assert_eq!(runs, crate::migration::MIGRATIONS.len());
    let together = shape(&schema).await;
    schema.recreate().await;
    schema.open(9).await.migrate().await.unwrap();
    assert_eq!(together, shape(&schema).await);
    schema.drop().await;
}

async fn shape(schema: &Schema) -> Vec<String> {
    let store = schema.open(10).await;
    let shape = store.read(crate::SchemaShape).await.unwrap();
    store.close().await;
    shape
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_rolls_back_and_counts_nothing() {
    let Some(schema) = Schema::new("fault").await else {
        return;
    };
    let store = schema.open(1).await;
    store.migrate().await.unwrap();
    let name = || "row".to_owned();

    assert!(store.act(Write(name(), End::Fault)).await.is_err());

    assert_eq!(store.read(Count(name())).await.unwrap(), 0);
    assert_eq!(store.commits(), 0);
    let late = store.act(Write(name(), End::Wait)).await.unwrap_err();
    assert!(late.is_unavailable(), "{late}");
    store.act(Write(name(), End::Out)).await.unwrap();
    assert_eq!(store.commits(), 1);
    let twice = store.act(Write(name(), End::Out)).await.unwrap_err();
    assert!(!twice.to_string().contains("row"), "{twice}");
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_refreshes_on_two_nodes_get_one_successor() {
    use crate::conformance::World;
    use crate::refresh_family::Rotated;
    let Some(schema) = Schema::new("nodes").await else {
        return;
    };
    let (one, two) = (schema.open(1).await, schema.open(2).await);
    one.migrate().await.unwrap();
    let entropy = std::sync::Arc::new(SeededEntropy::new(3));
    let world = World::new(one.clone(), entropy, START);
    let scene = world.scene().await.unwrap();

    for _ in 0..20 {
        let family = world.family(&scene).await.unwrap();
        let rotate = world.rotate(&family);
        let tasks: Vec<_> = (0..64)
            .map(|number| {
                let store = if number % 2 == 0 {
                    one.clone()
                } else {
                    two.clone()
                };
                let rotate = rotate.clone();
                tokio::spawn(async move { insist(&store, &rotate).await })
            })
            .collect();
        let (mut rotations, mut lost) = (0, 0);
        for task in tasks {
            let (failed, out) = task.await.unwrap();
            lost += failed;
            match out {
                Rotated::To(live) => {
                    rotations += 1;
                    assert_eq!(live.generation, 2);
                }
                Rotated::Same(live) => assert_eq!(live.generation, 2),
                other => panic!("{other:?}"),
            }
        }
        assert!(lost == 0 || !Row::R08.is_long(), "{lost} were turned away");
        // What a caller did not hear of may have been the rotation.
        assert!(rotations == 1 || lost > 0 && rotations == 0, "{rotations}");
    }
    schema.drop().await;
}
