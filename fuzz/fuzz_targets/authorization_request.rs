//! Requests: parameters, claims by name, lifetimes and identifiers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use symbolon_protocol::claims::ClaimsRequest;
use symbolon_protocol::{ClientId, CodeChallenge, OrganizationId, Parameters, basic};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(form) = Parameters::parse(bytes) {
        for (name, value) in form.iter() {
            assert!(!value.is_empty() && !name.contains('\0') && !value.contains('\0'));
        }
        for name in ["client_id", "state", "claims"] {
            let _ = form.one(name).map(ClaimsRequest::parse);
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = (
        text.parse::<CodeChallenge>(),
        text.parse::<OrganizationId>(),
    );
    let _ = ClaimsRequest::parse(text);
    if let Some((client, _)) = basic::decode(text) {
        assert!(client.as_str().parse::<ClientId>().is_ok());
    }
});
