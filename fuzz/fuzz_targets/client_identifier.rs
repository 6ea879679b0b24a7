//! Identifiers of clients: those that were given out, and addresses of documents.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use symbolon_protocol::ClientId;
use symbolon_protocol::uri::{ClientIdUrl, Nearby};
use symbolon_testkit::SeededEntropy;
use symbolon_token::Keyring;

static KEYS: LazyLock<Keyring> = LazyLock::new(|| {
    let keys = Keyring::generate(&SeededEntropy::new(1), Vec::new());
    Keyring::new(keys).expect("a generated ring is whole")
});

fuzz_target!(|text: &str| {
    assert!(
        KEYS.open_client_identifier("https://login.example.com", text)
            .is_none()
    );
    let Ok(id) = text.parse::<ClientId>() else {
        return;
    };
    // One text is one address, and what is asked is what was written.
    if let Some(url) = ClientIdUrl::read(&id, Nearby::Refused) {
        assert_eq!(url.as_str(), text);
        assert!(ClientIdUrl::is_meant(&id) && !url.is_near());
        assert!(text.starts_with("https://") && !text.contains(['#', '?']));
        assert_eq!(ClientIdUrl::read(&id, Nearby::Allowed), Some(url));
    }
});
