//! Clusters of PostgreSQL that a test makes, kills and promotes.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;
use tokio::time::Instant;

use crate::program::{free_port, word};

/// The folder of the newest server that is installed.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let folders = versions.map(|version| version.unwrap().path().join("bin"));
    let newest = folders
        .filter(|folder| folder.join("initdb").exists())
        .max();
    newest.expect("a version of PostgreSQL with its server")
}

/// Runs one of its programs as who may run a server: not root.
async fn run(program: &str, arguments: &[&str]) {
    let path = programs().join(program);
    let is_root = rustix::process::getuid().is_root();
    let mut command = if is_root {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(path);
        command
    } else {
        Command::new(path)
    };
    let ran = command
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    let log = arguments.iter().find(|own| own.ends_with(".log"));
    let log = log.and_then(|own| std::fs::read_to_string(own).ok());
    let log = log.unwrap_or_default();
    assert!(ran.status.success(), "{program}: {said}{log}");
}

/// One server.
pub(crate) struct Server {
    data: PathBuf,
    pub(crate) port: u16,
}

impl Server {
    fn text(&self) -> &str {
        self.data.to_str().unwrap()
    }

    async fn start(&self) {
        let log = self.data.with_extension("log");
        let options = format!("-p {}", self.port);
        let (data, log) = (self.text(), log.to_str().unwrap());
        run(
            "pg_ctl",
            &["-D", data, "-l", log, "-o", &options, "-w", "-s", "start"],
        )
        .await;
    }

    fn url(&self) -> String {
        format!("postgres://symbolon@127.0.0.1:{}/symbolon", self.port)
    }

    async fn execute(&self, statements: &[&str]) {
        let (client, connection) = tokio_postgres::connect(&self.url(), tokio_postgres::NoTls)
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        for statement in statements {
            client.batch_execute(statement).await.unwrap();
        }
        drop(client);
        connection.await.unwrap().unwrap();
    }

    /// Waits until what it commits is on the other as well: until a standby
    /// follows that is waited for, and until those who commit know of it. They
    /// are told by the checkpointer, which reads the settings before it makes a
    /// checkpoint: on a busy machine that is later.
    async fn until_synchronous(&self) {
        let (client, connection) = tokio_postgres::connect(&self.url(), tokio_postgres::NoTls)
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let asked = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        let began = Instant::now();
        while client.query_one(asked, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            assert!(began.elapsed() < Duration::from_secs(30), "no standby");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for _ in 0..2 {
            client.batch_execute("CHECKPOINT").await.unwrap();
        }
        drop(client);
        connection.await.unwrap().unwrap();
    }

    /// The server ends as it stands, its children with it. What it wrote is in
    /// the machine's memory, which lives on.
    async fn kill(&self) {
        let id = self.processes()[0];
        self.kill_all();
        let process = PathBuf::from(format!("/proc/{id}/stat"));
        while process.exists() && !is_dead(&process) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Who comes next on this port takes a process that is dead and that
        // nobody has asked for yet for one that still holds its socket.
        let folder = self.data.parent().unwrap();
        let _ = std::fs::remove_file(folder.join(format!(".s.PGSQL.{}.lock", self.port)));
    }

    /// The processes that it is, the first of which is its own.
    fn processes(&self) -> Vec<i32> {
        let Ok(text) = std::fs::read_to_string(self.data.join("postmaster.pid")) else {
            return Vec::new();
        };
        let id: i32 = text.lines().next().unwrap().parse().unwrap();
        // The file of a server that was killed names whoever has its number now.
        let command = std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        if !command.contains(self.text()) {
            return Vec::new();
        }
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().filter_map(|id| id.parse().ok());
        std::iter::once(id).chain(children).collect()
    }

    fn kill_all(&self) {
        for id in self.processes() {
            // A child may have ended by itself.
            let _ = kill_process(Pid::from_raw(id).unwrap(), Signal::KILL);
        }
    }
}

fn is_dead(stat: &Path) -> bool {
    std::fs::read_to_string(stat).is_ok_and(|text| text.contains(") Z "))
}

/// A primary and a standby that has whatever was committed.
pub(crate) struct Pair {
    folder: PathBuf,
    pub(crate) primary: Server,
    pub(crate) standby: Server,
    generation: u32,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        // A short path: that of a socket may be no longer than 107 bytes.
        let folder = PathBuf::from(format!("/tmp/symbolon-pair-{}", word()));
        std::fs::create_dir_all(&folder).unwrap();
        if rustix::process::getuid().is_root() {
            let owned = Command::new("chown").arg("postgres:").arg(&folder).status();
            assert!(owned.await.unwrap().success());
        }
        let (one, two) = (free_port(), free_port());
        let primary = Server {
            data: folder.join("data0"),
            port: one,
        };
        run(
            "initdb",
            &[
                "-D",
                primary.text(),
                "-U",
                "symbolon",
                "--auth=trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ],
        )
        .await;
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nmax_connections = 100\n\
             max_wal_senders = 5\nwal_level = replica\nhot_standby = on\njit = off\n\
             fsync = off\nwal_receiver_timeout = 5s\nwal_sender_timeout = 5s\nshared_buffers = 16MB\n",
            folder.display()
        );
        let file = primary.data.join("postgresql.conf");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, [text, settings].concat()).unwrap();
        primary.start().await;
        run(
            "createdb",
            &[
                "-h",
                "127.0.0.1",
                "-p",
                &one.to_string(),
                "-U",
                "symbolon",
                "symbolon",
            ],
        )
        .await;
        let standby = Server {
            data: folder.join("data1"),
            port: two,
        };
        let pair = Self {
            folder,
            primary,
            standby,
            generation: 1,
        };
        pair.follow().await;
        pair
    }

    /// Makes the standby of what the primary has, and has the primary wait
    /// for it at every commit.
    async fn follow(&self) {
        let port = self.primary.port.to_string();
        let data = self.standby.text();
        let copied = ["-h", "127.0.0.1", "-p", &port, "-U", "symbolon", "-D", data];
        let how = ["-R", "-X", "stream", "-c", "fast"];
        run("pg_basebackup", &[&copied[..], &how[..]].concat()).await;
        self.standby.start().await;
        let demand = "ALTER SYSTEM SET synchronous_standby_names = '*'";
        self.primary
            .execute(&[demand, "SELECT pg_reload_conf()"])
            .await;
        self.primary.until_synchronous().await;
    }

    /// The address of both, of which the one that writes is taken.
    pub(crate) fn url(&self) -> String {
        let (one, two) = (self.primary.port, self.standby.port);
        format!(
            "postgres://symbolon@127.0.0.1:{one},127.0.0.1:{two}/symbolon?target_session_attrs=read-write"
        )
    }

    /// The primary dies, for good, and the standby takes its place.
    pub(crate) async fn fail_over(&mut self) {
        self.primary.kill().await;
        run(
            "pg_ctl",
            &["-D", self.standby.text(), "-w", "-s", "promote"],
        )
        .await;
        std::mem::swap(&mut self.primary, &mut self.standby);
    }

    /// A new standby in place of the one that died.
    pub(crate) async fn rebuild(&mut self) {
        self.generation += 1;
        let fenced = std::mem::replace(
            &mut self.standby.data,
            self.folder.join(format!("data{}", self.generation)),
        );
        std::fs::remove_dir_all(fenced).unwrap();
        self.follow().await;
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.standby.kill_all();
        self.primary.kill_all();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
