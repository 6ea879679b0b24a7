//! The server under test: the real binary, with a configuration of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::bench::Bench;
use crate::process::{Process, free_address};
use crate::wire::Request;

/// An API whose tokens are JWTs.
pub(crate) const ORDERS: &str = "https://orders.example.com";
/// An API whose tokens are opaque.
pub(crate) const VAULT: &str = "https://vault.example.com";
/// Where codes are sent.
pub(crate) const CALLBACK: &str = "http://127.0.0.1:9/callback";
pub(crate) const USERNAME: &str = "alice";
pub(crate) const PASSWORD: &str = "correct horse battery";
/// The grant of token exchange.
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// [`PASSWORD`], with the least that Argon2 can be made to cost.
const QUICK: &str =
    "$argon2id$v=19$m=8,t=1,p=1$YmVuY2hiZW5jaGJlbmNoYg$++s3r/7cCW/NkEdJrkIoveSr1wzSLiTUlVlPw3FAAUw";
/// What [`Request::basic`] takes as it is.
pub(crate) const SECRET: &str = "bench-0123456789-0123456789-0123456789";

/// A configuration, a database and whatever else stays from one start to the
/// next.
pub(crate) struct Home {
    pub(crate) folder: PathBuf,
    address: SocketAddr,
}

impl Home {
    /// A folder of its own with SQLite in it.
    pub(crate) fn on_sqlite(bench: &Bench, name: &str) -> Result<Self> {
        Self::with_store(bench, name, "sqlite://symbolon.db")
    }

    /// A folder of its own for the keys of a PostgreSQL database.
    pub(crate) fn on_postgres(bench: &Bench, name: &str, url: &str) -> Result<Self> {
        Self::with_store(bench, name, url)
    }

    fn with_store(bench: &Bench, name: &str, store: &str) -> Result<Self> {
        let folder = bench.folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let (address, admin) = (free_address()?, free_address()?);
        let home = Self { folder, address };
        std::fs::write(home.path(), configuration(store, address, admin))?;
        Ok(home)
    }

    fn path(&self) -> PathBuf {
        self.folder.join("symbolon.toml")
    }

    /// Adds to the configuration.
    pub(crate) fn add(&self, blocks: &str) -> Result<()> {
        let whole = std::fs::read_to_string(self.path())? + blocks;
        Ok(std::fs::write(self.path(), whole)?)
    }

    /// The file of the SQLite database.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.join("symbolon.db")
    }

    /// Starts the server and waits until it is ready.
    pub(crate) fn start(&self, bench: &Bench) -> Result<Process> {
        let mut command = Command::new(bench.server()?);
        command.arg("serve").arg("--config").arg(self.path());
        Process::start(command, self.address, &self.folder.join("server.log"))
    }
}

fn configuration(store: &str, address: SocketAddr, admin: SocketAddr) -> String {
    format!(
        r#"
issuer = "http://{address}"
listen = "{address}"
[store]
url = "{store}"
master_key_file = "master.key"
[admin]
listen = "{admin}"
token_file = "admin.token"

[[resource]]
identifier = "{ORDERS}"
scopes = ["read:orders", "write:orders"]
introspection_client = "guard"

[[resource]]
identifier = "{VAULT}"
scopes = ["read:vault"]
token_format = "opaque"
introspection_client = "vault-api"

[[client]]
id = "guard"
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
grants = ["client_credentials", "{EXCHANGE}"]
scopes = ["read:orders", "write:orders", "read:vault"]
resources = ["{ORDERS}", "{VAULT}"]

[[client]]
id = "web"
name = "Example Shop"
secret = "{SECRET}"
redirect_uris = ["{CALLBACK}"]
grants = ["authorization_code", "refresh_token"]
scopes = ["offline_access", "read:orders"]
resources = ["{ORDERS}"]
consent = "first_party"

[[user]]
username = "{USERNAME}"
password = "{PASSWORD}"
"#
    )
}

/// `person0` and so on, whose hash of [`PASSWORD`] takes no time.
pub(crate) fn people(count: usize) -> String {
    let each = (0..count)
        .map(|n| format!("\n[[user]]\nusername = \"person{n}\"\npassword_hash = \"{QUICK}\"\n"));
    each.collect()
}

/// A token request by a service for itself.
pub(crate) fn client_credentials(resource: &str) -> Request {
    let form = [("grant_type", "client_credentials"), ("resource", resource)];
    Request::form("/token", &form).basic("job", SECRET)
}

/// A service narrows a token of its own.
pub(crate) fn exchange(token: &str) -> Request {
    let form = [
        ("grant_type", EXCHANGE),
        ("subject_token", token),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        ("scope", "read:orders"),
    ];
    Request::form("/token", &form).basic("job", SECRET)
}

pub(crate) fn introspection(token: &str) -> Request {
    Request::form("/introspect", &[("token", token)]).basic("vault-api", SECRET)
}

pub(crate) fn refresh(token: &str) -> Request {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    Request::form("/token", &form).basic("web", SECRET)
}

pub(crate) fn redemption(code: &str, verifier: &str) -> Request {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier),
    ];
    Request::form("/token", &form).basic("web", SECRET)
}
