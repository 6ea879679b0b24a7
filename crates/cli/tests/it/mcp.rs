//! `examples/mcp`: an MCP server that nobody here wrote, behind the gateway, and
//! the official SDK clients in front of it, as they are. They find the
//! authorization server, come to be known there, and call tools.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use symbolon_server::testing::{self, Browser, http};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Duration, Instant, timeout};

use crate::program::{Folder, PATIENCE, command, free_port};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/mcp");

/// The example on ports of its own, in a folder of its own.
struct Example {
    folder: Folder,
    issuer: String,
    address: String,
    document: String,
    _running: Vec<Child>,
}

impl testing::Site for Example {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        http().request(method, format!("{}{path}", self.issuer))
    }

    fn issuer(&self) -> String {
        self.issuer.clone()
    }

    fn password(&self) -> &str {
        "correct horse battery"
    }

    fn secret(&self, _: &str) -> Option<&str> {
        None
    }
}

fn python() -> Command {
    let python = std::env::var("SYMBOLON_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(python);
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

fn logged(command: &mut Command, log: &Path) -> Child {
    let file = File::create(log).unwrap();
    command.stderr(file.try_clone().unwrap()).stdout(file);
    command.spawn().unwrap()
}

async fn answers(url: &str) {
    let begin = Instant::now();
    while http().get(url).send().await.is_err() {
        assert!(begin.elapsed() < PATIENCE * 2, "nobody answers at {url}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Example {
    async fn start() -> Self {
        let folder = Folder::new();
        let ports: Vec<(u16, u16)> = [9100, 9101, 9200, 9201, 9300, 9400]
            .into_iter()
            .map(|own| (own, free_port()))
            .collect();
        let of = |own: u16| ports.iter().find(|(named, _)| *named == own).unwrap().1;
        let mut text = std::fs::read_to_string(format!("{EXAMPLE}/symbolon.toml")).unwrap();
        for (named, port) in &ports {
            text = text.replace(&format!("127.0.0.1:{named}"), &format!("127.0.0.1:{port}"));
        }
        let config = folder.join("symbolon.toml");
        std::fs::write(&config, text).unwrap();
        let mut running = Vec::new();
        let mut document = python();
        document.arg(format!("{EXAMPLE}/document.py"));
        document.arg(of(9400).to_string()).arg(folder.join("data"));
        running.push(logged(&mut document, &folder.join("document.log")));
        let document = format!("https://localhost:{}/client.json", of(9400));
        answers(&document).await;
        let mut notes = python();
        notes
            .arg(format!("{EXAMPLE}/server.py"))
            .arg(of(9300).to_string());
        running.push(logged(&mut notes, &folder.join("notes.log")));
        for verb in ["serve", "gateway"] {
            let mut symbolon = command();
            symbolon.args([verb, "--config"]).arg(&config);
            running.push(logged(&mut symbolon, &folder.join(&format!("{verb}.log"))));
        }
        let own = Self {
            issuer: format!("http://127.0.0.1:{}", of(9100)),
            address: format!("http://127.0.0.1:{}/mcp", of(9200)),
            document,
            folder,
            _running: running,
        };
        answers(&format!("{}/healthz", own.issuer)).await;
        answers(&own.address).await;
        answers(&format!("http://127.0.0.1:{}/mcp", of(9300))).await;
        own
    }

    /// Runs a client to its end; whoever it sends to sign in does so, and agrees.
    async fn run(&self, mut client: Command) -> (Vec<Value>, String) {
        let errors = self.folder.join("client.log");
        client
            .stderr(File::create(&errors).unwrap())
            .stdout(Stdio::piped());
        let mut child = client.kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut said, mut page) = (Vec::new(), String::new());
        let read = |errors: &PathBuf| std::fs::read_to_string(errors).unwrap();
        loop {
            let line = timeout(PATIENCE * 2, lines.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("silent: {}", read(&errors)));
            let Some(line) = line.unwrap() else { break };
            let Ok(told) = serde_json::from_str::<Value>(&line) else {
                continue;
            };
            if told["what"] == "sign-in" {
                page += &self.sign_in(told["address"].as_str().unwrap()).await;
            }
            said.push(told);
        }
        let ended = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
        assert!(ended.success(), "{}", read(&errors));
        (said, page)
    }

    /// Signs alice in and lets the answer reach the client; the consent page.
    async fn sign_in(&self, address: &str) -> String {
        let path = address.strip_prefix(&self.issuer).expect("our own page");
        let mut browser = Browser::new(self);
        let page = browser.get(path).await;
        let page = browser
            .sign_in(&page, "alice", testing::Site::password(self))
            .await;
        let answer = browser.grant_at("alice", path).await;
        let location = answer.header("location").expect("an answer for the client");
        http().get(location).send().await.unwrap();
        page.body
    }
}

/// What the clients of the example have to say: which tools they were shown,
/// what became of their calls, and who they are.
fn check(said: &[Value], calls: &[(&str, bool)]) -> String {
    let of = |what: &'static str| said.iter().filter(move |own| own["what"] == what);
    let tools: Vec<&Value> = of("tools").map(|own| &own["names"]).collect();
    let shown = serde_json::json!(["read_note", "write_note"]);
    assert_eq!(tools, [&shown], "{said:?}");
    let called: Vec<(&str, bool)> = of("called")
        .map(|own| (own["name"].as_str().unwrap(), own["failed"] == true))
        .collect();
    assert_eq!(called, calls, "{said:?}");
    let client = of("client").next().unwrap();
    client["id"].as_str().unwrap().to_owned()
}

/// The second note takes a scope more, for which alice is asked again.
const STEPPED_UP: [(&str, bool); 4] = [
    ("read_note", false),
    ("write_note", false),
    ("write_note", false),
    ("delete_everything", true),
];
const CALLS: [(&str, bool); 3] = [
    ("read_note", false),
    ("write_note", false),
    ("delete_everything", true),
];

fn sign_ins(said: &[Value]) -> usize {
    said.iter().filter(|own| own["what"] == "sign-in").count()
}

impl Example {
    async fn python(&self, more: &[&str]) -> (Vec<Value>, String) {
        let mut client = python();
        client.arg(format!("{EXAMPLE}/client.py")).arg("--print");
        client.args(more).arg(&self.address);
        self.run(client).await
    }

    async fn node(&self, more: &[&str]) -> (Vec<Value>, String) {
        // A module finds what it needs beside itself.
        let modules = std::env::var("SYMBOLON_TEST_NODE");
        let modules = modules.unwrap_or_else(|_| format!("{EXAMPLE}/node_modules"));
        let program = self.folder.join("client.mjs");
        std::fs::copy(format!("{EXAMPLE}/client.mjs"), &program).unwrap();
        let beside = self.folder.join("node_modules");
        std::os::unix::fs::symlink(modules, beside).unwrap();
        let mut client = Command::new("node");
        client
            .arg(program)
            .arg("--print")
            .args(more)
            .arg(&self.address);
        self.run(client).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_registers_signs_in_calls_tools_and_asks_for_more() {
    let example = Example::start().await;

    let (said, page) = example.python(&[]).await;

    let id = check(&said, &STEPPED_UP);
    assert!(id.starts_with("symclient_"), "{id}");
    assert!(page.contains(r#"id="client-unknown""#), "{page}");
    assert_eq!(sign_ins(&said), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_speaks_the_versions_before_as_well() {
    let example = Example::start().await;

    let (said, _) = example.python(&["--mode", "legacy"]).await;

    check(&said, &STEPPED_UP);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_is_known_by_its_document() {
    let example = Example::start().await;

    let (said, page) = example.python(&["--document", &example.document]).await;

    assert_eq!(check(&said, &STEPPED_UP), example.document);
    assert!(page.contains(r#"id="client-host""#), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typescript_client_registers_signs_in_and_calls_tools() {
    let example = Example::start().await;

    let (said, page) = example.node(&[]).await;

    let id = check(&said, &CALLS);
    assert!(id.starts_with("symclient_"), "{id}");
    assert!(page.contains("Notes in Node"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typescript_client_is_known_by_its_document() {
    let example = Example::start().await;
    let document = format!("--document={}", example.document);

    let (said, page) = example.node(&[&document]).await;

    assert_eq!(check(&said, &CALLS), example.document);
    assert!(page.contains(r#"id="client-host""#), "{page}");
}
