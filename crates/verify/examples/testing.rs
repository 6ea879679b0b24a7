//! Tests of an API: an issuer in the process, without a network, on a clock that
//! moves when it is told to. The feature `testing` brings it.

use std::time::Duration;

use symbolon_verify::testing::{Availability, Issuer};
use symbolon_verify::{Check, Requirement};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let issuer = Issuer::new("https://api.example.com");
    let verifier = issuer.verifier();
    let demand = Requirement::all(["read:orders"]);
    let good = issuer.token().scopes(["read:orders"]);
    verifier.check(&*good.sign(), &demand).await?;

    // Each check can be broken by its name, and no other with it.
    for check in Check::ALL {
        let token = good.clone().breaking(check).sign();
        let refused = verifier.check(&*token, &demand).await;
        let refusal = refused.err().ok_or("let in")?;
        println!(
            "{:10} {} {}",
            check.name(),
            refusal.status(),
            refusal.cause()
        );
        assert_eq!(refusal.check(), Some(check));
    }

    // A minute later it has ended; an issuer that is away leaves neither yes nor no.
    let short = good.clone().lifetime(Duration::from_secs(60)).sign();
    issuer.advance(Duration::from_secs(71));
    assert!(verifier.check(&*short, &demand).await.is_err());
    issuer.answers(Availability::Down);
    let unknown = verifier.check(&*good.sign(), &demand).await;
    assert_eq!(unknown.map(drop).map_err(|why| why.status()), Err(503));
    Ok(())
}
