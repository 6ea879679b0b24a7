//! A service behind the gateway: its servers, connections that are kept, limits
//! on waiting, and no request sent twice.
//!
//! Spec: RFC 9110 §9.2.2, §15.6.3, §15.6.4, §15.6.5
//!
//! A request is sent again only where no byte of it was written: the connection
//! that was kept for it had been closed before, or none could be made and another
//! server is there. Then nobody has seen anything of it. Which servers are asked,
//! `check` and `standing` say; none at all is answered at once. Answers with 1xx
//! besides 101 are not passed on.

mod check;
mod choice;
mod connect;
mod server;
mod standing;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::Error;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::time::Instant;

use self::choice::{Choice, MAX_SERVERS, Offered};
pub(crate) use self::server::AtWork;
use self::server::Server;
use crate::body::{Fault, Leaving, Lent, Sending, Verdict};
use crate::browser::NO_SESSION;
use crate::problem::{
    BODY_BROKEN, BODY_LARGE, BODY_SLOW, BROKEN, DOWN, ENDED, NO_ROUTE, POLICY_DENIED, Problem,
    SLOW, UNREACHABLE,
};
use crate::settings;
use crate::vigil::Ended;

/// A service behind the gateway.
pub(crate) struct Upstream {
    pub(crate) settings: settings::Upstream,
    servers: Vec<Arc<Server>>,
    choice: Choice,
    is_checked: AtomicBool,
}

/// What a server answered, and that it is at it until this is dropped.
pub(crate) struct Answered {
    pub(crate) response: Response<Incoming>,
    pub(crate) at_work: AtWork,
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
        if settings.urls.len() > MAX_SERVERS {
            return Err(NoUpstream::Address("more than 64 addresses".into()));
        }
        let servers = settings.urls.iter();
        let servers = servers.map(|url| Server::new(url, &settings, roots).map(Arc::new));
        Ok(Self {
            servers: servers.collect::<Result<_, _>>()?,
            choice: Choice::new(settings.balance),
            is_checked: AtomicBool::new(false),
            settings,
        })
    }

    /// Begins to ask its servers how they are, once.
    pub(crate) fn begin_checks(self: &Arc<Self>) {
        let is_new = !self.is_checked.swap(true, Ordering::Relaxed);
        if is_new && self.settings.check.is_some() {
            check::begin(self);
        }
    }

    /// How many of its servers are asked, and how many there are.
    pub(crate) fn standing(&self) -> (usize, usize) {
        let up = self.servers.iter().filter(|own| own.is_up());
        (up.count(), self.servers.len())
    }

    /// Sends a request and waits for the head of its answer: as long as its
    /// body moves, and then for so long as the upstream may take. Where no
    /// connection could be made, another server gets it: nothing of it was
    /// written to the first.
    pub(crate) async fn send(
        &self,
        request: Request<Sending>,
        verdict: Verdict,
        leaving: Leaving,
    ) -> Result<Answered, Failed> {
        let late = async {
            if leaving.gone().await.is_ok() {
                tokio::time::sleep(self.settings.response_timeout).await;
            }
        };
        let mut late = std::pin::pin!(late);
        let (head, body) = request.into_parts();
        let (mut head, body) = (Some(head), Lent::new(body));
        let (mut offered, mut last) = (Offered::default(), DOWN);
        if self.servers.is_empty() {
            last = NO_ROUTE;
        }
        loop {
            let found = self.choice.of(&self.servers, offered);
            let Some((at, server)) = found.and_then(|at| Some((at, self.servers.get(at)?))) else {
                return Err(Failed::Problem(last));
            };
            offered.add(at);
            let own = match self.servers.len() {
                1 => head.take(),
                _ => head.clone(),
            };
            let request = own.and_then(|own| server.request(own, body.again()));
            let request = request.ok_or(Failed::Problem(BROKEN))?;
            let (at_work, before) = (server.begin(), server.answered());
            let outcome = tokio::select! {
                outcome = server.ask(request) => outcome,
                () = late.as_mut() => {
                    server.was_silent(before);
                    self.failed(server, By::Server);
                    return Err(Failed::Problem(SLOW));
                }
            };
            match outcome.map_err(|error| why(&error, &verdict)) {
                Ok(response) => {
                    self.answered(server);
                    return Ok(Answered { response, at_work });
                }
                Err((Failed::Problem(problem), fault)) => {
                    self.failed(server, fault);
                    if fault != By::Nobody || !body.is_untouched() {
                        return Err(Failed::Problem(problem));
                    }
                    last = problem;
                }
                Err((ended, _)) => return Err(ended),
            }
        }
    }

    /// Notes that a server answered.
    fn answered(&self, server: &Server) {
        if self.settings.ejection.is_some() {
            server.tell(server.standing.answered(Instant::now()));
        }
    }

    /// Notes that a server did not. Whoever calls can have a hand in what a
    /// server makes of a request, so for that the last one is never left alone:
    /// a few requests of one caller would shut everybody out.
    fn failed(&self, server: &Arc<Server>, by: By) {
        let Some(ejection) = &self.settings.ejection else {
            return;
        };
        let is_last = || {
            let mut others = self.servers.iter().filter(|own| !Arc::ptr_eq(own, server));
            !others.any(|own| own.is_up())
        };
        if by == By::Caller || (by == By::Server && is_last()) {
            return;
        }
        server.tell(server.standing.failed(ejection, Instant::now()));
    }
}

/// Who broke a request off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// Whoever sent it.
    Caller,
    /// The server that got it, or some of it.
    Server,
    /// No server got anything of it.
    Nobody,
}

/// Why a request got no answer.
fn why(error: &Error, verdict: &Verdict) -> (Failed, By) {
    let fault = verdict
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let (problem, by) = match fault {
        Some(Fault::Large) => (BODY_LARGE, By::Caller),
        Some(Fault::Broken) => (BODY_BROKEN, By::Caller),
        Some(Fault::Ended(Ended::Idle)) => (BODY_SLOW, By::Caller),
        Some(Fault::Ended(ended)) => return (Failed::Ended(ended), By::Caller),
        None if error.is_connect() && is_timeout(error) => (SLOW, By::Nobody),
        None if error.is_connect() => (UNREACHABLE, By::Nobody),
        None => (BROKEN, By::Server),
    };
    (Failed::Problem(problem), by)
}

impl Ended {
    /// What the caller is told where no verifier speaks.
    pub(crate) const fn problem(&self) -> Problem {
        match self {
            Self::Idle => BODY_SLOW,
            Self::Refused(_) | Self::Withdrawn => ENDED,
            Self::SignedOut => NO_SESSION,
            Self::Denied => POLICY_DENIED,
        }
    }
}

fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
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
