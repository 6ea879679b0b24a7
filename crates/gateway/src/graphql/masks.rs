//! An answer of the service into which something is put: read whole, and
//! written anew.
//!
//! Spec: draft-graphql-over-http §6.4
//!
//! An error page passes as it came: what the caller may not see was never asked
//! for. Any other answer has to be one of GraphQL.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderName, Response};
use http_body_util::BodyExt;

use super::json::Json;
use super::mask::Mask;
use crate::body::{Body, full};
use crate::problem::{BROKEN, Problem};

/// How deep an answer may be nested.
const MAX_DEPTH: usize = 128;

/// What is put into an answer, by operation.
pub(crate) struct Masks {
    all: Vec<Option<Mask>>,
    is_batch: bool,
    max_bytes: usize,
}

impl Masks {
    pub(crate) const fn new(all: Vec<Option<Mask>>, is_batch: bool, max_bytes: usize) -> Self {
        Self {
            all,
            is_batch,
            max_bytes,
        }
    }

    /// The answer as the caller gets it.
    pub(crate) async fn put_into(
        self,
        response: Response<Body>,
        request_id: &str,
    ) -> Response<Body> {
        let (mut head, body) = response.into_parts();
        let media = head.headers.get(CONTENT_TYPE);
        let media = media.map(|own| own.as_bytes()).unwrap_or_default();
        let media = media.split(|own| *own == b';').next().unwrap_or_default();
        let is_graphql = [
            &b"application/json"[..],
            b"application/graphql-response+json",
        ]
        .iter()
        .any(|own| media.trim_ascii().eq_ignore_ascii_case(own));
        if !is_graphql && !head.status.is_success() {
            return Response::from_parts(head, body);
        }
        if !is_graphql {
            return UNREADABLE.answer(request_id);
        }
        if head.headers.contains_key(CONTENT_ENCODING) {
            return ENCODED.answer(request_id);
        }
        let Some(bytes) = read(body, self.max_bytes).await else {
            return BROKEN.answer(request_id);
        };
        let text = match Json::parse(&bytes, MAX_DEPTH) {
            Ok(answer) => self.mask(answer),
            Err(_) => None,
        };
        let Some(text) = text else {
            return UNREADABLE.answer(request_id);
        };
        // What was said of the other bytes is not true of these.
        for name in [CONTENT_LENGTH, ETAG, CONTENT_DIGEST, REPR_DIGEST] {
            head.headers.remove(name);
        }
        Response::from_parts(head, full(text))
    }

    fn mask(&self, mut answer: Json) -> Option<String> {
        match &mut answer {
            Json::List(all) if self.is_batch && all.len() == self.all.len() => {
                for (answer, mask) in all.iter_mut().zip(&self.all) {
                    if let Some(mask) = mask {
                        mask.put_into(answer);
                    }
                }
            }
            Json::Object(_) if !self.is_batch => {
                if let Some(Some(mask)) = self.all.first() {
                    mask.put_into(&mut answer);
                }
            }
            _ => return None,
        }
        let mut text = String::new();
        answer.write(&mut text);
        Some(text)
    }
}

/// A whole body, where it is no larger than that.
async fn read(mut body: Body, max: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > max {
            return None;
        }
        bytes.extend_from_slice(&data);
    }
    Some(bytes)
}

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
const ENCODED: Problem = Problem::new(
    502,
    "graphql-answer",
    "the service encoded an answer that has to be read",
);
const UNREADABLE: Problem = Problem::new(
    502,
    "graphql-answer",
    "the service gave no answer of GraphQL",
);
