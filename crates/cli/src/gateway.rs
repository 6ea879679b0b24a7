//! `symbolon gateway`: the guard in front of services.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use symbolon_gateway as guard;
use symbolon_gateway::{Asks, Certificate, Launch, Running};
use symbolon_server::admin::install_metrics;
use symbolon_server::config::{
    Finding, ForwardedHeader, GatewayConfig, GatewayRoute, GatewayUpstream, RouteNeeds,
    ScopesNeeded,
};

use symbolon_verify::Revocation;

use crate::serve::{Asked, Signals, edge, told};

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
    let mut signals = Signals::new()?;
    let config = load(&arguments.config, |finding| eprintln!("{finding}"))?;
    let started = Started::of(&config);
    let mut launch = Launch::bind(config.listen, config.admin_listen).await?;
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
    tracing::info!(listen = %config.listen, admin = ?config.admin_listen, routes = config.routes.len(), "ready");
    let running = launch.start(settings(config), guard_edge())?;
    loop {
        match signals.next().await {
            Asked::End => break,
            Asked::Reload => {
                reload(
                    &running,
                    &started,
                    certificate.as_deref(),
                    &arguments.config,
                )
                .await;
            }
        }
    }
    tracing::info!("ending");
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn load(path: &Path, tell: fn(&Finding)) -> anyhow::Result<GatewayConfig> {
    told(GatewayConfig::load(path, std::env::vars()), tell)
}

fn certificate(config: &GatewayConfig) -> anyhow::Result<Option<Arc<Certificate>>> {
    match &config.tls {
        None => Ok(None),
        Some(tls) => Ok(Some(Certificate::read(&tls.certificate, &tls.key)?)),
    }
}

/// What takes effect at a start alone.
#[derive(PartialEq, Eq)]
struct Started {
    listen: std::net::SocketAddr,
    admin_listen: Option<std::net::SocketAddr>,
    is_tls: bool,
    client_certificates: bool,
}

impl Started {
    fn of(config: &GatewayConfig) -> Self {
        Self {
            listen: config.listen,
            admin_listen: config.admin_listen,
            is_tls: config.tls.is_some(),
            client_certificates: config.client_certificates,
        }
    }
}

/// A configuration with a mistake changes nothing.
async fn reload(
    running: &Running,
    started: &Started,
    certificate: Option<&Certificate>,
    path: &Path,
) {
    let config = match load(path, crate::serve::log_finding) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!(cause = %format!("{error:#}"), "configuration not applied; the old one stays");
            return;
        }
    };
    if Started::of(&config) != *started {
        tracing::warn!("addresses, and whether there is TLS, take effect at the next start");
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
    match running.gateway.reload(settings(config)).await {
        Ok(()) => {
            if let (Some(own), Some(renewed)) = (certificate, renewed) {
                own.become_like(&renewed);
            }
            tracing::info!(routes, "configuration applied");
        }
        Err(error) => {
            tracing::error!(code = error.code(), cause = %error, "configuration not applied; the old one stays");
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

/// What the file says, in the words of the gateway.
pub(crate) fn settings(config: GatewayConfig) -> guard::Settings {
    guard::Settings {
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
        authorities: config.trust_extra_ca,
        upstreams: config.upstreams.into_iter().map(upstream).collect(),
        routes: config.routes.into_iter().map(route).collect(),
    }
}

fn upstream(own: GatewayUpstream) -> guard::Upstream {
    guard::Upstream {
        name: own.name,
        url: own.url,
        spoken: match own.http2 {
            true => guard::Spoken::Http2,
            false => guard::Spoken::Http1,
        },
        connect_timeout: own.connect_timeout.duration(),
        response_timeout: own.response_timeout.duration(),
        idle_timeout: own.idle_timeout.duration(),
    }
}

fn route(own: GatewayRoute) -> guard::Route {
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
        }),
    }
}
