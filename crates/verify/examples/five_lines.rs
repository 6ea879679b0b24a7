//! An API that protects a route in five lines; `examples/axum` runs it. Issuer,
//! audience and client come from the environment.

use axum::{Router, routing::get};
use symbolon_verify::{Principal, Verifier};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let verifier = Verifier::from_env()?;
    let list = async |caller: Principal| format!("orders of {}\n", caller.subject());
    let guarded = get(list).layer(verifier.require(["read:orders"]));
    let app = Router::new().route("/orders", guarded);
    let listener = tokio::net::TcpListener::bind(std::env::var("LISTEN")?).await?;
    Ok(axum::serve(listener, app).await?)
}
