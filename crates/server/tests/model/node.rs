//! The nodes of a sequence: servers in this process over one database, on a
//! clock of two hands that the sequence moves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use symbolon_protocol::Timestamp;
use symbolon_server::app::Edge;
use symbolon_server::clock::SystemEntropy;
use symbolon_server::config::Config;
use symbolon_server::testing::{
    Answer, Head, Node, Site, be_patient, forget, head, http, read, send_form, time_of,
};
use symbolon_testkit::START;
use symbolon_token::jose::SigningKey;
use symbolon_token::{Clock, random};

use super::proof::{SIGNER, asserted};
use super::setting::{PASSWORD, SECRET};

/// A wall clock and a monotonic one. Time passes on both; a jump is one of the
/// wall clock alone.
#[derive(Debug)]
pub(super) struct TwoHands {
    wall: AtomicI64,
    since: AtomicI64,
}

impl TwoHands {
    pub(super) fn new() -> Self {
        Self {
            wall: AtomicI64::new(START.millis()),
            since: AtomicI64::new(0),
        }
    }

    pub(super) fn jump(&self, by: i64) {
        self.wall.fetch_add(by, Ordering::SeqCst);
    }

    pub(super) fn pass(&self, span: i64) {
        self.jump(span);
        self.since.fetch_add(span, Ordering::SeqCst);
    }
}

impl Clock for TwoHands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.wall.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.since.load(Ordering::SeqCst).unsigned_abs())
    }
}

/// The same clock, told by a node that is ahead of it, or behind.
#[derive(Debug)]
struct Apart {
    clock: Arc<TwoHands>,
    ahead: i64,
}

impl Clock for Apart {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.now().millis() + self.ahead)
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

pub(super) fn fresh_folder() -> PathBuf {
    let number = u64::from_be_bytes(random(&SystemEntropy));
    let folder = std::env::temp_dir().join(format!("symbolon-model-{number:016x}"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Where the nodes of a sequence stand.
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) store: String,
    pub(super) clock: Arc<TwoHands>,
    /// How far the clock of the second node is ahead, in milliseconds.
    pub(super) ahead: i64,
    /// The key of the client that signs.
    pub(super) signer: Arc<SigningKey>,
}

impl Place {
    pub(super) fn edge(&self) -> Edge {
        Edge {
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::new(SystemEntropy),
        }
    }

    /// Starts the node of that number. `blocks` are what its file says beside
    /// its head.
    pub(super) async fn start(&self, number: usize, blocks: &str) -> Peer {
        let text = |issuer: &str| {
            let top = head(Head {
                issuer,
                listen: "127.0.0.1:1",
                admin: "127.0.0.1:2",
                store: &self.store,
                more: "",
            });
            top + blocks
        };
        let clock = Apart {
            clock: Arc::clone(&self.clock),
            ahead: if number == 0 { 0 } else { self.ahead },
        };
        let edge = Edge {
            clock: Arc::new(clock),
            ..self.edge()
        };
        let node = Node::start(&self.folder, edge, text).await;
        be_patient(&node.running.app);
        Peer {
            node,
            http: http(),
            folder: self.folder.clone(),
            signer: Arc::clone(&self.signer),
        }
    }

    /// The configuration that every node began with.
    pub(super) fn config(&self, peer: &Path) -> Config {
        Config::load(peer, Vec::new()).unwrap().0
    }
}

/// One node.
pub(super) struct Peer {
    pub(super) node: Node,
    http: reqwest::Client,
    folder: PathBuf,
    pub(super) signer: Arc<SigningKey>,
}

impl Site for Peer {
    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let issuer = self.issuer();
        let host = issuer.strip_prefix("http://").unwrap();
        self.http
            .request(method, format!("{}{path}", self.node.address))
            .header("host", host)
    }

    fn issuer(&self) -> String {
        Node::issuer(&self.folder).unwrap()
    }

    fn password(&self) -> &str {
        PASSWORD
    }

    fn secret(&self, client: &str) -> Option<&str> {
        Some(SECRET).filter(|_| ![SIGNER, "cli"].contains(&client))
    }
}

impl Peer {
    /// The file that it was started with.
    pub(super) fn file(&self) -> PathBuf {
        let port = self.node.address.rsplit(':').next().unwrap();
        self.folder.join(format!("symbolon-{port}.toml"))
    }

    pub(super) async fn form(&self, path: &str, client: &str, form: &[(&str, &str)]) -> Answer {
        let is_asserted = form.iter().any(|(name, _)| *name == "client_assertion");
        if client != SIGNER || is_asserted {
            return send_form(self, path, client, form).await;
        }
        let assertion = self.assertion();
        let form = [form, &asserted(&assertion)].concat();
        send_form(self, path, client, &form).await
    }

    pub(super) async fn token(&self, client: &str, form: &[(&str, &str)]) -> Answer {
        self.form("/token", client, form).await
    }

    pub(super) async fn introspect(&self, client: &str, token: &str) -> Value {
        let answer = self.form("/introspect", client, &[("token", token)]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(super) async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self
            .http
            .request(method, format!("{}{path}", self.node.admin))
            .bearer_auth(&self.node.admin_token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        read(request.send().await.unwrap()).await
    }

    /// The time that it tells, in milliseconds.
    pub(super) fn now(&self) -> i64 {
        time_of(&self.node.running.app).millis()
    }

    /// Reads what other nodes have done.
    pub(super) async fn catch_up(&self) {
        self.node.running.app.catch_up().await.unwrap();
    }

    /// Does what it does once a minute.
    pub(super) async fn forget(&self) {
        forget(&self.node.running.app).await;
    }
}
