//! A server of its own for each test: free ports, a folder or a schema of its
//! own, and a clock that the test moves.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;
use symbolon_protocol::Timestamp;
use symbolon_server::app::Edge;
use symbolon_server::clock::SystemEntropy;
use symbolon_server::config::Config;
use symbolon_server::launch::{Listeners, Running, launch};
use symbolon_testkit::FixedClock;
use symbolon_token::{Clock, Entropy, random};

/// Secrets of the configured clients.
pub(crate) const SECRET: &str = "a secret of thirty-two characters";
/// The password of both people.
pub(crate) const PASSWORD: &str = "correct horse battery";
/// Where codes are sent.
pub(crate) const CALLBACK: &str = "https://app.example.com/callback";
/// An API whose tokens are JWTs.
pub(crate) const ORDERS: &str = "https://orders.example.com";
/// An API whose tokens are opaque.
pub(crate) const VAULT: &str = "https://vault.example.com";

/// A wall clock that the test moves, and durations that nobody measures: a
/// jump of the one is not time passing.
#[derive(Debug)]
pub(crate) struct WallClock(FixedClock);

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) issuer: String,
    pub(crate) admin: String,
    pub(crate) admin_token: String,
    pub(crate) clock: Arc<WallClock>,
    pub(crate) running: Option<Running>,
    pub(crate) folder: PathBuf,
    pub(crate) http: reqwest::Client,
    store: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.json()[name]
            .as_str()
            .unwrap_or_else(|| panic!("no `{name}` in {}", self.body))
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The error code, whose answer must have the form that every refusal has.
    pub(crate) fn refusal(&self) -> String {
        assert!(self.status >= 400, "{} {}", self.status, self.body);
        let id = self.text("request_id");
        assert_eq!(self.header("x-request-id"), Some(&*id));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        self.text("error")
    }
}

pub(crate) fn http() -> reqwest::Client {
    #[expect(clippy::disallowed_methods, reason = "tests call their own server")]
    let builder = reqwest::Client::builder();
    builder
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

pub(crate) async fn read(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer {
        status,
        headers,
        body: response.text().await.unwrap(),
    }
}

fn fresh_folder() -> PathBuf {
    let name = format!(
        "symbolon-it-{:016x}",
        u64::from_be_bytes(random(&SystemEntropy))
    );
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

impl Server {
    pub(crate) async fn on_sqlite() -> Self {
        Self::start(
            "sqlite://symbolon.db".to_owned(),
            fresh_folder(),
            Arc::new(WallClock(FixedClock::new())),
        )
        .await
    }

    pub(crate) async fn on_postgres() -> Self {
        let url = symbolon_store::conformance::postgres_schema(&SystemEntropy as &dyn Entropy)
            .await
            .unwrap();
        Self::start(url, fresh_folder(), Arc::new(WallClock(FixedClock::new()))).await
    }

    /// Another node over the same database, with the same keys and clock.
    pub(crate) async fn sibling(&self) -> Self {
        Self::start(
            self.store.clone(),
            self.folder.clone(),
            Arc::clone(&self.clock),
        )
        .await
    }

    /// A second node, where the engine carries more than one.
    pub(crate) async fn second_node(&self) -> Option<Self> {
        if self.store.starts_with("sqlite") {
            None
        } else {
            Some(self.sibling().await)
        }
    }

    /// The same server again, after it ended.
    pub(crate) async fn restart(mut self) -> Self {
        self.running.take().unwrap().stop().await;
        Self::start(
            self.store.clone(),
            self.folder.clone(),
            Arc::clone(&self.clock),
        )
        .await
    }

    async fn start(store: String, folder: PathBuf, clock: Arc<WallClock>) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let listeners = Listeners::bind(any, any).await.unwrap();
        let public = listeners.public.local_addr().unwrap();
        let admin = listeners.admin.local_addr().unwrap();
        // Nodes share an issuer, whatever port each listens on.
        let name = folder.join("issuer");
        let issuer = std::fs::read_to_string(&name).unwrap_or_else(|_| format!("http://{public}"));
        std::fs::write(&name, &issuer).unwrap();
        let path = folder.join(format!("symbolon-{}.toml", public.port()));
        std::fs::write(&path, configuration(&issuer, &store)).unwrap();
        let (config, _) = Config::load(&path, Vec::new()).unwrap_or_else(|findings| {
            panic!(
                "{}",
                findings
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("\n")
            )
        });
        let edge = Edge {
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(SystemEntropy),
        };
        let running = launch(&config, listeners, edge).await.unwrap();
        let admin_token = std::fs::read_to_string(folder.join("admin.token")).unwrap();
        let http = http();
        let own = format!("http://{public}");
        let _ = &issuer;
        Self {
            issuer: own,
            admin: format!("http://{admin}"),
            admin_token,
            clock,
            running: Some(running),
            folder,
            http,
            store,
        }
    }

    /// How many acts that wrote were committed so far.
    pub(crate) fn commits(&self) -> u64 {
        self.running.as_ref().unwrap().app.commits()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.0.advance(Duration::from_secs(seconds));
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
        let issuer = std::fs::read_to_string(self.folder.join("issuer")).unwrap();
        let host = issuer.trim_start_matches("http://").to_owned();
        self.http
            .request(method, format!("{}{path}", self.issuer))
            .header("host", host)
    }

    /// The issuer as tokens name it.
    pub(crate) fn name(&self) -> String {
        std::fs::read_to_string(self.folder.join("issuer")).unwrap()
    }

    /// A form by a client with its secret in the header.
    pub(crate) async fn form(&self, path: &str, client: &str, form: &[(&str, &str)]) -> Answer {
        let request = self.request(reqwest::Method::POST, path).form(form);
        let request = match client {
            "spa" | "cli" => self
                .request(reqwest::Method::POST, path)
                .form(&[form, &[("client_id", client)]].concat()),
            _ => request.basic_auth(client, Some(SECRET)),
        };
        read(request.send().await.unwrap()).await
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

fn configuration(issuer: &str, store: &str) -> String {
    format!(
        r#"
issuer = "{issuer}"
[store]
url = "{store}"
master_key_file = "master.key"
[admin]
listen = "127.0.0.1:1"
token_file = "admin.token"

[[resource]]
identifier = "{ORDERS}"
aliases = ["{ORDERS}/"]
scopes = ["read:orders", "write:orders", "delete:orders"]
sensitive_scopes = ["delete:orders"]
introspection_client = "orders-api"

[[resource]]
identifier = "{VAULT}"
scopes = ["read:vault"]
token_format = "opaque"
introspection_client = "vault-api"

[[client]]
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

{people}"#,
        people = people()
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
