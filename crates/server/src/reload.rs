//! A configuration taken in while the server runs: all of it that can be, or
//! nothing.
//!
//! 1. The certificate is read, and the blocks are held against the store.
//! 2. Only then the blocks are applied, in one transaction.
//! 3. Lifetimes, trusted proxies, clock skew, certificate and administration
//!    token are swapped, which cannot fail.
//! 4. What takes effect only at a start is named.

use std::sync::Arc;

use symbolon_token::Digest;

use crate::admin::Bearer;
use crate::app::App;
use crate::applicable;
use crate::apply::{self, Applied};
use crate::certificate::Certificate;
use crate::config::{Config, MasterSource, StoreUrl};
use crate::launch::{LaunchError, admin_token};

/// What was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// What the blocks changed.
    pub applied: Applied,
    /// Keys that differ from those of the start and wait for the next one.
    pub waiting: Vec<&'static str>,
}

/// Why a configuration was not taken in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// Nothing was changed.
    #[error("configuration not applied; the old one stays: {0}")]
    Untouched(LaunchError),
}

/// What a running server must know to be given another configuration.
#[derive(Debug)]
pub(crate) struct Reloading {
    /// The certificate in use, where the server ends TLS itself.
    pub(crate) certificate: Option<Arc<Certificate>>,
    /// Who may administrate.
    pub(crate) bearer: Arc<Bearer>,
    /// What was fixed at the start.
    fixed: Vec<(&'static str, Digest)>,
}

impl Reloading {
    pub(crate) fn new(
        config: &Config,
        certificate: Option<Arc<Certificate>>,
        bearer: Arc<Bearer>,
    ) -> Self {
        Self {
            certificate,
            bearer,
            fixed: fixed(config),
        }
    }

    /// Takes a configuration in.
    pub(crate) async fn reload(
        &self,
        app: &Arc<App>,
        config: &Config,
    ) -> Result<Reloaded, ReloadError> {
        let untouched = |error: LaunchError| ReloadError::Untouched(error);
        let renewed = match (&config.tls, &self.certificate) {
            (Some(tls), Some(_)) => {
                let read = Certificate::read(&tls.certificate, &tls.key);
                Some(read.map_err(|error| untouched(error.into()))?)
            }
            _ => None,
        };
        let token = admin_token(config, app.entropy()).map_err(untouched)?;
        let checked = applicable::check(app, config).await;
        checked.map_err(|error| untouched(error.into()))?;
        let noted = app.note_lifetimes(&config.lifetimes).await;
        noted.map_err(|fault| untouched(fault.into()))?;
        let applied = apply::apply(app, config).await;
        let applied = applied.map_err(|error| untouched(error.into()))?;
        // From here on it is applied. What cannot be read back now, the node
        // reads with the next turn of following, as other nodes do.
        if let Err(error) = app.catch_up().await {
            tracing::warn!(cause = %error, "the configuration is applied and not read back yet");
        }
        app.settle(config);
        app.note_token_life().await;
        if let (Some(renewed), Some(certificate)) = (renewed, &self.certificate) {
            certificate.become_like(&renewed);
        }
        if self.bearer.become_only(&token) {
            tracing::info!("the administration token is another one; the old one opens nothing");
        }
        Ok(Reloaded {
            applied,
            waiting: self.waiting(config),
        })
    }

    /// The keys that differ from those of the start.
    fn waiting(&self, config: &Config) -> Vec<&'static str> {
        let now = fixed(config);
        let differs = self
            .fixed
            .iter()
            .zip(&now)
            .filter(|((_, old), (_, new))| !old.matches(new));
        differs.map(|((name, _), _)| *name).collect()
    }
}

/// What takes effect at a start alone: each key with a digest of its value, so
/// that no secret is kept to be compared with.
///
/// Everything of a configuration is named here, so that whoever adds to it has
/// to decide.
fn fixed(config: &Config) -> Vec<(&'static str, Digest)> {
    let Config {
        issuer,
        listen,
        mtls_listen,
        mtls_url,
        client_ca,
        trust_extra_ca,
        outbound_allow,
        tls,
        store,
        admin,
        // Swapped.
        bind_native_clients: _,
        sensitive_claims: _,
        signal_sources: _,
        trusted_proxies: _,
        forwarded_header: _,
        clock_skew: _,
        lifetimes: _,
        audit: _,
        keys,
        // Blocks.
        resources: _,
        clients: _,
        organizations: _,
        trusted_issuers: _,
        people: _,
        // A process of its own serves by it, or `dev`, which does not reload.
        registration: _,
        gateway: _,
    } = config;
    let text = |text: String| Digest::of(text.as_bytes());
    let url = match &store.url {
        StoreUrl::Sqlite(path) => text(path.display().to_string()),
        StoreUrl::Postgres(url) => Digest::of(url.expose()),
    };
    vec![
        ("issuer", text(issuer.to_string())),
        ("listen", text(listen.to_string())),
        ("mtls_listen", text(format!("{mtls_listen:?}"))),
        ("mtls_url", text(format!("{mtls_url:?}"))),
        ("tls.client_ca", text(format!("{client_ca:?}"))),
        ("trust_extra_ca", text(format!("{trust_extra_ca:?}"))),
        ("outbound_allow", text(format!("{outbound_allow:?}"))),
        // Another file is read like the same one; to begin or end TLS is not.
        ("tls", text(tls.is_some().to_string())),
        ("store.url", url),
        ("store.statements", text(format!("{:?}", store.statements))),
        ("store.master_key", master(Some(&store.master_key))),
        (
            "store.previous_master_key",
            master(store.previous_master_key.as_ref()),
        ),
        ("keys", text(format!("{keys:?}"))),
        ("admin.listen", text(admin.listen.to_string())),
        ("admin.hosts", text(admin.hosts.join(" "))),
    ]
}

fn master(source: Option<&MasterSource>) -> Digest {
    let of = |text: String| Digest::of(text.as_bytes());
    match source {
        None => of(String::new()),
        Some(MasterSource::File(path)) => of(format!("file {}", path.display())),
        Some(MasterSource::Given(secret)) => Digest::of(secret.expose()),
        Some(MasterSource::Pkcs11(uri)) => of(format!("{uri:?}")),
    }
}
