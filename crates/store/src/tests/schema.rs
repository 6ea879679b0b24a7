//! The schema changed step by step: the same from wherever it began, whole
//! after every kill, and never in anybody's way.

use std::process::Command;

use super::{End, Folder, Write};
use crate::migration::{MIGRATIONS, Migration};
use crate::schema::plan::{Lock, Phase};
use crate::schema::{Fill, Steps};
use crate::statement::Sql;
use crate::store::{Options, Store};
use crate::{Contract, SchemaShape, TooHighLevel};

/// The first so many migrations, as a version of that time has them.
fn first(count: usize) -> &'static Steps {
    Box::leak(Box::new(Steps {
        expand: &MIGRATIONS[..count],
        fill: &[],
        contract: &[],
    }))
}

async fn shape(store: &Store) -> Vec<String> {
    store.read(SchemaShape).await.unwrap()
}

/// Upgrades from every version; `open` opens an empty database each time.
async fn upgrades(open: impl AsyncFn(usize) -> Store) {
    let fresh = open(0).await;
    fresh.migrate().await.unwrap();
    let wanted = shape(&fresh).await;
    assert!(wanted.len() > 20);
    fresh.close().await;
    for count in 1..MIGRATIONS.len() {
        let store = open(count).await;
        store.expand(first(count)).await.unwrap();
        let old = shape(&store).await;
        assert_ne!(old, wanted);

        let run = store.migrate().await.unwrap().run;

        assert_eq!(run.len(), MIGRATIONS.len() - count);
        assert_eq!(shape(&store).await, wanted, "from {count} migrations on");
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_upgrade_ends_in_the_schema_of_a_fresh_one_on_sqlite() {
    let folders: Vec<Folder> = MIGRATIONS.iter().map(|_| Folder::new()).collect();
    upgrades(async |count: usize| {
        let options = Options::new(folders[count].url(), 1);
        Store::open(&options).await.unwrap()
    })
    .await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_upgrade_ends_in_the_schema_of_a_fresh_one_on_postgres() {
    let Some(schema) = super::nodes::Schema::new("upgrade").await else {
        return;
    };
    upgrades(async |_| {
        schema.recreate().await;
        schema.open(1).await
    })
    .await;
    schema.drop().await;
}

/// The statements of the version that had four migrations, as it sent them.
const BEFORE: &str = include_str!("statements_0004.txt");

/// R18: the version before goes on working on today's schema: every statement
/// that it sends can be prepared there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_before_works_on_this_schema_on_sqlite() {
    let folder = Folder::new();
    folder.store().await.close().await;
    let path = folder.path().join("symbolon.db");
    let connection = crate::sqlite::file::open_writer(&path).unwrap();
    for text in before(crate::Engine::Sqlite) {
        let prepared = connection.prepare(&text);
        prepared
            .map_err(|error| format!("{error}: {text}"))
            .unwrap();
    }
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_before_works_on_this_schema_on_postgres() {
    let Some(schema) = super::nodes::Schema::new("before").await else {
        return;
    };
    let store = schema.open(1).await;
    store.migrate().await.unwrap();
    let client = schema.client(&schema.url()).await;
    for text in before(crate::Engine::Postgres) {
        let prepared = client.prepare(&text).await;
        prepared
            .map_err(|error| format!("{error:?}: {text}"))
            .unwrap();
    }
    store.close().await;
    schema.drop().await;
}

fn before(engine: crate::Engine) -> Vec<String> {
    let word = match engine {
        crate::Engine::Sqlite => "sqlite ",
        crate::Engine::Postgres => "postgres ",
    };
    let own = BEFORE.lines().filter_map(|line| {
        let text = line.strip_prefix("both ").or(line.strip_prefix(word))?;
        Some(engine.render(text))
    });
    let all: Vec<String> = own.collect();
    assert!(all.len() > 100);
    all
}

static LEFT: Sql = Sql::new(
    "UPDATE meta SET value = (SELECT m.value FROM meta m WHERE m.name = 'master-key')
        WHERE name IN (SELECT r.name FROM meta r JOIN meta m ON m.name = 'master-key'
            WHERE r.name LIKE 'row%' AND r.value <> m.value ORDER BY r.name LIMIT ?1)",
    None,
);

/// A version that is to come: a table, a filling of 2,500 rows, and something
/// that goes.
static COMING: Steps = Steps {
    expand: MIGRATIONS_AND_MORE,
    fill: &[Fill {
        name: "values of meta",
        after: 9_000,
        table: "meta",
        chunk: &LEFT,
    }],
    contract: &[Migration {
        number: 9_001,
        name: "one table less",
        text: "DROP TABLE coming",
    }],
};

const MIGRATIONS_AND_MORE: &[Migration] = &{
    const NOTHING: Migration = Migration {
        number: 0,
        name: "",
        text: "",
    };
    let mut all = [NOTHING; MIGRATIONS.len() + 2];
    let mut at = 0;
    while at < MIGRATIONS.len() {
        all[at] = MIGRATIONS[at];
        at += 1;
    }
    all[at] = Migration {
        number: 9_000,
        name: "a table that is to come",
        text: "CREATE TABLE coming (one {integer} PRIMARY KEY) {strict};",
    };
    all[at + 1] = Migration {
        number: 9_002,
        name: "an index that nobody waits for",
        text: "CREATE INDEX {concurrently} IF NOT EXISTS coming_meta ON meta (value, name)",
    };
    all
};

async fn rows(store: &Store, count: u32) {
    let (name, value) = (crate::MASTER_KEY, vec![1]);
    store.act(crate::ClaimMeta { name, value }).await.unwrap();
    for number in 0..count {
        let name = format!("row{number:05}");
        store.act(Write(name, End::Out)).await.unwrap();
    }
}

/// Expand, fill, contract, with a plan before each that says what is left.
async fn goes_through_all_phases(options: Options) {
    let store = Store::open(&options).await.unwrap();
    store.migrate().await.unwrap();
    rows(&store, 20).await;
    let plan = async || Store::plan_by(&options, &COMING).await.unwrap();
    let phases = async || plan().await.iter().map(|own| own.phase).collect::<Vec<_>>();
    let all = [Phase::Expand, Phase::Expand, Phase::Fill, Phase::Contract];
    assert_eq!(phases().await, all);
    let planned = plan().await;
    assert_eq!(planned[0].statements[0].lock, Lock::Nothing);
    assert!(planned[2].is_chunked);

    store.expand(&COMING).await.unwrap();
    assert_eq!(phases().await, [Phase::Fill, Phase::Contract]);
    let finished = store.finish(&COMING, Contract::Later).await.unwrap();
    assert_eq!(finished.filled, [("values of meta", 20)]);
    assert!(finished.contracted.is_empty());
    assert_eq!(phases().await, [Phase::Contract]);
    assert_eq!(store.read(TooHighLevel).await.unwrap(), None);

    let finished = store.finish(&COMING, Contract::Now).await.unwrap();

    assert_eq!(finished.contracted[0].number, 9_001);
    assert!(plan().await.is_empty());
    let level = store.read(TooHighLevel).await.unwrap();
    assert_eq!(level, Some(9_001), "today's version may not work there");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_to_come_expands_fills_and_contracts_on_sqlite() {
    let folder = Folder::new();
    goes_through_all_phases(Options::new(folder.url(), 1)).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_to_come_expands_fills_and_contracts_on_postgres() {
    let Some(schema) = super::nodes::Schema::new("phases").await else {
        return;
    };
    goes_through_all_phases(Options::new(schema.url(), 1)).await;
    schema.drop().await;
}

/// Tells a test that it is the process that is to be killed, and where it works.
const URL: &str = "SYMBOLON_TEST_MIGRATED";
/// After how many steps it ends by itself, without warning.
const AFTER: &str = "SYMBOLON_TEST_MIGRATED_AFTER";

/// R19: the process ends after each step, within a filling too; whoever comes
/// next goes on, and the schema is that of a fresh installation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_was_killed_goes_on() {
    if let Ok(url) = std::env::var(URL) {
        let after: usize = std::env::var(AFTER).unwrap().parse().unwrap();
        stop_after(&url, after).await;
    }
    let mut places = vec![Place::Sqlite(Folder::new())];
    #[cfg(feature = "postgres")]
    if let Some(schema) = super::nodes::Schema::new("killed").await {
        places.push(Place::Postgres(schema));
    }
    for place in places {
        for after in 0..MIGRATIONS.len() + 4 {
            place.clear().await;
            let status = Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "tests::schema::a_migration_that_was_killed_goes_on",
                ])
                .env(URL, place.url())
                .env(AFTER, after.to_string())
                .output()
                .unwrap();
            assert!(!status.status.success(), "it ended by itself");

            let store = Store::open(&Options::new(place.url(), 2)).await.unwrap();
            store.expand(&COMING).await.unwrap();
            store.finish(&COMING, Contract::Later).await.unwrap();

            let whole = shape(&store).await;
            assert!(whole.iter().any(|line| line.contains("coming_meta")));
            assert!(!whole.iter().any(|line| line.contains("INVALID")));
            store.close().await;
            let options = Options::new(place.url(), 2);
            let left = Store::plan_by(&options, &COMING).await.unwrap();
            assert_eq!(left.len(), 1, "after {after} steps: {left:?}");
        }
        place.done().await;
    }
}

/// Takes some steps and ends, as a kill would end it.
async fn stop_after(url: &str, after: usize) -> ! {
    let store = Store::open(&Options::new(url, 1)).await.unwrap();
    let all = COMING.expand;
    for count in 1..=after.min(all.len()) {
        let steps = Steps {
            expand: &all[..count],
            fill: &[],
            contract: &[],
        };
        store.expand(&steps).await.unwrap();
    }
    if after > all.len() {
        rows(&store, 1_100).await;
        // One chunk of two.
        let chunk = crate::schema::apply::Chunk(&COMING.fill[0]);
        assert_eq!(store.act(chunk).await.unwrap(), 1_000);
    }
    std::process::abort()
}

enum Place {
    Sqlite(Folder),
    #[cfg(feature = "postgres")]
    Postgres(super::nodes::Schema),
}

impl Place {
    fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => folder.url(),
            #[cfg(feature = "postgres")]
            Self::Postgres(schema) => schema.url(),
        }
    }

    async fn clear(&self) {
        match self {
            Self::Sqlite(folder) => {
                let _ = std::fs::remove_dir_all(folder.path());
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(schema) => schema.recreate().await,
        }
    }

    async fn done(self) {
        #[cfg(feature = "postgres")]
        if let Self::Postgres(schema) = self {
            schema.drop().await;
        }
    }
}

/// A schema that lacks nothing but an index that is made concurrently, and a
/// connection to it.
#[cfg(feature = "postgres")]
async fn without_index(name: &str) -> Option<(super::nodes::Schema, tokio_postgres::Client)> {
    let schema = super::nodes::Schema::new(name).await?;
    let store = schema.open(1).await;
    let all = COMING.expand;
    let steps = Steps {
        expand: &all[..all.len() - 1],
        fill: &[],
        contract: &[],
    };
    store.expand(&steps).await.unwrap();
    store.close().await;
    let client = schema.connect().await;
    Some((schema, client))
}

/// How often the index is entered, and how it looks.
#[cfg(feature = "postgres")]
async fn index(client: &tokio_postgres::Client) -> (i64, Option<bool>) {
    let entered = "SELECT count(*) FROM migration WHERE number = 9002";
    let valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('coming_meta')";
    let entered = client.query_one(entered, &[]).await.unwrap().get(0);
    let valid = client.query_opt(valid, &[]).await.unwrap();
    (entered, valid.map(|row| row.get(0)))
}

#[cfg(feature = "postgres")]
async fn index_begins(client: &tokio_postgres::Client) {
    while index(client).await.1.is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[cfg(feature = "postgres")]
const MAKE: &str = "CREATE INDEX CONCURRENTLY IF NOT EXISTS coming_meta ON meta (value, name)";
/// Begins to read, as a backup does: an index is not whole before that is over.
#[cfg(feature = "postgres")]
const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM migration";

/// One node makes the index while the others wait for it, and enters it.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_lack_only_a_concurrent_index_make_it_once() {
    let Some((schema, client)) = without_index("index").await else {
        return;
    };
    let many = "INSERT INTO meta
        SELECT 'x' || n, decode('00', 'hex') FROM generate_series(1, 50000) n";
    client.batch_execute(many).await.unwrap();
    let mut nodes = Vec::new();
    for number in 1..5 {
        // Behind a pooler as well.
        let options = Options {
            named_statements: number % 2 == 0,
            ..Options::new(schema.url(), number)
        };
        nodes.push(Store::open(&options).await.unwrap());
    }

    for round in 0..5 {
        let mut starts = tokio::task::JoinSet::new();
        for node in nodes.clone() {
            starts.spawn(async move { node.expand(&COMING).await.unwrap().run.len() });
        }
        let runs: usize = starts.join_all().await.into_iter().sum();

        assert_eq!(runs, 1, "{round}");
        assert_eq!(index(&client).await, (1, Some(true)), "{round}");
        let again = "DROP INDEX coming_meta; DELETE FROM migration WHERE number = 9002";
        client.batch_execute(again).await.unwrap();
    }
    schema.drop().await;
}

/// R19: what a node leaves that is killed while it makes an index is half of
/// one, and nobody takes it for whole.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_an_index_that_a_node_left_is_replaced() {
    let Some((schema, client)) = without_index("half").await else {
        return;
    };
    let reader = schema.connect().await;
    reader.batch_execute(READ).await.unwrap();
    let first = schema.open(1).await;
    let making = tokio::spawn(async move { first.expand(&COMING).await.is_ok() });
    index_begins(&client).await;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_locks
        WHERE relation = to_regclass('meta') AND mode = 'ShareUpdateExclusiveLock'
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    client.batch_execute(kill).await.unwrap();
    assert!(!making.await.unwrap(), "it was killed");
    assert_eq!(index(&client).await, (0, Some(false)));
    reader.batch_execute("COMMIT").await.unwrap();

    let migrated = schema.open(2).await.expand(&COMING).await.unwrap();

    assert_eq!(migrated.run.len(), 1);
    assert_eq!(index(&client).await, (1, Some(true)));
    schema.drop().await;
}

/// A node that was killed may leave a server process behind that goes on: what
/// that makes is waited for, and neither dropped nor entered before its time.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_somebody_still_makes_is_waited_for() {
    let Some((schema, client)) = without_index("still").await else {
        return;
    };
    let reader = schema.connect().await;
    reader.batch_execute(READ).await.unwrap();
    let other = schema.connect().await;
    let making = tokio::spawn(async move { other.batch_execute(MAKE).await });
    index_begins(&client).await;
    let store = schema.open(2).await;

    let migrating = tokio::spawn(async move { store.expand(&COMING).await.unwrap() });
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert!(!migrating.is_finished());
    assert_eq!(index(&client).await, (0, Some(false)));
    reader.batch_execute("COMMIT").await.unwrap();

    assert_eq!(migrating.await.unwrap().run.len(), 1);
    making.await.unwrap().unwrap();
    assert_eq!(index(&client).await, (1, Some(true)));
    schema.drop().await;
}

/// R19: with very many rows in the tables, nobody who writes waits half a second
/// while the schema changes; whoever holds a table makes the migration wait,
/// and nobody behind it.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_half_a_second_for_a_migration() {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use symbolon_testkit::Row;

    const PROMISED: Duration = Duration::from_millis(500);
    const HELD: Duration = Duration::from_secs(2);
    let Some(schema) = super::nodes::Schema::new("waits").await else {
        return;
    };
    let store = schema.open(1).await;
    store.migrate().await.unwrap();
    let client = schema.client(&schema.url()).await;
    let count = Row::R19.size(200_000, 1_000_000);
    let many = format!(
        "INSERT INTO meta SELECT 'x' || n, decode('00', 'hex') FROM generate_series(1, {count}) n"
    );
    client.batch_execute(&many).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let spans = Arc::new(Mutex::new(Vec::new()));
    let load = {
        let (store, stop, spans) = (store.clone(), Arc::clone(&stop), Arc::clone(&spans));
        tokio::spawn(async move {
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let name = format!("load{number}");
                let took = super::acted(&store, Write(name, End::Out)).await;
                spans.lock().unwrap().push(took);
            }
        })
    };
    // How long an act takes here when nothing is in its way.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let usual = std::mem::take(&mut *spans.lock().unwrap());
    let usual = usual.into_iter().max().unwrap();
    // Somebody holds the table that the contraction drops.
    store.expand(&COMING).await.unwrap();
    client
        .batch_execute("BEGIN; LOCK TABLE coming IN SHARE MODE")
        .await
        .unwrap();
    let other = schema.open(2).await;
    let finishing =
        tokio::spawn(async move { other.finish(&COMING, Contract::Now).await.unwrap() });
    tokio::time::sleep(HELD).await;
    assert!(!finishing.is_finished());
    client.batch_execute("COMMIT").await.unwrap();
    finishing.await.unwrap();

    stop.store(true, Ordering::Relaxed);
    load.await.unwrap();
    let mut spans = std::mem::take(&mut *spans.lock().unwrap());
    spans.sort();
    // In the short form other tests run beside, and hold up one or another.
    let slowest = spans[spans.len() - Row::R19.size(4, 1)];
    let bound = Row::R19.size(PROMISED.max(usual * 4), PROMISED);
    assert!(slowest < bound, "{slowest:?}, else {usual:?}");
    let most = spans[spans.len() - 1];
    assert!(
        most < HELD,
        "{most:?}: it waited for whoever held the table"
    );
    store.close().await;
    schema.drop().await;
}
