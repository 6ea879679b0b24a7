//! Signed tokens and answers, encrypted to whoever registered a key for it.
//!
//! What is to be encrypted is never sent otherwise: where no key can be had,
//! nothing is issued.
//!
//! Spec: OpenID Connect Core 1.0 §10.2, §16.14
//! Spec: RFC 7519 §5.2
//! Spec: RFC 9068 §6

use symbolon_protocol::{
    Client, EncryptedAnswer, Encryption, ErrorCode, KeyManagement, RegisteredKeys, Resource,
};
use symbolon_token::jose::jwe::{Content, EncryptionKey};

use crate::cx::Cx;
use crate::failure::{Broken, Failure, Refusal};

/// A name that no key has: whoever asks for it is answered by the address, not
/// from memory, as often as the fetcher allows.
const UNKNOWN_KID: &str = "";

/// Encrypts an answer to a client that registered for it.
pub(crate) async fn to_client(
    cx: &Cx,
    client: &Client,
    answer: EncryptedAnswer,
    signed: String,
) -> Result<String, Failure> {
    let Some(encryption) = client.encryption.of(answer) else {
        return Ok(signed);
    };
    let Some(key) = find_key(cx, client.registered_keys(), encryption.alg).await else {
        tracing::warn!(request = %cx.request, client = %client.id, alg = %encryption.alg, "no key of a client can be encrypted to");
        let why = "no key that the client registered can be encrypted to";
        return Err(Refusal::new(ErrorCode::InvalidClientMetadata, why).into());
    };
    let content = Content::nested(&signed);
    let text = key.encrypt(encryption.enc, content, cx.entropy());
    Ok(text.map_err(|_| FAILED)?)
}

/// Encrypts an access token to a resource that registered for it. The server
/// can read it again.
pub(crate) async fn to_resource(
    cx: &Cx,
    resource: &Resource,
    signed: String,
) -> Result<String, Failure> {
    let Some(encryption) = resource.encryption() else {
        return Ok(signed);
    };
    let Some(key) = find_key(cx, resource.registered_keys(), encryption.alg).await else {
        tracing::warn!(request = %cx.request, resource = %resource.identifier, alg = %encryption.alg, "no key of a resource can be encrypted to");
        let why = "no key that this resource registered can be encrypted to";
        return Err(Refusal::invalid_target(why).into());
    };
    let Encryption { enc, .. } = encryption;
    let content = Content::nested(&signed);
    let text = cx.keys.encrypt(&key, enc, content, cx.entropy());
    Ok(text.map_err(|_| FAILED)?)
}

const FAILED: Broken = Broken::Impossible("a key that was read cannot be encrypted to");

async fn find_key(cx: &Cx, keys: RegisteredKeys<'_>, alg: KeyManagement) -> Option<EncryptionKey> {
    if let Some(document) = keys.jwks {
        return cx.fetcher.inline_key_set(document)?.encryption_key(alg);
    }
    let address = keys.jwks_uri?;
    let now = cx.edge.clock.monotonic();
    let known = cx.fetcher.key_set(address, None, now).await.ok()?;
    if let Some(key) = known.encryption_key(alg) {
        return Some(key);
    }
    // A key that was published since the set was fetched.
    let asked = cx.fetcher.key_set(address, Some(UNKNOWN_KID), now).await;
    asked.ok()?.encryption_key(alg)
}

/// Whether keys that stand in a registration hold none for an algorithm. Of
/// keys at an address nobody knows before they are fetched.
pub(crate) fn lack(keys: RegisteredKeys<'_>, alg: KeyManagement) -> bool {
    let Some(document) = keys.jwks else {
        return false;
    };
    let set = document.as_object();
    set.is_none_or(|set| EncryptionKey::of_set(set, alg).is_none())
}

/// What is said of keys that lack one.
pub(crate) fn lacking(alg: KeyManagement) -> String {
    format!(
        "needs a public key in `jwks` with `use = \"enc\"` or none, of type {} and with `alg = \"{alg}\"` or none",
        match alg {
            KeyManagement::RsaOaep256 => "`RSA` with at least 2048 bits",
            KeyManagement::EcdhEs | KeyManagement::EcdhEsA256Kw =>
                "`EC` on P-256 or P-384, or `OKP` on X25519",
        }
    )
}
