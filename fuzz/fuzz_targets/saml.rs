//! SAML assertions and certificates: no text panics, and none that the issuer
//! did not sign is believed.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use symbolon_protocol::{SigningAlgorithm, Timestamp};
use symbolon_testkit::SeededEntropy;
use symbolon_token::Keyring;
use symbolon_token::jose::{SigningKey, VerifyingKey};
use symbolon_token::saml::{Certificate, DecryptionKey, Expected, Presented, Trusted, open};

/// A key that signs nothing.
static KEY: LazyLock<VerifyingKey> = LazyLock::new(|| {
    let document = SigningKey::generate(SigningAlgorithm::Es256).expect("the library makes keys");
    let key = SigningKey::from_pkcs8(SigningAlgorithm::Es256, &document).expect("just made");
    let jwk = key.public_jwk();
    VerifyingKey::from_jwk(jwk.as_object().expect("a key is one")).expect("just written")
});

/// What opens nothing that a stranger can write.
static OPENING: LazyLock<(Keyring, [DecryptionKey; 1])> = LazyLock::new(|| {
    let keys = Keyring::generate(&SeededEntropy::new(1), Vec::new());
    let document = DecryptionKey::generate().expect("the library makes keys");
    let key = DecryptionKey::from_pkcs8(&document).expect("just made");
    (Keyring::new(keys).expect("it is whole"), [key])
});

fuzz_target!(|text: &str| {
    let _ = Certificate::parse_all(text);
    let presented = BASE64_URL_SAFE_NO_PAD.encode(text);
    let expected = Expected {
        audiences: &["https://login.example.com"],
        recipients: &["https://login.example.com/token"],
        in_response_to: None,
        longest: Duration::from_secs(3600),
        skew: Duration::from_secs(10),
        now: Timestamp::from_seconds(1_767_225_601),
    };
    for whole in [text, &*presented] {
        let Ok(own) = Presented::parse_at_home(whole, &OPENING.1, &OPENING.0) else {
            continue;
        };
        // Trusted by whatever name it gives, so that its signature is looked at.
        let trusted = Trusted::by_keys(own.claimed_issuer(), [KEY.clone()]);
        let trusted = trusted.expect("there is a key");
        assert!(own.open(&trusted, &expected).is_err());
        assert!(own.reopen(&trusted, expected.now).is_err());
        assert!(open(whole, &[], &[trusted], &expected).is_err());
    }
});
