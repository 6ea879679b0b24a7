//! Encrypted tokens there and back with joserfc, which nobody here wrote.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use symbolon_protocol::{ContentEncryption, KeyManagement};
use symbolon_testkit::{Peer, SeededEntropy};
use symbolon_token::Secret;
use symbolon_token::jose::jwe::{Content, DecryptionKey, EncryptionKey};

const PLAIN: &str = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln";

#[test]
fn joserfc_reads_what_is_written_here_and_the_reverse() {
    let mut peer = Peer::start("jwe_peer.py");
    for alg in KeyManagement::ALL {
        let pair = peer.ask(&json!({"do": "generate", "alg": alg.as_str()}));
        let pkcs8 = pair["pkcs8"].as_str().unwrap();
        let secret = Secret::new(BASE64_STANDARD.decode(pkcs8).unwrap());
        let private = DecryptionKey::from_pkcs8(None, *alg, &secret).unwrap();
        let jwk = Secret::from(pair["private"].to_string());
        let by_jwk = DecryptionKey::from_jwk(&jwk).unwrap();
        let public = EncryptionKey::from_jwk(pair["jwk"].as_object().unwrap(), *alg).unwrap();
        for enc in ContentEncryption::ALL {
            let pair_of_names = json!({"alg": alg.as_str(), "enc": enc.as_str()});
            let with = |more: Value| {
                let mut request = pair_of_names.clone();
                request
                    .as_object_mut()
                    .unwrap()
                    .extend(more.as_object().unwrap().clone());
                request
            };

            let entropy = SeededEntropy::new(1);
            let ours = public
                .encrypt(*enc, Content::nested(PLAIN), &entropy)
                .unwrap();
            let read = peer.ask(&with(json!({"do": "decrypt", "token": ours, "key": pkcs8})));
            let theirs = peer.ask(&with(
                json!({"do": "encrypt", "plain": PLAIN, "key": pair["jwk"]}),
            ));

            assert_eq!(read, json!({"plain": PLAIN, "cty": "JWT"}), "{alg} {enc}");
            let theirs = theirs["token"].as_str().unwrap();
            assert_eq!(
                by_jwk.open_nested(theirs).as_deref(),
                Ok(PLAIN),
                "{alg} {enc}"
            );
            let theirs = private.decrypt(theirs, &[*enc]);
            assert_eq!(theirs.as_deref(), Ok(PLAIN.as_bytes()), "{alg} {enc}");
        }
    }
}
