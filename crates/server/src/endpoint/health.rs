//! Whether the process lives, and whether it can answer.

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use crate::cx::Cx;
use crate::failure::Failure;
use crate::received::Received;
use crate::respond;

/// Answers `GET /healthz`: the process lives.
pub(crate) async fn live(_cx: Cx, _received: Received) -> Result<Response, Failure> {
    Ok(respond::json(StatusCode::OK, &json!({ "status": "ok" })))
}

/// Answers `GET /readyz`: what was taken back is known, the clock is right, and
/// no end is near. Otherwise `reason` says which of them it is.
pub(crate) async fn ready(cx: Cx, _received: Received) -> Result<Response, Failure> {
    let reasons = [
        (cx.is_draining(), "ending"),
        (cx.check_fresh().is_err(), "store"),
        (cx.app.apart.is_too_far(), "clock"),
    ];
    let first = reasons.iter().find(|(is_so, _)| *is_so);
    Ok(match first {
        None => respond::json(StatusCode::OK, &json!({ "status": "ready" })),
        Some((_, reason)) => respond::json(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({ "status": "not ready", "reason": reason }),
        ),
    })
}
