//! One connection, from its first byte to its last.
//!
//! Spec: RFC 9112 §9.3, §9.5
//! Spec: RFC 9113 §9.1

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::response::Response;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::linger::Lingering;
use super::{Answer, lasting};
use crate::client_certificate::ClientCertificate;

/// How often a connection is looked at: one on which no request began since
/// the last look, and none is running, is closed. So the head of a request may
/// take one to two of these to arrive, idle time before it included, and so
/// may an answer take to be read.
const LOOK: Duration = Duration::from_secs(20);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How large the head of a request may be, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// How many header lines a request may have.
const MAX_HEADERS: usize = 100;
/// How long an idle connection stays open after the end was asked for: longer
/// than a request that is on its way already needs to arrive.
pub(super) const LINGER: Duration = Duration::from_millis(500);

pub(super) struct Connection<A> {
    pub(super) peer: SocketAddr,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) answer: A,
    pub(super) stop: watch::Receiver<bool>,
}

/// What the requests of a connection share.
struct Requests<A> {
    peer: SocketAddr,
    /// What the handshake has shown.
    certificate: Option<Arc<ClientCertificate>>,
    answer: A,
    stop: watch::Receiver<bool>,
    running: Arc<AtomicUsize>,
    begun: AtomicU64,
}

/// A request that is being answered.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<A: Answer> Requests<A> {
    async fn answer(&self, mut request: Request<Incoming>) -> Response {
        if let Some(certificate) = &self.certificate {
            request.extensions_mut().insert(Arc::clone(certificate));
        }
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
        let running = Running(Arc::clone(&self.running));
        // HTTP/2 says that the end is near with a frame, not with a header.
        let is_told = request.version() < Version::HTTP_2;
        let mut response = self.answer.answer(self.peer, request).await;
        if is_told && *self.stop.borrow() {
            let last = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, last);
        }
        lasting::hold(response, running)
    }

    /// How many requests have begun so far, where none is running.
    fn idle_at(&self) -> Option<u64> {
        let begun = self.begun.load(Ordering::Relaxed);
        (self.running.load(Ordering::Relaxed) == 0).then_some(begun)
    }
}

impl<A: Answer> Connection<A> {
    pub(super) async fn run(self, stream: TcpStream) {
        // Small answers must not wait for more; a socket that cannot is served all the same.
        let _ = stream.set_nodelay(true);
        let stream = Lingering::new(stream);
        match self.tls.clone() {
            None => self.speak(TokioIo::new(stream), Spoken::Http1, None).await,
            Some(tls) => {
                let handshake = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream));
                if let Ok(Ok(stream)) = handshake.await {
                    let spoken = match stream.get_ref().1.alpn_protocol() {
                        Some(b"h2") => Spoken::Http2,
                        _ => Spoken::Http1,
                    };
                    let chain = stream.get_ref().1.peer_certificates();
                    let certificate = chain.and_then(ClientCertificate::of).map(Arc::new);
                    self.speak(TokioIo::new(stream), spoken, certificate).await;
                }
            }
        }
    }

    /// After the end was asked for, every answer says that it is the last of
    /// its connection, and only then are idle connections closed: closed at
    /// once, they would cut off requests that are on their way.
    async fn speak<S>(self, stream: S, spoken: Spoken, certificate: Option<Arc<ClientCertificate>>)
    where
        S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let mut stop = self.stop.clone();
        let requests = Arc::new(Requests {
            peer: self.peer,
            certificate,
            answer: self.answer,
            stop: self.stop,
            running: Arc::default(),
            begun: AtomicU64::new(0),
        });
        let own = Arc::clone(&requests);
        let service = service_fn(move |request: Request<Incoming>| {
            let own = Arc::clone(&own);
            async move { Ok::<_, Infallible>(own.answer(request).await) }
        });
        let builder = builder(spoken);
        let connection = builder.serve_connection(stream, service);
        let mut connection = std::pin::pin!(connection);
        let mut looks = tokio::time::interval(LOOK);
        looks.reset();
        let (mut seen, mut is_closing) = (None, false);
        let asked = stop.wait_for(|stop| *stop);
        let mut asked = std::pin::pin!(asked);
        loop {
            tokio::select! {
                biased;
                _ = connection.as_mut() => return,
                _ = asked.as_mut() => break,
                _ = looks.tick() => {}
            }
            let idle_at = requests.idle_at();
            if idle_at.is_some() && idle_at == seen {
                if is_closing || matches!(spoken, Spoken::Http1) {
                    return;
                }
                connection.as_mut().graceful_shutdown();
                is_closing = true;
            }
            seen = idle_at;
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
    // Not `pipeline_flush`: with it, a head that cannot be read is never answered.
    builder
        .http1()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS);
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
