//! Backup and restore of a server that works: online, across the engines, and
//! what was taken back after the backup stays taken back (R20).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::browser::{Answer, Browser, read, request};
use crate::configuration::VAULT;
use crate::program::{Engine, Plan, Said, Site};

async fn signed_in(site: &Site) -> Answer {
    let asked = request(site, "shop", "openid offline_access read:vault").with("resource", VAULT);
    Browser::new(site).tokens("alice", &asked).await
}

async fn refresh(site: &Site, tokens: &Answer) -> Answer {
    let token = tokens.text("refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
    site.form("/token", "shop", &form).await
}

async fn is_active(site: &Site, tokens: &Answer) -> bool {
    site.introspect(&tokens.text("access_token")).await["active"] == true
}

async fn administrate(site: &Site, method: Method, path: &str, body: serde_json::Value) {
    let url = format!("{}/admin/v1/{path}", site.admin);
    let request = site
        .http
        .request(method, url)
        .bearer_auth(site.admin_token());
    let answer = read(request.json(&body).send().await.unwrap()).await;
    assert!(answer.status < 300, "{}", answer.body);
}

/// Tokens for as long as it is let, so that something is written meanwhile.
async fn load(site: &Site, stop: &AtomicBool) -> usize {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        assert_eq!(signed_in(site).await.status, 200);
        count += 1;
    }
    count
}

pub(crate) async fn back_up(site: &Site, to: &str) -> Said {
    let to = site.folder.join(to);
    site.run(&["backup", "--verify", "--json", "--to", to.to_str().unwrap()])
        .await
}

/// A store of an engine, empty, for the installation of `site`.
pub(crate) async fn empty(site: &Site, engine: Engine) -> Site {
    let mut other = site.node();
    (other.issuer, other.listen) = (site.issuer.clone(), site.listen);
    other.store = match engine {
        Engine::Sqlite => "sqlite://restored.db".to_owned(),
        Engine::Postgres => Site::planned(Plan::new(engine)).await.store,
    };
    other.configure("", "");
    other
}

pub(crate) async fn restore(site: &Site, name: &str, more: &[&str]) -> Said {
    let path = site.folder.join(name);
    let arguments = [&["restore", path.to_str().unwrap()][..], more].concat();
    site.run(&arguments).await
}

async fn goes_from_to(from: Engine, to: Engine) {
    let site = Site::new(from, "http://127.0.0.1:3000/callback").await;
    let program = site.start().await;
    let (before, revoked) = (signed_in(&site).await, signed_in(&site).await);
    let stop = AtomicBool::new(false);
    let backing_up = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let said = back_up(&site, "one.backup").await;
        stop.store(true, Ordering::Relaxed);
        said
    };

    let (said, count) = tokio::join!(backing_up, load(&site, &stop));

    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(count > 0);
    let holds = said.json();
    assert!(holds["rows"].as_u64().unwrap() > 30, "{holds}");
    // After the backup: something is taken back, and it must stay so.
    let token = revoked.text("refresh_token");
    administrate(&site, Method::POST, "revoke", json!({ "token": token })).await;
    assert_eq!(refresh(&site, &revoked).await.status, 400);
    assert!(is_active(&site, &before).await);
    let held = back_up(&site, "one.backup").await;
    assert!(
        held.errors.contains("backup.file"),
        "not written over: {held:?}"
    );
    let names = std::fs::read_dir(site.folder.join(".")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = names.filter(|name| name.contains(".partial")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(program.end().await.success());

    let other = empty(&site, to).await;
    let said = restore(&other, "one.backup", &["--json"]).await;

    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.json()["epoch_now"].as_i64() > holds["epoch"].as_i64());
    let again = restore(&other, "one.backup", &[]).await;
    assert!(
        again.errors.contains("error[restore.not_empty]"),
        "{again:?}"
    );
    let program = other.start().await;
    for tokens in [&before, &revoked] {
        assert!(!is_active(&other, tokens).await, "a token revived");
        assert_eq!(refresh(&other, tokens).await.refusal(), "invalid_grant");
    }
    let fresh = signed_in(&other).await;
    assert_eq!(fresh.status, 200, "{}", fresh.body);
    assert!(is_active(&other, &fresh).await);
    assert_eq!(refresh(&other, &fresh).await.status, 200);
    let subject = |tokens: &Answer| {
        use base64::Engine as _;
        let token = tokens.text("id_token");
        let body = token.split('.').nth(1).unwrap();
        let body = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(body)
            .unwrap();
        serde_json::from_slice::<serde_json::Value>(&body).unwrap()["sub"].clone()
    };
    assert_eq!(
        subject(&fresh),
        subject(&before),
        "people stay who they are"
    );
    let verified = other.administer(&["audit", "verify"]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert!(program.end().await.success());
}

/// Attack: P399
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_working_server_goes_from_sqlite_to_postgres() {
    goes_from_to(Engine::Sqlite, Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_working_server_goes_from_postgres_to_sqlite() {
    goes_from_to(Engine::Postgres, Engine::Sqlite).await;
}

/// A node that goes on working over a database that is restored notices the new
/// epoch, its keys and its people, without being started anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_works_notices_a_restore() {
    let site = Site::new(Engine::Postgres, "http://127.0.0.1:3000/callback").await;
    let program = site.start().await;
    let before = signed_in(&site).await;
    assert_eq!(back_up(&site, "one.backup").await.code, Some(0));
    let path = site.folder.join("one.backup");
    let path = path.to_str().unwrap();

    let words = ["--replace", "delete what is there"];
    let refused = restore(&site, "one.backup", &["--replace", "yes"]).await;
    let said = restore(&site, "one.backup", &words).await;

    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert_eq!(said.code, Some(0), "{said:?}");
    let soon = || tokio::time::Instant::now() + Duration::from_secs(5);
    let deadline = soon();
    let token = before.text("access_token");
    loop {
        let form = [("token", token.as_str())];
        let asked = site.form("/introspect", "orders-api", &form).await;
        // Until it knows what is there now, it says that it does not know.
        match asked.status {
            200 if asked.json()["active"] == false => break,
            200 | 503 => {}
            other => panic!("{other} {}", asked.body),
        }
        assert!(tokio::time::Instant::now() < deadline, "a token lives on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(refresh(&site, &before).await.refusal(), "invalid_grant");
    let deadline = soon();
    let mut fresh = signed_in(&site).await;
    while fresh.status != 200 {
        assert!(tokio::time::Instant::now() < deadline, "{}", fresh.body);
        fresh = signed_in(&site).await;
    }
    assert!(is_active(&site, &fresh).await);
    assert!(std::fs::metadata(path).is_ok());
    assert!(program.end().await.success());
}

/// Another master key, a file that is none, a store that somebody works on:
/// each is told with a code of its own, and nothing is made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_restored_is_told_by_a_code() {
    let site = Site::new(Engine::Sqlite, "http://127.0.0.1:3000/callback").await;
    let program = site.start().await;
    assert_eq!(back_up(&site, "one.backup").await.code, Some(0));
    let words = ["--replace", "delete what is there"];
    let held = restore(&site, "one.backup", &words).await;
    assert!(held.errors.contains("error[store.locked]"), "{held:?}");
    assert!(program.end().await.success());
    let stranger = Site::new(Engine::Sqlite, "http://127.0.0.1:3000/callback").await;
    let copy = stranger.folder.join("one.backup");
    std::fs::copy(site.folder.join("one.backup"), &copy).unwrap();
    let none = restore(&stranger, "one.backup", &[]).await;
    assert!(none.errors.contains("error[keys]"), "{none:?}");
    assert!(
        !stranger.folder.join("master.key").exists(),
        "no key is made"
    );
    assert!(stranger.start().await.end().await.success());
    let other = restore(&stranger, "one.backup", &words).await;
    assert!(
        other.errors.contains("error[backup.master_key]"),
        "{other:?}"
    );
    std::fs::write(&copy, "something else\n").unwrap();
    let foreign = restore(&stranger, "one.backup", &words).await;
    assert!(
        foreign.errors.contains("error[backup.foreign]"),
        "{foreign:?}"
    );
    // It is as it was.
    let program = stranger.start().await;
    assert_eq!(signed_in(&stranger).await.status, 200);
    assert!(program.end().await.success());
}
