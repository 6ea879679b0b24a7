//! `/healthz` and `/readyz`, as on the public listener.

use crate::cx::Cx;
use crate::endpoint;

use super::call::Call;
use super::failed::Outcome;

pub(super) async fn live(cx: Cx, call: Call) -> Outcome {
    Ok(endpoint::health::live(cx, call.received).await?)
}

pub(super) async fn ready(cx: Cx, call: Call) -> Outcome {
    Ok(endpoint::health::ready(cx, call.received).await?)
}
