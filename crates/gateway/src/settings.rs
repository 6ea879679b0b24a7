//! What a gateway is told: where to, by which routes, and for whom.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderName, Method};
use ipnet::IpNet;
use symbolon_store::Store;
use symbolon_token::Secret;
use symbolon_token::macaroon::PathPattern;
use symbolon_verify::{Algorithm, Revocation};
use url::Url;

#[cfg(feature = "graphql")]
use crate::graphql::Graph;
use crate::mcp::Mcp;
use crate::policy::{PolicySettings, Watched};
use crate::quota::{Quotas, RouteQuota};
use crate::risk::RiskSettings;

/// Everything but the listeners. Whoever makes one has checked that routes
/// name upstreams that are there and do not contradict each other.
#[derive(Debug)]
pub struct Settings {
    /// The origin under which callers reach the gateway, where it is known:
    /// what DPoP proofs are compared with, and the `iss` of assertions.
    pub external_url: Option<String>,
    /// As whom an issuer is asked what became of a token.
    pub credentials: Option<Credentials>,
    /// How far the clocks of issuer and gateway may differ.
    pub clock_skew: Duration,
    /// Networks whose word about the caller's address counts.
    pub trusted_proxies: Vec<IpNet>,
    /// In which header they say it.
    pub forwarded_header: ForwardedHeader,
    /// The key that signs assertions, PKCS#8 of ES256; drawn where there is none.
    pub assertion_key: Option<Secret>,
    /// Another key of that kind, which is published and signs nothing: the next
    /// one, or the one before.
    pub assertion_key_other: Option<Secret>,
    /// PEM files that are trusted for issuers and upstreams besides the usual
    /// authorities.
    pub authorities: Vec<PathBuf>,
    /// Whether a trusted proxy's word about its caller's certificate counts.
    pub takes_certificates: bool,
    /// Whether other proxies may ask about requests, and how.
    pub forward_auth: Option<ForwardAuth>,
    /// Where requests go.
    pub upstreams: Vec<Upstream>,
    /// Which requests.
    pub routes: Vec<Route>,
    /// Where people sign in, where they do.
    pub browser: Option<Browser>,
    /// How much of them.
    pub quotas: Quotas,
    /// Policies, where there are any.
    pub policy: Option<PolicySettings>,
    /// What makes a request risky, where that is asked.
    pub risk: Option<RiskSettings>,
}

/// The browser's back end: people sign in at the gateway, and their tokens stay
/// there.
#[derive(Debug)]
pub struct Browser {
    /// Who signs them in.
    pub issuer: String,
    /// As which client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// The origin under which browsers reach the gateway.
    pub external_url: String,
    /// Below which path: `/auth`.
    pub path: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The APIs of the routes that sessions are for.
    pub resources: Vec<String>,
    /// How long a session lives that nobody uses.
    pub session_idle: Duration,
    /// How long it lives at most.
    pub session_absolute: Duration,
    /// The path that a person is at after signing out.
    pub after_sign_out: String,
    /// PEM files that are trusted for the issuer besides the usual authorities.
    pub authorities: Vec<PathBuf>,
    /// Where sessions are kept.
    pub sessions: Store,
}

impl Browser {
    /// Whether another says the same, but for where sessions are kept.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let texts = |own: &Self| {
            let texts = [&own.issuer, &own.client_id, &own.external_url, &own.path];
            (texts.map(String::clone), own.after_sign_out.clone())
        };
        texts(self) == texts(other)
            && self.client_secret.matches(other.client_secret.expose())
            && (&self.scopes, &self.resources) == (&other.scopes, &other.resources)
            && self.session_idle == other.session_idle
            && self.session_absolute == other.session_absolute
            && self.authorities == other.authorities
    }
}

/// What a route takes sessions of browsers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrowserUse {
    /// What scripts of a page call.
    Api,
    /// Pages too, which people open.
    Pages,
}

/// The client as which an issuer is asked. No other issuer is shown the secret.
#[derive(Debug)]
pub struct Credentials {
    /// The issuer that knows it.
    pub issuer: String,
    /// Its identifier.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
}

/// In which header trusted proxies say where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedHeader {
    /// Whichever stands there; where both do, neither is believed.
    #[default]
    Either,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For`.
    XForwardedFor,
}

/// Where and how other proxies ask whether a request may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardAuth {
    /// How they describe it.
    pub dialect: Dialect,
    /// The path under which they ask.
    pub path: String,
    /// On which listener.
    pub asked_at: AskedAt,
    /// Who may ask.
    pub proxies: Vec<IpNet>,
}

/// How a proxy describes the request that it asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// nginx, `auth_request`: `X-Original-Method`, `X-Original-URI`.
    Nginx,
    /// The ingress controller made of nginx: `X-Original-Method`, `X-Original-URL`.
    IngressNginx,
    /// Caddy, `forward_auth`: `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri`.
    Caddy,
    /// Traefik, ForwardAuth: the same four.
    Traefik,
    /// Envoy, `ext_authz` over HTTP: the request itself, without its body, behind
    /// the path.
    Envoy,
    /// Envoy, `ext_authz` over gRPC: `envoy.service.auth.v3.Authorization/Check`,
    /// whatever the path.
    EnvoyGrpc,
}

/// On which listener proxies ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedAt {
    /// On the one that is for everybody.
    Shared,
    /// On one of their own.
    Own,
}

/// A service behind the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// What routes call it, and the `aud` of assertions for it.
    pub name: String,
    /// Scheme, host and port of each of its servers; none where other proxies
    /// only ask about requests for it.
    pub urls: Vec<Url>,
    /// Which server gets a request.
    pub balance: Balance,
    /// How its servers are asked whether they are well, where they are.
    pub check: Option<Check>,
    /// When a server that fails is left alone, where that is.
    pub ejection: Option<Ejection>,
    /// What is spoken with it.
    pub spoken: Spoken,
    /// How long a connection may take to stand.
    pub connect_timeout: Duration,
    /// How long the head of an answer may take once the request is sent.
    pub response_timeout: Duration,
    /// How long a body, either way, or a tunnel may be silent.
    pub idle_timeout: Duration,
}

/// Which server of an upstream gets a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// Each in turn.
    #[default]
    RoundRobin,
    /// The one that is at the fewest.
    LeastRequests,
}

/// A question that servers are asked, to see whether they are well: an answer
/// with 2xx, to its end, says that they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is asked for.
    pub target: PathAndQuery,
    /// How long it is between the end of one question and the next.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How many good answers in a row make a server well.
    pub healthy: u32,
    /// How many others make it unwell.
    pub unhealthy: u32,
}

/// When a server is left alone that does not answer requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ejection {
    /// How many requests in a row fail before.
    pub failures: u32,
    /// For how long.
    pub rest: Duration,
}

/// What is spoken with an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, over plain TCP with prior knowledge.
    Http2,
}

/// One kind of request.
#[derive(Debug)]
pub struct Route {
    /// What logs call it.
    pub name: String,
    /// Which paths.
    pub path: PathPattern,
    /// Which methods; every one where none is named, CONNECT and TRACE apart.
    pub methods: Vec<Method>,
    /// The name of the upstream.
    pub upstream: String,
    /// What has to be shown.
    pub demand: Demand,
    /// How large a body of a request may be, in bytes.
    pub max_body_bytes: u64,
    /// What becomes of an open stream when its token ends.
    pub on_expiry: OnExpiry,
    /// Whether the upstream sees the caller's token.
    pub pass_token: PassToken,
    /// Claims that the upstream gets as plain headers.
    pub claims: Vec<(HeaderName, String)>,
    /// Whether a session of a browser stands for a token, and for what.
    pub browser: Option<BrowserUse>,
    /// What may be reached behind its path, where an MCP server is there.
    pub mcp: Option<Mcp>,
    /// The graph that is behind it, where what is asked for is judged.
    pub graphql: Option<Arc<Graph>>,
    /// What it costs, and of which limits.
    pub quota: RouteQuota,
    /// Whether policies are asked.
    pub policy: Watched,
}

/// A graph: not built in, so there is none.
#[cfg(not(feature = "graphql"))]
#[derive(Debug)]
pub enum Graph {}

#[cfg(not(feature = "graphql"))]
impl Graph {
    /// Whether what it refuses goes no further.
    pub(crate) const fn is_enforced(&self) -> bool {
        match *self {}
    }
}

/// What has to be shown.
#[derive(Debug)]
pub enum Demand {
    /// Nothing: it was said so in writing.
    Public,
    /// A token.
    Token(TokenDemand),
}

/// What is demanded of a token.
#[derive(Debug)]
pub struct TokenDemand {
    /// Who made it.
    pub issuer: String,
    /// For which API.
    pub audience: String,
    /// Under which algorithms a JWT may be signed.
    pub algorithms: Vec<Algorithm>,
    /// The scopes.
    pub needed: Needed,
    /// How fresh the answer to "was it taken back?" must be.
    pub revocation: Revocation,
    /// How old knowledge of what was taken back may be.
    pub max_staleness: Option<Duration>,
    /// How old the issuer's keys may become while it is away; a day where
    /// nothing is said, between a minute and a week.
    pub stale_if_error: Option<Duration>,
}

/// The scopes of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needed {
    /// All of them.
    All(Vec<String>),
    /// One of them.
    Any(Vec<String>),
}

impl Needed {
    /// The names.
    pub fn names(&self) -> &[String] {
        let (Self::All(names) | Self::Any(names)) = self;
        names
    }
}

/// What becomes of an open stream when its token ends. A revocation closes it
/// in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExpiry {
    /// It is closed.
    #[default]
    Close,
    /// It runs on.
    LetRun,
}

/// Whether the upstream sees the caller's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PassToken {
    /// It does not.
    #[default]
    No,
    /// `Authorization` and `DPoP` go on as they came.
    Yes,
}
