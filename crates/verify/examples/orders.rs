//! An API of one's own behind `symbolon dev`: the program that `dev` prints.
//! It asks, as client `orders-api`, whether a token was taken back.

use axum::Router;
use axum::routing::get;
use symbolon_verify::{Algorithm, Principal, Verifier};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (issuer, own) = ("http://127.0.0.1:8080", "http://127.0.0.1:8099");
    let secret = std::fs::read_to_string("orders-api.secret")?;
    let verifier = Verifier::new(issuer, own, [Algorithm::Es256])?
        .introspect_as("orders-api", secret.trim())?;
    let guarded = get(list).layer(verifier.require(["read:orders"]));
    let app = Router::new().route("/orders", guarded);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8099").await?;
    Ok(axum::serve(listener, app).await?)
}

async fn list(caller: Principal) -> String {
    format!("orders of {}\n", caller.subject())
}
