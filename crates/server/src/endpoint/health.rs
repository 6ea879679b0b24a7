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

/// Answers `GET /readyz`: what was taken back is known, and no end is near.
pub(crate) async fn ready(cx: Cx, _received: Received) -> Result<Response, Failure> {
    if cx.check_fresh().is_ok() && !cx.is_draining() {
        Ok(respond::json(StatusCode::OK, &json!({ "status": "ready" })))
    } else {
        Ok(respond::json(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({ "status": "not ready" }),
        ))
    }
}
