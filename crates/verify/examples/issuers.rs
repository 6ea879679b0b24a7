//! One API that takes the tokens of two issuers, each with keys, algorithms and
//! audiences of its own.

use symbolon_verify::testing::Issuer;
use symbolon_verify::{Algorithm, Requirement, Verifier};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let audience = "https://api.example.com";
    let own = Issuer::new(audience);
    let partner = Verifier::new("https://partner.example.net", audience, [Algorithm::Rs256])?;
    let verifier = own.verifier().also_trust(partner)?;

    let caller = verifier
        .check(&*own.token().sign(), &Requirement::token())
        .await?;

    // A subject is unique at its issuer alone: keep both.
    println!("{} of {}", caller.subject(), caller.issuer());
    println!("{}", verifier.metadata()["authorization_servers"]);
    assert_eq!(caller.issuer(), "https://issuer.test");
    Ok(())
}
