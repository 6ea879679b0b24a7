//! A route that wants a stronger or more recent sign-in, and tells the client how
//! to have the person sign in again.
//!
//! Spec: RFC 9470 §3

use std::time::Duration;

use http::Request;
use symbolon_token::Clock;
use symbolon_verify::Requirement;
use symbolon_verify::testing::Issuer;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let issuer = Issuer::new("https://api.example.com");
    let verifier = issuer.verifier();
    let pay = Requirement::all(["write:payments"])
        .acr_values(["phr"])
        .max_age(Duration::from_secs(300));
    let signed_in = issuer.clock().now().seconds();

    for (acr, status) in [("pwd", 401), ("phr", 200)] {
        let token = issuer.token().scopes(["write:payments"]);
        let token = token.claim("acr", acr).claim("auth_time", signed_in).sign();
        let request = Request::post("/payments").header("authorization", format!("Bearer {token}"));
        let (parts, ()) = request.body(())?.into_parts();
        let found = match verifier.check(&parts, &pay).await {
            Ok(caller) => {
                println!("{acr}: paid by {}", caller.subject());
                200
            }
            Err(refusal) => {
                let answer = verifier.answer(&refusal, &pay, "request-1");
                println!("{acr}: {:?}", answer.headers()["www-authenticate"]);
                answer.status().as_u16()
            }
        };
        assert_eq!(found, status);
    }
    Ok(())
}
