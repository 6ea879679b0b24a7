//! Answers that are sent for as long as they last.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};

/// Stands in the extensions of an answer whose body is sent bit by bit: its
/// connection is in use until the body ends. Whoever sends it sees to it that
/// it ends where nobody reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastsOn;

/// A body that holds something until it has ended.
struct Held<T> {
    body: Body,
    _held: T,
}

/// Has an answer that lasts hold something until its body has ended; of any
/// other it is let go now.
pub(super) fn hold<T: Send + Unpin + 'static>(response: Response, held: T) -> Response {
    if response.extensions().get::<LastsOn>().is_none() {
        return response;
    }
    response.map(|body| Body::new(Held { body, _held: held }))
}

impl<T: Unpin> HttpBody for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
