//! An encrypted token that cannot be opened, by what its header says, and by
//! whether anybody here has a key.
//!
//! Spec: RFC 7516 §4.1
//! Spec: RFC 7519 §5.2

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use symbolon_protocol::{ContentEncryption, KeyManagement};
use symbolon_token::jose::json;
use symbolon_token::jose::jwe::Unopened;

use super::finding::Finding;

/// What its header says is wrong comes before what followed of it.
pub(super) fn unopened(text: &str, why: Unopened) -> Option<Finding> {
    match why {
        Unopened::NoKey => Some(finding(text)),
        Unopened::Undecryptable(_) => by_header(text),
        _ => None,
    }
}

/// The cause where nobody has the key.
pub(super) fn finding(text: &str) -> Finding {
    by_header(text).unwrap_or_else(|| {
        Finding::new(
            "encrypted",
            "signature: this is an encrypted token, and no key to read it is at hand here".into(),
            "decrypt it with the private key of this API and check the token inside, or give that key to the verifier",
        )
    })
}

fn by_header(text: &str) -> Option<Finding> {
    let header = header(text);
    let said = |name: &str| header.get(name).and_then(Value::as_str).unwrap_or_default();
    let shown = |name: &str| super::printable(said(name));
    let parts = text.split('.').count();
    if parts != 5 {
        return Some(Finding::new(
            "encrypted_parts",
            format!(
                "signature: an encrypted token has five parts with dots between, this has {parts}"
            ),
            "send it whole, exactly as it was issued",
        ));
    }
    if header.contains_key("zip") {
        return Some(Finding::new(
            "encrypted_compressed",
            "signature: the encrypted token is compressed (`zip`), and nobody unpacks what a stranger packed".into(),
            "have it encrypted without compression",
        ));
    }
    if said("alg").parse::<KeyManagement>().is_err() {
        return Some(Finding::new(
            "encrypted_algorithm",
            format!(
                "signature: it is encrypted under `{}`, which is not taken",
                shown("alg")
            ),
            "have it encrypted under RSA-OAEP-256, ECDH-ES or ECDH-ES+A256KW",
        ));
    }
    if said("enc").parse::<ContentEncryption>().is_err() {
        return Some(Finding::new(
            "encrypted_content",
            format!(
                "signature: its content is encrypted under `{}`, which is not taken",
                shown("enc")
            ),
            "have it encrypted under A128GCM, A256GCM or A256CBC-HS512",
        ));
    }
    if !said("cty").eq_ignore_ascii_case("JWT") {
        return Some(Finding::new(
            "encrypted_not_nested",
            "signature: it is encrypted and does not say that a signed token is inside (`cty`): whoever knows the public key can encrypt anything".into(),
            "have the issuer sign first and encrypt then, with `cty` `JWT`",
        ));
    }
    None
}

fn header(text: &str) -> Map<String, Value> {
    let first = text.split('.').next().unwrap_or_default();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(first).unwrap_or_default();
    json::object(&bytes).unwrap_or_default()
}
