//! Backups: made while somebody writes, restored on either engine, and refused
//! where anything is not as it was written.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use symbolon_testkit::{START, SeededEntropy};
use symbolon_token::Digest;

use super::{Folder, acted, timed};
use crate::audit::AuditEvent;
use crate::backup::{
    BackupError, Contents, Existing, NewEpoch, Restore, SealsBackups, back_up, check, restore,
};
use crate::conformance::{World, trust::partner};
use crate::key::{KeyState, MASTER_KEY, WorkingKey};
use crate::meta::ClaimMeta;
use crate::store::{Options, Store};
use crate::{
    AllKeys, AllTrustedIssuers, AuditFilter, FindClient, FindFamily, FindGrantById, FindPerson,
    FindSession, ListAudit, NewerMigrations, read_feed,
};

/// A keeper whose seal is the digest turned round.
struct Keeper;

const MASTER: [u8; 32] = [7; 32];

impl SealsBackups for Keeper {
    fn seal(&self, master: &Digest, digest: &Digest) -> Option<Vec<u8>> {
        let sealed = digest.as_bytes().iter().rev().copied().collect();
        self.knows(master).then_some(sealed)
    }

    fn open(&self, master: &Digest, sealed: &[u8]) -> Option<Digest> {
        let mut bytes: [u8; 32] = sealed.try_into().ok()?;
        bytes.reverse();
        self.knows(master).then_some(Digest::from_bytes(bytes))
    }

    fn knows(&self, master: &Digest) -> bool {
        master.matches(&Digest::from_bytes(MASTER))
    }
}

fn world(store: &Store) -> World {
    World::new(store.clone(), Arc::new(SeededEntropy::new(11)), START)
}

async fn with_master(store: &Store) {
    let name = MASTER_KEY;
    let value = MASTER.to_vec();
    store.act(ClaimMeta { name, value }).await.unwrap();
}

async fn made(options: &Options, path: &Path) -> Result<Contents, BackupError> {
    let mut file = std::fs::File::create(path).unwrap();
    let contents = back_up(options, &mut file, &Keeper, START).await?;
    file.flush().unwrap();
    Ok(contents)
}

fn key(state: KeyState, id: &str) -> WorkingKey {
    WorkingKey {
        id: id.to_owned(),
        purpose: "access-token".to_owned(),
        number: 0,
        algorithm: None,
        state,
        sealed: vec![1],
        public: None,
        created: START,
        activated: None,
        retires: None,
    }
}

async fn restored(
    options: &Options,
    path: &Path,
    existing: Existing,
) -> Result<(Contents, i64), BackupError> {
    // Every process has a number of its own, and every key a name.
    static RESTORES: AtomicI64 = AtomicI64::new(1_000);
    let number = RESTORES.fetch_add(1, Ordering::Relaxed);
    let options = &Options {
        node: number,
        ..options.clone()
    };
    let epoch = NewEpoch {
        keys: vec![
            key(KeyState::Active, &format!("access-token:{number}")),
            key(KeyState::Next, &format!("access-token:next-{number}")),
        ],
        later_than: 0,
        audit: AuditEvent::new("store.restore", "system"),
        now: START + Duration::from_secs(3600),
    };
    let restore_ = Restore {
        path,
        seals: &Keeper,
        existing,
        epoch,
    };
    restore(options, restore_).await
}

/// A process of its own: no other numbers its records as it does.
fn sqlite(folder: &Folder) -> Options {
    static PROCESSES: AtomicI64 = AtomicI64::new(100);
    Options::new(folder.url(), PROCESSES.fetch_add(1, Ordering::Relaxed))
}

fn path(folder: &Folder, name: &str) -> PathBuf {
    std::fs::create_dir_all(folder.path()).unwrap();
    folder.path().join(name)
}

/// How many times the audit trail tells of a restore.
async fn told_of_restores(store: &Store) -> usize {
    let filter = AuditFilter {
        action: Some("store.restore".to_owned()),
        ..AuditFilter::default()
    };
    let list = ListAudit {
        after: None,
        limit: 10,
        filter,
    };
    store.read(list).await.unwrap().entries.len()
}

/// People, clients and keys come back; families, sessions and grants do not
/// live; the epoch is a new one.
async fn goes_there(from: Options, to: Options, files: &Folder) {
    let store = Store::open(&from).await.unwrap();
    store.migrate().await.unwrap();
    with_master(&store).await;
    let world = world(&store);
    let scene = world.scene().await.unwrap();
    let family = world.family(&scene).await.unwrap();
    store.act(partner(&world).await.unwrap()).await.unwrap();
    let file = path(files, "one.backup");
    let contents = made(&from, &file).await.unwrap();
    assert!(contents.rows() > 8, "{contents:?}");
    assert_eq!(check(&file, Some(&Keeper)).unwrap(), contents);

    let (taken, epoch) = restored(&to, &file, Existing::Keep).await.unwrap();

    assert_eq!(taken, contents);
    assert!(epoch > contents.manifest.epoch);
    // Another process, which numbers its own audit rows.
    let another = Options { node: 99, ..to };
    let other = Store::open(&another).await.unwrap();
    assert!(other.migrate().await.unwrap().run.is_empty());
    assert!(other.read(NewerMigrations).await.unwrap().is_empty());
    let person = other.read(FindPerson { id: scene.person }).await.unwrap();
    assert!(person.is_some_and(|person| person.enabled));
    let id = scene.client.clone();
    assert!(other.read(FindClient { id }).await.unwrap().is_some());
    let found = other.read(FindFamily { id: family.id }).await.unwrap();
    assert!(found.unwrap().ended.is_some(), "a family lives");
    let id = scene.session;
    assert!(
        other
            .read(FindSession { id })
            .await
            .unwrap()
            .unwrap()
            .ended
            .is_some()
    );
    let id = scene.grant.id;
    assert!(
        other
            .read(FindGrantById { id })
            .await
            .unwrap()
            .unwrap()
            .withdrawn
            .is_some()
    );
    let issuers = other.read(AllTrustedIssuers).await.unwrap();
    let issuers: Vec<_> = issuers.iter().map(|own| own.trusted).collect();
    assert_eq!(issuers, [false], "it may have been distrusted since");
    let feed = read_feed(&other, None).await.unwrap();
    assert_eq!(feed.head.epoch, epoch);
    let keys = other.read(AllKeys).await.unwrap();
    let active = keys.iter().filter(|key| key.state == KeyState::Active);
    assert_eq!(active.count(), 1);
    assert_eq!(told_of_restores(&other).await, 1);
    // And it goes on: numbers that the database gives do not come again.
    let again = World::new(other.clone(), Arc::new(SeededEntropy::new(12)), START);
    again.scene().await.unwrap();
    other.close().await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_goes_from_sqlite_to_sqlite() {
    let (from, to) = (Folder::new(), Folder::new());
    goes_there(sqlite(&from), sqlite(&to), &from).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_goes_between_the_engines_both_ways() {
    let Some(schema) = super::nodes::Schema::new("backup_there").await else {
        return;
    };
    let postgres = Options::new(schema.url(), 9);
    let (from, to) = (Folder::new(), Folder::new());

    goes_there(sqlite(&from), postgres.clone(), &from).await;
    let file = path(&to, "two.backup");
    made(&postgres, &file).await.unwrap();
    restored(&sqlite(&to), &file, Existing::Keep).await.unwrap();

    schema.drop().await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_goes_from_postgres_to_postgres() {
    let Some(from) = super::nodes::Schema::new("backup_from").await else {
        return;
    };
    let to = super::nodes::Schema::new("backup_to").await.unwrap();
    let files = Folder::new();
    goes_there(
        Options::new(from.url(), 1),
        Options::new(to.url(), 2),
        &files,
    )
    .await;
    from.drop().await;
    to.drop().await;
}

async fn a_store_with_a_backup(folder: &Folder) -> PathBuf {
    let store = folder.store().await;
    with_master(&store).await;
    world(&store).scene().await.unwrap();
    let file = path(folder, "one.backup");
    made(&sqlite(folder), &file).await.unwrap();
    store.close().await;
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_holds_something_is_kept_unless_it_is_said() {
    let folder = Folder::new();
    let file = a_store_with_a_backup(&folder).await;

    let refused = restored(&sqlite(&folder), &file, Existing::Keep).await;

    let error = refused.unwrap_err();
    assert!(matches!(error, BackupError::NotEmpty(_)), "{error}");
    assert!(error.to_string().contains("person"), "{error}");
    let again = async || {
        let restored = restored(&sqlite(&folder), &file, Existing::Delete).await;
        let store = Store::open(&sqlite(&folder)).await.unwrap();
        let head = read_feed(&store, None).await.unwrap();
        (restored.unwrap().1, head.version.configuration)
    };
    let (one, two) = (again().await, again().await);
    assert!(two.0 > one.0, "two restores of one backup have one epoch");
    // Nor the version by which nodes see that what they hold is of before.
    assert!(two.1 > one.1, "{one:?} {two:?}");
}

/// `symbolon migrate` makes a schema before anything is in it.
async fn a_schema_that_holds_nothing_is_no_store_to_keep(empty: Options) {
    let folder = Folder::new();
    let file = a_store_with_a_backup(&folder).await;
    let store = Store::open(&empty).await.unwrap();
    store.migrate().await.unwrap();
    store.close().await;

    let restored = restored(&empty, &file, Existing::Keep).await;

    restored.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_holds_nothing_is_no_store_to_keep_on_sqlite() {
    let folder = Folder::new();
    a_schema_that_holds_nothing_is_no_store_to_keep(sqlite(&folder)).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_holds_nothing_is_no_store_to_keep_on_postgres() {
    let Some(schema) = super::nodes::Schema::new("nothing").await else {
        return;
    };
    let empty = Options::new(schema.url(), 1);
    a_schema_that_holds_nothing_is_no_store_to_keep(empty).await;
    schema.drop().await;
}

/// R20: what is not the file that was written is refused, and the store is as
/// it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_not_as_it_was_written_changes_nothing() {
    let (folder, target) = (Folder::new(), Folder::new());
    let good = std::fs::read(a_store_with_a_backup(&folder).await).unwrap();
    let bad = path(&target, "bad.backup");
    let text = String::from_utf8(good.clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("foreign", b"{\"something\": \"else\"}\n".to_vec()),
        ("binary", vec![0; 4096]),
        (
            "without its end",
            [lines[..lines.len() - 1].join("\n").as_bytes(), b"\n"].concat(),
        ),
        ("half a line", good[..good.len() / 2].to_vec()),
        ("without its last byte", good[..good.len() - 1].to_vec()),
        ("with more after its end", [&good[..], b"x"].concat()),
        (
            "of another form",
            text.replacen("\"symbolon_backup\":1", "\"symbolon_backup\":2", 1)
                .into_bytes(),
        ),
        (
            "of a newer version",
            text.replacen("\"migrations\":[1", "\"migrations\":[9999,1", 1)
                .into_bytes(),
        ),
        (
            "of another master key",
            text.replacen("0707", "0808", 1).into_bytes(),
        ),
        ("with lines swapped", {
            let mut swapped = lines.clone();
            swapped.swap(2, 3);
            swapped.join("\n").into_bytes()
        }),
        ("without a row", {
            let mut fewer = lines.clone();
            let at = fewer.iter().position(|line| line.starts_with('[')).unwrap();
            fewer.remove(at);
            (fewer.join("\n") + "\n").into_bytes()
        }),
    ];
    // A bit flipped anywhere, at places that differ from run to run of a file.
    for at in (0..good.len()).step_by(good.len() / 97 + 1) {
        let mut flipped = good.clone();
        flipped[at] ^= 0x04;
        cases.push(("with a flipped bit", flipped));
    }
    for (what, bytes) in cases {
        std::fs::write(&bad, bytes).unwrap();

        let refused = restored(&sqlite(&target), &bad, Existing::Delete).await;

        assert!(refused.is_err(), "a file {what} was taken");
        assert!(!target.path().join("symbolon.db").exists(), "{what}");
    }
    // The twin: the file itself.
    std::fs::write(&bad, good).unwrap();
    restored(&sqlite(&target), &bad, Existing::Keep)
        .await
        .unwrap();
}

/// Whoever changes a row and makes all digests anew has no seal for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_digests_made_anew_lacks_the_seal() {
    let folder = Folder::new();
    let file = a_store_with_a_backup(&folder).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let forged = forge(&text, |line| line.replace("conformance", "somebodyels"));
    std::fs::write(&file, &forged).unwrap();

    assert!(check(&file, None).is_ok(), "the digests are right");
    let error = check(&file, Some(&Keeper)).unwrap_err();

    assert_eq!(error.code(), "backup.unsealed");
    std::fs::write(&file, forge(&text, str::to_owned)).unwrap();
    assert!(
        check(&file, Some(&Keeper)).is_ok(),
        "unchanged, it is whole"
    );
}

/// The file with changed lines and digests that fit them, and its old seal.
fn forge(text: &str, change: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut part = String::new();
    for line in text.lines() {
        let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
        let line = if value["sha256"].is_string() {
            let of = if value["seal"].is_string() {
                &out
            } else {
                &part
            };
            value["sha256"] = crate::backup::hex(&Digest::of(of.as_bytes())).into();
            value.to_string()
        } else {
            change(line)
        };
        if line.starts_with("{\"table\"") || line.starts_with("{\"columns\"") {
            part.clear();
        }
        for to in [&mut out, &mut part] {
            to.push_str(&line);
            to.push('\n');
        }
    }
    out
}

/// Runs a statement beside the store, however long it takes.
async fn beside(options: &Options, text: &str) {
    if let Some(path) = crate::store::sqlite_path(&options.url) {
        let connection = crate::sqlite::file::open_writer(Path::new(path)).unwrap();
        return connection.execute_batch(text).unwrap();
    }
    #[cfg(feature = "postgres")]
    crate::backup::engine::connect(&options.url)
        .await
        .unwrap()
        .batch_execute(text)
        .await
        .unwrap();
}

/// R20: many families are backed up and restored, within the minute for each
/// million that is promised, and however many there are in the same memory.
async fn many_rows_go_there(from: Options, to: Options, files: &Folder) {
    let rows = symbolon_testkit::Row::R20.size(10_000_u32, 1_000_000);
    let store = Store::open(&from).await.unwrap();
    store.migrate().await.unwrap();
    with_master(&store).await;
    let blob = match store.engine() {
        crate::Engine::Sqlite => "randomblob(16)",
        crate::Engine::Postgres => "decode(md5(random()::text), 'hex')",
    };
    store.close().await;
    let text = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {rows})
        INSERT INTO family (slot, id, generation, current_secret, working_key, rotated,
            idle_ends, absolute_ends)
        SELECT n % 1024, {blob}, 1, {blob}, 1, 0, 4000000000000, n FROM n"
    );
    beside(&from, &text).await;
    let file = path(files, "many.backup");
    let (contents, backed_up) = timed(made(&from, &file)).await;
    assert!(contents.unwrap().rows() >= u64::from(rows));
    let (taken, restored_in) = timed(restored(&to, &file, Existing::Keep)).await;
    taken.unwrap();
    let size = std::fs::metadata(&file).unwrap().len() / 1024;
    eprintln!("R20: {rows} families, {size} KiB: {backed_up:?} out, {restored_in:?} in");
    let each_million = |took: Duration| took.as_secs_f64() * 1e6 / f64::from(rows);
    if symbolon_testkit::Row::R20.is_long() {
        assert!(each_million(backed_up) < 60.0 && each_million(restored_in) < 60.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_rows_go_from_sqlite_to_sqlite() {
    let (from, to) = (Folder::new(), Folder::new());
    many_rows_go_there(sqlite(&from), sqlite(&to), &from).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_rows_go_from_postgres_to_postgres() {
    let Some(from) = super::nodes::Schema::new("many_from").await else {
        return;
    };
    let (to, files) = (
        super::nodes::Schema::new("many_to").await.unwrap(),
        Folder::new(),
    );
    let options = |schema: &super::nodes::Schema| Options::new(schema.url(), 1);
    many_rows_go_there(options(&from), options(&to), &files).await;
    from.drop().await;
    to.drop().await;
}

/// What is written meanwhile is in it whole or not at all, and nobody waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_one_instant() {
    let (folder, other) = (Folder::new(), Folder::new());
    let store = folder.store().await;
    with_master(&store).await;
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let load = {
        let (store, stop) = (store.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let world = world(&store);
            let mut slowest = Duration::ZERO;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let person = world.person_named(&world.word());
                let client = world.client().unwrap();
                let session = world.session(person.person.id);
                let consent = world.consent(person.person.id, &client.client.id, "openid");
                let spans = [
                    acted(&store, person).await,
                    acted(&store, client).await,
                    acted(&store, session).await,
                    acted(&store, consent).await,
                ];
                slowest = spans.into_iter().fold(slowest, Duration::max);
            }
            slowest
        })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    for number in 0..3 {
        let file = path(&other, &format!("{number}.backup"));
        let contents = made(&sqlite(&folder), &file).await.unwrap();
        let rows = |name: &str| {
            let found = contents.tables.iter().find(|(table, _)| table == name);
            found.unwrap().1
        };
        // Each act of these writes one audit row in its own transaction.
        let acts = rows("person") + rows("client") + rows("session") + rows("grants");
        assert_eq!(rows("audit"), acts, "torn");
        assert_eq!(rows("login_name"), rows("person"), "torn");
        check(&file, Some(&Keeper)).unwrap();
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let slowest = load.await.unwrap();
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    store.close().await;
}
