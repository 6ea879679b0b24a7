//! Group commit, files, locks and the settings that make a commit durable.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use symbolon_token::{Digest, Slot};

use super::{Count, End, Folder, Write};
use crate::OpenBrowserSession;
use crate::conformance::{Scene, World};
use crate::store::{Options, Store};

/// Tells a test that it is the second process.
const FOLDER: &str = "SYMBOLON_TEST_FOLDER";

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_rolls_back_its_own_act_alone() {
    let folder = Folder::new();
    let store = folder.store().await;
    let commits = store.commits();
    let ends = [End::Out, End::Fault, End::Panic, End::Wait];

    let acts = (0..64).map(|number| {
        let (store, end) = (store.clone(), ends[number % ends.len()]);
        tokio::spawn(async move { store.act(Write(format!("row{number}"), end)).await })
    });
    let acts: Vec<_> = acts.collect();

    for (number, act) in acts.into_iter().enumerate() {
        let outcome = act.await.unwrap();
        assert_eq!(outcome.is_ok(), number % 4 == 0, "{number}");
        let rows = store.read(Count(format!("row{number}"))).await.unwrap();
        assert_eq!(rows, i64::from(number % 4 == 0), "{number}");
    }
    assert_eq!(store.commits() - commits, 16);
}

#[tokio::test]
async fn what_was_answered_is_there_when_opened_again() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.act(Write("a".to_owned(), End::Out)).await.unwrap();
    assert!(store.act(Write("a".to_owned(), End::Out)).await.is_err());
    store.close().await;

    let late = store.act(Count("a".to_owned())).await.unwrap_err();

    assert!(late.is_unavailable());
    let again = folder.store().await;
    assert_eq!(again.read(Count("a".to_owned())).await.unwrap(), 1);
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let folder = Folder::new();
    let store = folder.store().await;

    let refused = store.read(Write("a".to_owned(), End::Out)).await;

    assert!(refused.is_err());
    assert_eq!(store.act(Count("a".to_owned())).await.unwrap(), 0);
    assert_eq!(store.read(Count("a".to_owned())).await.unwrap(), 0);
}

#[tokio::test]
async fn commits_are_synced_through_a_log_that_survives_a_kill() {
    let folder = Folder::new();
    drop(folder.store().await);
    let path = folder.path().join("symbolon.db");

    let writer = crate::sqlite::file::open_writer(&path).unwrap();

    let asked = |name: &str| -> String {
        let value = writer.query_row(&format!("PRAGMA {name}"), [], |row| {
            row.get_ref(0).map(|value| format!("{value:?}"))
        });
        value.unwrap()
    };
    assert_eq!(asked("journal_mode"), r#"Text([119, 97, 108])"#, "wal");
    assert_eq!(asked("synchronous"), "Integer(2)", "FULL");
    assert_eq!(asked("wal_autocheckpoint"), "Integer(0)");
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_answered() {
    let folder = Folder::new();
    if let Ok(url) = std::env::var(FOLDER) {
        let store = Store::open(&Options::new(url, 1)).await.unwrap();
        store.migrate().await.unwrap();
        for number in 0.. {
            store
                .act(Write(format!("row{number}"), End::Out))
                .await
                .unwrap();
            println!("answered {number}");
        }
    }
    let mut child = again(
        "a_kill_loses_nothing_that_was_answered",
        &folder,
        "umask 022",
    );
    child.stdout(std::process::Stdio::piped());
    let mut child = child.spawn().unwrap();
    let output = std::io::BufReader::new(child.stdout.take().unwrap());
    let answered = |line: &String| -> Option<u32> { line.rsplit_once("answered ")?.1.parse().ok() };

    let mut last = 0;
    for line in std::io::BufRead::lines(output).map_while(Result::ok) {
        last = answered(&line).unwrap_or(last);
        if last == 100 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();

    let store = folder.store().await;
    for number in 0..=last {
        let rows = store.read(Count(format!("row{number}"))).await.unwrap();
        assert_eq!(rows, 1, "row{number} of {last}");
    }
    assert!(last >= 100);
}

/// This test in a process of its own, told where the database is.
fn again(test: &str, folder: &Folder, umask: &str) -> Command {
    let mut command = Command::new("sh");
    let program = std::env::current_exe().unwrap();
    let name = format!("tests::durability::{test}");
    command
        .arg("-c")
        .arg(format!(
            r#"{umask} && exec "$0" --exact {name} --nocapture"#
        ))
        .arg(program)
        .env(FOLDER, folder.url());
    command
}

/// Attack: O382
#[tokio::test]
async fn files_are_private_whatever_the_umask() {
    if let Ok(url) = std::env::var(FOLDER) {
        let store = Store::open(&Options::new(url, 1)).await.unwrap();
        store.migrate().await.unwrap();
        let path = std::env::var("SYMBOLON_TEST_LOOK").unwrap();
        for entry in std::fs::read_dir(&path).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            println!("mode {} {mode:o}", entry.file_name().display());
        }
        return;
    }
    let folder = Folder::new();

    let mut command = again("files_are_private_whatever_the_umask", &folder, "umask 000");
    let output = command
        .env("SYMBOLON_TEST_LOOK", folder.path())
        .output()
        .unwrap();

    let text = String::from_utf8(output.stdout).unwrap();
    for file in [
        "symbolon.db",
        "symbolon.db-wal",
        "symbolon.db-shm",
        "symbolon.db.lock",
    ] {
        assert!(
            text.contains(&format!("mode {file} 600\n")),
            "{file}: {text}"
        );
    }
    let mode = std::fs::metadata(folder.path())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn a_second_process_is_refused() {
    if let Ok(url) = std::env::var(FOLDER) {
        let refused = Store::open(&Options::new(url, 1)).await.unwrap_err();
        println!("refused: {refused}");
        return;
    }
    let folder = Folder::new();
    let store = folder.store().await;
    let told = || {
        let output = again("a_second_process_is_refused", &folder, "umask 022").output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };

    assert!(told().contains("another process has this database open"));

    store.close().await;
    assert!(!told().contains("another process"));
}

#[tokio::test]
async fn a_dead_disk_is_not_taken_for_a_write() {
    let refused = Store::open(&Options::new("sqlite:///proc/nowhere/symbolon.db", 1)).await;

    assert!(refused.unwrap_err().is_unavailable());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_database_is_told_and_heals() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.act(Limit(Some(0))).await.unwrap();
    let big = "x".repeat(1 << 20);

    let refused = store.act(Write(big.clone(), End::Out)).await.unwrap_err();

    assert!(refused.is_unavailable(), "{refused}");
    assert!(!refused.to_string().contains("xxx"), "{refused}");
    assert_eq!(store.read(Count(big.clone())).await.unwrap(), 0);
    // The connection may have been opened again, which forgets the limit.
    let _ = store.act(Limit(None)).await;
    let began = tokio::time::Instant::now();
    while let Err(fault) = store.act(Write(big.clone(), End::Out)).await {
        assert!(fault.is_full(), "{fault}");
        assert!(began.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(store.read(Count(big)).await.unwrap(), 1);
}

/// A database whose disk is full for as long as the test says, and who lives in
/// it: the reserve cannot be made anew where a folder has its name.
async fn full(folder: &Folder) -> (World, Scene, OpenBrowserSession) {
    let store = folder.store().await;
    let entropy = Arc::new(symbolon_testkit::SeededEntropy::new(5));
    let world = World::new(store.clone(), entropy, symbolon_testkit::START);
    let scene = world.scene().await.unwrap();
    world.family(&scene).await.unwrap();
    let subject = Digest::from_bytes(world.bytes());
    let browser = OpenBrowserSession {
        id: world.id(Slot::of_bytes(subject.as_bytes())),
        secret: Digest::from_bytes(world.bytes()),
        subject,
        issuer_session: Some(Digest::from_bytes(world.bytes())),
        signed_in: world.now,
        held: b"sealed".to_vec(),
        idle_ends: world.horizon(),
        absolute_ends: world.horizon(),
        replaces: None,
        now: world.now,
    };
    store.act(browser.clone()).await.unwrap();
    let reserve = folder.path().join("symbolon.db.reserve");
    std::fs::remove_file(&reserve).unwrap();
    std::fs::create_dir(&reserve).unwrap();
    store.act(Limit(Some(0))).await.unwrap();
    let big = Write("x".repeat(1 << 20), End::Out);
    assert!(store.act(big).await.unwrap_err().is_full());
    (world, scene, browser)
}

/// There is still no room for what is no taking back.
async fn is_still_full(world: &World) {
    let small = Write("a".to_owned(), End::Out);
    let refused = world.store.act(small).await.unwrap_err();
    assert!(refused.is_full(), "{refused}");
    assert!(world.store.is_full());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_signs_browsers_out() {
    let folder = Folder::new();
    let (world, _, open) = full(&folder).await;
    let end = crate::EndBrowserSession { id: open.id };

    let ended = world.store.act(end).await;

    assert!(ended.unwrap());
    is_still_full(&world).await;
    world.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_hears_what_an_issuer_says_of_its_sessions() {
    let folder = Folder::new();
    let (world, _, open) = full(&folder).await;
    let of_issuer = crate::EndOfIssuerSession {
        issuer_session: open.issuer_session.unwrap(),
    };

    let ended = world.store.act(of_issuer).await;

    assert_eq!(ended.unwrap(), 1);
    is_still_full(&world).await;
    world.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_signs_a_person_out_of_every_browser() {
    let folder = Folder::new();
    let (world, _, open) = full(&folder).await;
    let of_person = crate::EndBrowserSessionsOf {
        slot: open.id.slot(),
        subject: open.subject,
        before: world.now + Duration::from_secs(1),
    };

    let ended = world.store.act(of_person).await;

    assert_eq!(ended.unwrap(), 1);
    is_still_full(&world).await;
    world.store.close().await;
}

/// What a record took back of a great many ends in parts that write none.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_lets_a_great_many_end() {
    let folder = Folder::new();
    let (world, scene, _) = full(&folder).await;
    let part = crate::EndPart {
        of: crate::Whole::Client(scene.client.clone()),
        slot: scene.person.slot(),
        before: crate::Position {
            epoch: i64::MAX,
            sequence: i64::MAX,
        },
        withdraws: true,
        forgets: true,
        now: world.now,
        limit: 10,
    };

    let ended = world.store.act(part.clone()).await;

    assert_eq!(ended.unwrap(), 1);
    assert_eq!(world.store.act(part).await.unwrap(), 0);
    is_still_full(&world).await;
    world.store.close().await;
}

/// What has expired goes, which alone makes room on a disk that is full of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_lets_go_of_what_has_expired() {
    let folder = Folder::new();
    let (world, ..) = full(&folder).await;
    let claim = crate::ClaimJob {
        name: crate::PURGE,
        span: Duration::from_secs(60),
        now: world.now,
    };
    let lease = world.store.act(claim).await.unwrap().unwrap();
    let act = crate::PurgeExpired {
        now: world.now + Duration::from_secs(200 * 24 * 60 * 60),
        limit: 100,
    };
    let of_families = crate::job::Under {
        lease,
        act: act.of(crate::purge::Expired::FamilyToEnd),
    };

    let ended = world.store.act(of_families).await.unwrap();

    assert_eq!(ended, Some(1));
    let all = crate::job::Under { lease, act };
    let purged = world.store.act(all).await.unwrap().unwrap();
    assert_eq!(purged.families, 1);
    is_still_full(&world).await;
    world.store.close().await;
}

/// Lets the database have no more pages than it has.
struct Limit(Option<u32>);

impl crate::act::Act for Limit {
    type Out = ();

    async fn run(&self, tx: &mut crate::act::Tx<'_>) -> Result<(), crate::fault::Fault> {
        let pages = self.0.map_or(1_000_000, |pages| pages.max(1));
        tx.batch(&format!("PRAGMA max_page_count = {pages}")).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_always_written_stays_short() {
    let folder = Folder::new();
    let store = folder.store().await;
    let log = folder.path().join("symbolon.db-wal");

    let mut longest = 0;
    for number in 0..240 {
        let name = format!("{number:08}").repeat(1 << 17);
        store.act(Write(name, End::Out)).await.unwrap();
        longest = longest.max(std::fs::metadata(&log).unwrap().len());
    }

    // 240 MiB and their index went through it.
    assert!(longest < 300 << 20, "{longest}");
    assert!(longest > 1 << 20, "{longest}");
}

#[tokio::test]
async fn the_observer_is_told_before_the_caller_is_answered() {
    use std::sync::Mutex;
    let folder = Folder::new();
    let store = folder.store().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    store.observe(move |records| sink.lock().unwrap().extend(records.to_vec()));
    let entropy = Arc::new(symbolon_testkit::SeededEntropy::new(9));
    let world = crate::conformance::World::new(store.clone(), entropy, symbolon_testkit::START);
    let scene = world.scene().await.unwrap();
    assert!(seen.lock().unwrap().is_empty());

    let end = crate::EndSession {
        id: scene.session,
        now: world.now,
        horizon: world.horizon(),
        audit: world.audit("session.end"),
    };
    store.act(end).await.unwrap();

    let targets: Vec<_> = seen
        .lock()
        .unwrap()
        .iter()
        .map(|record| record.target.clone())
        .collect();
    assert_eq!(targets, [crate::Target::Session(scene.session)]);
}
