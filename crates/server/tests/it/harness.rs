//! A server of its own for each test: free ports, a folder or a schema of its
//! own, and a clock that the test moves.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use symbolon_protocol::Timestamp;
use symbolon_server::app::Edge;
use symbolon_server::clock::SystemEntropy;
use symbolon_server::config::Config;
use symbolon_server::launch::Running;
use symbolon_server::testing::{Head, Node, Site, head, resources, send_form};
use symbolon_testkit::FixedClock;
use symbolon_token::{Clock, Entropy, random};

pub(crate) use symbolon_server::testing::{Answer, ORDERS, VAULT, http, read};

/// Secrets of the configured clients.
pub(crate) const SECRET: &str = "a secret of thirty-two characters";
/// The password of both people.
pub(crate) const PASSWORD: &str = "correct horse battery";
/// Where codes are sent.
pub(crate) const CALLBACK: &str = "https://app.example.com/callback";

/// A wall clock that the test moves, and durations that nobody measures: a
/// jump of the one is not time passing.
#[derive(Debug)]
pub(crate) struct WallClock {
    time: Arc<FixedClock>,
    /// How far it is ahead of that, in seconds.
    ahead: i64,
    /// What a clock says that nobody sets, in seconds.
    steady: AtomicU64,
}

impl WallClock {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            time: Arc::default(),
            ahead: 0,
            steady: AtomicU64::default(),
        })
    }

    /// Another clock that tells the same time and so many seconds more.
    fn ahead_by(&self, seconds: i64) -> Arc<Self> {
        Arc::new(Self {
            time: Arc::clone(&self.time),
            ahead: self.ahead + seconds,
            steady: AtomicU64::default(),
        })
    }
}

/// How far the clock of a second node is ahead of the first one's, in seconds:
/// what `./test` says, so that whatever two nodes do is done with clocks apart.
pub(crate) fn ahead_of_the_first() -> i64 {
    let said = std::env::var("SYMBOLON_TEST_SKEW");
    said.map_or(0, |said| said.parse().expect("a number of seconds"))
}

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.time.now().millis() + self.ahead * 1000)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.steady.load(Ordering::SeqCst))
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) issuer: String,
    pub(crate) admin: String,
    /// Where it asks for certificates, if anywhere.
    pub(crate) mutual_tls: Option<String>,
    pub(crate) admin_token: String,
    pub(crate) clock: Arc<WallClock>,
    pub(crate) running: Option<Running>,
    pub(crate) folder: PathBuf,
    pub(crate) http: reqwest::Client,
    store: String,
    more: String,
}

pub(crate) fn fresh_folder() -> PathBuf {
    let name = format!(
        "symbolon-it-{:016x}",
        u64::from_be_bytes(random(&SystemEntropy))
    );
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

impl Site for Server {
    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let issuer = url::Url::parse(&self.name()).unwrap();
        let host = format!(
            "{}:{}",
            issuer.host_str().unwrap(),
            issuer.port_or_known_default().unwrap()
        );
        self.http
            .request(method, format!("{}{path}", self.issuer))
            .header("host", host)
    }

    fn issuer(&self) -> String {
        self.name()
    }

    fn password(&self) -> &str {
        PASSWORD
    }

    fn secret(&self, client: &str) -> Option<&str> {
        Some(SECRET)
            .filter(|_| !["spa", "cli", "ours", "tv", "tv-2", "tenant-tv"].contains(&client))
    }
}

impl Server {
    pub(crate) async fn on_sqlite() -> Self {
        Self::on_sqlite_with("").await
    }

    /// One whose file has further lines at its top.
    pub(crate) async fn on_sqlite_with(more: &str) -> Self {
        let store = "sqlite://symbolon.db".to_owned();
        let clock = WallClock::new();
        Self::start(store, fresh_folder(), clock, more).await
    }

    /// One with an issuer of another name than where it listens.
    pub(crate) async fn named(issuer: &str) -> Self {
        let folder = fresh_folder();
        std::fs::write(folder.join("issuer"), issuer).unwrap();
        let clock = WallClock::new();
        Self::start("sqlite://symbolon.db".to_owned(), folder, clock, "").await
    }

    pub(crate) async fn on_postgres() -> Self {
        Self::on_postgres_with("").await
    }

    /// One whose file has further lines at its top.
    pub(crate) async fn on_postgres_with(more: &str) -> Self {
        let url = symbolon_store::conformance::postgres_schema(&SystemEntropy as &dyn Entropy)
            .await
            .unwrap();
        let clock = WallClock::new();
        Self::start(url, fresh_folder(), clock, more).await
    }

    /// Another node over the same database, with the same keys and clock; or
    /// with clocks apart, where `./test` says so.
    pub(crate) async fn sibling(&self) -> Self {
        self.skewed_sibling(ahead_of_the_first()).await
    }

    /// Another node whose clock is ahead of this one's by seconds, or behind.
    pub(crate) async fn skewed_sibling(&self, seconds: i64) -> Self {
        let clock = self.clock.ahead_by(seconds);
        Self::start(self.store.clone(), self.folder.clone(), clock, &self.more).await
    }

    /// A second node, where the engine carries more than one.
    pub(crate) async fn second_node(&self) -> Option<Self> {
        if self.carries_nodes() {
            Some(self.sibling().await)
        } else {
            None
        }
    }

    /// Whether several nodes may work over one database.
    pub(crate) fn carries_nodes(&self) -> bool {
        !self.store.starts_with("sqlite")
    }

    /// Further nodes: none on an engine that carries one, else none, one and two.
    pub(crate) async fn further_nodes(&self) -> Vec<Vec<Self>> {
        let mut all = vec![Vec::new()];
        if self.carries_nodes() {
            all.push(vec![self.sibling().await]);
            all.push(vec![self.sibling().await, self.sibling().await]);
        }
        all
    }

    /// The same server again, after it ended.
    pub(crate) async fn restart(mut self) -> Self {
        self.running.take().unwrap().stop().await;
        self.skewed_sibling(0).await
    }

    /// The same server again with other lines at the top of its file.
    pub(crate) async fn restart_with(mut self, more: &str) -> Self {
        more.clone_into(&mut self.more);
        self.restart().await
    }

    async fn start(store: String, folder: PathBuf, clock: Arc<WallClock>, more: &str) -> Self {
        let edge = Edge {
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(SystemEntropy),
        };
        let text = |issuer: &str| configuration(issuer, &store, more);
        let node = Node::start(&folder, edge, text).await;
        Self {
            issuer: node.address,
            admin: node.admin,
            mutual_tls: node.mutual_tls,
            admin_token: node.admin_token,
            clock,
            running: Some(node.running),
            folder,
            http: http(),
            store,
            more: more.to_owned(),
        }
    }

    /// The configuration of this server with its text changed.
    pub(crate) fn changed(&self, change: impl FnOnce(String) -> String) -> Config {
        let port = self.issuer.rsplit(':').next().unwrap();
        let path = self.folder.join(format!("symbolon-{port}.toml"));
        let text = change(std::fs::read_to_string(&path).unwrap());
        let other = self.folder.join("changed.toml");
        std::fs::write(&other, text).unwrap();
        match Config::load(&other, Vec::new()) {
            Ok((config, _)) => config,
            Err(findings) => {
                let wrong = findings.iter().filter(|finding| finding.is_error());
                let wrong: Vec<String> = wrong.map(ToString::to_string).collect();
                panic!("{}", wrong.join("\n"))
            }
        }
    }

    /// How many acts that wrote were committed so far.
    pub(crate) fn commits(&self) -> u64 {
        self.running.as_ref().unwrap().app.commits()
    }

    pub(crate) fn advance_by(&self, span: Duration) {
        self.clock.time.advance(span);
        self.believe();
    }

    /// Moves the clock without any time passing, until somebody believes it.
    pub(crate) fn jump(&self, span: Duration) {
        self.clock.time.advance(span);
    }

    /// Sets the clock back.
    pub(crate) fn set_back(&self, span: Duration) {
        self.clock.time.set_back(span);
    }

    /// Moves also the clock that nobody sets, which stands still otherwise.
    pub(crate) fn advance_steadily(&self, seconds: u64) {
        self.clock.steady.fetch_add(seconds, Ordering::SeqCst);
        self.advance(seconds);
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.advance_by(Duration::from_secs(seconds));
    }

    /// Reads what other nodes have done since.
    pub(crate) async fn catch_up(&self) {
        let running = self.running.as_ref().unwrap();
        running.app.catch_up().await.unwrap();
    }

    /// Takes what the clock was moved by for time that has passed; to other
    /// nodes it is a jump.
    pub(crate) fn believe(&self) {
        if let Some(running) = &self.running {
            symbolon_server::testing::believe(&running.app);
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        read(
            self.request(reqwest::Method::GET, path)
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    /// A request whose host is the issuer's, whichever node it goes to.
    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        Site::request(self, method, path)
    }

    /// The issuer as tokens name it.
    pub(crate) fn name(&self) -> String {
        Node::issuer(&self.folder).unwrap()
    }

    /// A form by a client with its secret in the header.
    pub(crate) async fn form(&self, path: &str, client: &str, form: &[(&str, &str)]) -> Answer {
        send_form(self, path, client, form).await
    }

    pub(crate) async fn token(&self, client: &str, form: &[(&str, &str)]) -> Answer {
        self.form("/token", client, form).await
    }

    pub(crate) async fn introspect(&self, client: &str, token: &str) -> Value {
        let answer = self.form("/introspect", client, &[("token", token)]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    pub(crate) async fn is_active(&self, token: &str) -> bool {
        for api in ["orders-api", "vault-api"] {
            if self.introspect(api, token).await["active"] == true {
                return true;
            }
        }
        false
    }

    pub(crate) async fn userinfo(&self, token: &str) -> Answer {
        read(
            self.request(reqwest::Method::GET, "/userinfo")
                .bearer_auth(token)
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn admin(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let request = self
            .http
            .request(method, format!("{}{path}", self.admin))
            .bearer_auth(&self.admin_token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        read(request.send().await.unwrap()).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A folder that two nodes share is removed by the last; what is left
        // of a failed test is in the system's folder for such things.
        if self.store.starts_with("sqlite") && self.running.is_some() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn configuration(issuer: &str, store: &str, more: &str) -> String {
    let top = head(Head {
        issuer,
        listen: "127.0.0.1:1",
        admin: "127.0.0.1:2",
        store,
        more,
    });
    let more = crate::setting::blocks()
        + &crate::macaroon::configuration()
        + &crate::device::configuration();
    [top, resources("vault-api"), machines(), people(), more].concat()
}

/// Clients that act for themselves.
fn machines() -> String {
    format!(
        r#"[[client]]
id = "orders-api"
kind = "service"
secret = "{SECRET}"
grants = ["client_credentials"]

[[client]]
id = "vault-api"
kind = "service"
secret = "{SECRET}"
grants = ["client_credentials"]

[[client]]
id = "job"
kind = "service"
secret = "{SECRET}"
grants = ["client_credentials"]
scopes = ["read:orders", "delete:orders", "read:vault"]
resources = ["{ORDERS}", "{VAULT}"]
default_resource = "{ORDERS}"

"#
    )
}

/// The clients that people use, and the people.
fn people() -> String {
    format!(
        r#"[[client]]
id = "web"
name = "Example Shop"
secret = "{SECRET}"
redirect_uris = ["{CALLBACK}"]
post_logout_redirect_uris = ["https://app.example.com/bye"]
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "address", "phone", "offline_access", "read:orders", "write:orders", "delete:orders", "read:vault"]
optional_scopes = ["email"]
resources = ["{ORDERS}", "{VAULT}"]
default_resource = "{ORDERS}"

[[client]]
id = "other"
name = "Another Shop"
secret = "{SECRET}"
redirect_uris = ["https://other.example.com/callback"]
grants = ["authorization_code", "refresh_token", "client_credentials"]
scopes = ["openid", "offline_access", "read:orders"]
resources = ["{ORDERS}"]

[[client]]
id = "legacy"
name = "Legacy Shop"
secret = "{SECRET}"
redirect_uris = ["https://legacy.example.com/callback"]
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "offline_access", "read:orders"]
resources = ["{ORDERS}"]
require_pkce = false
subject_type = "pairwise"
id_token_signed_response_alg = "ES256"
userinfo_signed_response_alg = "PS256"

[[client]]
id = "spa"
name = "Single Page"
kind = "browser"
redirect_uris = ["https://spa.example.com/callback"]
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "offline_access", "read:orders"]
resources = ["{ORDERS}"]

[[client]]
id = "cli"
name = "Command Line"
kind = "native"
redirect_uris = ["http://127.0.0.1/callback"]
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "read:orders"]
resources = ["{ORDERS}"]

[[organization]]
id = "acme"
name = "Acme"
members = [{{ user = "alice", roles = ["buyer"] }}]

[[user]]
username = "alice"
password = "{PASSWORD}"
email = "alice@example.com"
email_verified = true
name = "Alice Example"

[[user]]
username = "bob"
password = "{PASSWORD}"
email = "bob@example.com"
"#
    )
}
