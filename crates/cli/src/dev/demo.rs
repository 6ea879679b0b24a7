//! The demo API: two routes that believe nobody but the gateway in front.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use http::StatusCode;
use serde_json::{Map, Value, json};
use symbolon_gateway::{Asserted, Expected, Gateway};
use symbolon_token::Clock;

/// What the gateway calls the demo API.
pub(super) const UPSTREAM: &str = "invoices";

/// Whom the demo API believes.
#[derive(Clone)]
struct Believed {
    keys: Arc<Map<String, Value>>,
    clock: Arc<dyn Clock>,
}

/// The routes.
pub(super) fn router(gateway: &Gateway, clock: Arc<dyn Clock>) -> Router {
    let keys = match gateway.keys() {
        Value::Object(keys) => keys,
        _ => Map::new(),
    };
    let believed = Believed {
        keys: Arc::new(keys),
        clock,
    };
    Router::new()
        .route("/invoices/{id}", get(read).delete(remove))
        .layer(from_fn_with_state(believed, believe))
}

/// Lets in what the gateway has signed for this very request, and nothing else:
/// the port of the demo API is open to every program on this machine.
async fn believe(State(believed): State<Believed>, mut request: Request, next: Next) -> Response {
    let target = request.uri().path_and_query();
    let expected = Expected {
        upstream: UPSTREAM,
        method: request.method().as_str(),
        path_and_query: target.map_or("/", |own| own.as_str()),
        now: believed.clock.now(),
    };
    let assertion = request.headers().get("symbolon-assertion");
    let assertion = assertion.and_then(|own| own.to_str().ok());
    match Asserted::check(&believed.keys, assertion.unwrap_or_default(), &expected) {
        Ok(asserted) => {
            request.extensions_mut().insert(asserted);
            next.run(request).await
        }
        Err(why) => (StatusCode::FORBIDDEN, why.to_string()).into_response(),
    }
}

async fn read(Extension(asserted): Extension<Asserted>, Path(id): Path<u64>) -> Json<Value> {
    let client = asserted.text("client_id");
    Json(json!({ "id": id, "total": "120.00", "currency": "EUR", "read_by": client }))
}

async fn remove(Path(_): Path<u64>) -> StatusCode {
    StatusCode::NO_CONTENT
}
