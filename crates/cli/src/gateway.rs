//! `symbolon gateway`: the guard in front of services.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use symbolon_gateway as guard;
use symbolon_gateway::{Asks, Certificate, Running};
use symbolon_server::admin::install_metrics;
use symbolon_server::config::{
    AskedIn, Balance, BrowserUse, Finding, ForwardedHeader, GatewayConfig, GatewayForwardAuth,
    GatewayRoute, GatewayUpstream, McpArgument, McpConfig, McpRule, RouteNeeds, ScopesNeeded,
    StoreUrl,
};
use symbolon_server::launch::{Store, open_migrated};
use symbolon_token::Digest;
use symbolon_verify::Revocation;

use crate::graphql::Graphs;
use crate::handed::{Handed, OF_GATEWAY};
use crate::serve::{Asked, Signals, edge, told};
use crate::watched;

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  symbolon check --config gateway.toml && symbolon gateway --config gateway.toml\n\nThe file is the server's or one of its own. SIGHUP reads it again: routes, upstreams and the certificate take effect at once, and a file with a mistake changes nothing. SIGTERM ends without failing a request.\nSYMBOLON_LOG=debug says more; SYMBOLON_LOG_FORM is json or text."
)]
pub(crate) struct GatewayArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(crate) async fn run(arguments: GatewayArguments) -> anyhow::Result<ExitCode> {
    let handed = Handed::take(OF_GATEWAY)?;
    let mut signals = Signals::new()?;
    let tell: Tell = |finding| eprintln!("{finding}");
    let config = load(&arguments.config, tell)?;
    let graphs = graphs(&config, tell)?;
    let started = Started::of(&config);
    let mut launch = handed.launch(&config).await?;
    launch.certificate = certificate(&config)?;
    if config.client_certificates {
        launch.asks = Asks::ForCertificate;
    }
    let certificate = launch.certificate.clone();
    launch.numbers = Some(Arc::new(|| {
        let handle = install_metrics();
        handle.run_upkeep();
        handle.render()
    }));
    // Before anything is counted.
    install_metrics();
    let sessions = sessions(&config).await?;
    let (listen, routes) = (config.listen, config.routes.len());
    let admin = config
        .admin_listen
        .map_or_else(|| "none".to_owned(), |own| own.to_string());
    let settings = settings(config, (graphs, sessions.as_ref()), tell)?;
    let running = launch.start(settings, guard_edge())?;
    tracing::info!(%listen, %admin, routes, "ready");
    loop {
        match signals.next().await {
            Asked::End => break,
            Asked::Reload => {
                let own = Reloading {
                    running: &running,
                    started: &started,
                    certificate: certificate.as_deref(),
                    sessions: sessions.as_ref(),
                };
                own.reload(&arguments.config).await;
            }
        }
    }
    tracing::info!("ending");
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

type Tell = fn(&Finding);

fn load(path: &Path, tell: Tell) -> anyhow::Result<GatewayConfig> {
    told(GatewayConfig::load(path, std::env::vars()), tell)
}

fn certificate(config: &GatewayConfig) -> anyhow::Result<Option<Arc<Certificate>>> {
    match &config.tls {
        None => Ok(None),
        Some(tls) => Ok(Some(Certificate::read(&tls.certificate, &tls.key)?)),
    }
}

/// What takes effect at a start alone: each key with a digest of its value.
struct Started([(&'static str, Digest); 8]);

impl Started {
    fn of(config: &GatewayConfig) -> Self {
        let browser = config.browser.as_ref();
        let redis = config.quotas.redis.as_ref().map(|own| &own.addresses);
        let asked_at = config.forward_auth.as_ref().and_then(|own| own.listen);
        let text = |text: String| Digest::of(text.as_bytes());
        Self([
            ("gateway.listen", text(config.listen.to_string())),
            (
                "gateway.admin_listen",
                text(format!("{:?}", config.admin_listen)),
            ),
            ("gateway.forward_auth.listen", text(format!("{asked_at:?}"))),
            ("tls", text(config.tls.is_some().to_string())),
            (
                "gateway.client_certificates",
                text(config.client_certificates.to_string()),
            ),
            ("gateway.redis_url", text(format!("{redis:?}"))),
            ("gateway.browser", text(browser.is_some().to_string())),
            (
                "store",
                browser.map_or(text(String::new()), |own| match &own.store.url {
                    StoreUrl::Sqlite(path) => text(path.display().to_string()),
                    StoreUrl::Postgres(url) => Digest::of(url.expose()),
                }),
            ),
        ])
    }

    /// The keys that another configuration says something else of.
    fn differing(&self, other: &Self) -> impl Iterator<Item = &'static str> {
        let both = self.0.iter().zip(&other.0);
        both.filter(|((_, old), (_, new))| !old.matches(new))
            .map(|((name, _), _)| *name)
    }
}

/// The graphs behind the routes.
pub(crate) fn graphs(config: &GatewayConfig, tell: Tell) -> anyhow::Result<Graphs> {
    let read = crate::graphql::graphs(&config.routes);
    told(read.map(|graphs| (graphs, Vec::new())), tell)
}

/// Opens the store of browsers' sessions, where people sign in here.
async fn sessions(config: &GatewayConfig) -> anyhow::Result<Option<Store>> {
    let Some(browser) = &config.browser else {
        return Ok(None);
    };
    match open_migrated(&browser.store, &*edge().entropy).await {
        Ok(store) => Ok(Some(store)),
        Err(fault) if fault.is_held() => Err(Held(fault.to_string()).into()),
        Err(fault) => Err(fault).context("could not open the store of `[gateway.browser]`"),
    }
}

/// Another process, the issuer perhaps, has the database of sessions.
#[derive(Debug, thiserror::Error)]
#[error(
    "could not open the store of `[gateway.browser]`: {0}; give the gateway a database of its own, \
     `[store]` with `url = \"sqlite://data/gateway.db\"` in its file, or PostgreSQL for both"
)]
pub(crate) struct Held(String);

/// What a reload finds there.
struct Reloading<'a> {
    running: &'a Running,
    started: &'a Started,
    certificate: Option<&'a Certificate>,
    sessions: Option<&'a Store>,
}

impl Reloading<'_> {
    /// A configuration with a mistake changes nothing.
    async fn reload(&self, path: &Path) {
        let tell: Tell = crate::serve::log_finding;
        let loaded = load(path, tell).and_then(|config| {
            let graphs = graphs(&config, tell)?;
            Ok((config, graphs))
        });
        let (config, graphs) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::error!(cause = %format!("{error:#}"), "configuration not applied; the old one stays");
                return;
            }
        };
        for key in self.started.differing(&Started::of(&config)) {
            tracing::warn!(
                key,
                "this key has changed and takes effect at the next start"
            );
        }
        let routes = config.routes.len();
        let renewed = config.tls.as_ref();
        let renewed = renewed.map(|tls| Certificate::read(&tls.certificate, &tls.key));
        let renewed = match renewed.transpose() {
            Ok(renewed) => renewed,
            Err(error) => {
                tracing::error!(cause = %error, "configuration not applied; the old one stays");
                return;
            }
        };
        let settings = match settings(config, (graphs, self.sessions), tell) {
            Ok(settings) => settings,
            Err(error) => {
                tracing::error!(cause = %format!("{error:#}"), "configuration not applied; the old one stays");
                return;
            }
        };
        match self.running.gateway.reload(settings).await {
            Ok(()) => {
                if let (Some(own), Some(renewed)) = (self.certificate, renewed) {
                    own.become_like(&renewed);
                }
                tracing::info!(routes, "configuration applied");
            }
            Err(error) => {
                tracing::error!(code = error.code(), cause = %error, "configuration not applied; the old one stays");
            }
        }
    }
}

/// The real clock and randomness.
pub(crate) fn guard_edge() -> guard::Edge {
    let edge = edge();
    guard::Edge {
        clock: edge.clock,
        entropy: edge.entropy,
    }
}

/// What the file says, in the words of the gateway, with the files that it names.
pub(crate) fn settings(
    mut config: GatewayConfig,
    (graphs, sessions): (Graphs, Option<&Store>),
    tell: Tell,
) -> anyhow::Result<guard::Settings> {
    let watched = told(watched::take(&mut config), tell)?;
    let issuer = issuer_of_plans(&config);
    let routes = config.routes.into_iter().zip(graphs);
    let browser = config.browser.zip(sessions.cloned());
    let authorities = config.trust_extra_ca.clone();
    Ok(guard::Settings {
        browser: browser.map(|(own, sessions)| guard::Browser {
            issuer: own.issuer,
            client_id: own.client_id,
            client_secret: own.client_secret,
            external_url: own.external_url,
            path: own.path,
            scopes: own.scopes,
            resources: own.resources,
            session_idle: own.session_idle.duration(),
            session_absolute: own.session_absolute.duration(),
            after_sign_out: own.after_sign_out,
            authorities,
            sessions,
        }),
        external_url: config.external_url,
        credentials: config.introspection.map(|own| guard::Credentials {
            issuer: own.issuer,
            id: own.id,
            secret: own.secret,
        }),
        clock_skew: config.clock_skew.duration(),
        trusted_proxies: config.trusted_proxies,
        forwarded_header: match config.forwarded_header {
            ForwardedHeader::Either => guard::ForwardedHeader::Either,
            ForwardedHeader::Forwarded => guard::ForwardedHeader::Forwarded,
            ForwardedHeader::XForwardedFor => guard::ForwardedHeader::XForwardedFor,
        },
        assertion_key: config.assertion_key,
        assertion_key_other: config.assertion_key_other,
        takes_certificates: config.client_certificates,
        forward_auth: config.forward_auth.map(forward_auth),
        authorities: config.trust_extra_ca,
        upstreams: config.upstreams.into_iter().map(upstream).collect(),
        routes: routes.map(|(own, graph)| route(own, graph)).collect(),
        quotas: crate::quota::settings(config.quotas, issuer),
        policy: watched.policy,
        risk: watched.risk,
    })
}

/// The issuer whose clients have plans: the gateway's, else the only one there is.
fn issuer_of_plans(config: &GatewayConfig) -> Option<String> {
    if let Some(own) = &config.introspection {
        return Some(own.issuer.clone());
    }
    let mut all = config.routes.iter().filter_map(|route| match &route.needs {
        RouteNeeds::Token { issuer, .. } => Some(issuer),
        RouteNeeds::Public => None,
    });
    let first = all.next()?;
    all.all(|other| other == first).then(|| first.clone())
}

fn upstream(own: GatewayUpstream) -> guard::Upstream {
    guard::Upstream {
        name: own.name,
        urls: own.urls,
        balance: match own.balance {
            Balance::RoundRobin => guard::Balance::RoundRobin,
            Balance::LeastRequests => guard::Balance::LeastRequests,
        },
        check: own.check.map(|check| guard::Check {
            target: check.target,
            interval: check.interval.duration(),
            timeout: check.timeout.duration(),
            healthy: check.healthy,
            unhealthy: check.unhealthy,
        }),
        ejection: own.ejection.map(|(failures, rest)| guard::Ejection {
            failures,
            rest: rest.duration(),
        }),
        spoken: match own.http2 {
            true => guard::Spoken::Http2,
            false => guard::Spoken::Http1,
        },
        connect_timeout: own.connect_timeout.duration(),
        response_timeout: own.response_timeout.duration(),
        idle_timeout: own.idle_timeout.duration(),
    }
}

fn forward_auth(own: GatewayForwardAuth) -> guard::ForwardAuth {
    guard::ForwardAuth {
        dialect: match own.dialect {
            AskedIn::Nginx => guard::Dialect::Nginx,
            AskedIn::IngressNginx => guard::Dialect::IngressNginx,
            AskedIn::Caddy => guard::Dialect::Caddy,
            AskedIn::Traefik => guard::Dialect::Traefik,
            AskedIn::Envoy => guard::Dialect::Envoy,
            AskedIn::EnvoyGrpc => guard::Dialect::EnvoyGrpc,
        },
        path: own.path,
        asked_at: match own.listen {
            Some(_) => guard::AskedAt::Own,
            None => guard::AskedAt::Shared,
        },
        proxies: own.trusted_proxies,
    }
}

fn route(own: GatewayRoute, graphql: Option<Arc<guard::Graph>>) -> guard::Route {
    guard::Route {
        name: own.name,
        path: own.path,
        methods: own.methods,
        upstream: own.upstream,
        demand: demand(own.needs),
        max_body_bytes: own.max_body_bytes,
        on_expiry: match own.runs_on {
            true => guard::OnExpiry::LetRun,
            false => guard::OnExpiry::Close,
        },
        pass_token: match own.pass_token {
            true => guard::PassToken::Yes,
            false => guard::PassToken::No,
        },
        claims: own.claims,
        policy: watched::of_route(own.policy),
        quota: crate::quota::of_route(own.quota),
        graphql,
        browser: own.browser.map(|usage| match usage {
            BrowserUse::Api => guard::BrowserUse::Api,
            BrowserUse::Pages => guard::BrowserUse::Pages,
        }),
        mcp: own.mcp.map(mcp),
    }
}

fn mcp(own: McpConfig) -> guard::Mcp {
    let rules = |all: Vec<McpRule>| all.into_iter().map(mcp_rule).collect();
    guard::Mcp {
        origins: own.origins,
        unlisted: match own.allows_unlisted {
            true => guard::Unlisted::Allow,
            false => guard::Unlisted::Refuse,
        },
        tools: rules(own.tools),
        prompts: rules(own.prompts),
        resources: rules(own.resources),
    }
}

fn mcp_rule(own: McpRule) -> guard::McpRule {
    let allowed = |own| match own {
        McpArgument::OneOf(values) => guard::Allowed::OneOf(values),
        McpArgument::Within { min, max } => guard::Allowed::Within { min, max },
    };
    guard::McpRule {
        name: own.name,
        scopes: own.scopes,
        arguments: own
            .arguments
            .into_iter()
            .map(|(name, own)| (name, allowed(own)))
            .collect(),
        cost: own.cost,
    }
}

fn demand(needs: RouteNeeds) -> guard::Demand {
    match needs {
        RouteNeeds::Public => guard::Demand::Public,
        RouteNeeds::Token {
            issuer,
            audience,
            algorithms,
            scopes,
            at_expiry,
            max_staleness,
            stale_if_error,
        } => guard::Demand::Token(guard::TokenDemand {
            issuer,
            audience,
            algorithms,
            needed: match scopes {
                ScopesNeeded::All(names) => guard::Needed::All(names),
                ScopesNeeded::Any(names) => guard::Needed::Any(names),
            },
            revocation: match at_expiry {
                true => Revocation::AtExpiry,
                false => Revocation::Now,
            },
            max_staleness: max_staleness.map(symbolon_protocol::Lifetime::duration),
            stale_if_error: stale_if_error.map(symbolon_protocol::Lifetime::duration),
        }),
    }
}
