//! The transmitter of shared signals: its own description, and what receivers
//! do with their streams.
//!
//! A receiver is a confidential client that acts for itself, by an access token
//! of this issuer for this issuer, with the scope `ssf.manage`, or `ssf.read`
//! where it only looks.
//!
//! Spec: OpenID Shared Signals Framework 1.0 §7, §8
//! Spec: CAEP Interoperability Profile 1.0 §2.7

pub(crate) mod configuration;
pub(crate) mod poll;
pub(crate) mod status;
pub(crate) mod stream;
pub(crate) mod subject;
pub(crate) mod verification;

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};
use symbolon_store::{AuditEvent, FindStream, SignalStream, StoredClient, StreamWritten};
use symbolon_token::jose::json;

use super::bearer;
use crate::cx::Cx;
use crate::failure::{Broken, Failure, Refusal};
use crate::received::Received;
use crate::streams::StreamDocument;

/// Lets a receiver do everything with its streams.
pub(crate) const MANAGE: &str = "ssf.manage";
/// Lets a receiver look at its streams and fetch what waits for it.
pub(crate) const READ: &str = "ssf.read";

/// How long the id of a stream may be, in bytes.
const MAX_ID_BYTES: usize = 64;

/// What a receiver wants to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Right {
    Look,
    Manage,
}

impl Right {
    /// The scopes of which one gives it.
    const fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Look => &[READ, MANAGE],
            Self::Manage => &[MANAGE],
        }
    }
}

/// The receiver that calls.
async fn receiver(
    cx: &Cx,
    received: &Received,
    right: Right,
) -> Result<Arc<StoredClient>, Failure> {
    let live = bearer::client_with_scope(cx, received, right.scopes()).await?;
    Ok(live.client)
}

/// A stream of the receiver. One of another is answered like one that is not.
async fn find(
    cx: &Cx,
    client: &StoredClient,
    id: &str,
) -> Result<(SignalStream, StreamDocument), Failure> {
    if id.len() > MAX_ID_BYTES {
        return Err(no_stream().into());
    }
    let found = cx.store.read(FindStream { id: id.to_owned() }).await?;
    let own = found.filter(|stream| stream.client == client.client.id);
    let stream = own.ok_or_else(no_stream)?;
    let document = StreamDocument::read(&stream);
    let document = document.ok_or(Broken::Impossible("a stream does not read back"))?;
    Ok((stream, document))
}

fn no_stream() -> Refusal {
    Refusal::invalid_request("there is no such stream of this client").with_status(404)
}

/// The document of a body.
fn body(received: &Received) -> Result<Map<String, Value>, Refusal> {
    let kind = received.header(&CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::invalid_request("the body must be application/json").with_status(415));
    }
    json::object(&received.body)
        .map_err(|_| Refusal::invalid_request("the body is not one JSON object"))
}

/// The stream that a body names.
fn stream_id(body: &Map<String, Value>) -> Result<&str, Refusal> {
    let id = body.get("stream_id").and_then(Value::as_str);
    id.ok_or(Refusal::invalid_request("stream_id is missing"))
}

/// What writing came to; only what was written goes on.
fn written(outcome: StreamWritten) -> Result<(), Refusal> {
    match outcome {
        StreamWritten::Written => Ok(()),
        StreamWritten::Missing => Err(no_stream()),
        StreamWritten::Changed => Err(Refusal::invalid_request(
            "somebody else changes this stream at the same time",
        )
        .with_status(409)),
        StreamWritten::TooMany => {
            Err(Refusal::invalid_request("the client has as many as it may").with_status(409))
        }
    }
}

fn audit(cx: &Cx, client: &StoredClient, action: &'static str, id: &str) -> AuditEvent {
    let name = client.client.id.to_string();
    let mut event = AuditEvent::new(action, name.clone());
    event.client = Some(name);
    event.detail = serde_json::json!({ "stream": id });
    event.request = cx.request.to_string();
    event
}
