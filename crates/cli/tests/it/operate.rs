//! What operators run: the configuration read again, a plan of migrations,
//! refusals with a code of their own.

use std::process::Output;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use crate::program::{Engine, Folder, PATIENCE, Program, Site, command};

const CALLBACK: &str = "http://127.0.0.1:1/callback";

/// A configuration with an address and a database of its own.
fn configuration(folder: &Folder, more: &str) -> std::path::PathBuf {
    let path = folder.join("own.toml");
    let (listen, admin) = (crate::program::free_port(), crate::program::free_port());
    let text = format!(
        "issuer = 'http://127.0.0.1:{listen}'\nlisten = '127.0.0.1:{listen}'\n{more}\n[admin]\nlisten = '127.0.0.1:{admin}'\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

async fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().await.unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until the program has printed something since `from`.
async fn printed(site: &Site, from: usize, words: &str) -> String {
    let begin = Instant::now();
    loop {
        let all = site.printed();
        let new = all.get(from..).unwrap_or_default();
        if new.contains(words) {
            return new.to_owned();
        }
        assert!(begin.elapsed() < PATIENCE, "no `{words}` in {new}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn reload(site: &Site, program: &Program, change: impl FnOnce(&str) -> String) -> usize {
    let path = site.configuration();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, change(&text)).unwrap();
    let from = site.printed().len();
    program.signal(Signal::HUP);
    from
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_takes_in_all_that_can_be_and_says_what_waits() {
    let site = Site::new(Engine::Sqlite, CALLBACK).await;
    let program = site.start().await;

    let from = reload(&site, &program, |text| {
        text.replacen(
            "[store]",
            "outbound_allow = ['keys.internal']\n[lifetimes]\naccess_token = '3m'\n[store]",
            1,
        )
    })
    .await;
    let told = printed(&site, from, "configuration applied").await;
    assert!(
        told.contains("outbound_allow") && told.contains("next start"),
        "{told}"
    );
    assert!(!told.contains("access_token"), "{told}");

    let from = reload(&site, &program, |text| text.replacen("issuer", "isuer", 1)).await;
    let told = printed(&site, from, "the old one stays").await;
    assert!(!told.contains("configuration applied"), "{told}");
    program.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_of_migrations_makes_nothing() {
    let folder = Folder::new();
    let path = configuration(&folder, "");
    let path = path.to_str().unwrap();
    let names = || {
        let entries = std::fs::read_dir(folder.join("")).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name())
            .collect::<Vec<_>>()
    };
    let before = names();

    let plan = run(&["migrate", "--config", path, "--plan"]).await;
    let json = run(&["migrate", "--config", path, "--plan", "--json"]).await;

    assert!(plan.status.success(), "{}", errors(&plan));
    assert!(said(&plan).contains("first tables"));
    let json: serde_json::Value = serde_json::from_str(&said(&json)).unwrap();
    assert_eq!(json["pending"][0]["number"], 1);
    assert_eq!(json["run"], serde_json::json!([]));
    assert_eq!(names(), before, "nothing was made");

    let done = run(&["migrate", "--config", path]).await;
    assert!(said(&done).ends_with("done\n"), "{}", errors(&done));
    let again = run(&["migrate", "--config", path, "--plan"]).await;
    assert_eq!(said(&again), "the schema is up to date\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_to_start_has_a_code_of_its_own() {
    let folder = Folder::new();
    let path = configuration(&folder, "");
    let path = path.to_str().unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let listen = text
        .lines()
        .nth(1)
        .unwrap()
        .trim_start_matches("listen = '")
        .trim_end_matches('\'');
    let taken = std::net::TcpListener::bind(listen).unwrap();
    let serve = run(&["serve", "--config", path]).await;
    assert!(
        errors(&serve).contains("error[listen]: "),
        "{}",
        errors(&serve)
    );
    drop(taken);

    let held = std::fs::File::create(folder.join("x.db.lock")).unwrap();
    held.try_lock().unwrap();
    let locked = format!("{text}[store]\nurl = 'sqlite://x.db'\n");
    std::fs::write(folder.join("locked.toml"), locked).unwrap();
    let locked = folder.join("locked.toml");
    let serve = run(&["serve", "--config", locked.to_str().unwrap()]).await;
    assert!(
        errors(&serve).contains("error[store.locked]: "),
        "{}",
        errors(&serve)
    );

    std::fs::write(folder.join("bad.toml"), "isuer = 'x'").unwrap();
    let bad = folder.join("bad.toml");
    let serve = run(&["serve", "--config", bad.to_str().unwrap()]).await;
    assert!(
        errors(&serve).contains("error[configuration]: the configuration has 2 mistakes"),
        "{}",
        errors(&serve)
    );

    for line in [
        &["serve"][..],
        &["client", "create"],
        &["dev", "--port", "65535"],
        &["nonsense"],
    ] {
        let output = run(line).await;
        assert_eq!(output.status.code(), Some(2), "{line:?}");
        assert!(
            errors(&output).starts_with("error[usage]: "),
            "{}",
            errors(&output)
        );
    }
    assert_eq!(run(&["--help"]).await.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_token_is_not_taken_back_and_the_command_fails() {
    let site = Site::new(Engine::Sqlite, CALLBACK).await;
    let program = site.start().await;
    let token_file = site.folder.join("admin.token");
    let token_file = token_file.to_str().unwrap();
    let revoke = async |token: &str| {
        let line = [
            "revoke",
            "--admin",
            &site.admin,
            "--admin-token-file",
            token_file,
            "--token",
            token,
        ];
        run(&line).await
    };

    let nonsense = revoke("abc").await;

    assert_eq!(nonsense.status.code(), Some(1));
    assert_eq!(said(&nonsense), "");
    assert!(
        errors(&nonsense).starts_with("error[admin.not_found]: "),
        "{}",
        errors(&nonsense)
    );
    program.end().await;
}
