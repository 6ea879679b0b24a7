//! Tokens that are worth nothing to a thief: bound to a key (DPoP), or to the
//! certificate of the connection (mutual TLS). The check is the same; the API says
//! where it is reached, and whoever ends TLS says which certificate was shown.
//!
//! Spec: RFC 9449 §7.1
//! Spec: RFC 8705 §3

use http::Request;
use serde_json::json;
use symbolon_protocol::SigningAlgorithm;
use symbolon_token::Clock;
use symbolon_token::dpop::{Claims, prove};
use symbolon_token::jose::SigningKey;
use symbolon_verify::testing::Issuer;
use symbolon_verify::{PeerCertificate, Refusal, Requirement};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let issuer = Issuer::new("urn:example:orders");
    let verifier = issuer.verifier().reached_at("https://api.example.com")?;
    let demand = Requirement::token();

    // A key of the caller's: in a real client it never leaves the device.
    let algorithm = SigningAlgorithm::Es256;
    let key = SigningKey::from_pkcs8(algorithm, &SigningKey::generate(algorithm)?)?;
    let token = issuer
        .token()
        .claim("cnf", json!({ "jkt": key.kid() }))
        .sign();
    let ask = async |nonce: Option<&str>| {
        let proof = Claims {
            method: "GET",
            target: "https://api.example.com/orders",
            jti: nonce.unwrap_or("first"),
            issued: issuer.clock().now(),
            access_token: Some(&token),
            nonce,
        };
        let request = Request::get("/orders")
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", prove(&key, &proof));
        let (parts, ()) = request.body(())?.into_parts();
        Ok::<_, http::Error>(verifier.check(&parts, &demand).await)
    };
    // A process that has just begun could have forgotten a proof, so it wants its
    // nonce in it; callers find that in the answer, in `DPoP-Nonce`.
    assert_eq!(ask(None).await?.map(drop), Err(Refusal::NonceNeeded));
    let caller = ask(Some(&verifier.next_nonce())).await??;
    println!("key-bound: {}, {}", caller.subject(), caller.is_key_bound());

    // Stolen: without the key it is refused.
    let refused = verifier.check(&*token, &demand).await;
    println!(
        "stolen: {}",
        refused.map_or_else(|why| why.repair(), |_| String::new())
    );

    // With rustls: the first of `ServerConnection::peer_certificates()`.
    let certificate = PeerCertificate::from_der(b"the certificate of the connection");
    let token = issuer.token().claim(
        "cnf",
        json!({ "x5t#S256": symbolon_token::Thumbprint::of(b"the certificate of the connection").to_string() }),
    );
    let request =
        Request::get("/orders").header("authorization", format!("Bearer {}", token.sign()));
    let (mut parts, ()) = request.body(())?.into_parts();
    assert!(verifier.check(&parts, &demand).await.is_err());
    parts.extensions.insert(certificate);
    let caller = verifier.check(&parts, &demand).await?;
    println!("certificate-bound: {}", caller.subject());
    Ok(())
}
