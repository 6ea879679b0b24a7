//! Encrypted tokens there and back with joserfc, which nobody here wrote.
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use symbolon_protocol::{ContentEncryption, KeyManagement};
use symbolon_testkit::SeededEntropy;
use symbolon_token::Secret;
use symbolon_token::jose::jwe::{Content, DecryptionKey, EncryptionKey};

const PLAIN: &str = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln";

struct Peer {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peer {
    fn start() -> Self {
        let python = std::env::var("SYMBOLON_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/jwe_peer.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        Self { child, to, from }
    }

    fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.to, "{request}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has ended by itself where a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn joserfc_reads_what_is_written_here_and_the_reverse() {
    let mut peer = Peer::start();
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
