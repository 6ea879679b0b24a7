//! API keys by commands: made, used, replaced, brought along, taken back, and
//! what a restore leaves of them.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::configuration::{ORDERS, VAULT};
use crate::dev::Dev;
use crate::keep::{back_up, empty, restore};
use crate::program::{Engine, Folder, Program, Said, Site, command};

const CREATE: [&str; 9] = [
    "apikey",
    "create",
    "nightly job",
    "--client",
    "job",
    "--scope",
    "read:vault",
    "--resource",
    VAULT,
];

async fn site(engine: Engine) -> (Site, Program) {
    let site = Site::new(engine, "http://127.0.0.1:3000/callback").await;
    let program = site.start().await;
    (site, program)
}

/// A key by its command: its id and its text.
async fn made(site: &Site, more: &[&str]) -> (String, String) {
    let made = site.done(&[&CREATE[..], more].concat()).await;
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

async fn is_good(site: &Site, key: &str) -> bool {
    site.introspect(key).await["active"] == true
}

/// What is said of a text on this machine, where nobody is asked.
async fn inspected(text: &str) -> Said {
    let mut command = command();
    command.args(["token", "inspect", "--json", text]);
    Said::of(command.output().await.unwrap())
}

/// Attack: O380
async fn a_key_is_made_used_replaced_and_taken_back_by_commands(engine: Engine) {
    let (site, program) = site(engine).await;
    let (id, key) = made(&site, &["--lifetime", "90d"]).await;
    assert!(is_good(&site, &key).await);

    let shown = site.done(&["apikey", "get", &id]).await;
    assert_eq!((&shown["status"], shown.get("key")), (&json!("live"), None));
    let table = site.told(&["apikey", "list", "--client", "job"]).await;
    assert!(table.contains(&id) && table.contains("nightly job") && !table.contains(&key));
    let next = site
        .done(&["apikey", "rotate", &id, "--overlap", "1h"])
        .await;
    let (next_id, next) = (next["id"].as_str().unwrap(), next["key"].as_str().unwrap());
    assert!(is_good(&site, &key).await && is_good(&site, next).await);
    site.done(&["apikey", "disable", &id]).await;
    assert!(!is_good(&site, &key).await && is_good(&site, next).await);
    site.done(&["apikey", "enable", &id]).await;
    assert!(is_good(&site, &key).await);
    let fewer = site
        .done(&["apikey", "update", &id, "--network", "192.0.2.0/24"])
        .await;
    assert_eq!(fewer["networks"], json!(["192.0.2.0/24"]));
    assert!(!is_good(&site, &key).await, "nobody told from where");
    site.done(&["revoke", "--token", &key]).await;
    let dead = site.done(&["apikey", "get", &id]).await;
    assert_eq!(dead["status"], "revoked");
    site.done(&["apikey", "revoke", next_id]).await;
    assert!(!is_good(&site, next).await);

    for (line, refused) in [
        (&["apikey", "get", "key_0"][..], (1, "admin.not_found")),
        (&["apikey", "rotate", &id], (1, "admin.conflict")),
        (&["apikey", "create", "a"], (2, "usage")),
        (
            &[&CREATE[..], &["--network", "192.0.2.1/24"]].concat(),
            (1, "admin.invalid_request"),
        ),
    ] {
        let (exit, code) = site.refused(line).await;
        assert_eq!((exit, &*code), refused, "{line:?}");
    }
    assert!(program.end().await.success());
    assert!(!site.printed().contains(&key[12..]), "no log holds a key");
}

async fn a_key_goes_into_a_file_and_is_looked_at_there(engine: Engine) {
    let (site, program) = site(engine).await;
    let file = site.folder.join("job.key");
    let to = ["--secret-to", file.to_str().unwrap()];
    let said = site
        .administer(&[&CREATE[..], &to, &["--json"]].concat())
        .await;
    assert_eq!(said.code, Some(0), "{}", said.errors);
    assert_eq!(said.json().get("key"), None);
    let key = std::fs::read_to_string(&file).unwrap();
    assert!(is_good(&site, &key).await);

    let shown = inspected(&key).await.json();

    assert_eq!(shown["rendering"], "api_key");
    assert_eq!(
        (&shown["id"], &shown["environment"]),
        (&said.json()["id"], &json!("live"))
    );
    let mut typo = key.clone();
    typo.replace_range(20..21, if &typo[20..21] == "0" { "1" } else { "0" });
    let seen = inspected(&typo).await;
    assert!(
        !seen.lines.join("\n").contains("key_"),
        "a typo names nothing"
    );
    assert!(program.end().await.success());
}

async fn keys_are_brought_along_line_by_line(engine: Engine) {
    let (site, program) = site(engine).await;
    let old = "old_4f8aQ1zXw93LmNbVcKjH5t";
    let digest = symbolon_token::Digest::of(old.as_bytes());
    let digest: String = digest
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let key = json!({
        "name": "old", "client": "job", "scopes": ["read:vault"], "resources": [VAULT], "digest": digest,
    });
    let mut wider = key.clone();
    wider["resources"] = json!([ORDERS]);
    let file = site.folder.join("old.jsonl");
    std::fs::write(&file, format!("{key}\n\nnot json\n{wider}\n{key}\n")).unwrap();

    let said = site
        .administer(&["apikey", "import", file.to_str().unwrap()])
        .await;

    assert_eq!(said.code, Some(1), "some were not taken");
    assert!(
        said.errors.contains("error[apikey.import]: 3 of the keys"),
        "{}",
        said.errors
    );
    let lines = said.lines.join("\n");
    for line in [
        "line 3: not taken",
        "line 1: taken as key_",
        "line 4: not taken: `scopes`",
        "line 5: not taken: `digest`",
    ] {
        assert!(lines.contains(line), "{lines}");
    }
    assert!(is_good(&site, old).await);
    assert!(program.end().await.success());
}

async fn a_restore_leaves_keys_disabled_until_somebody_enables_them(engine: Engine) {
    let (site, program) = site(engine).await;
    let (id, key) = made(&site, &[]).await;
    let (gone, revoked) = made(&site, &[]).await;
    let said = back_up(&site, "one.backup").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    site.done(&["apikey", "revoke", &gone]).await;
    assert!(program.end().await.success());
    let other = empty(&site, engine).await;
    let said = restore(&other, "one.backup", &["--json"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");

    let program = other.start().await;

    assert!(!is_good(&other, &key).await && !is_good(&other, &revoked).await);
    let shown = other.done(&["apikey", "get", &id]).await;
    assert_eq!(shown["status"], "disabled");
    other.done(&["apikey", "enable", &id]).await;
    assert!(is_good(&other, &key).await && !is_good(&other, &revoked).await);
    assert!(program.end().await.success());
}

/// The demo API is five lines around the library: it takes a key as it takes a
/// token, refuses what the key does not permit, and hears of its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_opens_the_demo_api_until_it_is_taken_back() {
    let data = Folder::new();
    let dev = Dev::start(&data.join("data")).await;
    let admin = dev.text("admin_url").split("/status").next().unwrap();
    let administer = async |arguments: &[&str]| {
        let mut command = command();
        command.args(arguments).args(["--json", "--admin", admin]);
        command
            .arg("--admin-token-file")
            .arg(data.join("data").join("admin.token"));
        let said = Said::of(command.output().await.unwrap());
        assert_eq!(said.code, Some(0), "{}", said.errors);
        said.json()
    };
    let api = dev.text("gateway");
    let client = dev.text("client_id");
    let made = [
        "apikey",
        "create",
        "demo",
        "--client",
        client,
        "--scope",
        "read:invoices",
        "--resource",
        api,
    ];
    let made = administer(&made).await;
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let http = symbolon_server::testing::http();
    let call = async |method: reqwest::Method, key: &str| {
        let request = http
            .request(method, format!("{api}/invoices/7"))
            .bearer_auth(key);
        request.send().await.unwrap().status().as_u16()
    };

    assert_eq!(call(reqwest::Method::GET, key).await, 200);
    assert_eq!(call(reqwest::Method::DELETE, key).await, 403);
    assert_eq!(call(reqwest::Method::GET, &key[..69]).await, 401);
    administer(&["apikey", "revoke", id]).await;
    // Within a second, and five times as much on a machine that runs other tests.
    let begin = Instant::now();
    loop {
        match call(reqwest::Method::GET, key).await {
            401 => break,
            status => assert_eq!(status, 200),
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "it lives on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(dev.end().await, Some(0));
}

on_both_engines! {
    a_key_is_made_used_replaced_and_taken_back_by_commands
    a_key_goes_into_a_file_and_is_looked_at_there
    keys_are_brought_along_line_by_line
    a_restore_leaves_keys_disabled_until_somebody_enables_them
}
