//! Listeners: connections in, answers out, and an end in which no request fails.
//!
//! The accept loop is our own so that limits, TLS handshakes off the loop and
//! the drain are in one place.
//!
//! Spec: RFC 9325 §3.1

mod closing;
mod connection;
mod lasting;
mod linger;
mod places;

use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::client_certificate::AcceptAny;

use self::connection::Connection;
use self::places::{Place, Places, Source};

pub(crate) use self::lasting::LastsOn;
pub use self::places::Capacity;

use crate::certificate::Certificate;

/// How long running requests have after the end was asked for.
const DRAIN: Duration = Duration::from_secs(25);

/// What a listener asks for the answer to a request.
pub trait Answer: Clone + Send + Sync + 'static {
    /// Answers one request of a peer.
    fn answer(
        &self,
        peer: SocketAddr,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response> + Send;

    /// Whether everybody may come through that peer.
    fn is_proxy(&self, _peer: IpAddr) -> bool {
        false
    }
}

impl Answer for Router {
    async fn answer(&self, peer: SocketAddr, request: Request<Incoming>) -> Response {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answered = self.clone().oneshot(request).await;
        answered.unwrap_or_else(|never| match never {})
    }
}

/// Why a listener cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address.
    #[error("could not listen on {address}: {cause}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// The certificate or its key.
    #[error("could not use certificate `{path}`: {cause}")]
    Certificate {
        /// Which file.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The provider of cryptography.
    #[error("could not set up TLS: {0}")]
    Tls(String),
}

impl ServeError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Listen { .. } => "listen",
            Self::Certificate { .. } => "tls.certificate",
            Self::Tls(_) => "tls",
        }
    }
}

/// Binds an address.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|cause| ServeError::Listen { address, cause })
}

/// Whether a handshake asks the caller for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// It does not.
    Nothing,
    /// It does, and takes any or none (RFC 8705 §6.2).
    ForCertificate,
}

/// Handshakes with a certificate. TLS 1.2 and 1.3 only, forward secrecy only.
pub fn tls(certificate: &Arc<Certificate>, asks: Asks) -> Result<TlsAcceptor, ServeError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| ServeError::Tls(error.to_string()))?;
    let builder = match asks {
        Asks::Nothing => builder.with_no_client_auth(),
        Asks::ForCertificate => builder.with_client_cert_verifier(Arc::new(AcceptAny(provider))),
    };
    let mut config = builder.with_cert_resolver(Arc::clone(certificate) as Arc<_>);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A bound listener, and how it ends.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    lasts: bool,
}

impl Listening {
    /// One that closes, so that whoever comes goes to another node at once, or
    /// one that lasts: where its socket stays open elsewhere, whoever comes while
    /// idle connections are waited for is answered still.
    pub fn new(listener: TcpListener, lasts: bool) -> Self {
        Self { listener, lasts }
    }
}

/// Serves until `stop` says so, then finishes what has begun.
pub async fn serve<A: Answer>(
    listening: Listening,
    tls: Option<TlsAcceptor>,
    answer: A,
    capacity: Capacity,
    stop: watch::Receiver<bool>,
) {
    let Listening { listener, lasts } = listening;
    let places = Arc::new(Places::new(capacity));
    let take = |stream: TcpStream, peer: SocketAddr, place: Place| {
        let connection = Connection {
            peer,
            tls: tls.clone(),
            answer: answer.clone(),
            stop: stop.clone(),
        };
        tokio::spawn(async move {
            connection.run(stream).await;
            drop(place);
        });
    };
    let source = |peer: SocketAddr| match answer.is_proxy(peer.ip()) {
        true => Source::Proxy(peer.ip()),
        false => Source::Stranger(peer.ip()),
    };
    let mut asked = stop.clone();
    let mut over = Box::pin(async {
        // Whoever could ask for the end has gone: that is the end too.
        drop(asked.wait_for(|stop| *stop).await);
        match lasts {
            true => tokio::time::sleep(connection::LINGER).await,
            false => closing::settle(&listener).await,
        }
    });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = over.as_mut() => break,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors, most likely: wait for some to come back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Who has had their share is let go of without an answer.
        if let Some(place) = places.take(source(peer)).await {
            take(stream, peer, place);
        }
    }
    // Whoever the operating system has let in already is served; closing the
    // listener would cut them off.
    while let Poll::Ready(Ok((stream, peer))) =
        poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await
        && let Some(place) = places.try_take(source(peer))
    {
        take(stream, peer, place);
    }
    drop(over);
    drop(listener);
    places.wait_until_empty(DRAIN).await;
}
