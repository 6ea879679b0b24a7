//! API keys: taken as bearer tokens without a word, and in a header of their own
//! where the API says so. They make the same principal as any token.

use http::Request;
use symbolon_verify::Requirement;
use symbolon_verify::testing::Issuer;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let issuer = Issuer::new("https://api.example.com");
    let verifier = issuer.verifier().api_key_header("X-API-Key")?;
    let demand = Requirement::all(["read:orders"]);
    let key = issuer
        .token()
        .client("billing")
        .scopes(["read:orders"])
        .sign_as_api_key();

    for (header, value) in [
        ("authorization", format!("Bearer {key}")),
        ("x-api-key", key.clone()),
    ] {
        let (parts, ()) = Request::get("/orders")
            .header(header, value)
            .body(())?
            .into_parts();
        let caller = verifier.check(&parts, &demand).await?;
        let own = caller.claim("api_key").and_then(|own| own["id"].as_str());
        println!("{header}: {} by {own:?}", caller.client());
        assert!(own.is_some());
    }

    // Taken back: dead within a second, everywhere.
    issuer.revoke(&key);
    issuer.advance(std::time::Duration::from_secs(1));
    let refused = verifier.check(&*key, &demand).await;
    println!(
        "{}",
        refused.map_or_else(|why| why.cause(), |_| String::new())
    );
    Ok(())
}
