//! What pages are dressed in: immutable, named by its digest.

use axum::response::Response;

use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::pages;
use crate::received::Received;

/// Answers `GET /assets/{name}`.
pub(crate) async fn get(cx: Cx, received: Received) -> Result<Response, Failure> {
    let path = received.uri.path();
    let path = path.strip_prefix(cx.settings.issuer.path()).unwrap_or(path);
    let nothing = || Refusal::invalid_request("there is nothing at this address").with_status(404);
    pages::asset(path).ok_or_else(|| nothing().into())
}
