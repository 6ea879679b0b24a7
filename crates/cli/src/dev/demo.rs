//! The demo API: two routes, protected in the five lines that anybody needs.

use anyhow::Context;
use axum::Json;
use axum::Router;
use axum::extract::Path;
use axum::routing::{delete, get};
use http::StatusCode;
use serde_json::{Value, json};
use symbolon_verify::{Algorithm, Decision, Principal, Verifier, protected_resource_routes};

use super::home::{API, Home};

/// The routes.
pub(super) async fn router(home: &Home) -> anyhow::Result<Router> {
    let verifier = Verifier::new(&home.issuer, &home.demo, [Algorithm::Es256])
        .context("could not set up the demo API")?
        .introspect_as(API, home.secrets.api.as_str())?
        .subscribe()?
        .scopes(["read:invoices", "delete:invoices"])
        .on_decision(log);
    let first = verifier.clone();
    // The issuer is not there yet; whoever comes first waits for nothing.
    tokio::spawn(async move { first.ready().await });
    Ok(Router::new()
        .route(
            "/invoices/{id}",
            get(read).layer(verifier.require(["read:invoices"])),
        )
        .route(
            "/invoices/{id}",
            delete(remove).layer(verifier.require(["delete:invoices"])),
        )
        .merge(protected_resource_routes(&verifier)))
}

async fn read(principal: Principal, Path(id): Path<u64>) -> Json<Value> {
    Json(json!({ "id": id, "total": "120.00", "currency": "EUR", "read_by": principal.client() }))
}

async fn remove(Path(_): Path<u64>) -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Says on the terminal what the wire must not: why, and what would repair it.
fn log(decision: &Decision<'_>) {
    let feed_age_ms = decision.feed().and_then(|feed| feed.age_ms);
    match (decision.cause(), decision.repair()) {
        (Some(cause), Some(repair)) => {
            tracing::info!(request = decision.request_id(), code = decision.code(), feed_age_ms, %cause, %repair, "demo API refused");
        }
        _ => tracing::info!(
            request = decision.request_id(),
            feed_age_ms,
            "demo API allowed"
        ),
    }
}
