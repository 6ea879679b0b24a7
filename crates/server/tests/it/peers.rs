//! Clients by other hands: joserfc makes the proofs, Python's ssl the
//! connections.
//!
//! Spec: RFC 9449
//! Spec: RFC 8705

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use symbolon_token::Clock;

use crate::harness::{SECRET, Server};
use crate::mutual_tls::world;

const SCRIPT: &str = "key_binding.py";

/// Runs a program of `tests/peers`; it must end well.
pub(crate) async fn python(script: &'static str, verb: &'static str, given: Value) -> Value {
    let run = move || {
        let python = std::env::var("SYMBOLON_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers");
        let mut child = Command::new(python)
            .arg(format!("{folder}/{script}"))
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(given.to_string().as_bytes()).unwrap();
        drop(input);
        let ended = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "{told}");
        serde_json::from_slice(&ended.stdout).unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joserfc_makes_proofs_that_bind_and_are_good_once() {
    let server = Server::on_sqlite().await;

    let found = python(
        SCRIPT,
        "dpop",
        json!({
            "address": server.issuer, "issuer": server.name(), "client": "job",
            "secret": SECRET, "now": server.clock.now().seconds(),
        }),
    )
    .await;

    assert_eq!(found.as_object().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_shows_a_certificate_and_gets_a_token_bound_to_it() {
    let world = world("").await;
    let certificate = world.folder.join("listed.pem");
    std::fs::write(&certificate, &world.listed.pem).unwrap();

    let found = python(
        SCRIPT,
        "mutual_tls",
        json!({
            "address": world.mutual, "client": "ca-client", "certificate": certificate,
            "server": world.folder.join("server.pem"),
        }),
    )
    .await;

    assert_eq!(found, json!({ "x5t#S256": world.listed.thumbprint() }));
}
