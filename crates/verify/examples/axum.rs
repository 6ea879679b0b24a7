//! An API with two protected routes. Start `symbolon dev` first, then:
//!
//! ```sh
//! SYMBOLON_ISSUER=http://127.0.0.1:8080 SYMBOLON_AUDIENCE=… SYMBOLON_CLIENT_ID=… \
//!     SYMBOLON_CLIENT_SECRET=… cargo run -p symbolon-verify --example axum
//! ```

use std::error::Error;

use axum::Router;
use axum::extract::Path;
use axum::routing::{delete, get};
use symbolon_verify::{Principal, Requirement, Revocation, Verifier, protected_resource_routes};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let verifier = Verifier::from_env()?.on_decision(|decision| {
        if let Some(cause) = decision.cause() {
            eprintln!("{}: {cause}", decision.request_id());
        }
    });
    verifier.ready().await?;

    // Reading is harmless enough to go on until the token ends; deleting asks
    // whether it was taken back.
    let read = Requirement::all(["read:invoices"]).revocation(Revocation::AtExpiry);
    let app = Router::new()
        .route(
            "/invoices/{id}",
            get(show)
                .layer(verifier.require(read))
                .merge(delete(remove).layer(verifier.require(["delete:invoices"]))),
        )
        .merge(protected_resource_routes(&verifier));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8099").await?;
    println!("http://{}/invoices/1", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn show(caller: Principal, Path(id): Path<String>) -> String {
    format!("invoice {id} of {}\n", caller.subject())
}

async fn remove(caller: Principal, Path(id): Path<String>) -> String {
    format!("{} deleted invoice {id}\n", caller.subject())
}
