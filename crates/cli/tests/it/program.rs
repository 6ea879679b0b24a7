//! The binary as a process of its own: in a folder or a schema of its own, on
//! ports of its own, with what it prints kept in a file.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use symbolon_server::clock::SystemEntropy;
use symbolon_token::random;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::browser::http;
use crate::configuration::{Words, text};

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

/// A port that nobody listens on, outside the range that systems give to
/// outgoing connections: it stays free while a program is restarted.
pub(crate) fn free_port() -> u16 {
    for _ in 0..1_000 {
        let port = 20_000 + u16::try_from(number() % 12_000).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
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

/// An installation: a configuration and what it leads to.
pub(crate) struct Site {
    pub(crate) folder: Folder,
    pub(crate) issuer: String,
    pub(crate) admin: String,
    pub(crate) words: Words,
    pub(crate) store: String,
    pub(crate) environment: Vec<(String, String)>,
}

impl Site {
    /// One whose clients are sent back to `callback`.
    pub(crate) async fn new(engine: Engine, callback: &str) -> Self {
        Self::with_keys(engine, callback, "{ keys = [] }").await
    }

    /// The same, whose client `signer` has these public keys (as TOML).
    pub(crate) async fn with_keys(engine: Engine, callback: &str, keys: &str) -> Self {
        let folder = Folder::new();
        let store = match engine {
            Engine::Sqlite => "sqlite://symbolon.db".to_owned(),
            Engine::Postgres => schema().await,
        };
        let at = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let (public, admin) = (at(), at());
        let site = Self {
            issuer: format!("http://{public}"),
            admin: format!("http://{admin}"),
            words: Words::new(callback),
            store,
            environment: Vec::new(),
            folder,
        };
        std::fs::write(site.configuration(), text(&site, keys)).unwrap();
        site
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("symbolon.toml")
    }

    /// Where the program's own output goes, standard output and error together.
    fn output(&self) -> PathBuf {
        self.folder.join("output.log")
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

    /// Starts the program and waits until it is ready.
    pub(crate) async fn start(&self) -> Program {
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
        let begin = Instant::now();
        let mut child = command.spawn().unwrap();
        let client = http();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the program ended with {status}:\n{}", self.printed());
            }
            let answer = client.get(format!("{}/readyz", self.issuer)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
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
    fn signal(&self, signal: Signal) {
        send(&self.child, signal);
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

/// Sends a signal to a process that this test started.
pub(crate) fn send(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id().expect("it has ended already")).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
}

/// The address of a new, empty schema.
async fn schema() -> String {
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
