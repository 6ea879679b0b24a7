//! The configuration file: read once, checked whole, with file and line for
//! whatever is wrong or unwise.
//!
//! 1. `document` reads TOML into a tree that knows its places.
//! 2. `environment` lays variables over it.
//! 3. `read` turns the tree into typed values, `secret` fetches what is secret.
//! 4. `advice` compares what was read with each other.

mod advice;
mod demand;
mod document;
mod environment;
mod finding;
mod gateway;
mod graphql;
mod mcp;
mod policy;
mod quota;
mod read;
mod registration;
mod schema;
mod secret;
mod signal_source;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use symbolon_protocol::{Client, Issuer, Lifetime, OrganizationId, Resource, TrustedIssuer};
use symbolon_token::Secret;
use url::Url;

use crate::settings::MutualTls;

pub use crate::keys::TokenUri;
pub use demand::{Demands, NoRoute, Placed, ResourceDemand, RouteDemand, ScopesDemand};
pub use finding::{Finding, Location, Severity};
pub use gateway::{
    AskedIn, Balance, BrowserUse, GatewayBrowser, GatewayClient, GatewayConfig, GatewayForwardAuth,
    GatewayLoaded, GatewayRoute, GatewayUpstream, HealthCheck, RouteNeeds, ScopesNeeded,
};
pub use graphql::{GraphqlLimit, RouteGraphql};
pub use mcp::{McpArgument, McpConfig, McpRule};
pub use policy::{PolicyConfig, RISK_SIGNALS, RiskConfig, RoutePolicy};
pub use quota::{
    GatewayLimit, GatewayPlan, GatewayQuotas, GatewayRedis, LimitMode, LimitRule, LimitWebhook,
    RouteQuota,
};
pub use registration::RegistrationConfig;
pub use secret::SecretSource;
pub use signal_source::{Effect, PollBearer, PollClient, SignalPoll, SignalSource, SubjectName};

/// How large the file may be, in bytes.
pub const MAX_CONFIG_BYTES: u64 = 16 * 1024 * 1024;

/// Everything that the file says; relative paths are already absolute.
#[derive(Debug)]
pub struct Config {
    /// The name that every token carries.
    pub issuer: Issuer,
    /// Where the server listens.
    pub listen: SocketAddr,
    /// Where it listens that asks for certificates of clients.
    pub mtls_listen: Option<SocketAddr>,
    /// How the outside reaches that: `https://`, host and port.
    pub mtls_url: Option<Url>,
    /// Authorities whose certificates prove clients, PEM.
    pub client_ca: Option<PathBuf>,
    /// Whether tokens of native clients have to be bound to a key.
    pub bind_native_clients: bool,
    /// Claims that no mapping tells, under whatever name.
    pub sensitive_claims: Vec<String>,
    /// Networks whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Which of those headers they write.
    pub forwarded_header: ForwardedHeader,
    /// How far the clocks of others may be off.
    pub clock_skew: Lifetime,
    /// PEM files that are trusted for outbound calls besides the usual ones.
    pub trust_extra_ca: Vec<PathBuf>,
    /// Hosts and networks that outbound calls may reach besides public ones.
    pub outbound_allow: Vec<String>,
    /// The server's own certificate, where nothing before it ends TLS.
    pub tls: Option<Tls>,
    /// Where everything is remembered.
    pub store: StoreConfig,
    /// Administration.
    pub admin: Admin,
    /// How long things live by default.
    pub lifetimes: Lifetimes,
    /// How keys change.
    pub keys: KeysConfig,
    /// How long the audit trail is kept.
    pub audit: AuditConfig,
    /// Who may describe itself as a client.
    pub registration: Arc<RegistrationConfig>,
    /// The APIs.
    pub resources: Vec<Resource>,
    /// The applications.
    pub clients: Vec<ConfiguredClient>,
    /// The organizations.
    pub organizations: Vec<ConfiguredOrganization>,
    /// The partners whose JWTs are taken.
    pub trusted_issuers: Vec<ConfiguredTrustedIssuer>,
    /// Whose events about people are believed.
    pub signal_sources: Vec<Arc<SignalSource>>,
    /// The people.
    pub people: Vec<ConfiguredPerson>,
    /// The gateway, where the file has one.
    pub gateway: Option<GatewayConfig>,
}

/// The server's certificate and its key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The chain, own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Where everything is remembered.
#[derive(Debug)]
pub struct StoreConfig {
    /// The database.
    pub url: StoreUrl,
    /// Whether statements are prepared by name.
    pub statements: Statements,
    /// The key that wraps every other key.
    pub master_key: MasterSource,
    /// The one before, while it is being replaced.
    pub previous_master_key: Option<MasterSource>,
}

/// Which database, and how its statements are prepared.
#[derive(Debug)]
pub struct StorePlace {
    /// The database.
    pub url: StoreUrl,
    /// Whether statements are prepared by name.
    pub statements: Statements,
}

impl StoreConfig {
    /// Which database it is.
    pub fn place(&self) -> StorePlace {
        StorePlace {
            url: match &self.url {
                StoreUrl::Sqlite(path) => StoreUrl::Sqlite(path.clone()),
                StoreUrl::Postgres(url) => StoreUrl::Postgres(Secret::new(url.expose().to_vec())),
            },
            statements: self.statements,
        }
    }
}

/// Where a master key is.
#[derive(Debug)]
pub enum MasterSource {
    /// In a file, made at first start where it is missing.
    File(PathBuf),
    /// Here: from a variable or a program.
    Given(Secret),
    /// In a PKCS#11 token, which it never leaves.
    Pkcs11(TokenUri),
}

/// `[keys]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeysConfig {
    /// How long a key is active; zero changes keys by command alone.
    pub rotation: Lifetime,
    /// How long a verifier may keep the key set.
    pub key_set_cache: Lifetime,
    /// Whether there are keys for ML-DSA, in a set of their own.
    pub experimental_ml_dsa: bool,
    /// Whether there are keys to which partners encrypt assertions.
    pub saml_decryption: bool,
}

impl Default for KeysConfig {
    fn default() -> Self {
        Self {
            rotation: Lifetime::seconds(90 * 24 * 60 * 60),
            key_set_cache: Lifetime::seconds(60 * 60),
            experimental_ml_dsa: false,
            saml_decryption: false,
        }
    }
}

/// `[audit]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditConfig {
    /// How long a record is kept; zero keeps all for ever.
    pub retention: Lifetime,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            retention: Lifetime::seconds(400 * 24 * 60 * 60),
        }
    }
}

/// The database.
#[derive(Debug)]
pub enum StoreUrl {
    /// A file of this machine.
    Sqlite(PathBuf),
    /// A server; the URL may carry its password.
    Postgres(Secret),
}

/// How statements are sent to PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Statements {
    /// Prepared once for each connection.
    Named,
    /// For poolers that hand out another connection for each transaction.
    Unnamed,
}

/// In which header trusted proxies say where a request came from. What else
/// stands beside it came from the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// Whichever stands there; where both do, neither is believed.
    #[default]
    Either,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For`.
    XForwardedFor,
}

/// Administration.
#[derive(Debug)]
pub struct Admin {
    /// Where the admin API and the metrics are.
    pub listen: SocketAddr,
    /// The names under which it is reached, besides addresses and `localhost`.
    pub hosts: Vec<String>,
    /// The bearer token of the admin API.
    pub token: SecretSource,
}

/// How long things live where neither resource nor client says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// From consent to the token endpoint.
    pub authorization_code: Lifetime,
    /// An access token.
    pub access_token: Lifetime,
    /// An ID token.
    pub id_token: Lifetime,
    /// A refresh family that is not used.
    pub refresh_token_idle: Lifetime,
    /// A refresh family at most.
    pub refresh_token_absolute: Lifetime,
    /// How long a direct predecessor gets the same successor.
    pub refresh_grace: Lifetime,
    /// A pushed request.
    pub pushed_request: Lifetime,
    /// A device code.
    pub device_code: Lifetime,
    /// A session that is not used.
    pub session_idle: Lifetime,
    /// A session at most.
    pub session_absolute: Lifetime,
}

/// `[[client]]`.
#[derive(Debug)]
pub struct ConfiguredClient {
    /// Everything but its secret.
    pub client: Client,
    /// Its secret, where it proves itself by one.
    pub secret: Option<Secret>,
    /// Whether it may do anything; `None` leaves that as it is.
    pub enabled: Option<bool>,
    /// Whether secret and `enabled` hold after the block has created it.
    pub enforce: bool,
    /// Where the block stands.
    pub at: Location,
}

/// `[[trusted_issuer]]`.
#[derive(Clone, Debug)]
pub struct ConfiguredTrustedIssuer {
    /// What was registered.
    pub issuer: TrustedIssuer,
    /// Whether it is trusted; `None` leaves that as it is.
    pub enabled: Option<bool>,
    /// Whether `enabled` holds after the block has created it.
    pub enforce: bool,
    /// Where the block stands.
    pub at: Location,
}

/// `[[organization]]`.
#[derive(Clone, Debug)]
pub struct ConfiguredOrganization {
    /// Its identifier.
    pub id: OrganizationId,
    /// The name that people are shown.
    pub name: String,
    /// Who belongs to it.
    pub members: Vec<ConfiguredMember>,
    /// Where the block stands.
    pub at: Location,
}

/// One who belongs to an organization.
#[derive(Clone, Debug)]
pub struct ConfiguredMember {
    /// The user name.
    pub user: String,
    /// What they are there.
    pub roles: Vec<String>,
    /// Where the entry stands.
    pub at: Location,
}

/// `[[user]]`.
#[derive(Debug)]
pub struct ConfiguredPerson {
    /// What they sign in with.
    pub username: String,
    /// Their password, where it is not given as a hash.
    pub password: Option<Secret>,
    /// Their password as an Argon2 PHC string.
    pub password_hash: Option<Secret>,
    /// The standard claims: `email`, `name`, `address` and so on.
    pub claims: Map<String, Json>,
    /// Whether they may sign in; `None` leaves that as it is.
    pub enabled: Option<bool>,
    /// Whether password and `enabled` hold after the block has created them.
    pub enforce: bool,
    /// Where the block stands.
    pub at: Location,
}

/// A configuration, and what is unwise in it.
pub type Loaded = Result<(Config, Vec<Finding>), Vec<Finding>>;

impl Config {
    /// Reads a file, laid over by variables. All that is wrong is said at
    /// once; what is only unwise comes beside the configuration.
    pub fn load(path: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Loaded {
        let file = path.display().to_string();
        let text = read_text(path).map_err(|message| vec![unreadable(&file, &message)])?;
        let written = Written {
            text: &text,
            file: &file,
            path,
        };
        written.read(environment.into_iter().collect(), secret::COMMAND_TIMEOUT)
    }
}

impl Config {
    /// The listener that asks for certificates, as the outside knows it: what
    /// `mtls_url` says, else the issuer's host with the listener's port.
    pub(crate) fn mutual_tls(&self) -> Option<MutualTls> {
        if let Some(url) = &self.mtls_url {
            return Some(MutualTls::at(url));
        }
        let port = self.mtls_listen?.port();
        let issuer = Url::parse(self.issuer.as_str()).ok()?;
        let url = format!("https://{}:{port}", issuer.host_str()?);
        Url::parse(&url).ok().as_ref().map(MutualTls::at)
    }

    /// Whether certificates of clients count at all.
    pub(crate) fn takes_certificates(&self) -> bool {
        self.mtls_listen.is_some() || self.mtls_url.is_some() || self.client_ca.is_some()
    }
}

/// A small file to begin with: what `--help` and the documentation show.
pub fn example() -> &'static str {
    include_str!("example.toml")
}

impl Default for Lifetimes {
    fn default() -> Self {
        const MINUTE: u32 = 60;
        const HOUR: u32 = 60 * MINUTE;
        const DAY: u32 = 24 * HOUR;
        Self {
            authorization_code: Lifetime::seconds(60),
            access_token: Lifetime::seconds(10 * MINUTE),
            id_token: Lifetime::seconds(10 * MINUTE),
            refresh_token_idle: Lifetime::seconds(14 * DAY),
            refresh_token_absolute: Lifetime::seconds(90 * DAY),
            refresh_grace: Lifetime::seconds(90),
            pushed_request: Lifetime::seconds(90),
            device_code: Lifetime::seconds(10 * MINUTE),
            session_idle: Lifetime::seconds(8 * HOUR),
            session_absolute: Lifetime::seconds(7 * DAY),
        }
    }
}

impl Lifetimes {
    /// Every lifetime beside its key.
    fn named_mut(&mut self) -> [(&'static str, &mut Lifetime); 10] {
        [
            ("authorization_code", &mut self.authorization_code),
            ("access_token", &mut self.access_token),
            ("id_token", &mut self.id_token),
            ("refresh_token_idle", &mut self.refresh_token_idle),
            ("refresh_token_absolute", &mut self.refresh_token_absolute),
            ("refresh_grace", &mut self.refresh_grace),
            ("pushed_request", &mut self.pushed_request),
            ("device_code", &mut self.device_code),
            ("session_idle", &mut self.session_idle),
            ("session_absolute", &mut self.session_absolute),
        ]
    }
}

/// A text that was read, and where from.
struct Written<'f> {
    text: &'f str,
    file: &'f str,
    path: &'f Path,
}

impl Written<'_> {
    fn read(
        &self,
        variables: BTreeMap<String, String>,
        command_timeout: std::time::Duration,
    ) -> Loaded {
        let root = self.tree(&variables)?;
        let mut loading = self.loading(root.1, &variables, command_timeout);
        let root = root.0;
        let draft = loading.read(&root);
        if loading.has_inline_secret {
            loading.check_readers(self.path, &root.at);
        }
        let mut findings = loading.findings;
        findings.extend(advice::on(&draft, &root, loading.is_on_loopback));
        finish(draft, in_order(findings))
    }

    /// The file with the variables laid over it, and what was found so far.
    fn tree(
        &self,
        variables: &BTreeMap<String, String>,
    ) -> Result<(document::Table, Vec<Finding>), Vec<Finding>> {
        let mut root = document::parse(self.text, self.file)?;
        let mut findings = environment::overlay(&mut root, variables);
        findings.extend(read::normalize_clients(&mut root));
        Ok((root, findings))
    }

    fn loading<'v>(
        &self,
        findings: Vec<Finding>,
        variables: &'v BTreeMap<String, String>,
        command_timeout: std::time::Duration,
    ) -> read::Loading<'v> {
        read::Loading {
            findings,
            folder: folder_of(self.path),
            variables,
            command_timeout,
            has_inline_secret: false,
            is_on_loopback: None,
        }
    }
}

/// In the order of the file.
fn in_order(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| {
        let location = finding.location.as_ref();
        location.map_or((0, 0), |location| (location.line, location.column))
    });
    findings
}

fn finish(draft: read::Draft<'_>, findings: Vec<Finding>) -> Loaded {
    let is_wrong = findings.iter().any(Finding::is_error);
    let Some(issuer) = draft.issuer.filter(|_| !is_wrong) else {
        return Err(findings);
    };
    let server = draft.server;
    let config = Config {
        issuer,
        listen: server.listen,
        mtls_listen: server.mtls_listen,
        mtls_url: server.mtls_url,
        client_ca: server.client_ca,
        bind_native_clients: server.bind_native_clients,
        sensitive_claims: server.sensitive_claims,
        trusted_proxies: server.trusted_proxies,
        forwarded_header: server.forwarded_header,
        clock_skew: server.clock_skew,
        trust_extra_ca: server.trust_extra_ca,
        outbound_allow: server.outbound_allow,
        tls: server.tls,
        store: server.store,
        admin: server.admin,
        lifetimes: server.lifetimes,
        keys: server.keys,
        audit: server.audit,
        registration: Arc::new(server.registration),
        resources: draft.resources.into_iter().map(|read| read.value).collect(),
        clients: draft.clients.into_iter().map(|read| read.value).collect(),
        organizations: draft
            .organizations
            .into_iter()
            .map(|read| read.value)
            .collect(),
        trusted_issuers: draft
            .trusted_issuers
            .into_iter()
            .map(|read| read.value)
            .collect(),
        signal_sources: draft
            .signal_sources
            .into_iter()
            .map(|read| read.value)
            .collect(),
        people: draft.people.into_iter().map(|read| read.value).collect(),
        gateway: draft.gateway,
    };
    Ok((config, findings))
}

fn read_text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_CONFIG_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_CONFIG_BYTES {
        return Err(format!("it has more than {MAX_CONFIG_BYTES} bytes"));
    }
    Ok(text)
}

fn unreadable(file: &str, message: &str) -> Finding {
    Finding::error(
        "file.unreadable",
        &Location::whole(file),
        format!("could not read the configuration: {message}"),
    )
    .because("nothing starts without its configuration")
    .repair(match message.contains("UTF-8") {
        true => "write it as UTF-8 text: TOML is nothing else",
        false => "name a file that exists and may be read, with `--config FILE`",
    })
}

/// The folder that relative paths begin at.
fn folder_of(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.parent()
        .map_or_else(|| PathBuf::from("."), Path::to_owned)
}

#[cfg(test)]
mod tests;
