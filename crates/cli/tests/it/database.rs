//! A database that is not the one it says it is learns nothing.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::browser::{Browser, request};
use crate::configuration::{VAULT, secret};
use crate::program::{Engine, PATIENCE, Plan, Said, Site};

/// What a client of PostgreSQL asks first: whether TLS is spoken.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A server that answers the first question with one byte, and keeps all that
/// is sent to it.
async fn impostor(answer: u8) -> (u16, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0; 8];
        stream.read_exact(&mut first).await.unwrap();
        stream.write_all(&[answer]).await.unwrap();
        let mut all = first.to_vec();
        let rest = timeout(Duration::from_secs(2), stream.read_to_end(&mut all));
        let _ = rest.await;
        all
    });
    (port, task)
}

async fn migrate(parameters: &str, port: u16, password: &str) -> Said {
    let mut site = Site::planned(Plan::new(Engine::Sqlite)).await;
    site.store = format!("postgres://symbolon:{password}@127.0.0.1:{port}/symbolon{parameters}");
    site.configure("", "");
    let run = timeout(PATIENCE, site.run(&["migrate"])).await;
    run.expect("it hangs")
}

/// Attack: N374
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_the_certificate_that_was_asked_for_is_told_no_password() {
    let password = secret();
    let (port, heard) = impostor(b'N').await;
    let plain = migrate("?sslmode=verify-full", port, &password).await;
    assert_eq!(plain.code, Some(1), "{plain:?}");
    assert_eq!(
        heard.await.unwrap(),
        TLS_REQUEST,
        "nothing after the question"
    );

    let (port, heard) = impostor(b'S').await;
    let broken = migrate("?sslmode=verify-full", port, &password).await;
    assert_eq!(broken.code, Some(1), "{broken:?}");
    let heard = heard.await.unwrap();
    // A greeting of TLS, and no word of the database's own protocol.
    assert_eq!((&heard[..8], heard[8]), (&TLS_REQUEST[..], 0x16));
    assert!(!String::from_utf8_lossy(&heard).contains("symbolon"));

    // On this machine, where nobody asked for TLS, none is spoken.
    let (port, heard) = impostor(b'N').await;
    migrate("", port, &password).await;
    assert_ne!(heard.await.unwrap()[..8], TLS_REQUEST);
    for said in [plain, broken] {
        assert!(!said.errors.contains(&password), "{said:?}");
    }
}

/// Attack: O385
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_fails_is_told_to_the_log_and_to_nobody_else() {
    let site = Site::planned(Plan::new(Engine::Postgres)).await;
    let program = site.start().await;
    let asked = request(&site, "shop", "openid offline_access read:vault").with("resource", VAULT);
    let tokens = Browser::new(&site).tokens("alice", &asked).await;
    let (client, connection) = tokio_postgres::connect(&site.store, tokio_postgres::NoTls)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let broken = client.batch_execute("DROP TABLE family CASCADE").await;
    broken.unwrap();
    let refresh = tokens.text("refresh_token");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*refresh),
    ];

    let answer = site.form("/token", "shop", &form).await;

    assert_eq!((answer.status, &*answer.refusal()), (500, "server_error"));
    for word in [
        "family", "relation", "SELECT", "UPDATE", "42P01", "panicked", ".rs",
    ] {
        assert!(!answer.body.contains(word), "{word}: {}", answer.body);
    }
    let id = answer.text("request_id");
    let printed = site.printed();
    let told = printed
        .lines()
        .find(|line| line.contains(&id) && line.contains("ERROR"));
    assert!(told.is_some_and(|line| line.contains("42P01")), "{printed}");
    let service = [("grant_type", "client_credentials")];
    assert_eq!(site.form("/token", "job", &service).await.status, 200);
    drop(client);
    connection.await.unwrap().unwrap();
    assert!(program.end().await.success());
}
