//! Questions of Envoy over gRPC: whatever comes is read to its end or refused,
//! and what is read has a method and stands there as it was sent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use symbolon_gateway::check_request;

fuzz_target!(|message: &[u8]| {
    let Some((method, target)) = check_request(message) else {
        return;
    };
    assert!(!method.is_empty());
    let has = |text: &str| {
        let text = text.as_bytes();
        text.is_empty() || message.windows(text.len()).any(|own| own == text)
    };
    assert!(has(&method) && has(&target));
});
