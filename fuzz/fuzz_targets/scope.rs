//! Scopes: what parses is written and read again as itself, within its limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use symbolon_protocol::Scopes;
use symbolon_protocol::scope::MAX_SCOPES;

fuzz_target!(|text: &str| {
    let Ok(scopes) = text.parse::<Scopes>() else {
        return;
    };
    assert!(scopes.len() <= MAX_SCOPES);
    assert_eq!(scopes.to_string().parse(), Ok(scopes.clone()));
    assert!(scopes.is_within(&scopes));
    assert!(scopes.intersection(&scopes) == scopes);
});
