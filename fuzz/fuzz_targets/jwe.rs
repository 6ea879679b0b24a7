//! JWE: what a stranger sends never opens, whatever its header asks for.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use symbolon_protocol::{ContentEncryption, KeyManagement};
use symbolon_token::Secret;
use symbolon_token::jose::jwe::{DecryptionKey, EncryptionKey};

static KEYS: LazyLock<Vec<DecryptionKey>> = LazyLock::new(|| {
    [KeyManagement::EcdhEs, KeyManagement::EcdhEsA256Kw]
        .into_iter()
        .filter_map(|own| DecryptionKey::x25519(None, own, &Secret::new(vec![9; 32])).ok())
        .collect()
});

// A JWE, a line end, and a key.
fuzz_target!(|text: &str| {
    let (text, jwk) = text.split_once('\n').unwrap_or((text, text));
    for key in KEYS.iter() {
        // Whoever knows the public key can make one that opens: it need not
        // fail, it must not panic.
        let _ = key.decrypt(text, ContentEncryption::ALL);
    }
    if let Ok(serde_json::Value::Object(jwk)) = serde_json::from_str(jwk) {
        for algorithm in KeyManagement::ALL {
            let _ = EncryptionKey::from_jwk(&jwk, *algorithm);
        }
    }
});
