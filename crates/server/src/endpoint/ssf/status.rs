//! Whether a stream is told anything: enabled, paused, disabled.
//!
//! Spec: OpenID Shared Signals Framework 1.0 §8.1.2

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};
use symbolon_store::{SignalStream, UpdateStream};

use super::{Right, audit, body, find, receiver, stream_id, written};
use crate::cx::Cx;
use crate::endpoint::bearer::with_nonce;
use crate::failure::{Failure, Refusal};
use crate::outbox::part;
use crate::received::Received;
use crate::respond;
use crate::streams::{StreamDocument, status_named, status_word};

/// How long a reason may be, in bytes.
const MAX_REASON_BYTES: usize = 512;

/// Answers `GET /ssf/status`.
pub(crate) async fn get(cx: Cx, received: Received) -> Result<Response, Failure> {
    let client = receiver(&cx, &received, Right::Look).await?;
    let query = received.query()?;
    let id = query.one("stream_id");
    let id = id.ok_or(Refusal::invalid_request("stream_id is missing"))?;
    let (stream, document) = find(&cx, &client, id).await?;
    Ok(answer(&cx, &received, &stream, &document))
}

/// Answers `POST /ssf/status`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let client = receiver(&cx, &received, Right::Manage).await?;
    let body = body(&received)?;
    let (mut stream, mut document) = find(&cx, &client, stream_id(&body)?).await?;
    let status = body.get("status").and_then(Value::as_str);
    let status = status.and_then(status_named);
    stream.status = status.ok_or(Refusal::invalid_request(
        "status is enabled, paused or disabled",
    ))?;
    document.reason = match body.get("reason") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.len() <= MAX_REASON_BYTES => Some(text.clone()),
        Some(_) => return Err(Refusal::invalid_request("reason is a short text").into()),
    };
    stream.document = document.write();
    let act = UpdateStream {
        was: stream.updated,
        stream: stream.clone(),
        audit: audit(&cx, &client, "stream.status", &stream.id),
        now: cx.now,
    };
    written(cx.store.act(act).await?)?;
    part::follow_stream(&cx, &stream.id).await;
    Ok(answer(&cx, &received, &stream, &document))
}

fn answer(
    cx: &Cx,
    received: &Received,
    stream: &SignalStream,
    document: &StreamDocument,
) -> Response {
    let mut answer = json!({ "stream_id": stream.id, "status": status_word(stream.status) });
    if let Some(reason) = &document.reason {
        answer["reason"] = reason.as_str().into();
    }
    with_nonce(cx, received, respond::json(StatusCode::OK, &answer))
}
