//! The revocation feed between processes: three servers over one PostgreSQL,
//! and two APIs whose verifiers follow it.

mod api;
mod faults;
pub(crate) mod kind;
pub(crate) mod partner;
mod propagation;

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_server::testing::{Answer, http_from, read};
use symbolon_testkit::Proxy;

use self::api::Api;
use self::kind::{DEPOT, EXCHANGE, NOTES, SAFE};
use self::partner::Partner;
use crate::browser::http;
use crate::configuration::{ORDERS, VAULT};
use crate::program::{Engine, PATIENCE, Program, Site};

const CALLBACK: &str = "http://127.0.0.1:3000/callback";
/// The client that people use here.
const APP: &str = "notes-app";
/// The same, by a client that has names of its own for them.
const PAIRWISE: &str = "pairwise-app";
/// The program of a device.
const HUB: &str = "hub";
/// The client that brings a partner's assertions.
const IMPORTER: &str = "importer";

/// Servers behind one address, as behind a load balancer.
struct World {
    /// The first is asked for everything; all of them have one issuer.
    nodes: Vec<Site>,
    programs: Vec<Program>,
    front: Proxy,
    partner: Partner,
    /// What the browser holds: a person signs in only where she has to.
    cookies: std::collections::BTreeMap<String, String>,
}

impl World {
    /// Three nodes; `change` may change each of them before it starts.
    async fn start(change: impl Fn(usize, &mut Site)) -> Self {
        let mut first = Site::new(Engine::Postgres, CALLBACK).await;
        let front = Proxy::start(first.listen).unwrap();
        first.issuer = format!("http://{}", front.address());
        let partner = Partner::start().await;
        let mut nodes = vec![first.node(), first.node()];
        nodes.insert(0, first);
        let mut programs = Vec::new();
        for (number, node) in nodes.iter_mut().enumerate() {
            change(number, node);
            let more = [clients(&partner, &node.words.web), more(&partner)].concat();
            node.configure("outbound_allow = [\"127.0.0.0/8\"]", &more);
            programs.push(node.start().await);
        }
        Self {
            nodes,
            programs,
            front,
            partner,
            cookies: std::collections::BTreeMap::new(),
        }
    }

    fn first(&self) -> &Site {
        &self.nodes[0]
    }

    /// Two APIs, each of which follows the feed of a node of its own.
    async fn apis(&self) -> [Api; 2] {
        let mut apis = Vec::new();
        for node in [1, 2] {
            apis.push(self.api_at(node).await);
        }
        apis.try_into().unwrap_or_else(|_| panic!("two"))
    }

    /// An API that follows the feed of one node.
    async fn api_at(&self, node: usize) -> Api {
        self.front.retarget(self.nodes[node].listen).unwrap();
        let api = Api::start(self.first()).await;
        self.front.retarget(self.first().listen).unwrap();
        api
    }

    /// A call of the first node's administration.
    async fn admin(&self, method: Method, path: &str, body: Value) -> Answer {
        let site = self.first();
        let url = format!("{}/admin/v1/{path}", site.admin);
        let request = http().request(method, url).bearer_auth(site.admin_token());
        let request = match body {
            Value::Null => request,
            body => request.json(&body),
        };
        let answer = read(request.send().await.unwrap()).await;
        assert!(
            answer.status < 300,
            "{path}: {} {}",
            answer.status,
            answer.body
        );
        answer
    }

    async fn revoke(&self, document: Value) {
        self.admin(Method::POST, "revoke", document).await;
    }

    /// Whether a node calls a token active; nothing where it cannot know.
    async fn is_active(&self, node: usize, token: &str) -> Option<bool> {
        let form = [("token", token), ("method", "GET"), ("uri", "/")];
        let answer = self.nodes[node].form("/introspect", "orders-api", &form);
        let answer = answer.await;
        match answer.status {
            200 => Some(answer.json()["active"] == true),
            503 => None,
            other => panic!("{other} {}", answer.body),
        }
    }

    /// Comes from another network than before: sign-ins are counted by it.
    fn move_house(&mut self, number: usize) {
        let octet = u8::try_from(number % 200).unwrap();
        let address = std::net::IpAddr::from([127, 0, octet, 1]);
        self.nodes[0].http = http_from(Some(address));
    }

    async fn end(self) {
        for program in self.programs {
            assert!(program.end().await.success());
        }
    }
}

/// The clients that get tokens here.
fn clients(partner: &Partner, secret: &str) -> String {
    let issuer = &partner.issuer;
    format!(
        r#"
[[client]]
id = "{APP}"
name = "Notes"
secret = "{secret}"
consent = "first_party"
redirect_uris = ["{CALLBACK}"]
grants = ["authorization_code", "refresh_token", "client_credentials", "{EXCHANGE}"]
scopes = ["openid", "offline_access", "read:orders", "read:vault", "read:notes", "read:depot"]
resources = ["{ORDERS}", "{VAULT}", "{NOTES}", "{DEPOT}", "{SAFE}"]
default_resource = "{ORDERS}"
exchange = {{ accepts = ["access_token", "saml2", "id_token"], issues = ["access_token", "saml2"], to = ["{SAFE}"] }}

[[client]]
id = "{PAIRWISE}"
name = "Pairwise"
secret = "{secret}"
consent = "first_party"
redirect_uris = ["{CALLBACK}"]
subject_type = "pairwise"
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "offline_access", "read:orders"]
resources = ["{ORDERS}"]

[[client]]
id = "{HUB}"
name = "Device Hub"
kind = "service"
secret = "{secret}"
consent = "first_party"
grants = ["device_code", "refresh_token"]
scopes = ["openid", "offline_access", "read:orders"]
resources = ["{ORDERS}"]

[[client]]
id = "{IMPORTER}"
kind = "service"
secret = "{secret}"
grants = ["urn:ietf:params:oauth:grant-type:jwt-bearer", "{EXCHANGE}"]
scopes = ["read:orders"]
resources = ["{ORDERS}"]

[client.exchange]
issuers = ["{issuer}"]
"#
    )
}

/// What else these tests need besides the usual configuration.
fn more(partner: &Partner) -> String {
    let issuer = &partner.issuer;
    format!(
        r#"
[[resource]]
identifier = "{NOTES}"
name = "Notes"
scopes = ["read:notes"]
token_format = "macaroon"
introspection_client = "orders-api"

[resource.scope_descriptions]
"read:notes" = "See your notes"

[[resource]]
identifier = "{DEPOT}"
name = "Depot"
scopes = ["read:depot"]
jwks = {{ keys = [{{ {} }}] }}
access_token_encrypted_response_alg = "ECDH-ES+A256KW"
introspection_client = "orders-api"

[resource.scope_descriptions]
"read:depot" = "See your depot"

[[resource]]
identifier = "{SAFE}"
name = "Safe"
exchange_from = ["{APP}"]

[[organization]]
id = "acme"
name = "Acme"
members = [{{ user = "alice", roles = ["buyer"] }}]

[[trusted_issuer]]
issuer = "{issuer}"
jwks_uri = "{issuer}/jwks"
resource = "{ORDERS}"
scopes = ["read:orders"]
"#,
        api::DEPOT_KEY
    )
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) -> Duration {
    let begin = tokio::time::Instant::now();
    while !is_so().await {
        assert!(begin.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begin.elapsed()
}

/// Takes back every grant of alice that lives.
async fn withdraw_grants(world: &World) {
    let list = world.admin(Method::GET, "grants?user=alice", Value::Null);
    let list = list.await.json();
    for item in list["items"].as_array().unwrap() {
        if item.get("withdrawn").is_none_or(Value::is_null) {
            world.revoke(json!({ "grant": item["id"] })).await;
        }
    }
}

/// Ends every session of alice that lives: who knows her by a name of their own
/// is told no session by its id, either.
async fn end_sessions(world: &World) {
    let list = world.admin(Method::GET, "sessions?user=alice", Value::Null);
    let list = list.await.json();
    for item in list["items"].as_array().unwrap() {
        world.revoke(json!({ "session": item["id"] })).await;
    }
}
