//! What is sealed here, and API keys: opaque tokens, refresh tokens and authorities.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use symbolon_testkit::SeededEntropy;
use symbolon_token::api_key::ForeignDigest;
use symbolon_token::refresh::RefreshToken;
use symbolon_token::seal::Bound;
use symbolon_token::{Authority, Keyring, api_key, opaque};

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
    // Whatever reads as a key of ours is one spelling of it, and from nowhere else.
    if api_key::read(text).is_some() {
        assert!(text.len() == 70 && !api_key::is_foreign(text));
    }
    if let Ok(digest) = text.parse::<ForeignDigest>() {
        assert_eq!(text.to_ascii_lowercase().parse(), Ok(digest));
    }
});
