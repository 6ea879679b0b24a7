//! Bodies on their way: bit by bit, no faster than the other side reads, within
//! a limit, and no longer than the token that they came with.
//!
//! Spec: RFC 9110 §6.4, §6.5, §15.5.14
//! Spec: RFC 9112 §8

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Full};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;

use crate::header::{self, Claimed};
use crate::vigil::{Ended, Vigil};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;
/// The body of an answer.
pub(crate) type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

/// A body that is there whole.
pub(crate) fn full(text: String) -> Body {
    Full::new(Bytes::from(text))
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Why the body of a request did not reach its end.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It is larger than allowed.
    Large,
    /// The caller broke off, or sent what is no body.
    Broken,
    /// It was silent for too long, or may not go on.
    Ended(Ended),
}

/// Where the body of a request leaves what became of it.
pub(crate) type Verdict = Arc<Mutex<Option<Fault>>>;

#[derive(Debug, thiserror::Error)]
#[error("the body ends here")]
struct CutOff;

/// The body of a request on its way to the upstream.
pub(crate) struct Sending {
    inner: Incoming,
    left: u64,
    claimed: Arc<Claimed>,
    vigil: Vigil,
    verdict: Verdict,
    /// Dropped with the body, or when it has ended: from then on the upstream
    /// is waited for.
    sent: Option<oneshot::Sender<()>>,
}

impl Sending {
    pub(crate) fn new(
        inner: Incoming,
        limit: u64,
        claimed: &Arc<Claimed>,
        vigil: Vigil,
    ) -> (Self, Verdict, oneshot::Receiver<()>) {
        let (sent, has_sent) = oneshot::channel();
        let verdict = Verdict::default();
        let is_empty = inner.is_end_stream();
        let own = Self {
            inner,
            left: limit,
            claimed: Arc::clone(claimed),
            vigil,
            verdict: Arc::clone(&verdict),
            sent: (!is_empty).then_some(sent),
        };
        (own, verdict, has_sent)
    }

    fn fail(&mut self, fault: Fault) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.sent = None;
        let mut verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        *verdict = Some(fault);
        Poll::Ready(Some(Err(CutOff.into())))
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Fault> {
        let frame = match frame.into_trailers() {
            Ok(late) => {
                let kept = header::trailers_for_upstream(&late, &self.claimed);
                return Ok(Frame::trailers(kept));
            }
            Err(frame) => frame,
        };
        let size = frame.data_ref().map_or(0, Bytes::len);
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        self.left = self.left.checked_sub(size).ok_or(Fault::Large)?;
        Ok(frame)
    }
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(ended) = self.vigil.poll(cx, polled.is_ready()) {
            return self.fail(Fault::Ended(ended));
        }
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                self.sent = None;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(_))) => self.fail(Fault::Broken),
            Poll::Ready(Some(Ok(frame))) => match self.take(frame) {
                Err(fault) => self.fail(fault),
                Ok(frame) => {
                    if self.inner.is_end_stream() {
                        self.sent = None;
                    }
                    Poll::Ready(Some(Ok(frame)))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer on its way to the caller; it holds something, a place
/// for example, until it has ended.
pub(crate) struct Receiving<T> {
    inner: Incoming,
    vigil: Vigil,
    _held: T,
}

impl<T: Send + Unpin + 'static> Receiving<T> {
    pub(crate) fn body(inner: Incoming, vigil: Vigil, held: T) -> Body {
        let own = Self {
            inner,
            vigil,
            _held: held,
        };
        own.boxed_unsync()
    }
}

impl<T: Unpin> HttpBody for Receiving<T> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // Before anything is read: what came after the end is not for the caller.
        let polled = match self.vigil.is_over() {
            true => Poll::Pending,
            false => Pin::new(&mut self.inner).poll_frame(cx),
        };
        if self.vigil.poll(cx, polled.is_ready()).is_ready() {
            // Broken off, not ended: nobody may take it for the whole.
            return Poll::Ready(Some(Err(CutOff.into())));
        }
        polled.map(|some| some.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
