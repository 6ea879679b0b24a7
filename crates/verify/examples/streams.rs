//! Something that outlasts the check it began with: ask again, each second, what
//! time and others can change.

use std::time::Duration;

use symbolon_verify::Requirement;
use symbolon_verify::testing::Issuer;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let issuer = Issuer::new("https://api.example.com");
    let verifier = issuer.verifier();
    let demand = Requirement::all(["read:events"]);
    let token = issuer.token().scopes(["read:events"]).sign();
    let caller = verifier.check(&*token, &demand).await?;

    for second in 0.. {
        // In a program: between two events, or by a timer beside them.
        if let Err(refusal) = verifier.check_standing_of(&caller, &token, &demand).await {
            println!("after {second} s: {refusal}");
            assert_eq!(second, 4);
            break;
        }
        if second == 3 {
            issuer.revoke(&token);
        }
        issuer.advance(Duration::from_secs(1));
    }
    Ok(())
}
