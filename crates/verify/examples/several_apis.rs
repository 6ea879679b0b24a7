//! Several APIs of one issuer in one process: fetched for once, judged apart.

use symbolon_verify::testing::Issuer;
use symbolon_verify::{Algorithm, Requirement, Verifier};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (orders_api, stock_api) = ("https://orders.example.com", "https://stock.example.com");
    let issuer = Issuer::new(orders_api);
    let orders = issuer.verifier();
    let stock = Verifier::new("https://issuer.test", stock_api, [Algorithm::Es256])?
        .introspect_as("tests", "tests")?
        .share_with(&orders)?;

    for (name, verifier, good) in [
        ("orders", &orders, orders_api),
        ("stock", &stock, stock_api),
    ] {
        for audience in [orders_api, stock_api] {
            let token = issuer.token().claim("aud", audience).sign();
            let checked = verifier.check(&*token, &Requirement::token()).await;
            println!("{name} takes a token for {audience}: {}", checked.is_ok());
            assert_eq!(checked.is_ok(), audience == good);
        }
    }
    Ok(())
}
