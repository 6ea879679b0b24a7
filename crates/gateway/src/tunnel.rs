//! A connection that became something else, WebSocket alone: bytes both ways,
//! until one side or the token ends.
//!
//! Spec: RFC 9110 §7.8
//! Spec: RFC 6455 §1.3, §4.2

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

use crate::vigil::Vigil;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// Whether a request asks to become a WebSocket. Every other upgrade is left
/// out, which is how a server says no.
pub(crate) fn is_asked_for(parts: &Parts) -> bool {
    let names_upgrade = parts.headers.get_all(CONNECTION).iter().any(|value| {
        let mut names = value.as_bytes().split(|byte| *byte == b',');
        names.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    });
    let has_body = parts.headers.contains_key(TRANSFER_ENCODING)
        || parts
            .headers
            .get(CONTENT_LENGTH)
            .is_some_and(|own| own != "0");
    parts.version == Version::HTTP_11
        && parts.method == Method::GET
        && names_upgrade
        && !has_body
        && is_websocket(&parts.headers)
}

/// Whether the one protocol that is named is WebSocket.
pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(UPGRADE).iter();
    let (one, more) = (all.next(), all.next());
    more.is_none() && one.is_some_and(|own| own.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Says that the connection is to become, or has become, a WebSocket.
pub(crate) fn say(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, WEBSOCKET);
}

/// Lets bytes flow both ways; `held` is let go of at the end.
pub(crate) async fn run<T>(caller: OnUpgrade, upstream: OnUpgrade, vigil: Vigil, held: T) {
    // Whoever broke off before it began is gone.
    let Ok((caller, upstream)) = tokio::try_join!(caller, upstream) else {
        return;
    };
    let moved = Arc::new(AtomicU64::new(0));
    let mut caller = Counted {
        stream: TokioIo::new(caller),
        moved: Arc::clone(&moved),
    };
    let mut upstream = TokioIo::new(upstream);
    tokio::select! {
        // How it ended is known to both sides.
        _ = copy_bidirectional(&mut caller, &mut upstream) => {}
        _ = vigil.wait(&moved) => {}
    }
    drop(held);
}

/// A stream that counts what moves.
struct Counted {
    stream: TokioIo<Upgraded>,
    moved: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            self.moved.fetch_add(1, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if written.is_ready() {
            self.moved.fetch_add(1, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
