//! A service behind the gateway: connections that are kept, limits on waiting,
//! and no request sent twice.
//!
//! Spec: RFC 9110 §9.2.2, §15.6.3, §15.6.5
//!
//! A request is sent again only where the connection that was kept for it had
//! been closed before a byte of it was written; then the upstream has seen
//! nothing of it. Answers with 1xx besides 101 are not passed on.

mod connect;

use std::error::Error;
use std::io;
use std::sync::PoisonError;
use std::time::Duration;

use http::uri::{PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::sync::oneshot;

use self::connect::Connector;
use crate::body::{Fault, Sending, Verdict};
use crate::problem::{
    BODY_BROKEN, BODY_LARGE, BODY_SLOW, BROKEN, ENDED, Problem, SLOW, UNREACHABLE,
};
use crate::settings::{self, Spoken};
use crate::vigil::Ended;

/// How long a connection is kept for the next request.
const KEEP: Duration = Duration::from_secs(30);
/// How many are kept.
const MAX_KEPT: usize = 256;
/// How many header lines an answer may have.
const MAX_HEADERS: usize = 128;
/// How large its head may be, in bytes.
const MAX_HEAD_BYTES: usize = 128 * 1024;

/// A service behind the gateway.
pub(crate) struct Upstream {
    pub(crate) settings: settings::Upstream,
    scheme: Scheme,
    authority: http::uri::Authority,
    client: Client<Connector, Sending>,
}

/// Why there is no answer to pass on.
pub(crate) enum Failed {
    /// It is said so.
    Problem(Problem),
    /// The token ended while the request was on its way.
    Ended(Ended),
}

/// Why an upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoUpstream {
    /// The address.
    #[error("`{0}` is no address of a service")]
    Address(String),
    /// The authorities.
    #[error("could not read `{path}`: {cause}")]
    Authorities { path: String, cause: String },
    /// TLS.
    #[error("could not set up TLS: {0}")]
    Tls(String),
}

impl Upstream {
    pub(crate) fn new(
        settings: settings::Upstream,
        roots: &RootCertStore,
    ) -> Result<Self, NoUpstream> {
        let bad = || NoUpstream::Address(settings.url.to_string());
        let (Some(host), Some(port)) = (
            settings.url.host_str(),
            settings.url.port_or_known_default(),
        ) else {
            return Err(bad());
        };
        let authority = match settings.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let authority = authority.parse().map_err(|_| bad())?;
        let is_tls = settings.url.scheme() == "https";
        let connector = Connector::new(&settings, (host, port), is_tls.then_some(roots))?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEEP)
            .pool_max_idle_per_host(MAX_KEPT)
            .http1_max_headers(MAX_HEADERS)
            .http1_max_buf_size(MAX_HEAD_BYTES)
            .http2_only(settings.spoken == Spoken::Http2)
            .timer(TokioTimer::new())
            .build(connector);
        let scheme = if is_tls { Scheme::HTTPS } else { Scheme::HTTP };
        Ok(Self {
            settings,
            scheme,
            authority,
            client,
        })
    }

    /// The whole address of a target here.
    pub(crate) fn address(&self, target: &PathAndQuery) -> Option<Uri> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(target.clone())
            .build()
            .ok()
    }

    /// Sends a request and waits for the head of its answer: as long as its
    /// body moves, and then for so long as the upstream may take.
    pub(crate) async fn send(
        &self,
        request: Request<Sending>,
        verdict: Verdict,
        has_sent: oneshot::Receiver<()>,
    ) -> Result<Response<Incoming>, Failed> {
        let late = async {
            // Either way the body is done with.
            let _ = has_sent.await;
            tokio::time::sleep(self.settings.response_timeout).await;
        };
        let outcome = tokio::select! {
            outcome = self.client.request(request) => outcome,
            () = late => return Err(Failed::Problem(SLOW)),
        };
        outcome.map_err(|error| {
            let fault = verdict
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            match fault {
                Some(Fault::Large) => Failed::Problem(BODY_LARGE),
                Some(Fault::Broken) => Failed::Problem(BODY_BROKEN),
                Some(Fault::Ended(Ended::Idle)) => Failed::Problem(BODY_SLOW),
                Some(Fault::Ended(ended)) => Failed::Ended(ended),
                None if error.is_connect() && is_timeout(&error) => Failed::Problem(SLOW),
                None if error.is_connect() => Failed::Problem(UNREACHABLE),
                None => Failed::Problem(BROKEN),
            }
        })
    }
}

impl Ended {
    /// What the caller is told where no verifier speaks.
    pub(crate) const fn problem(&self) -> Problem {
        match self {
            Self::Idle => BODY_SLOW,
            Self::Refused(_) | Self::Withdrawn => ENDED,
        }
    }
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let own = error.downcast_ref::<io::Error>();
        if own.is_some_and(|own| own.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The authorities that are trusted for upstreams: the usual ones and the
/// operator's own.
pub(crate) fn authorities(files: &[std::path::PathBuf]) -> Result<RootCertStore, NoUpstream> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for path in files {
        let failed = |cause: String| NoUpstream::Authorities {
            path: path.display().to_string(),
            cause,
        };
        let all = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
        for one in all {
            let one = one.map_err(|error| failed(error.to_string()))?;
            roots.add(one).map_err(|error| failed(error.to_string()))?;
        }
    }
    Ok(roots)
}
