//! `[gateway]`: what the file says of the guard, read and compared. What guards
//! by it is a crate of its own; here stand the words alone.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use http::uri::PathAndQuery;
use http::{HeaderName, Method};
use ipnet::IpNet;
use symbolon_protocol::Lifetime;
use symbolon_token::Secret;
use symbolon_token::jose::Algorithm;
use symbolon_token::macaroon::PathPattern;
use url::Url;

use super::finding::{Finding, Location};
use super::graphql::RouteGraphql;
use super::mcp::McpConfig;
use super::policy::{PolicyConfig, RiskConfig, RoutePolicy};
use super::quota::{GatewayQuotas, RouteQuota};
use super::{ForwardedHeader, StorePlace, Tls, Written, in_order, read_text, secret, unreadable};

/// Everything that the file says of the gateway, and what it shares with the
/// server; relative paths are already absolute.
#[derive(Debug)]
pub struct GatewayConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where its health and its numbers are, if anywhere.
    pub admin_listen: Option<SocketAddr>,
    /// The origin under which callers reach it, where it is told.
    pub external_url: Option<String>,
    /// As whom an issuer is asked.
    pub introspection: Option<GatewayClient>,
    /// The key that signs assertions, PKCS#8.
    pub assertion_key: Option<Secret>,
    /// Another key of that kind, which is published and signs nothing: the next
    /// one, or the one before.
    pub assertion_key_other: Option<Secret>,
    /// Where and how other proxies ask about requests, if they may.
    pub forward_auth: Option<GatewayForwardAuth>,
    /// The services behind it.
    pub upstreams: Vec<GatewayUpstream>,
    /// Which requests go where.
    pub routes: Vec<GatewayRoute>,
    /// Limits, plans, and who counts.
    pub quotas: GatewayQuotas,
    /// How far the clocks of others may be off.
    pub clock_skew: Lifetime,
    /// Networks whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Which of those headers they write.
    pub forwarded_header: ForwardedHeader,
    /// PEM files that are trusted besides the usual ones.
    pub trust_extra_ca: Vec<PathBuf>,
    /// The certificate, where nothing before it ends TLS.
    pub tls: Option<Tls>,
    /// Whether callers are asked for theirs.
    pub client_certificates: bool,
    /// Where people sign in, where they do.
    pub browser: Option<GatewayBrowser>,
    /// Policies, where there are any.
    pub policy: Option<PolicyConfig>,
    /// What makes a request risky, where that is asked.
    pub risk: Option<RiskConfig>,
}

/// `[gateway.browser]`.
#[derive(Debug)]
pub struct GatewayBrowser {
    /// Who signs people in: the gateway's issuer.
    pub issuer: String,
    /// As which client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// The origin under which browsers reach the gateway.
    pub external_url: String,
    /// Below which path.
    pub path: String,
    /// Where a person is after signing out.
    pub after_sign_out: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The APIs of the routes that sessions are for.
    pub resources: Vec<String>,
    /// How long a session lives that nobody uses.
    pub session_idle: Lifetime,
    /// How long it lives at most.
    pub session_absolute: Lifetime,
    /// Where sessions are kept.
    pub store: StorePlace,
}

/// What a route takes sessions of browsers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrowserUse {
    /// What scripts call.
    Api,
    /// Pages too.
    Pages,
}

/// `introspection_client` with its secret.
#[derive(Debug)]
pub struct GatewayClient {
    /// The issuer that knows it: the gateway's own.
    pub issuer: String,
    /// Its identifier.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
}

/// `[gateway.forward_auth]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayForwardAuth {
    /// How requests are described.
    pub dialect: AskedIn,
    /// Who may ask.
    pub trusted_proxies: Vec<IpNet>,
    /// Under which path.
    pub path: String,
    /// On which listener of its own, where it has one.
    pub listen: Option<SocketAddr>,
}

/// How a proxy describes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AskedIn {
    /// `auth_request`.
    Nginx,
    /// The ingress controller.
    IngressNginx,
    /// `forward_auth`.
    Caddy,
    /// ForwardAuth.
    Traefik,
    /// `ext_authz` over HTTP.
    Envoy,
    /// `ext_authz` over gRPC.
    EnvoyGrpc,
}

/// Which server of an upstream gets a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// Each in turn.
    #[default]
    RoundRobin,
    /// The one that is at the fewest.
    LeastRequests,
}

/// How servers are asked whether they are well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked for.
    pub target: PathAndQuery,
    /// How often.
    pub interval: Lifetime,
    /// How long an answer may take.
    pub timeout: Lifetime,
    /// After how many good answers a server is well.
    pub healthy: u32,
    /// After how many others it is not.
    pub unhealthy: u32,
}

/// `[[gateway.upstream]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayUpstream {
    /// What routes call it.
    pub name: String,
    /// Scheme, host and port of each server.
    pub urls: Vec<Url>,
    /// Which of them gets a request.
    pub balance: Balance,
    /// How they are asked whether they are well, where they are.
    pub check: Option<HealthCheck>,
    /// After how many failures one is left alone, and for how long.
    pub ejection: Option<(u32, Lifetime)>,
    /// Whether it speaks HTTP/2.
    pub http2: bool,
    /// How long a connection may take.
    pub connect_timeout: Lifetime,
    /// How long the head of an answer may take.
    pub response_timeout: Lifetime,
    /// How long a body or a tunnel may be silent.
    pub idle_timeout: Lifetime,
}

/// `[[gateway.route]]`.
#[derive(Clone, Debug)]
pub struct GatewayRoute {
    /// What logs call it.
    pub name: String,
    /// Which paths.
    pub path: PathPattern,
    /// Which methods; all where none is named.
    pub methods: Vec<Method>,
    /// The upstream.
    pub upstream: String,
    /// What has to be shown.
    pub needs: RouteNeeds,
    /// How large a body may be, in bytes.
    pub max_body_bytes: u64,
    /// Whether an open stream may outlive its token.
    pub runs_on: bool,
    /// Whether the upstream sees the caller's token.
    pub pass_token: bool,
    /// Claims that the upstream gets as headers.
    pub claims: Vec<(HeaderName, String)>,
    /// Whether a session stands for a token, and for what.
    pub browser: Option<BrowserUse>,
    /// What may be reached behind its path, where an MCP server is there.
    pub mcp: Option<McpConfig>,
    /// The graph behind it.
    pub graphql: Option<RouteGraphql>,
    /// What it costs, and of which limits.
    pub quota: RouteQuota,
    /// What it says of policies.
    pub policy: RoutePolicy,
    /// Where the block stands.
    pub at: Location,
}

/// What a route needs.
#[derive(Clone, Debug)]
pub enum RouteNeeds {
    /// Nothing, in writing.
    Public,
    /// A token.
    Token {
        /// Who made it.
        issuer: String,
        /// For which API.
        audience: String,
        /// Under which algorithms.
        algorithms: Vec<Algorithm>,
        /// The scopes.
        scopes: ScopesNeeded,
        /// Whether a token may serve until it ends, whatever became of it.
        at_expiry: bool,
        /// How old knowledge of revocations may be.
        max_staleness: Option<Lifetime>,
        /// How old the issuer's keys may become while it is away.
        stale_if_error: Option<Lifetime>,
    },
}

/// The scopes of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopesNeeded {
    /// All of them.
    All(Vec<String>),
    /// One of them.
    Any(Vec<String>),
}

/// A gateway's configuration, and what is unwise in it.
pub type GatewayLoaded = Result<(GatewayConfig, Vec<Finding>), Vec<Finding>>;

impl GatewayConfig {
    /// Reads the gateway's part of a file, which may be the server's or one of
    /// its own: then only what both share may stand beside it.
    pub fn load(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> GatewayLoaded {
        let file = path.display().to_string();
        let text = read_text(path).map_err(|message| vec![unreadable(&file, &message)])?;
        let written = Written {
            text: &text,
            file: &file,
            path,
        };
        let variables = environment.into_iter().collect();
        let (root, findings) = written.tree(&variables)?;
        let mut loading = written.loading(findings, &variables, secret::COMMAND_TIMEOUT);
        let read = loading.gateway_alone(&root);
        if loading.has_inline_secret {
            loading.check_readers(path, &root.at);
        }
        let mut findings = loading.findings;
        if read.is_none() && !findings.iter().any(Finding::is_error) {
            findings.push(missing(&root.at));
        }
        let is_wrong = findings.iter().any(Finding::is_error);
        match read.filter(|_| !is_wrong) {
            Some(config) => Ok((config, in_order(findings))),
            None => Err(in_order(findings)),
        }
    }

    /// Whether a file is a gateway's own: it has a `[gateway]` and names no
    /// issuer of its own to be served.
    pub fn is_own_file(path: &Path) -> bool {
        let file = path.display().to_string();
        let text = read_text(path).unwrap_or_default();
        let root = super::document::parse(&text, &file);
        root.is_ok_and(|root| root.has("gateway") && !root.has("issuer"))
    }
}

fn missing(at: &Location) -> Finding {
    Finding::error("gateway.missing", at, "there is no `[gateway]`")
        .because("without routes nothing is let through")
        .repair("write `[gateway]` with `[[gateway.upstream]]` and `[[gateway.route]]`")
}
