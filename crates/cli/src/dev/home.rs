//! The data folder of `dev`: secrets made once, and a configuration file that
//! anybody may copy from.

use std::fmt::{self, Write as _};
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use symbolon_server::clock::SystemEntropy;
use symbolon_token::mark::{Kind, write_fixed};
use symbolon_token::random;

/// The demo client.
pub(super) const CLIENT: &str = "demo";
/// The client as which the demo API asks about tokens.
pub(super) const API: &str = "demo-api";
/// The demo user.
pub(super) const USER: &str = "alice";

/// Where each part listens.
pub(super) struct Addresses {
    pub(super) issuer: SocketAddr,
    pub(super) gateway: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) demo: SocketAddr,
}

/// What was made at the first start.
#[derive(Serialize, Deserialize)]
pub(super) struct Secrets {
    pub(super) client: String,
    pub(super) api: String,
    pub(super) password: String,
}

/// Where everything is.
pub(super) struct Home {
    pub(super) config: PathBuf,
    pub(super) api_secret: PathBuf,
    pub(super) admin: String,
    pub(super) admin_token: PathBuf,
    pub(super) issuer: String,
    pub(super) demo: String,
    pub(super) secrets: Secrets,
    /// Held for as long as this process has the folder.
    _lock: fs::File,
}

/// Another `dev` has the folder.
#[derive(Debug)]
pub(crate) struct Taken(PathBuf);

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "another `symbolon dev` runs on `{}`; `--data DIR` takes another folder",
            self.0.display()
        )
    }
}

impl std::error::Error for Taken {}

impl Home {
    /// Makes the folder what it has to be for these ports.
    pub(super) fn prepare(folder: &Path, at: &Addresses) -> anyhow::Result<Self> {
        let failed = || format!("could not prepare `{}`", folder.display());
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(failed)?;
        let folder = folder.canonicalize().with_context(failed)?;
        // Before anything is written: the files are those of whoever runs.
        let lock = open_private(&folder.join("dev.lock")).with_context(failed)?;
        if lock.try_lock().is_err() {
            return Err(Taken(folder).into());
        }
        let secrets = secrets(&folder.join("secrets.json")).with_context(failed)?;
        let issuer = format!("http://{}", at.issuer);
        let home = Self {
            config: folder.join("symbolon.toml"),
            api_secret: folder.join("demo-api.secret"),
            admin: format!("http://{}", at.admin),
            admin_token: folder.join("admin.token"),
            demo: format!("http://{}", at.gateway),
            issuer,
            secrets,
            _lock: lock,
        };
        write_private(&home.api_secret, home.secrets.api.as_bytes()).with_context(failed)?;
        write_private(&home.config, home.toml(at)?.as_bytes()).with_context(failed)?;
        Ok(home)
    }

    fn toml(&self, at: &Addresses) -> anyhow::Result<String> {
        Ok([self.of_server(at)?, self.of_gateway(at)].concat())
    }

    /// The guard in front of the demo API.
    fn of_gateway(&self, at: &Addresses) -> String {
        let (audience, listen, upstream) = (&self.demo, at.gateway, at.demo);
        let name = super::demo::UPSTREAM;
        format!(
            r#"
# The gateway in front of the demo API: whoever shows no good token never gets there.
[gateway]
listen = "{listen}"
admin_listen = ""
introspection_client = "{API}"

[[gateway.upstream]]
name = "{name}"
url = "http://{upstream}"

[[gateway.route]]
path = "/invoices/{{id}}"
methods = ["GET"]
upstream = "{name}"
audience = "{audience}"
scopes = ["read:invoices"]

[[gateway.route]]
path = "/invoices/{{id}}"
methods = ["DELETE"]
upstream = "{name}"
audience = "{audience}"
scopes = ["delete:invoices"]
"#
        )
    }

    fn of_server(&self, at: &Addresses) -> anyhow::Result<String> {
        let (public, admin) = (at.issuer, at.admin);
        let Self {
            issuer,
            demo,
            secrets,
            ..
        } = self;
        let mut text = String::new();
        write!(
            text,
            r#"# Written by `symbolon dev` at each start; copy from it, do not edit it.
issuer = "{issuer}"
listen = "{public}"

[store]
url = "sqlite://symbolon.db"
master_key_file = "master.key"

[admin]
listen = "{admin}"
token_file = "admin.token"

# The demo API, behind the gateway.
[[resource]]
identifier = "{demo}"
name = "Demo invoices"
scopes = ["read:invoices", "delete:invoices"]
sensitive_scopes = ["delete:invoices"]
introspection_client = "{API}"

[resource.scope_descriptions]
"read:invoices" = "Read your invoices"
"delete:invoices" = "Delete your invoices"

# The demo application: acts for itself, and for people who sign in.
[[client]]
id = "{CLIENT}"
name = "Demo application"
kind = "web"
secret = "{}"
redirect_uris = ["http://127.0.0.1:3000/callback", "http://localhost:3000/callback"]
post_logout_redirect_uris = ["http://127.0.0.1:3000/"]
grants = ["authorization_code", "refresh_token", "client_credentials"]
scopes = ["openid", "profile", "email", "offline_access", "read:invoices", "delete:invoices"]
optional_scopes = ["email"]
resources = ["{demo}"]
default_resource = "{demo}"

# As this client the gateway asks whether a token was taken back.
[[client]]
id = "{API}"
name = "Demo API"
kind = "service"
secret = "{}"
grants = ["client_credentials"]

[[user]]
username = "{USER}"
password = "{}"
email = "alice@example.com"
email_verified = true
name = "Alice Example"
"#,
            secrets.client, secrets.api, secrets.password
        )?;
        Ok(text)
    }
}

fn secrets(path: &Path) -> anyhow::Result<Secrets> {
    if let Ok(text) = fs::read_to_string(path) {
        return Ok(serde_json::from_str(&text)?);
    }
    let secret = || write_fixed(Kind::ClientSecret, &random::<32>(&SystemEntropy));
    let password: String = random::<16>(&SystemEntropy)
        .iter()
        .map(|byte| format!("{:x}", byte & 15))
        .collect();
    let made = Secrets {
        client: secret(),
        api: secret(),
        password,
    };
    write_private(path, serde_json::to_string_pretty(&made)?.as_bytes())?;
    Ok(made)
}

/// Writes a file that only its owner may read.
fn write_private(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let mut file = open_private(path)?;
    file.set_len(0)?;
    file.write_all(contents)
}

/// Opens a file that only its owner may read, and makes it where it is missing.
fn open_private(path: &Path) -> std::io::Result<fs::File> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}
