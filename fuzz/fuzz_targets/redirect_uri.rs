//! URIs: what may be registered accepts itself, and nothing that reads otherwise.
#![no_main]

use libfuzzer_sys::fuzz_target;
use symbolon_protocol::uri::LoopbackPort;
use symbolon_protocol::{Issuer, RedirectUri, ResourceIdentifier};

// What is registered, a line end, and what is presented.
fuzz_target!(|text: &str| {
    let (registered, presented) = text.split_once('\n').unwrap_or((text, text));
    if let Ok(issuer) = registered.parse::<Issuer>() {
        assert!(issuer.as_str().starts_with("http"));
    }
    if let Ok(resource) = registered.parse::<ResourceIdentifier>() {
        assert_eq!(
            ResourceIdentifier::from_sealed(resource.as_str()),
            Some(resource)
        );
    }
    let Ok(own) = registered.parse::<RedirectUri>() else {
        return;
    };
    assert!(own.accepts(own.as_str(), LoopbackPort::Exact));
    assert_eq!(
        own.accepts(presented, LoopbackPort::Exact),
        presented == own.as_str()
    );
    // Any port is a matter of the port alone: scheme, host, path and query stay.
    if own.accepts(presented, LoopbackPort::Any) && presented != own.as_str() {
        assert!(own.as_str().starts_with("http://") && presented.starts_with("http://"));
        assert!(presented.parse::<RedirectUri>().is_ok());
    }
});
