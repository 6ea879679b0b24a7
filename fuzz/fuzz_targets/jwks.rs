//! Key sets of strangers: what is read has a use, an algorithm and a name that
//! can be asked for, and is not more than the document holds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use symbolon_protocol::KeyManagement;
use symbolon_token::jose::jwe::EncryptionKey;
use symbolon_token::jose::{Algorithm, KeySet, VerifyingKey, json};

fuzz_target!(|document: &[u8]| {
    let Ok(object) = json::object(document) else {
        assert!(KeySet::parse(document).is_err());
        return;
    };
    let _ = VerifyingKey::from_jwk(&object);
    for algorithm in KeyManagement::ALL {
        let _ = EncryptionKey::from_jwk(&object, *algorithm);
    }
    let Ok(set) = KeySet::parse(document) else {
        return;
    };
    let listed = object.get("keys").and_then(|own| own.as_array());
    let listed = listed.map_or(0, Vec::len);
    assert!(set.len() + set.skipped() <= listed);
    assert_eq!(set.is_empty(), set.len() == 0);
    for algorithm in [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa] {
        for key in set.candidates(None, algorithm) {
            assert!(key.checks(algorithm));
            assert!(key.kid().is_none_or(|kid| set.names(kid)));
            // Nobody signed this.
            assert!(!key.verifies(b"x", &[7; 64]));
        }
    }
});
