//! An issuer, a gateway and an upstream, and the settings that bind them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use symbolon_gateway::policy::Watched;
use symbolon_gateway::{
    Balance, Credentials, Demand, Edge, ForwardedHeader, Launch, Needed, OnExpiry, PassToken,
    Quotas, Route, RouteQuota, Running, Settings, Spoken, TokenDemand, Upstream as To,
};
use symbolon_server::clock::{SystemClock, SystemEntropy};
use symbolon_token::Secret;
use symbolon_verify::{Algorithm, Revocation};
use tokio::net::TcpSocket;

use crate::issuer::{API, Issuer, OPAQUE, SECRET, SHORT, http};
use crate::upstream::Upstream;

/// An address at which nobody is, and nobody comes to be.
pub(crate) struct Nobody {
    pub(crate) address: SocketAddr,
    /// Bound, and never listened on.
    _held: TcpSocket,
}

impl Nobody {
    pub(crate) fn new() -> Self {
        let held = TcpSocket::new_v4().unwrap();
        held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self {
            address: held.local_addr().unwrap(),
            _held: held,
        }
    }
}

pub(crate) struct Site {
    pub(crate) client: reqwest::Client,
    pub(crate) issuer: Issuer,
    pub(crate) upstream: Upstream,
    pub(crate) gateway: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) running: Running,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// The same with something of the settings changed.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
        let mut settings = settings(&issuer.url, upstream.address);
        change(&mut settings);
        let loopback = "127.0.0.1:0".parse().unwrap();
        let launch = Launch::bind(loopback, Some(loopback)).await.unwrap();
        let gateway = launch.public.local_addr().unwrap();
        let admin = launch.admin.as_ref().unwrap().local_addr().unwrap();
        let running = launch.start(settings, edge()).unwrap();
        running.gateway.warm().await;
        Self {
            client: http(),
            issuer,
            upstream,
            gateway,
            admin,
            running,
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        settings(&self.issuer.url, self.upstream.address)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway)
    }

    /// A GET with a token.
    pub(crate) async fn get(&self, path: &str, token: &str) -> reqwest::Response {
        let request = self.client.get(self.url(path)).bearer_auth(token);
        request.send().await.unwrap()
    }
}

/// What the upstream got, as it says itself.
pub(crate) struct Got(pub(crate) Value);

impl Got {
    pub(crate) async fn of(answer: reqwest::Response) -> Self {
        assert_eq!(answer.status(), 200);
        Self(answer.json().await.unwrap())
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap()
    }

    /// Every value of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let pairs = self.0["headers"].as_array().unwrap().iter();
        let own = pairs.filter(|pair| pair[0] == name);
        own.map(|pair| pair[1].as_str().unwrap()).collect()
    }
}

pub(crate) fn edge() -> Edge {
    Edge {
        clock: Arc::new(SystemClock::start()),
        entropy: Arc::new(SystemEntropy),
    }
}

pub(crate) fn settings(issuer: &str, upstream: SocketAddr) -> Settings {
    let of = |audience: &str, scope: &str| needs(issuer, audience, scope);
    let mut orders = route("/orders/{id}", of(API, "read"));
    orders.methods = vec![http::Method::GET, http::Method::HEAD];
    let mut writing = route("/orders/{id}", of(API, "write"));
    writing.methods = vec![http::Method::POST, http::Method::DELETE];
    let mut runs_on = route("/short/runs-on/{*rest}", of(SHORT, "read"));
    runs_on.on_expiry = OnExpiry::LetRun;
    let mut admin = route("/orders/admin", of(API, "admin"));
    admin.methods = vec![http::Method::GET];
    let mut told = route("/told/{*rest}", of(API, "read"));
    told.claims = vec![
        ("x-caller".parse().unwrap(), "client_id".into()),
        ("x-rights".parse().unwrap(), "scope".into()),
        ("x-token".parse().unwrap(), "jti".into()),
    ];
    told.pass_token = PassToken::Yes;
    Settings {
        external_url: None,
        browser: None,
        credentials: Some(Credentials {
            issuer: issuer.to_owned(),
            id: "guard".into(),
            secret: Secret::from(SECRET),
        }),
        clock_skew: Duration::from_secs(10),
        trusted_proxies: Vec::new(),
        forwarded_header: ForwardedHeader::Either,
        assertion_key: None,
        assertion_key_other: None,
        takes_certificates: false,
        forward_auth: None,
        authorities: Vec::new(),
        upstreams: vec![to("echo", upstream)],
        routes: vec![
            orders,
            writing,
            admin,
            told,
            runs_on,
            route("/events", of(API, "read")),
            route("/flood", of(API, "read")),
            route("/ws", of(API, "read")),
            route("/moved", of(API, "read")),
            route("/opaque/{*rest}", of(OPAQUE, "read")),
            route("/short/{*rest}", of(SHORT, "read")),
            route("/public/{*rest}", Demand::Public),
        ],
        quotas: Quotas::default(),
        policy: None,
        risk: None,
    }
}

pub(crate) fn needs(issuer: &str, audience: &str, scope: &str) -> Demand {
    Demand::Token(TokenDemand {
        issuer: issuer.to_owned(),
        audience: audience.to_owned(),
        algorithms: vec![Algorithm::Es256],
        needed: Needed::All(vec![scope.to_owned()]),
        revocation: Revocation::Now,
        max_staleness: None,
        stale_if_error: None,
    })
}

pub(crate) fn route(path: &str, demand: Demand) -> Route {
    Route {
        name: path.to_owned(),
        path: path.parse().unwrap(),
        methods: Vec::new(),
        upstream: "echo".to_owned(),
        demand,
        max_body_bytes: 1024 * 1024,
        on_expiry: OnExpiry::Close,
        pass_token: PassToken::No,
        claims: Vec::new(),
        browser: None,
        mcp: None,
        graphql: None,
        quota: RouteQuota::default(),
        policy: Watched::AsUsual,
    }
}

pub(crate) fn to(name: &str, address: SocketAddr) -> To {
    To {
        name: name.to_owned(),
        urls: vec![format!("http://{address}").parse().unwrap()],
        balance: Balance::RoundRobin,
        check: None,
        ejection: None,
        spoken: Spoken::Http1,
        connect_timeout: Duration::from_secs(20),
        response_timeout: Duration::from_secs(20),
        idle_timeout: Duration::from_secs(30),
    }
}
