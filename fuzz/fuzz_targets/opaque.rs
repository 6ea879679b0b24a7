//! What is sealed here: opaque tokens, refresh tokens and authorities.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use symbolon_testkit::SeededEntropy;
use symbolon_token::refresh::RefreshToken;
use symbolon_token::seal::Bound;
use symbolon_token::{Authority, Keyring, opaque};

static KEYS: LazyLock<Keyring> = LazyLock::new(|| {
    let keys = Keyring::generate(&SeededEntropy::new(1), Vec::new());
    Keyring::new(keys).expect("a generated ring is whole")
});

fuzz_target!(|bytes: &[u8]| {
    if let Some(authority) = Authority::decode(bytes) {
        assert_eq!(Authority::decode(&authority.encode()), Some(authority));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let bound = Bound {
        issuer: "https://login.example.com",
        epoch: 1,
    };
    assert!(opaque::open(&KEYS, bound, text).is_err());
    assert!(RefreshToken::open(&KEYS, text).is_err());
});
