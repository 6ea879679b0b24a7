//! JWS and key sets: what a stranger sends never verifies and never panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use symbolon_protocol::Timestamp;
use symbolon_token::jose::{KeySet, Unverified, json};
use symbolon_token::jwt::{Expected, check_claims, check_type};

// A JWS, a line end, and a key set or claims.
fuzz_target!(|text: &str| {
    let (text, document) = text.split_once('\n').unwrap_or((text, text));
    let document = document.as_bytes();
    let set = KeySet::parse(document).unwrap_or_default();
    if let Ok(claims) = json::object(document) {
        let expected = Expected {
            issuer: "https://login.example.com",
            audiences: &["https://api.example.com".to_owned()],
            skew: std::time::Duration::from_secs(10),
            now: Timestamp::from_seconds(1_800_000_000),
        };
        let _ = check_claims(claims, Some("kid"), expected);
    }
    let Ok(token) = Unverified::parse(text) else {
        return;
    };
    let _ = check_type(&token);
    if let Some(algorithm) = token.algorithm() {
        for key in set.candidates(token.claimed_kid(), algorithm) {
            let _ = token.verify(key);
        }
    }
});
