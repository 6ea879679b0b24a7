//! Listeners: connections in, answers out, and an end in which no request fails.
//!
//! The accept loop is our own so that header time-outs, TLS handshakes off the
//! loop and the drain are in one place.
//!
//! Spec: RFC 9325 §3.1

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// How many connections are open at once.
const MAX_CONNECTIONS: usize = 10_000;
/// How long the head of a request may take to arrive, idle time before it
/// included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How large the head of a request may be, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// How many header lines a request may have.
const MAX_HEADERS: usize = 100;
/// How long an idle connection stays open after the end was asked for: longer
/// than a request that is on its way already needs to arrive.
const LINGER: Duration = Duration::from_millis(500);
/// How long running requests have after the end was asked for.
const DRAIN: Duration = Duration::from_secs(25);

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
}

/// Binds an address.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|cause| ServeError::Listen { address, cause })
}

/// Reads certificate and key. TLS 1.2 and 1.3 only, forward secrecy only.
pub fn tls(certificate: &Path, key: &Path) -> Result<TlsAcceptor, ServeError> {
    let failed = |path: &Path, cause: String| ServeError::Certificate {
        path: path.display().to_string(),
        cause,
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(certificate, error.to_string()))?;
    let own = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, own)
        .map_err(|error| failed(certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves until `stop` says so, then finishes what has begun.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let take = |stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit| {
        let (tls, router) = (tls.clone(), router.clone());
        let connection = Connection {
            peer,
            tls,
            router,
            stop: stop.clone(),
        };
        tokio::spawn(async move {
            connection.run(stream).await;
            drop(place);
        });
    };
    let mut asked = stop.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = asked.wait_for(|stop| *stop) => break,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors, most likely: wait for some to come back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        take(stream, peer, place);
    }
    // Whoever the operating system has let in already is served; closing the
    // listener would cut them off.
    while let Poll::Ready(Ok((stream, peer))) =
        poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await
        && let Ok(place) = Arc::clone(&places).try_acquire_owned()
    {
        take(stream, peer, place);
    }
    drop(listener);
    let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
    // Every connection holds a place until it has ended.
    let _ = timeout(DRAIN, places.acquire_many(all)).await;
}

struct Connection {
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: watch::Receiver<bool>,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        // Small answers must not wait for more; a socket that cannot is served all the same.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => self.speak(TokioIo::new(stream), Spoken::Http1).await,
            Some(tls) => {
                let handshake = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream));
                if let Ok(Ok(stream)) = handshake.await {
                    let spoken = match stream.get_ref().1.alpn_protocol() {
                        Some(b"h2") => Spoken::Http2,
                        _ => Spoken::Http1,
                    };
                    self.speak(TokioIo::new(stream), spoken).await;
                }
            }
        }
    }

    /// After the end was asked for, every answer says that it is the last of
    /// its connection, and only then are idle connections closed: closed at
    /// once, they would cut off requests that are on their way.
    async fn speak<S>(&self, stream: S, spoken: Spoken)
    where
        S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let (peer, router, ending) = (self.peer, self.router.clone(), self.stop.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (router, ending) = (router.clone(), ending.clone());
            async move {
                // HTTP/2 says the same with a frame, not with a header.
                let is_told = request.version() < Version::HTTP_2;
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(ConnectInfo(peer));
                let mut response = router
                    .oneshot(request)
                    .await
                    .unwrap_or_else(|never| match never {});
                if is_told && *ending.borrow() {
                    let last = HeaderValue::from_static("close");
                    response.headers_mut().insert(CONNECTION, last);
                }
                Ok::<_, Infallible>(response)
            }
        });
        let builder = builder(spoken);
        let connection = builder.serve_connection(stream, service);
        let mut connection = std::pin::pin!(connection);
        let mut stop = self.stop.clone();
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stop.wait_for(|stop| *stop) => {}
        }
        // What the peer does with its half no longer matters.
        if timeout(LINGER, connection.as_mut()).await.is_err() {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// What a connection speaks. It is known before the first byte is read, so no
/// silent connection is waited for without a limit: HTTP/2 where TLS agreed on
/// it, HTTP/1.1 everywhere else.
#[derive(Clone, Copy)]
enum Spoken {
    Http1,
    Http2,
}

fn builder(spoken: Spoken) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .max_concurrent_streams(256)
        .keep_alive_interval(Duration::from_secs(30));
    match spoken {
        Spoken::Http1 => builder.http1_only(),
        Spoken::Http2 => builder.http2_only(),
    }
}
