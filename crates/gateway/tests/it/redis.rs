//! Redis servers of a test's own: one, or a cluster of six.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use symbolon_server::clock::SystemEntropy;
use symbolon_testkit::free_port;
use symbolon_token::random;
use tokio::time::Instant;

/// How long a server may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Redis {
    pub(crate) port: u16,
    child: Child,
    folder: PathBuf,
    more: Vec<String>,
    /// How the command line gets in.
    way: Vec<String>,
}

impl Redis {
    pub(crate) fn start() -> Self {
        let own = Self::begin(free_port(), &[]);
        own.wait();
        own
    }

    /// One that lets in who has this password, or is `gateway` with another.
    pub(crate) fn guarded(password: &str, of_gateway: &str) -> Self {
        let mut words = vec!["--requirepass", password, "--user", "gateway", "on"];
        let of_gateway = format!(">{of_gateway}");
        words.extend([&*of_gateway, "~*", "&*", "+@all"]);
        let mut own = Self::begin(free_port(), &owned(&words));
        own.way = owned(&["--no-auth-warning", "-a", password]);
        own.wait();
        own
    }

    /// One that is reached over TLS alone, under the address `127.0.0.1`.
    pub(crate) fn over_tls(own: &Signed, password: &str) -> Self {
        let redis = Self::begin_over_tls(own, password, &[]);
        redis.wait();
        redis
    }

    fn begin_over_tls(own: &Signed, password: &str, more: &[&str]) -> Self {
        let port = free_port();
        let (of_port, certificate, key) =
            (port.to_string(), text(&own.certificate), text(&own.key));
        let mut words = vec!["--port", "0", "--tls-port", &of_port];
        words.extend(["--tls-cert-file", &*certificate, "--tls-key-file", &*key]);
        words.extend([
            "--tls-ca-cert-file",
            &*certificate,
            "--tls-auth-clients",
            "no",
        ]);
        words.extend(["--requirepass", password]);
        words.extend(more);
        let mut redis = Self::begin(port, &owned(&words));
        redis.way = owned(&["--no-auth-warning", "-a", password, "--tls", "--cacert"]);
        redis.way.push(certificate);
        redis
    }

    fn begin(port: u16, more: &[String]) -> Self {
        let name = u64::from_be_bytes(random(&SystemEntropy));
        let folder = std::env::temp_dir().join(format!("symbolon-redis-{name:016x}"));
        std::fs::create_dir_all(&folder).unwrap();
        Self {
            port,
            child: spawn(port, &folder, more),
            folder,
            more: more.to_vec(),
            way: Vec::new(),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What the command line says of a command.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        let port = self.port.to_string();
        let mut command = Command::new("redis-cli");
        command.args(["-p", &port]).args(&self.way);
        let output = command.args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Waits until what is written under a name has reached another node.
    fn is_passed_on(&self, name: &str) {
        let port = self.port.to_string();
        let mut command = Command::new("redis-cli");
        command.args(["-c", "-p", &port]).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut to = child.stdin.take().unwrap();
        let patience = PATIENCE.as_millis();
        write!(to, "SET {name} 1\nDEL {name}\nWAIT 1 {patience}\n").unwrap();
        drop(to);
        let said = child.wait_with_output().unwrap().stdout;
        let said = String::from_utf8(said).unwrap();
        assert_eq!(said.lines().last(), Some("1"), "{said}");
    }

    fn wait(&self) {
        let begin = Instant::now();
        while self.ask(&["PING"]) != "PONG" {
            assert!(begin.elapsed() < PATIENCE, "no Redis at {}", self.port);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends at once, as a process that crashed.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Begins again where it was, with nothing in it.
    pub(crate) fn begin_again(&mut self) {
        self.child = spawn(self.port, &self.folder, &self.more);
        self.wait();
    }

    /// How many scripts it has run.
    pub(crate) fn acts(&self) -> usize {
        let said = self.ask(&["INFO", "commandstats"]);
        let of = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name));
            let calls = line.and_then(|own| own.split(',').next());
            calls.map_or(0, |own| own.parse().unwrap())
        };
        of("cmdstat_evalsha:calls=") + of("cmdstat_eval:calls=")
    }

    /// A signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Whoever has ended already needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A certificate of `127.0.0.1` that nobody else signed, and its key.
pub(crate) struct Signed {
    pub(crate) certificate: PathBuf,
    key: PathBuf,
}

impl Signed {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let name = u64::from_be_bytes(random(&SystemEntropy));
        let at = |what: &str| {
            let name = format!("symbolon-redis-{name:016x}-{what}.pem");
            std::env::temp_dir().join(name)
        };
        let own = Self {
            certificate: at("certificate"),
            key: at("key"),
        };
        std::fs::write(&own.certificate, made.cert.pem()).unwrap();
        std::fs::write(&own.key, made.signing_key.serialize_pem()).unwrap();
        own
    }
}

impl Drop for Signed {
    fn drop(&mut self) {
        for file in [&self.certificate, &self.key] {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Three that own slots, and one more behind each.
pub(crate) struct Cluster(pub(crate) Vec<Redis>);

impl Cluster {
    pub(crate) fn start() -> Self {
        let node = |_| {
            let bus = free_port().to_string();
            let words = [
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                "5000",
                "--repl-diskless-sync-delay",
                "0",
                "--cluster-port",
                &bus,
            ];
            Redis::begin(free_port(), &words.map(str::to_owned))
        };
        let own = Self((0..6).map(node).collect());
        own.0.iter().for_each(Redis::wait);
        let addresses = own.0.iter().map(|own| format!("127.0.0.1:{}", own.port));
        let mut command = Command::new("redis-cli");
        command.args(["--cluster", "create"]).args(addresses);
        command.args(["--cluster-replicas", "1", "--cluster-yes"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let begin = Instant::now();
        let is_whole = |own: &Redis| own.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
        // A master sends nothing on before its replica has said that it is there.
        let is_copied = |own: &&Redis| {
            let said = own.ask(&["INFO", "replication"]);
            said.contains("role:master") && said.contains("state=online")
        };
        while !own.0.iter().all(is_whole) || own.0.iter().filter(is_copied).count() < 3 {
            assert!(begin.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(50));
        }
        // It says so once a second, and what is written before is kept back. The
        // names lie with each of the three.
        for name in ["a", "b", "c"] {
            own.0[0].is_passed_on(name);
        }
        own
    }

    /// Three that own slots, and are reached over TLS with a password.
    pub(crate) fn over_tls(signed: &Signed, password: &str) -> Self {
        let node = |_| {
            let bus = free_port().to_string();
            let mut words = vec!["--cluster-enabled", "yes", "--cluster-port", &bus];
            words.extend(["--tls-cluster", "yes", "--masterauth", password]);
            Redis::begin_over_tls(signed, password, &words)
        };
        let own = Self((0..3).map(node).collect());
        own.0.iter().for_each(Redis::wait);
        let addresses = own.0.iter().map(|own| format!("127.0.0.1:{}", own.port));
        let mut command = Command::new("redis-cli");
        command.args(&own.0[0].way).args(["--cluster", "create"]);
        let output = command.args(addresses).arg("--cluster-yes").output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        let begin = Instant::now();
        let is_whole = |own: &Redis| own.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
        while !own.0.iter().all(is_whole) {
            assert!(begin.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(50));
        }
        own
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.0.iter().map(Redis::url).collect()
    }

    /// The node that owns the counts there are.
    pub(crate) fn owner(&mut self) -> &mut Redis {
        let has_some = |own: &&mut Redis| {
            own.ask(&["ROLE"]).starts_with("master") && own.ask(&["DBSIZE"]) != "0"
        };
        self.0.iter_mut().find(has_some).unwrap()
    }
}

fn spawn(port: u16, folder: &PathBuf, more: &[String]) -> Child {
    let port = port.to_string();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port, "--bind", "127.0.0.1", "--save", ""]);
    command.args(["--appendonly", "no", "--dir"]).arg(folder);
    command
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().expect("redis-server of Debian")
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|own| (*own).to_owned()).collect()
}

fn text(path: &std::path::Path) -> String {
    path.display().to_string()
}
