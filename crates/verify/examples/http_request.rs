//! Without any layer: ask about the head of a request, and answer a refusal as the
//! standards say. So any server that has an `http::Request` can do it.

use http::request::Parts;
use http::{Request, Response};
use symbolon_verify::testing::Issuer;
use symbolon_verify::{Requirement, Verifier};

async fn answer(verifier: &Verifier, parts: &Parts) -> Response<String> {
    let demand = Requirement::all(["read:orders"]);
    match verifier.check(parts, &demand).await {
        Ok(caller) => Response::new(format!("orders of {}", caller.subject())),
        // The headers say under which scheme the token came.
        Err(refusal) => verifier.answer_to(&parts.headers, &refusal, &demand, "request-1"),
    }
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // In a program: `Verifier::from_env()?` in place of a test's issuer.
    let issuer = Issuer::new("https://api.example.com");
    let verifier = issuer.verifier();

    for (scope, status) in [("read:orders", 200), ("write:orders", 403)] {
        let token = issuer.token().scopes([scope]).sign();
        let request = Request::get("/orders").header("authorization", format!("Bearer {token}"));
        let (parts, ()) = request.body(())?.into_parts();

        let answer = answer(&verifier, &parts).await;

        println!("{scope}: {} {}", answer.status(), answer.body());
        assert_eq!(answer.status(), status);
    }
    Ok(())
}
