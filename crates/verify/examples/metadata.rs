//! The metadata document of an API, by which clients find its issuer, in one line;
//! every challenge points there.
//!
//! Spec: RFC 9728 §2, §5.1

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use symbolon_verify::protected_resource_routes;
use symbolon_verify::testing::Issuer;
use tower::ServiceExt;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let issuer = Issuer::new("https://api.example.com/v1");
    let verifier = issuer.verifier().scopes(["read:orders", "write:orders"]);

    let app: Router = Router::new().merge(protected_resource_routes(&verifier));

    let address = verifier.metadata_address().unwrap_or_default();
    println!("{address}");
    let path = address.trim_start_matches("https://api.example.com");
    let answer = app.oneshot(Request::get(path).body(Body::empty())?).await?;
    assert_eq!(answer.status(), 200);
    let body = to_bytes(answer.into_body(), 64 * 1024).await?;
    println!("{}", String::from_utf8_lossy(&body));
    Ok(())
}
