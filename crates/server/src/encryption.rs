//! Signed tokens and answers, encrypted to whoever registered a key for it.
//!
//! What is to be encrypted is never sent otherwise: where no key can be had,
//! nothing is issued.
//!
//! Spec: OpenID Connect Core 1.0 §10.2, §16.14
//! Spec: RFC 7519 §5.2
//! Spec: RFC 9068 §6

#[cfg(feature = "saml")]
use symbolon_protocol::ContentEncryption;
use symbolon_protocol::{
    Client, EncryptedAnswer, Encryption, ErrorCode, KeyManagement, RegisteredKeys, Resource,
};
use symbolon_token::jose::jwe::{Content, EncryptionKey};
#[cfg(feature = "saml")]
use symbolon_token::saml::{Cipher, Recipient};

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
    let Encryption { alg, enc } = encryption;
    let key = resource_key(cx, resource, alg).await?;
    let content = Content::nested(&signed);
    let text = cx.keys.encrypt(&key, enc, content, cx.entropy());
    Ok(text.map_err(|_| FAILED)?)
}

/// Whom assertions for a resource are encrypted to, where it registered for its
/// tokens. The server can read them again.
#[cfg(feature = "saml")]
pub(crate) async fn of_assertions(
    cx: &Cx,
    resource: &Resource,
) -> Result<Option<Recipient>, Failure> {
    let Some(encryption) = resource.encryption() else {
        return Ok(None);
    };
    if encryption.alg != KeyManagement::RsaOaep256 {
        let why = "tokens of that resource are encrypted, and an assertion only ever is under RSA-OAEP-256, which it did not register";
        return Err(Refusal::invalid_target(why).into());
    }
    let key = resource_key(cx, resource, encryption.alg).await?;
    let cipher = match encryption.enc {
        ContentEncryption::A128Gcm => Cipher::Aes128Gcm,
        // Without GCM nothing is written in XML.
        ContentEncryption::A256Gcm | ContentEncryption::A256CbcHs512 => Cipher::Aes256Gcm,
    };
    let recipient = Recipient::registered(key, cipher, &cx.keys);
    Ok(Some(recipient.map_err(|_| FAILED)?))
}

async fn resource_key(
    cx: &Cx,
    resource: &Resource,
    alg: KeyManagement,
) -> Result<EncryptionKey, Failure> {
    if let Some(key) = find_key(cx, resource.registered_keys(), alg).await {
        return Ok(key);
    }
    tracing::warn!(request = %cx.request, resource = %resource.identifier, %alg, "no key of a resource can be encrypted to");
    let why = "no key that this resource registered can be encrypted to";
    Err(Refusal::invalid_target(why).into())
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
