//! What a gateway is told: where to, by which routes, and for whom.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, Method};
use ipnet::IpNet;
use symbolon_token::Secret;
use symbolon_token::macaroon::PathPattern;
use symbolon_verify::{Algorithm, Revocation};
use url::Url;

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
    /// PEM files that are trusted for upstreams besides the usual authorities.
    pub authorities: Vec<PathBuf>,
    /// Where requests go.
    pub upstreams: Vec<Upstream>,
    /// Which requests.
    pub routes: Vec<Route>,
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

/// A service behind the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// What routes call it, and the `aud` of assertions for it.
    pub name: String,
    /// Scheme, host and port.
    pub url: Url,
    /// What is spoken with it.
    pub spoken: Spoken,
    /// How long a connection may take to stand.
    pub connect_timeout: Duration,
    /// How long the head of an answer may take once the request is sent.
    pub response_timeout: Duration,
    /// How long a body, either way, or a tunnel may be silent.
    pub idle_timeout: Duration,
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
