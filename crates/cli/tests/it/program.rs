//! The binary as a process of its own: in a folder or a schema of its own, on
//! ports of its own, with what it prints kept in a file.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use symbolon_server::clock::SystemEntropy;
use symbolon_token::random;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use symbolon_server::testing::http;

use crate::configuration::{Words, text};

/// A public key whose private half nobody here has (RFC 7517 appendix A.1), as
/// TOML.
const SOMEBODYS_KEY: &str = r#"{ keys = [{ kty = "EC", crv = "P-256", x = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", y = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM" }] }"#;

/// How long a step may take before the test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What remembers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A folder that goes when its test ends well, and stays to be looked at otherwise.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("symbolon-cli-{}", word()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("left for a look: {}", self.0.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Sixteen random characters.
pub(crate) fn word() -> String {
    format!("{:016x}", number())
}

/// A random number.
pub(crate) fn number() -> u64 {
    u64::from_be_bytes(random(&SystemEntropy))
}

/// The ports that tests of this process were given.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port that nobody listens on, outside the range that systems give to
/// outgoing connections: it stays free while a program is restarted.
pub(crate) fn free_port() -> u16 {
    free_ports(1)
}

/// The first of so many ports in a row, the first a multiple of their number.
/// No other test gets them, though nobody may listen there yet or just now.
pub(crate) fn free_ports(count: u16) -> u16 {
    let mut given = GIVEN.lock().unwrap();
    for _ in 0..1_000 {
        let places = u64::from(12_000 / count);
        let first = 20_000 + count * u16::try_from(number() % places).unwrap();
        let is_free =
            |port| !given.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if (first..first + count).all(is_free) {
            given.extend(first..first + count);
            return first;
        }
    }
    panic!("no port is free");
}

/// The binary, with nothing of the test's own environment that it would read.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_symbolon"));
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("SYMBOLON_") || name == "RUST_LOG")
    {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) lines: Vec<String>,
    pub(crate) errors: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        Self {
            code: output.status.code(),
            lines: text.lines().map(str::to_owned).collect(),
            errors,
        }
    }

    pub(crate) fn line(&self, number: usize) -> &str {
        self.lines.get(number).map_or("", String::as_str)
    }

    /// All that was printed, as JSON.
    pub(crate) fn json(&self) -> Value {
        let text = self.lines.join("\n");
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }
}

/// What differs from installation to installation.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) engine: Engine,
    /// Where clients are sent back to.
    pub(crate) callback: &'a str,
    /// The public keys of client `signer`, as TOML.
    pub(crate) keys: &'a str,
    pub(crate) scheme: &'a str,
    /// The issuer's path.
    pub(crate) path: &'a str,
    /// Further lines for the top of the file.
    pub(crate) more: &'a str,
}

impl Plan<'_> {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            callback: "http://127.0.0.1:3000/callback",
            keys: SOMEBODYS_KEY,
            scheme: "http",
            path: "",
            more: "",
        }
    }
}

/// An installation: a configuration and what it leads to.
pub(crate) struct Site {
    pub(crate) folder: Arc<Folder>,
    pub(crate) issuer: String,
    /// Where this node listens; that of the first is the issuer's host.
    pub(crate) listen: SocketAddr,
    pub(crate) admin: String,
    pub(crate) words: Arc<Words>,
    pub(crate) store: String,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) http: reqwest::Client,
    keys: String,
}

fn free_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()))
}

impl Site {
    /// One whose clients are sent back to `callback`.
    pub(crate) async fn new(engine: Engine, callback: &str) -> Self {
        Self::with_keys(engine, callback, SOMEBODYS_KEY).await
    }

    /// The same, whose client `signer` has these public keys (as TOML).
    pub(crate) async fn with_keys(engine: Engine, callback: &str, keys: &str) -> Self {
        let plan = Plan::new(engine);
        Self::planned(Plan {
            callback,
            keys,
            ..plan
        })
        .await
    }

    pub(crate) async fn planned(plan: Plan<'_>) -> Self {
        let store = match plan.engine {
            Engine::Sqlite => "sqlite://symbolon.db".to_owned(),
            Engine::Postgres => schema().await,
        };
        let listen = free_address();
        let site = Self {
            issuer: format!("{}://{listen}{}", plan.scheme, plan.path),
            listen,
            admin: format!("http://{}", free_address()),
            words: Arc::new(Words::new(plan.callback)),
            store,
            environment: Vec::new(),
            folder: Arc::new(Folder::new()),
            http: http(),
            keys: plan.keys.to_owned(),
        };
        site.configure(plan.more, "");
        site
    }

    /// Another node of the same installation, which is a process of its own.
    pub(crate) fn node(&self) -> Self {
        let node = Self {
            folder: Arc::clone(&self.folder),
            issuer: self.issuer.clone(),
            listen: free_address(),
            admin: format!("http://{}", free_address()),
            words: Arc::clone(&self.words),
            store: self.store.clone(),
            environment: self.environment.clone(),
            http: self.http.clone(),
            keys: self.keys.clone(),
        };
        node.configure("", "");
        node
    }

    /// One whose database is at this address.
    pub(crate) async fn over(store: &str) -> Self {
        let mut site = Self::planned(Plan::new(Engine::Sqlite)).await;
        store.clone_into(&mut site.store);
        site.configure("", "");
        site
    }

    /// Another node that reaches the database by another way.
    pub(crate) fn node_by(&self, store: &str) -> Self {
        let mut node = self.node();
        store.clone_into(&mut node.store);
        node.configure("", "");
        node
    }

    /// Writes the file anew, with further lines at its top and at its end.
    pub(crate) fn configure(&self, more: &str, end: &str) {
        let whole = [&*text(self, &self.keys, more), end].concat();
        std::fs::write(self.configuration(), whole).unwrap();
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder
            .join(&format!("symbolon-{}.toml", self.listen.port()))
    }

    /// Where the program's own output goes, standard output and error together.
    pub(crate) fn output(&self) -> PathBuf {
        self.folder
            .join(&format!("output-{}.log", self.listen.port()))
    }

    /// All that the program printed so far.
    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.output()).unwrap()).into_owned()
    }

    pub(crate) fn admin_token(&self) -> String {
        std::fs::read_to_string(self.folder.join("admin.token"))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// Runs a command on this installation's file, with the environment of it.
    pub(crate) async fn run(&self, verb: &[&str]) -> Said {
        let mut command = command();
        command
            .args(verb)
            .arg("--config")
            .arg(self.configuration())
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        Said::of(command.output().await.unwrap())
    }

    /// Runs a command of administration.
    pub(crate) async fn administer(&self, arguments: &[&str]) -> Said {
        let mut command = command();
        command
            .args(arguments)
            .args(["--admin", &self.admin, "--admin-token-file"])
            .arg(self.folder.join("admin.token"));
        Said::of(command.output().await.unwrap())
    }

    /// Starts the program and waits until it is ready.
    pub(crate) async fn start(&self) -> Program {
        self.start_until(200).await
    }

    /// Starts the program and waits until it says this of being ready.
    pub(crate) async fn start_until(&self, status: u16) -> Program {
        let output: File = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.output())
            .unwrap();
        let mut command = command();
        command
            .args(["serve", "--config"])
            .arg(self.configuration());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdout(output.try_clone().unwrap()).stderr(output);
        self.started(command, status).await
    }

    /// Runs a command that starts the program, and waits until it says this of
    /// being ready.
    pub(crate) async fn started(&self, mut command: Command, status: u16) -> Program {
        let begin = Instant::now();
        let mut child = command.spawn().unwrap();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the program ended with {status}:\n{}", self.printed());
            }
            let answer = self.request(reqwest::Method::GET, "/readyz").send().await;
            if answer.is_ok_and(|answer| answer.status() == status) {
                return Program {
                    child,
                    took: begin.elapsed(),
                };
            }
            assert!(begin.elapsed() < PATIENCE, "not ready:\n{}", self.printed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A process that runs.
pub(crate) struct Program {
    child: Child,
    /// How long it took to be ready.
    pub(crate) took: Duration,
}

impl Program {
    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it has ended already")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(&self.child, signal);
    }

    /// How much memory it holds, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id().unwrap());
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.expect("a line VmRSS").parse().unwrap()
    }

    /// Stops it where it stands, and lets it go on.
    pub(crate) async fn pause(&self, span: Duration) {
        self.signal(Signal::STOP);
        tokio::time::sleep(span).await;
        self.signal(Signal::CONT);
    }

    /// Ends it without giving it a chance to finish anything.
    pub(crate) async fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().await.unwrap();
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn end(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .expect("it did not end")
            .unwrap()
    }
}

/// Ends a program as a supervisor does.
pub(crate) async fn ended(mut program: Child) {
    send(&program, Signal::TERM);
    let end = tokio::time::timeout(PATIENCE, program.wait()).await;
    let status = end.expect("it did not end").unwrap();
    assert!(status.success(), "{status}");
}

/// Sends a signal to a process that this test started.
pub(crate) fn send(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id().expect("it has ended already")).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
}

/// The address of a database with its host and port replaced, and what they
/// were.
pub(crate) fn detour(store: &str, host: &str) -> (String, String) {
    let (before, rest) = store.split_once('@').unwrap();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (own, after) = rest.split_at(end);
    (format!("{before}@{host}{after}"), own.to_owned())
}

/// The address of a new, empty schema.
pub(crate) async fn schema() -> String {
    let url = std::env::var("SYMBOLON_TEST_POSTGRES")
        .expect("SYMBOLON_TEST_POSTGRES has to hold the address of a throw-away PostgreSQL; `./test` sets it");
    let name = format!("cli_{}", word());
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    client
        .batch_execute(&format!("CREATE SCHEMA {name}"))
        .await
        .unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}options=-c%20search_path%3D{name}")
}
