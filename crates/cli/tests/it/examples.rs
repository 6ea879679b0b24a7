//! The programs of `examples/`, each begun by its own script as its README says,
//! and every call that the script prints made as it stands there.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::program::{PATIENCE, free_ports, send};

/// What a script says once everything runs.
const READY: &str = "ready;";

/// An example that runs.
pub(crate) struct Example {
    child: Child,
    /// The first four digits of its ports.
    ports: u16,
    /// What it printed before it was ready.
    printed: Vec<String>,
}

impl Example {
    /// Begins one; `environment` is what its script takes besides.
    pub(crate) async fn start(name: &str, environment: &[(&str, &str)]) -> Self {
        // The first four digits of ten ports.
        let ports = free_ports(10) / 10;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let mut command = Command::new(script.join(name).join("run"));
        command
            .env("SYMBOLON", env!("CARGO_BIN_EXE_symbolon"))
            .env("SYMBOLON_EXAMPLE_PORTS", ports.to_string())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut printed = Vec::new();
        loop {
            let line = timeout(PATIENCE * 2, lines.next_line()).await;
            let line = line.expect("it is not ready in time").unwrap();
            let line = line.unwrap_or_else(|| panic!("it ended: {printed:?}"));
            if line.starts_with(READY) {
                return Self {
                    child,
                    ports,
                    printed,
                };
            }
            printed.push(line);
        }
    }

    /// Makes every call that was printed.
    pub(crate) async fn check(&self) {
        let calls = self.printed.iter().filter(|line| line.starts_with("curl "));
        let mut count = 0;
        for line in calls {
            let (call, status) = line.rsplit_once("   # ").unwrap();
            let whole = format!("{call} -s -o /dev/null -w '%{{http_code}}'");
            let output = Command::new("bash").args(["-c", &whole]).output().await;
            let got = String::from_utf8(output.unwrap().stdout).unwrap();
            assert_eq!(got, status, "{call}");
            count += 1;
        }
        assert!(count > 0, "it printed no call: {:?}", self.printed);
    }

    /// The token in the first call that has one.
    pub(crate) fn token(&self) -> &str {
        let begin = "Bearer ";
        let line = self.printed.iter().find(|line| line.contains(begin));
        let line = line.expect("a call with a token");
        let at = line.find(begin).unwrap() + begin.len();
        let end = line[at..].find('\'').unwrap();
        &line[at..at + end]
    }

    /// The address behind the port with this last digit.
    pub(crate) fn address(&self, digit: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports * 10 + digit))
    }

    /// Ends it, and all that it has begun.
    pub(crate) async fn end(mut self) {
        send(&self.child, Signal::TERM);
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap();
        assert_eq!(status.unwrap().code(), Some(143));
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // Its script ends what it began; killed at once it could not.
        if self.child.id().is_some() {
            send(&self.child, Signal::TERM);
        }
    }
}

/// Packages that examples in Node need, as `./test` installs them.
fn node() -> String {
    std::env::var("SYMBOLON_TEST_NODE").expect(
        "SYMBOLON_TEST_NODE has to name a `node_modules` with what examples/express/package.json names; `./test` sets it",
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_lines_of_axum_guard_a_route() {
    let binary = Path::new(env!("CARGO_BIN_EXE_symbolon"));
    let own = binary.with_file_name("examples").join("five_lines");
    let own = own.to_str().unwrap();

    let example = Example::start("axum", &[("SYMBOLON_EXAMPLE_AXUM", own)]).await;

    example.check().await;
    example.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_in_express_believes_the_gateway_and_nobody_else() {
    let example = Example::start("express", &[("SYMBOLON_TEST_NODE", &node())]).await;

    example.check().await;
    example.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_in_fastapi_believes_the_gateway_and_nobody_else() {
    let example = Example::start("fastapi", &[]).await;

    example.check().await;
    example.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_services_in_two_languages_pass_a_narrowed_token_on() {
    let example = Example::start("three-services", &[("SYMBOLON_TEST_NODE", &node())]).await;

    example.check().await;

    let carried = run(&example.printed[0]).await;
    assert!(carried.contains(r#""caller":"orders""#), "{carried}");
    assert!(carried.contains(r#""person":"usr_"#), "{carried}");
    let explain = example.printed.iter();
    let explain = explain.rev().find(|line| line.contains("token explain"));
    let explained = run(explain.unwrap()).await;
    assert!(explained.starts_with("valid"), "{explained}");
    assert!(explained.contains("`orders` acts for `usr_"), "{explained}");
    example.end().await;
}

/// What a printed line prints when it is run.
async fn run(line: &str) -> String {
    let output = Command::new("bash").args(["-c", line]).output().await;
    String::from_utf8(output.unwrap().stdout).unwrap()
}
