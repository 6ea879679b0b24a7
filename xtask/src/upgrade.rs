//! Two versions under load over one database: the previous commit and this one,
//! upgraded node by node and back, with no failed request.
//!
//! 1. The previous version is built from a worktree of its own, this one here.
//! 2. Two old nodes, then one of them new, then both, then one old again, then
//!    both old: each time the other answers, and the one that was stopped
//!    finishes what it had begun.
//! 3. Meanwhile a client asks for tokens and asks about them, at each node that
//!    runs. Anything but success is counted, and named.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// How long each pair of versions works side by side.
const SIDE_BY_SIDE: Duration = Duration::from_secs(10);
/// How many clients there are.
const CLIENTS: usize = 4;
/// How often a start is asked for whether it is done: every tenth of a second.
const PATIENCE: usize = 600;

/// How many failures are shown.
const SHOWN: usize = 20;

const SECRET: &str = "a secret of thirty-two characters";

/// Runs it. `before` names the previous version; the environment names the
/// database, which may be filled with rubbish.
pub fn run(root: &Path, before: &str) -> Result<()> {
    let url = std::env::var("SYMBOLON_TEST_POSTGRES")
        .context("set SYMBOLON_TEST_POSTGRES to the address of a throw-away database")?;
    let work = root.join("target/upgrade");
    let old_tree = work.join("before");
    let old = build_before(root, &old_tree, before)?;
    let new = build(root)?;
    let installation = Installation::new(&work, &url)?;
    let mut nodes = [installation.start(&old, 0)?, installation.start(&old, 1)?];
    let load = Load::start(installation.addresses);
    thread::sleep(SIDE_BY_SIDE);
    for (at, binary, said) in [
        (0, &new, "one new"),
        (1, &new, "both new"),
        (0, &old, "one old again"),
        (1, &old, "both old again"),
    ] {
        load.rest(at, true);
        stop(&mut nodes[at])?;
        nodes[at] = installation.start(binary, at)?;
        load.rest(at, false);
        thread::sleep(SIDE_BY_SIDE);
        println!("{said}: {} answers so far", load.answers());
    }
    let (answers, failures) = load.end();
    for node in &mut nodes {
        stop(node)?;
    }
    println!("{answers} answers, {} failures", failures.len());
    let some = &failures[..failures.len().min(SHOWN)];
    ensure!(failures.is_empty(), "failed, among others: {some:?}");
    ensure!(answers > 100, "hardly anything was asked");
    Ok(())
}

fn build_before(root: &Path, tree: &Path, before: &str) -> Result<PathBuf> {
    let there = tree.join("Cargo.toml").exists();
    if there {
        checked(
            Command::new("git")
                .current_dir(tree)
                .args(["checkout", "--quiet", "--detach", before]),
        )?;
    } else {
        let add = ["worktree", "add", "--quiet", "--force", "--detach"];
        checked(
            Command::new("git")
                .current_dir(root)
                .args(add)
                .arg(tree)
                .arg(before),
        )?;
    }
    build(tree)
}

fn build(tree: &Path) -> Result<PathBuf> {
    let arguments = ["build", "--locked", "--quiet", "--package", "symbolon"];
    checked(Command::new("cargo").current_dir(tree).args(arguments))?;
    Ok(tree.join("target/debug/symbolon"))
}

fn checked(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// A configuration for two nodes over one schema.
struct Installation {
    folder: PathBuf,
    addresses: [SocketAddr; 2],
}

impl Installation {
    fn new(work: &Path, url: &str) -> Result<Self> {
        let folder = work.join(format!("site-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let schema = format!("upgrade_{}", std::process::id());
        let create = format!("CREATE SCHEMA {schema}");
        checked(Command::new("psql").args([url, "--quiet", "--command", &create]))?;
        let addresses = [free()?, free()?];
        let sign = if url.contains('?') { '&' } else { '?' };
        for address in addresses {
            let text = format!(
                r#"issuer = "http://{}"
listen = "{address}"
[store]
url = "{url}{sign}options=-c%20search_path%3D{schema}"
master_key_file = "master.key"
[admin]
listen = "{}"
token_file = "admin.token"
[[resource]]
identifier = "https://orders.example.com"
scopes = ["read:orders"]
introspection_client = "job"
[[client]]
id = "job"
kind = "service"
secret = "{SECRET}"
authentication = "client_secret_post"
grants = ["client_credentials"]
scopes = ["read:orders"]
resources = ["https://orders.example.com"]
"#,
                addresses[0],
                free()?,
            );
            std::fs::write(folder.join(format!("{}.toml", address.port())), text)?;
        }
        Ok(Self { folder, addresses })
    }

    fn start(&self, binary: &Path, at: usize) -> Result<Child> {
        let address = self.addresses[at];
        let config = self.folder.join(format!("{}.toml", address.port()));
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join(format!("{}.log", address.port())))?;
        let mut child = Command::new(binary)
            .args(["serve", "--config"])
            .arg(config)
            .current_dir(&self.folder)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        for _ in 0..PATIENCE {
            ensure!(
                child.try_wait()?.is_none(),
                "a node ended: see {}",
                self.folder.display()
            );
            if get((address, self.addresses[0]), "/readyz")
                .is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
            {
                return Ok(child);
            }
            thread::sleep(Duration::from_millis(100));
        }
        anyhow::bail!("a node is not ready: see {}", self.folder.display())
    }
}

fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Asks a node to end, and waits until it has.
fn stop(node: &mut Child) -> Result<()> {
    checked(Command::new("kill").arg(node.id().to_string()))?;
    let status = node.wait()?;
    ensure!(status.success(), "a node ended with {status}");
    Ok(())
}

/// Clients that ask all the time.
struct Load {
    stop: Arc<AtomicBool>,
    resting: Arc<[AtomicBool; 2]>,
    answers: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<String>>>,
    clients: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn start(addresses: [SocketAddr; 2]) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            resting: Arc::new([AtomicBool::new(false), AtomicBool::new(false)]),
            answers: Arc::default(),
            failures: Arc::default(),
            clients: Vec::new(),
        };
        for client in 0..CLIENTS {
            let (stop, resting) = (Arc::clone(&load.stop), Arc::clone(&load.resting));
            let (answers, failures) = (Arc::clone(&load.answers), Arc::clone(&load.failures));
            load.clients.push(thread::spawn(move || {
                let mut turn = client;
                while !stop.load(Ordering::Relaxed) {
                    turn += 1;
                    let at = turn % 2;
                    // As a load balancer does with a node that is not ready.
                    let at = if resting[at].load(Ordering::SeqCst) {
                        1 - at
                    } else {
                        at
                    };
                    let host = addresses[0];
                    let (from, to) = (addresses[at], addresses[turn / 2 % 2]);
                    match ask((from, host), (to, host), &resting) {
                        Ok(count) => {
                            answers.fetch_add(count, Ordering::Relaxed);
                        }
                        Err(error) => {
                            if let Ok(mut all) = failures.lock() {
                                all.push(format!("{error:#}"));
                            }
                        }
                    }
                }
            }));
        }
        load
    }

    fn rest(&self, at: usize, is_resting: bool) {
        self.resting[at].store(is_resting, Ordering::SeqCst);
        // What was on its way arrives.
        thread::sleep(Duration::from_millis(500));
    }

    fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    fn end(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            // One that panicked is counted below by what it did not ask.
            let _ = client.join();
        }
        let failures = self.failures.lock().map(|all| all.clone());
        (
            self.answers.load(Ordering::Relaxed),
            failures.unwrap_or_default(),
        )
    }
}

/// A node, and the host that requests name: the issuer's.
type Node = (SocketAddr, SocketAddr);

/// A token from one node, and a question about it to another.
fn ask(from: Node, to: Node, resting: &[AtomicBool; 2]) -> Result<u64> {
    let credentials = format!("client_id=job&client_secret={}", SECRET.replace(' ', "%20"));
    let form = format!("grant_type=client_credentials&{credentials}");
    let answer = post(from, "/token", &form)?;
    ensure!(
        answer.starts_with("HTTP/1.1 200"),
        "{}: {}",
        from.0,
        first(&answer)
    );
    let token = answer.split("\"access_token\":\"").nth(1);
    let token = token
        .and_then(|rest| rest.split('"').next())
        .context("no token")?;
    if resting.iter().any(|own| own.load(Ordering::SeqCst)) {
        return Ok(1);
    }
    let answer = post(to, "/introspect", &format!("token={token}&{credentials}"))?;
    ensure!(
        answer.contains("\"active\":true"),
        "{}: {}",
        to.0,
        first(&answer)
    );
    Ok(2)
}

fn first(answer: &str) -> &str {
    answer.lines().next().unwrap_or_default()
}

fn get((to, host): Node, path: &str) -> Result<String> {
    send(
        to,
        &format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"),
    )
}

fn post((to, host): Node, path: &str, form: &str) -> Result<String> {
    let length = form.len();
    send(
        to,
        &format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\n{form}"
        ),
    )
}

fn send(to: SocketAddr, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
