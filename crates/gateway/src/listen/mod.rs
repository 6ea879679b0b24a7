//! Listeners: connections in, answers out, and an end in which no request fails.
//!
//! Spec: RFC 9112 §9.3, §9.5
//! Spec: RFC 9113 §3.3, §9.1

mod accept;
mod certificate;
mod connection;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use crate::admin::Numbers;
use crate::gateway::Gateway;

use self::connection::Connection;

pub use self::certificate::{Asks, Certificate};
pub(crate) use self::connection::Running;

/// How many connections one listener has at most; a WebSocket keeps its place.
const MAX_CONNECTIONS: u32 = 10_000;
/// How long running requests have after the end was asked for.
const DRAIN: Duration = Duration::from_secs(25);

/// What a listener is for.
#[derive(Clone)]
pub(crate) enum Role {
    /// Requests that are passed on.
    Public(Gateway),
    /// Health and numbers.
    Admin(Gateway, Option<Numbers>),
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
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Listen { .. } => "listen",
            Self::Certificate { .. } => "tls.certificate",
            Self::Tls(_) => "tls",
        }
    }
}

/// Binds an address.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|cause| ServeError::Listen { address, cause })
}

/// Serves until `stop` says so, then finishes what has begun.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    role: Role,
    stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    let take = |stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit| {
        let connection = Connection {
            peer,
            tls: tls.clone(),
            role: role.clone(),
            stop: stop.clone(),
            place: Arc::new(place),
        };
        tokio::spawn(connection.run(stream));
    };
    let mut asked = stop.clone();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = asked.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => take(stream, peer, place),
            // Out of file descriptors, most likely: wait for some to come back.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
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
    // Every connection and every tunnel holds a place until it has ended.
    let _ = tokio::time::timeout(DRAIN, places.acquire_many(MAX_CONNECTIONS)).await;
}
