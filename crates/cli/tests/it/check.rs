//! `check` and `migrate`: what they find, what they do, and how they end.

use crate::program::{Engine, Plan, Site};

async fn site(engine: Engine) -> Site {
    let site = Site::planned(Plan::new(engine)).await;
    set_private(&site);
    site
}

/// Nobody else may read the file: it holds secrets, and `check` would say so.
fn set_private(site: &Site) {
    use std::os::unix::fs::PermissionsExt;
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(site.configuration(), private).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_is_told_with_file_and_line_and_ends_with_one() {
    let site = site(Engine::Sqlite).await;
    let good = site.run(&["check"]).await;
    assert_eq!(good.code, Some(0), "{good:?}");
    site.configure("", "\n[[client]]\nid = \"x\"\nkind = \"nonsense\"\n");
    set_private(&site);
    let text = std::fs::read_to_string(site.configuration()).unwrap();
    let line = 1 + text
        .lines()
        .position(|line| line.contains("nonsense"))
        .unwrap();

    let bad = site.run(&["check"]).await;

    assert_eq!(bad.code, Some(1));
    let place = format!("{}:{line}:", site.configuration().display());
    assert!(
        bad.lines.iter().any(|line| line.starts_with(&place)),
        "{place} {bad:?}"
    );
    let listed = site.run(&["check", "--json"]).await;
    assert_eq!(listed.code, Some(1));
    let list = listed.json();
    let found = list
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["severity"] == "error");
    let found = found.unwrap_or_else(|| panic!("{list}"));
    for name in ["code", "message", "repair"] {
        assert!(
            found[name].as_str().is_some_and(|text| !text.is_empty()),
            "{found}"
        );
    }
    let refused = site.run(&["serve"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.errors.contains("nonsense"), "{refused:?}");
}

/// A repair that is followed mends, and does not repeat the mistake.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_says_what_can_be_done() {
    let site = site(Engine::Sqlite).await;
    let kept = std::fs::read(site.configuration()).unwrap();
    let repair = async |more: &[u8]| {
        std::fs::write(site.configuration(), [&kept[..], more].concat()).unwrap();
        let list = site.run(&["check", "--json"]).await.json();
        let found = list.as_array().unwrap().iter();
        let wrong = found.filter(|one| one["severity"] == "error");
        let repairs = wrong.map(|one| one["repair"].as_str().unwrap().to_owned());
        repairs.collect::<Vec<_>>().join("; ")
    };
    let client = |line: &str| {
        let own = "\n[[client]]\nid = \"x\"\nkind = \"service\"\nsecret = \"0123456789012345678901234567890123456789\"\n";
        format!("{own}{line}\n").into_bytes()
    };

    assert_eq!(repair(&client("")).await, "");
    let near = repair(&client("scops = []")).await;
    assert!(near.contains("write `scopes`"), "{near}");
    let far = repair(&client("favourite_colour = \"blue\"")).await;
    assert!(
        far.contains("take the line out") && !far.contains("write `"),
        "{far}"
    );
    let text = repair(b"\n# \xff\n").await;
    assert!(
        text.contains("UTF-8") && !text.contains("--config"),
        "{text}"
    );
    assert_eq!(repair(b"\n").await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unwise_ends_with_one_only_where_that_is_asked() {
    let site = site(Engine::Sqlite).await;
    site.configure("trusted_proxies = [\"10.0.0.0/7\"]", "");
    set_private(&site);

    let told = site.run(&["check"]).await;
    let strict = site.run(&["check", "--strict"]).await;

    assert!(
        told.lines.iter().any(|line| line.contains("warning[")),
        "{told:?}"
    );
    assert_eq!((told.code, strict.code), (Some(0), Some(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_no_further_gets_no_panic() {
    let site = site(Engine::Sqlite).await;
    for verb in [&["check"][..], &["check", "--json"], &["doctor"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = crate::program::command();
        command.args(verb).arg("--config").arg(site.configuration());

        let said = command.stdout(writer).output().await.unwrap();

        let errors = String::from_utf8_lossy(&said.stderr);
        assert!(!errors.contains("panicked"), "{verb:?}: {errors}");
        assert_ne!(said.status.code(), Some(101), "{verb:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_need_a_file_say_so_where_there_is_none() {
    let site = site(Engine::Sqlite).await;
    std::fs::remove_file(site.configuration()).unwrap();
    for verb in ["check", "migrate", "serve"] {
        let said = site.run(&[verb]).await;
        assert_eq!(said.code, Some(1), "{verb} {said:?}");
    }
    let mut command = crate::program::command();
    let said = command.arg("check").output().await.unwrap();
    assert_eq!(said.status.code(), Some(2));
}

async fn a_new_database_is_brought_up_to_date_once(engine: Engine) {
    let site = site(engine).await;
    let planned = site.run(&["migrate", "--plan"]).await;
    assert_eq!(planned.code, Some(0), "{planned:?}");
    assert!(
        !planned.lines.is_empty() && planned.line(0) != "the schema is up to date",
        "{planned:?}"
    );
    if matches!(engine, Engine::Sqlite) {
        // What is for the other engine alone stands behind such a sign.
        let other = planned.lines.iter().find(|line| line.contains("--"));
        assert_eq!(other, None, "{planned:?}");
    }

    let done = site.run(&["migrate"]).await;

    assert_eq!(done.code, Some(0), "{done:?}");
    let again = site.run(&["migrate", "--plan"]).await;
    assert_eq!(
        (again.code, again.line(0)),
        (Some(0), "the schema is up to date")
    );
    let program = site.start().await;
    assert_eq!(site.get("/readyz").await.status, 200);
    assert!(program.end().await.success());
}

on_both_engines! { a_new_database_is_brought_up_to_date_once }
