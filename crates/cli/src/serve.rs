//! `symbolon serve`: the authorization server.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use symbolon_server::app::Edge;
use symbolon_server::clock::{SystemClock, SystemEntropy};
use symbolon_server::config::{Config, Finding};
use symbolon_server::launch::{Running, launch};
use symbolon_server::reload::Reloaded;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::handed::{Handed, OF_SERVER};

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  symbolon check --config symbolon.toml && symbolon serve --config symbolon.toml\n\nSIGHUP reads the file again: blocks, lifetimes, trusted proxies, clock skew and the certificate take effect at once, and the log names what waits for the next start. SIGTERM ends without failing a request. Listening sockets are taken from a supervisor that hands them over (LISTEN_FDS, named main, admin and mtls), so that a restart fails none either.\nSYMBOLON_LOG=debug says more; SYMBOLON_LOG_FORM is json or text."
)]
pub(crate) struct ServeArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// The real clock and randomness.
pub(crate) fn edge() -> Edge {
    Edge {
        clock: Arc::new(SystemClock::start()),
        entropy: Arc::new(SystemEntropy),
    }
}

/// Reads a configuration; what is wrong is printed, what is unwise logged.
pub(crate) fn load(path: &Path) -> anyhow::Result<Config> {
    read(path, |finding| eprintln!("{finding}"))
}

fn read(path: &Path, tell: fn(&Finding)) -> anyhow::Result<Config> {
    told(Config::load(path, std::env::vars()), tell)
}

/// What was read; what is wrong is told, what is unwise logged.
pub(crate) fn told<T>(
    loaded: Result<(T, Vec<Finding>), Vec<Finding>>,
    tell: fn(&Finding),
) -> anyhow::Result<T> {
    match loaded {
        Ok((config, advice)) => {
            for finding in advice {
                tracing::warn!(code = finding.code, "{}", finding.message);
            }
            Ok(config)
        }
        Err(findings) => {
            findings.iter().for_each(tell);
            Err(Misconfigured::of(&findings).into())
        }
    }
}

/// A configuration that nothing starts with.
#[derive(Debug)]
pub(crate) struct Misconfigured(usize);

impl Misconfigured {
    /// Counts what is wrong.
    pub(crate) fn of(findings: &[Finding]) -> Self {
        let wrong = findings.iter().filter(|finding| finding.is_error());
        Self(wrong.count())
    }
}

impl fmt::Display for Misconfigured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {}", counted(self.0, "mistake"))
    }
}

impl std::error::Error for Misconfigured {}

/// A number with its noun: one mistake, two mistakes.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

pub(crate) async fn run(arguments: ServeArguments) -> anyhow::Result<ExitCode> {
    let handed = Handed::take(OF_SERVER)?;
    let mut signals = Signals::new()?;
    let config = load(&arguments.config)?;
    let listeners = handed.listeners(&config).await?;
    let running = launch(&config, listeners, edge()).await?;
    tracing::info!(issuer = %config.issuer, listen = %config.listen, admin = %config.admin.listen, "ready");
    loop {
        match signals.next().await {
            Asked::End => break,
            Asked::Reload => reload(&running, &arguments.config).await,
        }
    }
    tracing::info!("ending");
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// A configuration with a mistake changes nothing. What takes effect only at a
/// start is named, so that nobody believes that it already has.
async fn reload(running: &Running, path: &Path) {
    let config = match read(path, log_finding) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!(cause = %format!("{error:#}"), "configuration not applied; the old one stays");
            return;
        }
    };
    match running.reload(&config).await {
        Ok(Reloaded { applied, waiting }) => {
            for key in waiting {
                tracing::warn!(
                    key,
                    "this key has changed and takes effect at the next start"
                );
            }
            tracing::info!(
                created = applied.created,
                updated = applied.updated,
                "configuration applied"
            );
        }
        Err(error) => tracing::error!("{error}"),
    }
}

/// Tells a finding in the log, in its form: standard error is a collector's
/// once a program runs.
pub(crate) fn log_finding(finding: &Finding) {
    let at = finding.location.as_ref().map(ToString::to_string);
    let (code, at) = (finding.code, at.unwrap_or_default());
    if finding.is_error() {
        tracing::error!(code, at, "{}", finding.message);
    } else {
        tracing::warn!(code, at, "{}", finding.message);
    }
}

/// What the outside asks of a running server.
pub(crate) enum Asked {
    End,
    Reload,
}

/// The signals that mean something.
pub(crate) struct Signals {
    end: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("could not listen for signals");
        Ok(Self {
            end: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            reload: on(SignalKind::hangup())?,
        })
    }

    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.end.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.reload.recv() => Asked::Reload,
        }
    }
}
