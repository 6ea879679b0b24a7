//! Listeners: connections in, answers out, and an end in which no request fails.
//!
//! Spec: RFC 9112 §9.3, §9.5
//! Spec: RFC 9113 §3.3, §9.1

mod accept;
mod certificate;
mod closing;
mod connection;
mod places;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_rustls::TlsAcceptor;

use crate::admin::Numbers;
use crate::gateway::Gateway;

use self::connection::Connection;
use self::places::{MAX_CONNECTIONS, Places, Source};

pub use self::certificate::{Asks, Certificate};
pub(crate) use self::connection::Running;

/// How long running requests have after the end was asked for.
const DRAIN: Duration = Duration::from_secs(25);

/// What a listener is for.
#[derive(Clone)]
pub(crate) enum Role {
    /// Requests that are passed on.
    Public(Gateway),
    /// Questions of other proxies, and nothing else.
    ForwardAuth(Gateway),
    /// Health and numbers.
    Admin(Gateway, Option<Numbers>),
}

impl Role {
    /// Where a connection comes from.
    fn source(&self, peer: SocketAddr) -> Source {
        let address = peer.ip().to_canonical();
        let is_proxy = match self {
            Self::Public(gateway) | Self::ForwardAuth(gateway) => {
                gateway.shared.plan().is_proxy(address)
            }
            Self::Admin(..) => false,
        };
        match is_proxy {
            true => Source::Proxy(address),
            false => Source::Stranger(address),
        }
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

/// A bound listener, and how it ends.
pub(crate) struct Listening {
    pub(crate) listener: TcpListener,
    /// Whether its socket stays open elsewhere: whoever comes waits in its queue
    /// for the next process.
    pub(crate) lasts: bool,
}

/// Serves until `stop` says so, then finishes what has begun.
pub(crate) async fn serve(
    listening: Listening,
    tls: Option<TlsAcceptor>,
    role: Role,
    stop: watch::Receiver<bool>,
) {
    let Listening { listener, lasts } = listening;
    let places = Arc::new(Places::new(MAX_CONNECTIONS));
    let take = |stream: TcpStream, peer: SocketAddr, room: OwnedSemaphorePermit| {
        // Whoever has had its share is cut off before a byte of it is read.
        let Some(place) = places.seat(role.source(peer), room) else {
            return;
        };
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
    let mut over = Box::pin(async {
        // Whoever could ask for the end has gone: that is the end too.
        drop(asked.wait_for(|stop| *stop).await);
        if !lasts {
            closing::settle(&listener).await;
        }
    });
    loop {
        let Some(room) = places.room().await else {
            break;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = over.as_mut() => break,
        };
        match accepted {
            Ok((stream, peer)) => take(stream, peer, room),
            // Out of file descriptors, most likely: wait for some to come back.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    // Whoever the operating system has let in already is served; closing the
    // listener would cut them off.
    while let Poll::Ready(Ok((stream, peer))) =
        poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await
        && let Some(room) = places.room_now()
    {
        take(stream, peer, room);
    }
    drop(over);
    drop(listener);
    places.wait_until_empty(DRAIN).await;
}
