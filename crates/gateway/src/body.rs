//! Bodies on their way: bit by bit, no faster than the other side reads, within
//! a limit, and no longer than the token that they came with.
//!
//! Spec: RFC 9110 §6.4, §6.5, §15.5.14
//! Spec: RFC 9112 §8

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;

use crate::header::{self, Claimed};
use crate::problem::{BODY_BROKEN, BODY_LARGE, BODY_SLOW, Problem};
use crate::pulse::Pulse;
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

/// The body of a request: still to be read, or read whole to be judged.
pub(crate) enum Carried {
    Stream(Incoming),
    Whole(Bytes),
}

impl Carried {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self {
            Self::Stream(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|some| some.map(|frame| frame.map_err(Into::into))),
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Stream(body) => body.is_end_stream(),
            Self::Whole(bytes) => bytes.is_empty(),
        }
    }

    /// How long it is, as far as that is known.
    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Stream(body) => body.size_hint(),
            Self::Whole(bytes) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
        }
    }

    /// Reads it whole: at most `limit` bytes, all of them within `patience`.
    /// Trailers are not kept.
    pub(crate) async fn read(self, limit: u64, patience: Duration) -> Result<Bytes, Problem> {
        let body = match self {
            Self::Whole(bytes) => return Ok(bytes),
            Self::Stream(body) if body.size_hint().lower() > limit => return Err(BODY_LARGE),
            Self::Stream(body) => body,
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let whole = Limited::new(body, limit).collect();
        match tokio::time::timeout(patience, whole).await {
            Err(_) => Err(BODY_SLOW),
            Ok(Ok(whole)) => Ok(whole.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BODY_LARGE),
            Ok(Err(_)) => Err(BODY_BROKEN),
        }
    }
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
    inner: Carried,
    left: u64,
    claimed: Arc<Claimed>,
    vigil: Vigil,
    verdict: Verdict,
    /// Dropped with the body, or when it has ended: from then on the upstream
    /// is waited for.
    sent: Option<oneshot::Sender<()>>,
    /// Whether the upstream takes it.
    pulse: Pulse,
    is_begun: bool,
}

/// The body of a request, for whoever waits until it has gone.
pub(crate) struct Leaving {
    sent: oneshot::Receiver<()>,
    pulse: Pulse,
}

impl Leaving {
    /// Waits until it has gone; `Err` where the upstream takes no more of it.
    pub(crate) async fn gone(self) -> Result<(), Stuck> {
        let Self { sent, pulse } = self;
        tokio::select! {
            biased;
            // Either way the body is done with.
            _ = sent => Ok(()),
            () = pulse.stopped() => Err(Stuck),
        }
    }
}

/// Nobody takes what is sent.
#[derive(Debug)]
pub(crate) struct Stuck;

impl Sending {
    pub(crate) fn new(
        inner: Carried,
        limit: u64,
        claimed: &Arc<Claimed>,
        vigil: Vigil,
    ) -> (Self, Verdict, Leaving) {
        let (sent, has_sent) = oneshot::channel();
        let pulse = Pulse::default();
        let verdict = Verdict::default();
        let is_empty = inner.is_end_stream();
        let own = Self {
            inner,
            left: limit,
            claimed: Arc::clone(claimed),
            vigil,
            verdict: Arc::clone(&verdict),
            sent: (!is_empty).then_some(sent),
            pulse: pulse.clone(),
            is_begun: false,
        };
        let leaving = Leaving {
            sent: has_sent,
            pulse,
        };
        (own, verdict, leaving)
    }

    /// It has gone, or goes no further.
    fn done(&mut self) {
        self.sent = None;
        self.pulse.rest();
    }

    fn fail(&mut self, fault: Fault) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.done();
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
        self.is_begun = true;
        if let Err(ended) = ready!(self.vigil.catch_up(cx)) {
            return self.fail(Fault::Ended(ended));
        }
        let polled = self.inner.poll_frame(cx);
        if let Poll::Ready(ended) = self.vigil.poll(cx, polled.is_ready()) {
            return self.fail(Fault::Ended(ended));
        }
        match polled {
            Poll::Pending => {
                self.pulse.rest();
                Poll::Pending
            }
            Poll::Ready(None) => {
                self.done();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(_))) => self.fail(Fault::Broken),
            Poll::Ready(Some(Ok(frame))) => match self.take(frame) {
                Err(fault) => self.fail(fault),
                Ok(frame) => {
                    match self.inner.is_end_stream() {
                        true => self.done(),
                        false => self.pulse.hand(self.vigil.idle()),
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

/// The body of a request as a server gets it: lent, so that one that could not
/// be reached leaves it whole for the next.
pub(crate) struct Lent {
    own: Option<Arc<Mutex<Sending>>>,
    is_begun: bool,
}

impl Lent {
    pub(crate) fn new(own: Sending) -> Self {
        Self {
            own: Some(Arc::new(Mutex::new(own))),
            is_begun: false,
        }
    }

    /// No body.
    pub(crate) const fn nothing() -> Self {
        Self {
            own: None,
            is_begun: false,
        }
    }

    /// Whether nobody has begun to read it.
    pub(crate) fn is_untouched(&self) -> bool {
        self.lock().is_none_or(|own| !own.is_begun)
    }

    /// The same once more, for a server that gets it whole.
    pub(crate) fn again(&self) -> Self {
        Self {
            own: self.own.clone(),
            is_begun: false,
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, Sending>> {
        let own = self.own.as_ref()?;
        Some(own.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Whoever has begun to read it and lets go of it is done with it.
        if self.is_begun
            && let Some(mut own) = self.lock()
        {
            own.done();
        }
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.is_begun = true;
        match self.lock() {
            Some(mut own) => Pin::new(&mut *own).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_none_or(|own| own.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match self.lock() {
            Some(own) => own.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

/// What of a late header goes back: what would not have early.
fn for_caller(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(late) => Frame::trailers(header::for_caller(&late)),
        Err(frame) => frame,
    }
}

/// The body of an answer on its way to the caller; it holds something, a place
/// for example, until it has ended.
pub(crate) struct Receiving<T> {
    inner: Incoming,
    vigil: Vigil,
    /// Whether the caller takes it.
    pulse: Pulse,
    _held: T,
}

impl<T: Send + Unpin + 'static> Receiving<T> {
    pub(crate) fn body(inner: Incoming, vigil: Vigil, held: T) -> Body {
        let own = Self {
            inner,
            vigil,
            pulse: Pulse::own(),
            _held: held,
        };
        own.boxed_unsync()
    }
}

impl<T> Drop for Receiving<T> {
    fn drop(&mut self) {
        self.pulse.rest();
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
        if ready!(self.vigil.catch_up(cx)).is_err() {
            return Poll::Ready(Some(Err(CutOff.into())));
        }
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if self.vigil.poll(cx, polled.is_ready()).is_ready() {
            // Broken off, not ended: nobody may take it for the whole.
            return Poll::Ready(Some(Err(CutOff.into())));
        }
        match &polled {
            Poll::Ready(Some(Ok(_))) => self.pulse.hand(self.vigil.idle()),
            _ => self.pulse.rest(),
        }
        polled.map(|some| some.map(|frame| frame.map(for_caller).map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
