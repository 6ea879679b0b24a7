//! Each engine against every behaviour and every statement.

use super::{Folder, conform};
use crate::dialect::Engine;
use crate::statement::registered;
use crate::store::{Options, Store};

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_conforms() {
    let folder = Folder::new();
    let store = folder.store().await;

    let options = Options::new(folder.url(), 7);
    let pending = Store::pending_migrations(&options).await.unwrap();
    assert!(pending.is_empty(), "while it is open, too");
    assert!(store.migrate().await.unwrap().run.is_empty());
    conform(&store).await;
}

/// Everything in a folder, with its bytes.
fn contents(folder: &std::path::Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut all: Vec<_> = entries
        .map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap()))
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_plan_for_sqlite_makes_and_changes_nothing() {
    let folder = Folder::new();
    let options = Options::new(folder.url(), 7);

    let all = Store::pending_migrations(&options).await.unwrap();
    assert_eq!(all.len(), crate::migration::MIGRATIONS.len());
    assert!(!folder.path().exists(), "not even the folder is made");

    folder.store().await.close().await;
    let before = contents(folder.path());
    let none = Store::pending_migrations(&options).await.unwrap();
    assert!(none.is_empty());
    assert_eq!(contents(folder.path()), before);
}

#[tokio::test]
async fn a_plan_for_an_empty_file_of_an_odd_name_makes_nothing() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path()).unwrap();
    let path = folder.path().join("a b%41?é.db");
    std::fs::write(&path, "").unwrap();
    let options = Options::new(format!("sqlite://{}", path.display()), 7);

    let all = Store::pending_migrations(&options).await.unwrap();

    assert_eq!(all.len(), crate::migration::MIGRATIONS.len());
    assert_eq!(contents(folder.path()).len(), 1);
}

#[tokio::test]
async fn every_statement_is_prepared_by_sqlite() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.close().await;
    let path = folder.path().join("symbolon.db");
    let connection = crate::sqlite::file::open_writer(&path).unwrap();

    for sql in registered() {
        if sql.is_for(Engine::Sqlite) {
            let text = sql.text(Engine::Sqlite);
            assert!(!text.contains(['{', '$']), "{text}");
            connection
                .prepare(text)
                .map_err(|error| format!("{error}: {text}"))
                .unwrap();
        }
    }
}

/// No file declares statements that the two tests above and beside leave out.
#[test]
fn every_file_of_statements_is_registered() {
    let mut declared = 0;
    let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            let is_statement = |line: &&str| {
                let name = line.split_once(" = ").map(|(name, _)| name);
                let name = name.and_then(|name| name.split_whitespace().last());
                let is_name = |sign: char| sign.is_ascii_uppercase() || sign == '_';
                name.is_some_and(|name| name.chars().all(is_name))
            };
            let mut lines = text.lines().skip_while(|line| *line != "statements! {");
            if lines.next().is_some() {
                declared += lines
                    .take_while(|line| *line != "}")
                    .filter(is_statement)
                    .count();
            }
        }
    }

    assert_eq!(registered().len(), declared);
}

/// Hot and frequent look-ups go through a key or an index, never a scan.
#[tokio::test]
async fn no_statement_scans_a_table_that_grows() {
    let folder = Folder::new();
    folder.store().await.close().await;
    let path = folder.path().join("symbolon.db");
    let connection = crate::sqlite::file::open_writer(&path).unwrap();
    let growing = [
        "family",
        "family_authority",
        "grants",
        "session",
        "spent",
        "revocation",
        "person",
        "login_name",
        "audit",
    ];

    // A restore touches every row of a store that nobody else is at.
    let void = crate::backup::void::STATEMENTS;
    for sql in registered()
        .into_iter()
        .filter(|sql| sql.is_for(Engine::Sqlite))
        .filter(|sql| !void.iter().any(|own| std::ptr::eq(*own, *sql)))
    {
        let text = sql.text(Engine::Sqlite);
        let mut plan = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {text}"))
            .unwrap();
        let numbers = (0..plan.parameter_count()).map(|_| rusqlite::types::Null);
        let steps: Vec<String> = plan
            .query_map(rusqlite::params_from_iter(numbers), |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for step in steps {
            let scanned = step
                .strip_prefix("SCAN ")
                .and_then(|rest| rest.split(' ').next());
            // A person asks how many there are, seldom, and a reader answers.
            let is_count = text.contains("COUNT(*)");
            let is_ordered_page =
                is_count || step.contains("USING INDEX") || text.contains("LIMIT");
            assert!(
                !scanned.is_some_and(|table| growing.contains(&table)) || is_ordered_page,
                "{step}: {text}"
            );
        }
    }
}

/// A plan made anew for each value would cost ten times what the act does.
#[tokio::test]
async fn a_statement_is_planned_once_whatever_is_bound() {
    let folder = Folder::new();
    folder.store().await.close().await;
    let path = folder.path().join("symbolon.db");
    let connection = crate::sqlite::file::open_writer(&path).unwrap();

    for sql in registered()
        .into_iter()
        .filter(|sql| sql.is_for(Engine::Sqlite))
    {
        let mut statement = connection.prepare(sql.text(Engine::Sqlite)).unwrap();
        for number in 1..4_i64 {
            let numbers = (0..statement.parameter_count()).map(|_| number);
            // What the values do is not asked here: most violate something.
            if let Ok(mut rows) = statement.query(rusqlite::params_from_iter(numbers)) {
                let _ = rows.next();
            }
        }
        let again = statement.get_status(rusqlite::StatementStatus::RePrepare);
        assert_eq!(again, 0, "{}", sql.text(Engine::Sqlite));
    }
}
