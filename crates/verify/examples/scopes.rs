//! What a route can demand of scopes: all of some, one of some, another for each
//! method, or none but a good token.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::{delete, get};
use symbolon_verify::testing::Issuer;
use symbolon_verify::{Principal, Requirement};
use tower::ServiceExt;

async fn done(caller: Principal) -> String {
    format!("{} may\n", caller.client())
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let issuer = Issuer::new("https://api.example.com");
    let verifier = issuer.verifier();
    let read = Requirement::any(["read:orders", "read:all"]);
    let app = Router::new()
        .route(
            "/orders/{id}",
            // Each method of a path has a layer, and so demands, of its own.
            get(done)
                .layer(verifier.require(read))
                .merge(delete(done).layer(verifier.require(["read:orders", "delete:orders"]))),
        )
        .route(
            "/me",
            get(done).layer(verifier.require(Requirement::token())),
        );

    for (method, path, scopes, status) in [
        ("GET", "/orders/7", "read:all", 200),
        ("DELETE", "/orders/7", "read:all", 403),
        ("DELETE", "/orders/7", "read:orders delete:orders", 200),
        ("GET", "/me", "", 200),
    ] {
        let token = issuer.token().scopes(scopes.split_whitespace()).sign();
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {token}"));
        let answer = app.clone().oneshot(request.body(Body::empty())?).await?;
        println!("{method} {path} with `{scopes}`: {}", answer.status());
        assert_eq!(answer.status(), status);
    }
    Ok(())
}
