//! Form bodies: what is written is read again as itself, each name once, and
//! within the limits.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use symbolon_protocol::parameters::{MAX_PARAMETER_BYTES, MAX_PARAMETERS};
use symbolon_protocol::{Parameters, ResourceIdentifier, Scopes, TokenKind};

fuzz_target!(|bytes: &[u8]| {
    let Ok(form) = Parameters::parse(bytes) else {
        return;
    };
    assert!(bytes.len() <= MAX_PARAMETER_BYTES);
    let pairs: Vec<(&str, &str)> = form.iter().collect();
    assert!(pairs.len() <= MAX_PARAMETERS);
    let mut seen = HashSet::new();
    for (name, value) in &pairs {
        let may_repeat = ["resource", "audience"].contains(name);
        assert!(seen.insert(*name) || may_repeat, "{name} counts twice");
        assert!(form.all(name).any(|own| own == *value));
        // As the endpoints read what is in them.
        let _ = (value.parse::<Scopes>(), value.parse::<ResourceIdentifier>());
        if let Some(kind) = TokenKind::from_urn(value) {
            assert_eq!(kind.urn(), *value);
        }
    }
    let again = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&pairs)
        .finish();
    let again = Parameters::parse(again.as_bytes());
    if let Ok(again) = again {
        assert_eq!(again.iter().collect::<Vec<_>>(), pairs);
    } else {
        // Only what a longer spelling brings over the limit.
        assert!(bytes.len() * 3 > MAX_PARAMETER_BYTES);
    }
});
