//! Making a proof: what a client does before each request.
//!
//! Spec: RFC 9449 §4.2

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use symbolon_protocol::Timestamp;

use super::PROOF_TYPE;
use crate::jose::SigningKey;
use crate::secret::Digest;

/// What a proof is about.
#[derive(Debug, Clone, Copy)]
pub struct Claims<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// Its address; query and fragment do not count.
    pub target: &'a str,
    /// Names this proof and no other: 96 random bits or more, as text.
    pub jti: &'a str,
    /// When it is made.
    pub issued: Timestamp,
    /// The access token that goes with it.
    pub access_token: Option<&'a str>,
    /// The nonce that the server asked for.
    pub nonce: Option<&'a str>,
}

#[derive(Serialize)]
struct Payload<'a> {
    jti: &'a str,
    htm: &'a str,
    htu: &'a str,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

/// A proof that the holder of `key` sends this very request.
///
/// ```
/// use symbolon_protocol::{SigningAlgorithm, Timestamp};
/// use symbolon_token::{dpop, jose::SigningKey};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let own = SigningKey::generate(SigningAlgorithm::Es256)?;
/// let key = SigningKey::from_pkcs8(SigningAlgorithm::Es256, &own)?;
/// let header = dpop::prove(&key, &dpop::Claims {
///     method: "POST",
///     target: "https://as.example.com/token",
///     jti: "e1j3V_bKic8-LAEB",
///     issued: Timestamp::from_seconds(1_767_225_600),
///     access_token: None,
///     nonce: None,
/// });
/// assert_eq!(header.split('.').count(), 3);
/// # Ok(())
/// # }
/// ```
pub fn prove(key: &SigningKey, claims: &Claims<'_>) -> String {
    let header = format!(
        r#"{{"alg":"{}","typ":"{PROOF_TYPE}","jwk":{}}}"#,
        key.algorithm(),
        key.bare_jwk()
    );
    let payload = Payload {
        jti: claims.jti,
        htm: claims.method,
        htu: claims.target,
        iat: claims.issued.seconds(),
        ath: claims.access_token.map(token_hash),
        nonce: claims.nonce,
    };
    // A struct of strings and numbers always serialises.
    let payload = serde_json::to_vec(&payload).unwrap_or_default();
    key.sign_under(&header, &payload)
}

/// The `ath` of an access token.
pub(super) fn token_hash(token: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Digest::of(token.as_bytes()).as_bytes())
}
