//! One server of an upstream: its address, the connections that are kept to
//! it, how it stands, and how much it is at.
//!
//! Spec: RFC 9113 §9.1

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::uri::{PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use tokio::time::Instant;
use url::Url;

use super::NoUpstream;
use super::connect::Connector;
use super::standing::{Standing, Turned};
use crate::body::Lent;
use crate::settings::{Spoken, Upstream};

/// How long a connection is kept for the next request.
const KEEP: Duration = Duration::from_secs(30);
/// How many are kept.
const MAX_KEPT: usize = 256;
/// How many header lines an answer may have.
const MAX_HEADERS: usize = 128;
/// How large its head may be, in bytes.
const MAX_HEAD_BYTES: usize = 128 * 1024;

fn client(connector: Connector, spoken: Spoken) -> Client<Connector, Lent> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEEP)
        .pool_max_idle_per_host(MAX_KEPT)
        .http1_max_headers(MAX_HEADERS)
        .http1_max_buf_size(MAX_HEAD_BYTES)
        .http2_only(spoken == Spoken::Http2)
        .timer(TokioTimer::new())
        .build(connector)
}

/// One server.
pub(super) struct Server {
    /// The upstream that it belongs to.
    upstream: String,
    scheme: Scheme,
    authority: http::uri::Authority,
    connector: Connector,
    spoken: Spoken,
    /// With the connections that are kept.
    client: ArcSwap<Client<Connector, Lent>>,
    pub(super) standing: Standing,
    running: AtomicUsize,
    /// How many requests it has answered.
    answered: AtomicU64,
}

/// A request that a server is at, until it is dropped.
pub(crate) struct AtWork(Arc<Server>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Server {
    pub(super) fn new(
        url: &Url,
        settings: &Upstream,
        roots: &RootCertStore,
    ) -> Result<Self, NoUpstream> {
        let bad = || NoUpstream::Address(url.to_string());
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(bad());
        };
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let authority = authority.parse().map_err(|_| bad())?;
        let is_tls = url.scheme() == "https";
        let connector = Connector::new(settings, (host, port), is_tls.then_some(roots))?;
        let scheme = if is_tls { Scheme::HTTPS } else { Scheme::HTTP };
        let own = Self {
            upstream: settings.name.clone(),
            scheme,
            authority,
            client: ArcSwap::from_pointee(client(connector.clone(), settings.spoken)),
            connector,
            spoken: settings.spoken,
            standing: Standing::new(),
            running: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
        };
        own.show(true);
        Ok(own)
    }

    /// Sends a request to it.
    pub(super) async fn ask(&self, request: Request<Lent>) -> Result<Response<Incoming>, Error> {
        let client = Arc::clone(&self.client.load());
        let answer = client.request(request).await;
        if answer.is_ok() {
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// How many requests it has answered so far.
    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// A request was waited for in vain. Where none was answered meanwhile, a
    /// connection that several share may lead nowhere any more, and nobody would
    /// say so for a long time: the next request makes another.
    ///
    /// Not found out by pings: services of gRPC close connections on which they
    /// come often while nothing else does.
    pub(super) fn was_silent(&self, since: u64) {
        if self.spoken == Spoken::Http2 && self.answered() == since {
            let anew = client(self.connector.clone(), self.spoken);
            self.client.store(Arc::new(anew));
        }
    }

    /// How many requests it is at.
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// One request more.
    pub(super) fn begin(self: &Arc<Self>) -> AtWork {
        self.running.fetch_add(1, Ordering::Relaxed);
        AtWork(Arc::clone(self))
    }

    pub(super) fn is_up(&self) -> bool {
        self.standing.is_up(Instant::now())
    }

    /// A request with the whole address of its target here.
    pub(super) fn request(
        &self,
        mut head: http::request::Parts,
        body: Lent,
    ) -> Option<Request<Lent>> {
        let target = head.uri.path_and_query()?.clone();
        head.uri = self.address(target)?;
        Some(Request::from_parts(head, body))
    }

    pub(super) fn address(&self, target: PathAndQuery) -> Option<Uri> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(target)
            .build()
            .ok()
    }

    /// Tells the operator what an event made of it.
    pub(super) fn tell(&self, turned: Option<Turned>) {
        let Some(turned) = turned else { return };
        let (upstream, server) = (&self.upstream, self.authority.as_str());
        match turned {
            Turned::Up => tracing::info!(upstream, server, "the server is asked again"),
            Turned::Down => tracing::warn!(upstream, server, "the server is not asked"),
        }
        self.show(turned == Turned::Up);
    }

    /// Shows whether it is asked. Both labels come out of the configuration.
    pub(super) fn show(&self, is_up: bool) {
        let labels = [
            ("upstream", self.upstream.clone()),
            ("server", self.authority.to_string()),
        ];
        metrics::gauge!("symbolon_gateway_upstream_up", &labels).set(f64::from(u8::from(is_up)));
    }
}
