//! R39: the process is killed while administrators change things. What was
//! answered is told exactly once, the chain holds, and what somebody changes
//! behind its back is found.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_testkit::Row;

use crate::browser::http;
use crate::program::{Engine, PATIENCE, Program, Said, Site, number, word};

/// How often it is killed.
fn kills() -> usize {
    Row::R39.size(50, 500)
}

/// How many administrators there are.
const WRITERS: usize = 4;

/// The request ids of all that was answered.
type Answered = Arc<Mutex<Vec<String>>>;

/// Makes one organization after the other until it is told to stop.
async fn write(admin: String, token: String, stop: Arc<AtomicBool>, answered: Answered) {
    let client = http();
    while !stop.load(Ordering::Relaxed) {
        let body = json!({ "id": format!("o-{}", word()), "name": "Made" });
        let url = format!("{admin}/admin/v1/organizations");
        let request = client.post(url).bearer_auth(&token).json(&body);
        match request.send().await {
            Ok(answer) if answer.status() == 201 => {
                let id = answer.headers()["x-request-id"].to_str().unwrap();
                answered.lock().unwrap().push(id.to_owned());
            }
            Ok(answer) => assert!(answer.status().as_u16() >= 500, "{}", answer.status()),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

async fn kill_under_load(program: Program, answered: &Answered) {
    let before = answered.lock().unwrap().len();
    let load = async {
        while answered.lock().unwrap().len() < before + 10 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, load)
        .await
        .expect("nobody gets anywhere");
    tokio::time::sleep(Duration::from_micros(number() % 300_000)).await;
    program.kill().await;
}

/// Every line of an export.
fn lines(said: &Said) -> Vec<Value> {
    assert_eq!(said.code, Some(0), "{}", said.errors);
    let lines = said.lines.iter();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn what_was_answered_is_told_once_whatever_is_killed(engine: Engine) {
    let site = Site::new(engine, "http://127.0.0.1:3000/callback").await;
    let mut program = site.start().await;
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Answered::default());
    let writers = (0..WRITERS).map(|_| {
        let (admin, token) = (site.admin.clone(), site.admin_token());
        tokio::spawn(write(
            admin,
            token,
            Arc::clone(&stop),
            Arc::clone(&answered),
        ))
    });
    let writers: Vec<_> = writers.collect();
    for _ in 0..kills() {
        kill_under_load(program, &answered).await;
        program = site.start().await;
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    // What was written last is linked within a second; gaps that kills left in
    // the numbers are waited for, since somebody might still commit there.
    let answered = answered.lock().unwrap().clone();
    let told = whole(&site, &answered).await;

    for id in &answered {
        assert_eq!(told.get(id), Some(&1), "{id} of {}", answered.len());
    }
    assert!(told.values().all(|times| *times == 1));
    eprintln!("R39: {} kills, {} answers", kills(), answered.len());
    tampering_is_found(&site, engine, program).await;
}

/// Waits until the chain holds all that was answered; answers how often each
/// request is told in it.
async fn whole(site: &Site, answered: &[String]) -> BTreeMap<String, usize> {
    for _ in 0..60 {
        let verified = site.administer(&["audit", "verify", "--json"]).await;
        assert_eq!(verified.code, Some(0), "{verified:?}");
        let export = lines(&site.administer(&["audit", "export"]).await);
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for line in export
            .iter()
            .filter(|line| line["action"] == "organization.create")
        {
            *told
                .entry(line["request"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
        if answered.iter().all(|id| told.contains_key(id)) {
            return told;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    panic!("the chain does not hold all");
}

/// Runs a statement behind the server's back, while nothing runs.
async fn tamper(site: &Site, engine: Engine, statement: &str) {
    match engine {
        Engine::Sqlite => {
            let path = site.folder.join("symbolon.db");
            rusqlite::Connection::open(path)
                .unwrap()
                .execute_batch(statement)
                .unwrap();
        }
        Engine::Postgres => {
            let (client, connection) = tokio_postgres::connect(&site.store, tokio_postgres::NoTls)
                .await
                .unwrap();
            let connection = tokio::spawn(connection);
            client.batch_execute(statement).await.unwrap();
            drop(client);
            connection.await.unwrap().unwrap();
        }
    }
}

async fn tampering_is_found(site: &Site, engine: Engine, program: Program) {
    let export = site.administer(&["audit", "export"]).await;
    let file = site.folder.join("audit.jsonl");
    std::fs::write(&file, export.lines.join("\n") + "\n").unwrap();
    let path = file.to_str().unwrap();
    let offline = site.administer(&["audit", "verify", path]).await;
    assert_eq!(offline.code, Some(0), "{offline:?}");
    let head = offline.lines.last().unwrap();
    let head = head.strip_prefix("head ").unwrap().to_owned();
    assert!(program.end().await.success());

    tamper(site, engine, "UPDATE audit SET actor = 'nobody' WHERE counter = 3 AND node = (SELECT MIN(node) FROM audit_node WHERE next > 5)").await;
    let program = site.start().await;
    let found = site.administer(&["audit", "verify"]).await;
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(found.errors.starts_with("error[audit.broken]"), "{found:?}");
    assert!(
        found.line(0).contains("one of the two was changed"),
        "{found:?}"
    );

    // The export of before is as it was, and a cut one is not whole.
    let expect = ["audit", "verify", path, "--expect", &*head];
    assert_eq!(site.administer(&expect).await.code, Some(0));
    let cut = export.lines[..export.lines.len() - 1].join("\n");
    std::fs::write(&file, cut).unwrap();
    let cut = site.administer(&expect).await;
    assert!(cut.errors.starts_with("error[audit.cut]"), "{cut:?}");
    let mut lines = export.lines.clone();
    let place = lines.len() / 2;
    lines[place] = lines[place].replace("administrator", "somebody else");
    std::fs::write(&file, lines.join("\n") + "\n").unwrap();
    assert_eq!(site.administer(&expect).await.code, Some(1));
    assert!(program.end().await.success());
}

on_both_engines! { what_was_answered_is_told_once_whatever_is_killed }

/// Records are followed as they are made, and lists are filtered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trail_is_listed_and_exported_by_filter() {
    let site = Site::new(Engine::Sqlite, "http://127.0.0.1:3000/callback").await;
    let program = site.start().await;
    for name in ["one", "two"] {
        let create = ["organization", "create", name];
        assert_eq!(site.administer(&create).await.code, Some(0));
    }
    let made = [
        "--action",
        "organization.create",
        "--actor",
        "administrator",
    ];

    let listed = site
        .administer(&[&["audit", "list"][..], &made].concat())
        .await;
    let exported = site
        .administer(&[&["audit", "export"][..], &made].concat())
        .await;

    assert_eq!(listed.lines.len(), 3, "{listed:?}");
    let exported = lines(&exported);
    assert_eq!(exported[0]["filtered"], true);
    assert_eq!(exported.last().unwrap()["end"]["records"], 2);
    let later = ["audit", "list", "--since", "2999-01-01T00:00:00Z", "--json"];
    assert_eq!(site.administer(&later).await.json()["items"], json!([]));
    let wrong = site.administer(&["audit", "list", "--since", "soon"]).await;
    assert_eq!(wrong.code, Some(1));
    assert!(site.request(Method::GET, "/healthz").send().await.is_ok());
    assert!(program.end().await.success());
}

/// 50,000 records, of which the first and the last are about one person.
const LONG: &str = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 49999)
    INSERT INTO audit (node, counter, at, action, actor, subject, detail, request)
    SELECT 1, i, 1000 + i, 'some.act', 'tester',
        CASE WHEN i % 49999 = 0 THEN 'usr_x' ELSE 'usr_y' END, '{}', 'req'
    FROM n";

/// The server answers in parts; the command goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_through_a_long_trail_finds_all_by_itself() {
    let site = Site::new(Engine::Sqlite, "http://127.0.0.1:3000/callback").await;
    assert!(site.start().await.end().await.success());
    tamper(&site, Engine::Sqlite, LONG).await;
    let program = site.start().await;
    let about = ["--subject", "usr_x", "--json"];

    let listed = site
        .administer(&[&["audit", "list"][..], &about].concat())
        .await;
    let one = ["audit", "list", "--limit", "1"];
    let one = site.administer(&[&one[..], &about].concat()).await;
    let exported = site
        .administer(&[&["audit", "export"][..], &about].concat())
        .await;
    let url = format!("{}/admin/v1/audit?subject=usr_nobody", site.admin);
    let part = http().get(url).bearer_auth(site.admin_token());
    let part: Value = part.send().await.unwrap().json().await.unwrap();

    let numbers = |items: &Value| {
        let items = items.as_array().unwrap().iter();
        let ats = items.map(|item| item["place"].as_str().unwrap().to_owned());
        ats.collect::<Vec<_>>()
    };
    let (listed, one) = (listed.json(), one.json());
    assert_eq!(numbers(&listed["items"]), ["1000.1.0", "50999.1.49999"]);
    assert_eq!(listed.get("next"), None);
    assert_eq!(numbers(&one["items"]), ["1000.1.0"]);
    assert_eq!(one["next"], "1000.1.0");
    assert_eq!(lines(&exported).last().unwrap()["end"]["records"], 2);
    assert_eq!(part["items"], json!([]));
    assert_eq!(part["next"], "20999.1.19999");
    assert_eq!(part["reached"], "1970-01-01T00:00:20Z");
    assert!(program.end().await.success());
}
