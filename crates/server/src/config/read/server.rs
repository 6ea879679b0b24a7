//! What stands at the top of the file, and in `[tls]`, `[store]`, `[admin]`
//! and `[lifetimes]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use symbolon_protocol::Lifetime;
use symbolon_token::Secret;
use url::Url;

use super::super::advice::is_host;
use super::super::document::{Table, Value};
use super::super::finding::{Finding, Location};
use super::super::registration::RegistrationConfig;
use super::super::schema::{ADMIN, LIFETIMES, STORE, TLS, TOP};
use super::super::secret::{Form, SecretSource};
use super::super::{
    Admin, AuditConfig, ForwardedHeader, KeysConfig, Lifetimes, Statements, StoreConfig, StoreUrl,
    Tls,
};
use super::{Loading, invalid, needs_feature};

/// Everything but the issuer and the blocks.
pub(in super::super) struct Server {
    pub(in super::super) listen: SocketAddr,
    pub(in super::super) mtls_listen: Option<SocketAddr>,
    pub(in super::super) mtls_url: Option<Url>,
    pub(in super::super) client_ca: Option<PathBuf>,
    pub(in super::super) bind_native_clients: bool,
    pub(in super::super) sensitive_claims: Vec<String>,
    pub(in super::super) trusted_proxies: Vec<IpNet>,
    pub(in super::super) forwarded_header: ForwardedHeader,
    pub(in super::super) clock_skew: Lifetime,
    pub(in super::super) trust_extra_ca: Vec<PathBuf>,
    pub(in super::super) outbound_allow: Vec<String>,
    pub(in super::super) tls: Option<Tls>,
    pub(in super::super) store: StoreConfig,
    pub(in super::super) admin: Admin,
    pub(in super::super) lifetimes: Lifetimes,
    pub(in super::super) keys: KeysConfig,
    pub(in super::super) audit: AuditConfig,
    pub(in super::super) registration: RegistrationConfig,
}

/// The database of a file that names none: a gateway's own file may lie beside its
/// issuer's, and SQLite serves one process.
fn usual_store(root: &Table) -> &'static str {
    match root.has("gateway") && !root.has("issuer") {
        true => "data/gateway.db",
        false => "data/symbolon.db",
    }
}

impl Loading<'_> {
    pub(super) fn server(&mut self, root: &Table) -> Server {
        let folder = self.folder.clone();
        let authorities: Vec<String> = self.values(root, &TOP, "trust_extra_ca");
        let authorities: Vec<PathBuf> = authorities.iter().map(|path| folder.join(path)).collect();
        for authority in authorities.iter().filter(|path| !path.is_file()) {
            self.add(missing_file("trust_extra_ca", root, authority));
        }
        let tls = self.section(root, "tls", &TLS);
        Server {
            listen: self
                .value(root, &TOP, "listen")
                .unwrap_or_else(|| on_this_machine(8080)),
            mtls_listen: self.mtls_listen(root, tls),
            mtls_url: self.mtls_url(root),
            client_ca: tls.and_then(|tls| self.client_ca(tls)),
            bind_native_clients: self
                .value(root, &TOP, "bind_native_clients")
                .unwrap_or(false),
            sensitive_claims: self.values(root, &TOP, "sensitive_claims"),
            trusted_proxies: self.values(root, &TOP, "trusted_proxies"),
            forwarded_header: self
                .value(root, &TOP, "forwarded_header")
                .unwrap_or_default(),
            clock_skew: self
                .value(root, &TOP, "clock_skew")
                .unwrap_or(Lifetime::seconds(10)),
            trust_extra_ca: authorities,
            outbound_allow: self.values(root, &TOP, "outbound_allow"),
            tls: tls.and_then(|tls| self.tls(tls)),
            store: self.store(root),
            admin: self.admin(root),
            lifetimes: self.lifetimes(root),
            keys: self.keys(root),
            audit: self.audit(root),
            registration: self.registration(root),
        }
    }

    fn tls(&mut self, table: &Table) -> Option<Tls> {
        // Where a proxy ends TLS, the authorities stand there alone.
        let is_ended_elsewhere = !table.has("certificate") && !table.has("key");
        if is_ended_elsewhere && table.has("client_ca") {
            return None;
        }
        for name in ["certificate", "key"] {
            if !table.has(name) {
                self.add(invalid(&TLS, name, &table.at, "it is missing"));
            }
        }
        let certificate = self.path(table, &TLS, "certificate");
        let key = self.path(table, &TLS, "key");
        for (name, path) in [("certificate", &certificate), ("key", &key)] {
            if let Some(path) = path.as_ref().filter(|path| !path.is_file()) {
                self.add(missing_file(name, table, path));
            }
        }
        let (certificate, key) = (certificate?, key?);
        self.check_readers(&key, table.place("key"));
        Some(Tls { certificate, key })
    }

    fn store(&mut self, root: &Table) -> StoreConfig {
        let empty = Table::new(&root.at);
        let table = self.section(root, "store", &STORE).unwrap_or(&empty);
        // A URL is secret only where it carries a password.
        let had_inline_secret = self.has_inline_secret;
        let given = self.secret(table, "url");
        if !given
            .as_ref()
            .is_some_and(|given| has_password(&given.secret))
        {
            self.has_inline_secret = had_inline_secret;
        }
        let url = given.and_then(|given| match self.store_url(&given.secret) {
            Ok(url) => Some(url),
            Err(BadUrl::Invalid(why)) => {
                self.add(bad_store_url(why, &given.at));
                None
            }
            Err(BadUrl::NeedsPostgres) => {
                let code = "store.url.not_built";
                self.add(needs_feature(code, &given.at, "PostgreSQL", "postgres"));
                None
            }
        });
        let statements = self.value(table, &STORE, "statements");
        StoreConfig {
            url: url.unwrap_or_else(|| StoreUrl::Sqlite(self.folder.join(usual_store(root)))),
            statements: statements.unwrap_or(Statements::Named),
            master_key: self.master_key(table),
            previous_master_key: self.previous_master_key(table),
        }
    }

    fn store_url(&self, url: &Secret) -> Result<StoreUrl, BadUrl> {
        let text = url.expose_str();
        let is_postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
        if let Some(path) = text.strip_prefix("sqlite://") {
            if path.is_empty() || path.contains(['?', '#']) {
                return Err(BadUrl::Invalid("`sqlite://` is followed by a path alone"));
            }
            return Ok(StoreUrl::Sqlite(self.folder.join(path)));
        }
        if !is_postgres {
            return Err(BadUrl::Invalid(
                "the store's URL begins with `sqlite://` or `postgres://`",
            ));
        }
        if !cfg!(feature = "postgres") {
            return Err(BadUrl::NeedsPostgres);
        }
        // What follows may name several hosts or a socket: the driver reads it.
        match text.split_once("://") {
            Some((_, rest)) if !rest.trim_matches('/').is_empty() => {
                Ok(StoreUrl::Postgres(Secret::from(text)))
            }
            _ => Err(BadUrl::Invalid("the store's URL names no database")),
        }
    }

    fn admin(&mut self, root: &Table) -> Admin {
        let empty = Table::new(&root.at);
        let table = self.section(root, "admin", &ADMIN).unwrap_or(&empty);
        let (token, form) = self.kept_secret(table, "token", "data/admin.token");
        match &token {
            SecretSource::Given(token) => {
                self.check_length(token, "admin.token.short", table.place("token"));
            }
            SecretSource::File(path) => self.check_token_file(path, table),
        }
        if form == Some(Form::Inline) && self.is_off_loopback() {
            self.add(
                Finding::warning(
                    "admin.token.inline",
                    table.place("token"),
                    "the administrator's token stands in the file",
                )
                .because("configuration is copied, backed up and checked in, and the token with it")
                .repair("use `token_file`, `token_env` or `token_command`"),
            );
        }
        let hosts: Vec<String> = self.values(table, &ADMIN, "hosts");
        for host in hosts.iter().filter(|host| !is_host(host)) {
            let at = table.place_of("hosts", host);
            let why = "it is a host alone, without scheme, port or wildcard";
            self.add(invalid(&ADMIN, "hosts", at, why));
        }
        Admin {
            hosts,
            listen: self
                .value(table, &ADMIN, "listen")
                .unwrap_or_else(|| on_this_machine(8090)),
            token,
        }
    }

    fn lifetimes(&mut self, root: &Table) -> Lifetimes {
        let mut lifetimes = Lifetimes::default();
        let Some(table) = self.section(root, "lifetimes", &LIFETIMES) else {
            return lifetimes;
        };
        for (name, lifetime) in lifetimes.named_mut() {
            if let Some(value) = self.value(table, &LIFETIMES, name) {
                *lifetime = value;
            }
        }
        lifetimes
    }

    /// Notes a secret that is short enough to be tried out.
    pub(super) fn check_length(&mut self, secret: &Secret, code: &'static str, at: &Location) {
        if secret.expose_str().chars().count() < MIN_SECRET_CHARACTERS {
            let finding = Finding::warning(
                code,
                at,
                format!("the secret has fewer than {MIN_SECRET_CHARACTERS} characters"),
            )
            .because("a short secret can be found by trying; off loopback it is refused")
            .repair("make one with `openssl rand -base64 32`");
            self.add(Finding::error_if(self.is_off_loopback(), finding));
        }
    }
}

/// How many characters a secret has at least, off loopback.
const MIN_SECRET_CHARACTERS: usize = 32;

pub(super) const fn on_this_machine(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

fn has_password(url: &Secret) -> bool {
    url::Url::parse(url.expose_str()).is_ok_and(|url| url.password().is_some())
}

/// Why a store's URL cannot be used.
enum BadUrl {
    /// It is none, or one of something else.
    Invalid(&'static str),
    /// It is of an engine that this binary was built without.
    NeedsPostgres,
}

fn bad_store_url(why: &'static str, at: &Location) -> Finding {
    Finding::error("store.url.invalid", at, why)
        .because("without its store the server can remember nothing")
        .repair("write `url = \"sqlite://data/symbolon.db\"` or `url = \"postgres://user@host/database\"`")
}

pub(super) fn missing_file(name: &str, table: &Table, path: &std::path::Path) -> Finding {
    let text = path.display();
    let ends_with =
        |node: &&super::super::document::Node| node.text().is_some_and(|text| path.ends_with(text));
    let at = match table.find(name).map(|node| &node.value) {
        Some(Value::Array(nodes)) => nodes.iter().find(ends_with).map(|node| &node.at),
        _ => None,
    };
    Finding::error(
        "file.missing",
        at.unwrap_or_else(|| table.place(name)),
        format!("`{name}`: there is no file `{text}`"),
    )
    .because("it is read at start, and relative paths begin at the folder of this file")
    .repair("put the file there, or change the path")
}
