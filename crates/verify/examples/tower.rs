//! A Tower service without any framework, behind the layer.

use std::convert::Infallible;

use http::{Request, Response};
use symbolon_verify::Principal;
use symbolon_verify::testing::Issuer;
use tower::{Layer, ServiceExt, service_fn};

/// The service: the layer has put the caller into the extensions.
async fn list(request: Request<String>) -> Result<Response<String>, Infallible> {
    let caller = request.extensions().get::<Principal>();
    let caller = caller.map_or("nobody", Principal::subject);
    Ok(Response::new(format!("orders of {caller}")))
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // In a program: `Verifier::from_env()?` in place of a test's issuer.
    let issuer = Issuer::new("https://api.example.com");
    let verifier = issuer.verifier();
    let guarded = verifier.require(["read:orders"]).layer(service_fn(list));

    let token = issuer.token().subject("usr_alice").scopes(["read:orders"]);
    let with = Request::get("/orders").header("authorization", format!("Bearer {}", token.sign()));
    let answer = guarded.clone().oneshot(with.body(String::new())?).await?;
    println!("{} {}", answer.status(), answer.body());
    assert_eq!(answer.body(), "orders of usr_alice");

    let without = Request::get("/orders").body(String::new())?;
    let answer = guarded.oneshot(without).await?;
    println!(
        "{} {:?}",
        answer.status(),
        answer.headers()["www-authenticate"]
    );
    assert_eq!(answer.status(), 401);
    Ok(())
}
