//! Client assertions: MACs and the claims that nobody vouches for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use symbolon_token::Secret;
use symbolon_token::jose::Unverified;

fuzz_target!(|text: &str| {
    let Ok(token) = Unverified::parse(text) else {
        return;
    };
    let _ = (
        token.claimed_type(),
        token.claimed_kid(),
        token.claimed_algorithm(),
    );
    let _ = token.dangerous_claims_without_key();
    // Nobody who does not know the secret makes a MAC.
    assert!(token.verify_mac(&Secret::new(vec![7; 32])).is_err());
});
