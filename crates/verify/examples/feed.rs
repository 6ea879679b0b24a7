//! An API that follows the issuer's revocation feed: what is taken back is refused
//! within a second, nobody is asked about each token, and how old the knowledge is
//! stands in every decision. `symbolon dev` prints what the variables are.
//!
//! ```sh
//! SYMBOLON_ISSUER=http://127.0.0.1:8080 SYMBOLON_AUDIENCE=… SYMBOLON_CLIENT_ID=… \
//!     SYMBOLON_CLIENT_SECRET=… LISTEN=127.0.0.1:8099 cargo run -p symbolon-verify --example feed
//! ```

use std::time::Duration;

use axum::{Router, routing::get};
use symbolon_verify::{Principal, Requirement, Verifier};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let verifier = Verifier::from_env()?.subscribe()?.on_decision(|decision| {
        let age = decision.feed().and_then(|own| own.age());
        eprintln!("{} {}: {age:?}", decision.request_id(), decision.code());
    });
    // Waits for the first snapshot.
    verifier.ready().await?;
    // Knowledge that is older than this is none: the request gets 503.
    let strict = Requirement::all(["read:orders"]).max_staleness(Duration::from_secs(5));
    let list = async |caller: Principal| format!("orders of {}\n", caller.subject());
    let app = Router::new().route("/orders", get(list).layer(verifier.require(strict)));
    let listener = tokio::net::TcpListener::bind(std::env::var("LISTEN")?).await?;
    Ok(axum::serve(listener, app).await?)
}
