//! The doctor: what it says of an installation that is well, of one that is
//! not, and of databases that it proves, through a pooler too.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::program::{Engine, Folder, PATIENCE, Said, Site, command, free_port};

async fn look(site: &Site) -> (Option<i32>, Vec<Value>) {
    let said = site.run(&["doctor", "--json"]).await;
    let found = said.json()["symptoms"].as_array().unwrap().clone();
    (said.code, found)
}

/// How bad something is; nothing where it was not looked at.
fn health<'v>(found: &'v [Value], code: &str) -> &'v str {
    let own = found.iter().find(|own| own["code"] == code);
    own.map_or("", |own| own["health"].as_str().unwrap())
}

async fn a_working_installation_is_looked_over(engine: Engine) {
    let site = Site::new(engine, "http://127.0.0.1:3000/callback").await;
    let program = site.start().await;

    let (code, found) = look(&site).await;

    assert_eq!(code, Some(0), "{found:#?}");
    for well in [
        "doctor.file_mode",
        "doctor.store",
        "doctor.schema",
        "doctor.audit_backlog",
        "doctor.purge_backlog",
        "doctor.key_age",
        "doctor.ready",
        "doctor.clock_http",
        "doctor.feed_age",
        "doctor.forwarded",
    ] {
        assert_eq!(health(&found, well), "good", "{well}: {found:#?}");
    }
    let forwarded = site.request(reqwest::Method::GET, "/healthz");
    forwarded
        .header("x-forwarded-for", "192.0.2.1")
        .send()
        .await
        .unwrap();
    let key = site.folder.join("master.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, found) = look(&site).await;
    assert_eq!(code, Some(1));
    assert!(
        found
            .iter()
            .any(|own| own["code"] == "doctor.file_mode" && own["health"] == "error"),
        "{found:#?}"
    );
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(program.end().await.success());
    let (code, found) = look(&site).await;
    assert_eq!(
        (code, health(&found, "doctor.unreachable")),
        (Some(0), "warning")
    );
}

on_both_engines! { a_working_installation_is_looked_over }

/// A table that somebody took away, and a database that is not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_database_is_told() {
    let site = Site::new(Engine::Sqlite, "http://127.0.0.1:3000/callback").await;
    let (_, found) = look(&site).await;
    assert_eq!(health(&found, "doctor.store"), "error");
    assert!(site.start().await.end().await.success());
    let path = site.folder.join("symbolon.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch("DROP TABLE attempt").unwrap();
    drop(connection);

    let (code, found) = look(&site).await;

    assert_eq!((code, health(&found, "doctor.schema")), (Some(1), "error"));
    let own = found
        .iter()
        .find(|own| own["code"] == "doctor.schema")
        .unwrap();
    assert!(
        own["message"].as_str().unwrap().contains("attempt.ends"),
        "{own}"
    );
}

async fn prove(arguments: &[&str]) -> Said {
    let mut command = command();
    command.args(["doctor", "--store"]).args(arguments);
    Said::of(command.output().await.unwrap())
}

fn holds(said: &Said) {
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.lines.len() > 40, "{said:?}");
    assert!(
        said.lines.last().unwrap().ends_with(", 0 broken"),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_proved_and_left_as_it_was() {
    let folder = Folder::new();
    let url = format!("sqlite://{}", folder.join("some.db").display());

    holds(&prove(&[&url]).await);

    let left = std::fs::read_dir(folder.join("")).unwrap().count();
    assert_eq!(left, 0);
}

fn server() -> String {
    std::env::var("SYMBOLON_TEST_POSTGRES").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_proved() {
    holds(&prove(&[&server()]).await);
    let nobody = prove(&["postgres://nobody:x@127.0.0.1:1/x"]).await;
    assert_eq!(nobody.code, Some(1));
    assert!(!nobody.errors.contains(":x@"), "{nobody:?}");
}

/// Where Debian puts it.
const POOLER: &str = "/usr/sbin/pgbouncer";

/// A pooler in transaction mode in front of the test server.
async fn pooler(folder: &Folder) -> (Child, u16) {
    let config: tokio_postgres::Config = server().parse().unwrap();
    let tokio_postgres::config::Host::Tcp(host) = &config.get_hosts()[0] else {
        panic!("the test server is reached over TCP");
    };
    let password = String::from_utf8(config.get_password().unwrap().to_vec()).unwrap();
    let (user, port) = (config.get_user().unwrap(), config.get_ports()[0]);
    let own = free_port();
    let path = folder.join("pgbouncer.ini");
    let text = format!(
        "[databases]\n* = host={host} port={port} user={user} password={password}\n
[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {own}\nunix_socket_dir =
auth_type = any\npool_mode = transaction\nmax_client_conn = 200\ndefault_pool_size = 8\n"
    );
    std::fs::write(&path, text).unwrap();
    let open = |path: &Path, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, mode).unwrap();
    };
    open(&path, 0o644);
    open(&folder.join(""), 0o755);
    let mut pooler = Command::new(POOLER);
    if rustix::process::getuid().is_root() {
        // It refuses to be root.
        pooler.args(["-u", "nobody"]);
    }
    pooler.arg("-q").arg(&path).kill_on_drop(true);
    let child = pooler.spawn().expect("pgbouncer is installed by `./test`");
    let begun = tokio::time::Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, own))
        .await
        .is_err()
    {
        assert!(begun.elapsed() < PATIENCE, "the pooler does not listen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (child, own)
}

/// Two statements of one act may go to two connections behind a pooler; one
/// transaction goes to one. Nothing that the store does rests on more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_proved_through_a_pooler_in_transaction_mode() {
    let folder = Folder::new();
    let (mut child, port) = pooler(&folder).await;
    let url = format!("postgres://symbolon@127.0.0.1:{port}/postgres?sslmode=disable");

    let said = prove(&[&url, "--unnamed"]).await;

    holds(&said);
    child.kill().await.unwrap();
}
