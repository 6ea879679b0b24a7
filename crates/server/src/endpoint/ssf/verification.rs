//! Whether a stream works: the receiver asks, and is told through the stream.
//!
//! Spec: OpenID Shared Signals Framework 1.0 §8.1.4

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use symbolon_protocol::ErrorCode;
use symbolon_store::{StreamStatus, VerifyStream};

use super::{Right, body, find, receiver, stream_id};
use crate::cx::Cx;
use crate::endpoint::bearer::with_nonce;
use crate::failure::{Failure, Refusal};
use crate::received::Received;
use crate::respond;
use crate::streams::MIN_VERIFICATION_SECONDS;

/// How long what comes back may be, in bytes.
const MAX_STATE_BYTES: usize = 1024;

/// Answers `POST /ssf/verify`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let client = receiver(&cx, &received, Right::Manage).await?;
    let body = body(&received)?;
    let (stream, _) = find(&cx, &client, stream_id(&body)?).await?;
    let state = match body.get("state") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.len() <= MAX_STATE_BYTES => Some(text.clone()),
        Some(_) => return Err(Refusal::invalid_request("state is a short text").into()),
    };
    if stream.status != StreamStatus::Enabled {
        return Err(Refusal::invalid_request("the stream is not enabled").into());
    }
    // Not by a clock that is ahead: until it is right again nobody could ask.
    let now = cx.sure();
    let act = VerifyStream {
        id: stream.id,
        state,
        not_since: now - Duration::from_secs(MIN_VERIFICATION_SECONDS),
        now,
    };
    if !cx.store.act(act).await? {
        let why = "the stream was verified a moment ago";
        let seconds = u32::try_from(MIN_VERIFICATION_SECONDS).unwrap_or(u32::MAX);
        return Err(Refusal::new(ErrorCode::InvalidRequest, why)
            .with_status(429)
            .with_retry_after(seconds)
            .into());
    }
    let response = respond::empty(StatusCode::NO_CONTENT);
    Ok(with_nonce(&cx, &received, response))
}
