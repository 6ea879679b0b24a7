//! One connection, from its first byte to its last.
//!
//! Spec: RFC 9112 §9.3, §9.5, §9.6
//! Spec: RFC 9113 §3.3, §6.8, §9.1

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use symbolon_verify::PeerCertificate;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Role;
use super::places::{Place, Source};
use crate::body::Body;
use crate::exchange::{self, Caller};
use crate::framing;
use crate::pulse::Pulse;
use crate::quota::Held;
use crate::{admin, forward_auth, gateway};

/// How long a head may take to arrive, idle time before it included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// The same on a connection of a trusted proxy, which keeps them for others and
/// sends into one that is closed in that moment what nobody may send twice.
const PROXY_HEAD_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a connection with HTTP/2 is looked at: one on which no request
/// began since the last look, and none is running, is closed.
const LOOK: Duration = Duration::from_secs(60);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How large the head of a request may be, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// How many header lines a request may have.
const MAX_HEADERS: usize = 100;
/// How many requests of one connection may be open.
const MAX_STREAMS: u32 = 256;
/// How long an idle connection stays open after the end was asked for: longer
/// than a request that is on its way already needs to arrive.
const LINGER: Duration = Duration::from_millis(500);
/// What a connection with HTTP/2 begins with.
const PREFACE: &[u8; 3] = b"PRI";

pub(super) struct Connection {
    pub(super) peer: SocketAddr,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) role: Role,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) place: Arc<Place>,
}

/// A request that is being answered, with the place of its connection.
pub(crate) struct Running {
    count: Arc<AtomicUsize>,
    _place: Arc<Place>,
    /// Whatever else is held for as long as it runs.
    held: Held,
}

impl Running {
    /// Holds something else as well.
    pub(crate) fn holding(mut self, held: Held) -> Self {
        self.held = held;
        self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the requests of a connection share.
struct Requests {
    caller: Caller,
    role: Role,
    stop: watch::Receiver<bool>,
    place: Arc<Place>,
    running: Arc<AtomicUsize>,
    begun: AtomicU64,
}

impl Requests {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
        let running = Running {
            count: Arc::clone(&self.running),
            _place: Arc::clone(&self.place),
            held: Held::nothing(),
        };
        // HTTP/2 says that the end is near with a frame, not with a header.
        let is_told = request.version() < Version::HTTP_2;
        let mut response = match &self.role {
            Role::Public(gateway::Gateway { shared }) => {
                exchange::answer(shared, &self.caller, request, running).await
            }
            Role::ForwardAuth(gateway::Gateway { shared }) => {
                forward_auth::answer_alone(shared, &self.caller, request).await
            }
            Role::Admin(gateway, numbers) => {
                admin::answer(gateway, numbers.as_ref(), request).await
            }
        };
        let is_upgrade = response.status() == http::StatusCode::SWITCHING_PROTOCOLS;
        if is_told && !is_upgrade && *self.stop.borrow() {
            let last = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, last);
        }
        response
    }

    /// How many requests have begun so far, where none is running.
    fn idle_at(&self) -> Option<u64> {
        let begun = self.begun.load(Ordering::Relaxed);
        (self.running.load(Ordering::Relaxed) == 0).then_some(begun)
    }
}

impl Connection {
    pub(super) async fn run(self, stream: TcpStream) {
        // Small answers must not wait for more; a socket that cannot is served all the same.
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls.clone() else {
            if let Some(spoken) = spoken(&stream).await {
                let shown = framing::Connection::default();
                Pulse::watch(self.speak(TokioIo::new(stream), spoken, shown)).await;
            }
            return;
        };
        let handshake = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream));
        if let Ok(Ok(stream)) = handshake.await {
            let session = stream.get_ref().1;
            let spoken = match session.alpn_protocol() {
                Some(b"h2") => Spoken::Http2,
                _ => Spoken::Http1,
            };
            let shown = framing::Connection {
                is_tls: true,
                server_name: session.server_name().map(str::to_owned),
                certificate: session
                    .peer_certificates()
                    .and_then(|chain| chain.first())
                    .map(|own| PeerCertificate::from_der(own)),
            };
            Pulse::watch(self.speak(TokioIo::new(stream), spoken, shown)).await;
        }
    }

    /// Of HTTP/1.1 the connection ends where nobody takes what is answered; of
    /// HTTP/2 the stream does.
    ///
    /// After the end was asked for, every answer says that it is the last of
    /// its connection, and only then are idle connections closed: closed at
    /// once, they would cut off requests that are on their way.
    async fn speak<S>(self, stream: S, spoken: Spoken, shown: framing::Connection)
    where
        S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let mut stop = self.stop.clone();
        let head_timeout = match self.role.source(self.peer) {
            Source::Proxy(_) => PROXY_HEAD_TIMEOUT,
            Source::Stranger(_) => HEAD_TIMEOUT,
        };
        let requests = Arc::new(Requests {
            caller: Caller {
                peer: self.peer,
                connection: shown,
            },
            role: self.role,
            stop: self.stop,
            place: self.place,
            running: Arc::default(),
            begun: AtomicU64::new(0),
        });
        let own = Arc::clone(&requests);
        let service = service_fn(move |request: Request<Incoming>| {
            let own = Arc::clone(&own);
            async move { Ok::<_, Infallible>(own.answer(request).await) }
        });
        let builder = builder(spoken, head_timeout);
        let connection = builder.serve_connection_with_upgrades(stream, service);
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
            if idle_at.is_some() && idle_at == seen && matches!(spoken, Spoken::Http2) {
                if is_closing {
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

/// What a connection speaks.
#[derive(Clone, Copy)]
enum Spoken {
    Http1,
    Http2,
}

/// What a plain connection speaks, by its first bytes, which stay unread; a
/// silent one is not waited for without a limit.
async fn spoken(stream: &TcpStream) -> Option<Spoken> {
    let looking = async {
        let mut begin = [0; PREFACE.len()];
        loop {
            match stream.peek(&mut begin).await {
                Err(_) | Ok(0) => return None,
                Ok(size) if begin[..size] != PREFACE[..size] => return Some(Spoken::Http1),
                Ok(size) if size == PREFACE.len() => return Some(Spoken::Http2),
                // The same few bytes would be seen again at once.
                Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    timeout(HEAD_TIMEOUT, looking).await.ok().flatten()
}

/// Runs each stream of HTTP/2 for as long as somebody takes what it answers.
#[derive(Debug, Clone, Copy)]
struct Streams;

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        tokio::spawn(Pulse::watch(stream));
    }
}

fn builder(spoken: Spoken, head_timeout: Duration) -> Builder<Streams> {
    let mut builder = Builder::new(Streams);
    // Not `pipeline_flush`: with it, a head that cannot be read is never answered.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(Duration::from_secs(30));
    match spoken {
        Spoken::Http1 => builder.http1_only(),
        Spoken::Http2 => builder.http2_only(),
    }
}
