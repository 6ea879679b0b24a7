//! A connection that ends so that its last answer arrives.
//!
//! A socket that is closed while bytes lie unread in it resets the connection,
//! and the reset overtakes what was written: whoever sent too much would never
//! learn so. It is closed in one direction first, and what still comes is
//! thrown away for a while.
//!
//! Spec: RFC 9112 §9.6

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long the other side has to end, too.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many bytes are thrown away.
const MAX_DISCARDED_BYTES: usize = 4 * 1024 * 1024;

/// A connection whose end waits for the other side's.
pub(super) struct Lingering {
    stream: TcpStream,
    closing: Option<Closing>,
}

struct Closing {
    ends: Pin<Box<Sleep>>,
    discarded: usize,
}

impl Lingering {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            closing: None,
        }
    }

    /// Throws away what comes, until the end or until it is enough.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let closing = self.closing.get_or_insert_with(|| Closing {
            ends: Box::pin(sleep(PATIENCE)),
            discarded: 0,
        });
        let mut bytes = [0; 4096];
        while closing.discarded < MAX_DISCARDED_BYTES && closing.ends.as_mut().poll(cx).is_pending()
        {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            match buffer.filled().len() {
                size if read.is_ok() && size > 0 => closing.discarded += size,
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        self.poll_discard(cx).map(Ok)
    }
}
