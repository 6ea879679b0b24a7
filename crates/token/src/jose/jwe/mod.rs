//! Compact JWE: what only the holder of a registered key can read.
//!
//! A key has one algorithm and one use. There is no RSA1_5, no password-based
//! key, no direct use of a shared key and no compression, so the work that a
//! stranger's token can cause is bounded by its length.
//!
//! Spec: RFC 7516 §3.1, §5.1, §5.2
//! Spec: RFC 7518 §4.3, §4.6, §5.2, §5.3
//! Spec: RFC 8725 §3.2, §3.6

mod agree;
mod content;
mod key;
mod read;

pub use key::{DecryptionKey, EncryptionKey, Unencryptable};
pub use read::{MAX_JWE_BYTES, Undecryptable};

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use aws_lc_rs::rsa::OAEP_SHA256_MGF1SHA256;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use symbolon_protocol::{ContentEncryption, KeyManagement};

use self::content::ContentKey;
use self::key::Recipient;
use crate::clock::Entropy;

/// What is encrypted, and what the header says of it.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// The bytes; for a nested token, a compact JWS.
    pub bytes: &'a [u8],
    /// The kind of the whole, where it has one.
    pub typ: Option<&'a str>,
    /// What is inside: `JWT` for a nested token (RFC 7519 §5.2).
    pub cty: Option<&'a str>,
}

impl<'a> Content<'a> {
    /// A signed token, to be read by one holder alone.
    pub fn nested(token: &'a str) -> Self {
        Self {
            bytes: token.as_bytes(),
            typ: None,
            cty: Some("JWT"),
        }
    }
}

impl EncryptionKey {
    /// Encrypts content for the holder of this key.
    pub fn encrypt(
        &self,
        encryption: ContentEncryption,
        content: Content<'_>,
        entropy: &dyn Entropy,
    ) -> Result<String, Unencryptable> {
        let mut header = json!({
            "alg": self.algorithm().as_str(),
            "enc": encryption.as_str(),
        });
        let mut say = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                header[name] = Value::from(value);
            }
        };
        say("kid", self.kid());
        say("typ", content.typ);
        say("cty", content.cty);
        let (key, wrapped) = match self.recipient() {
            Recipient::Rsa(public) => {
                let key = ContentKey::random(encryption, entropy);
                let mut wrapped = vec![0; public.ciphertext_size()];
                public
                    .encrypt(&OAEP_SHA256_MGF1SHA256, key.bytes(), &mut wrapped, None)
                    .map_err(|_| Unencryptable)?;
                (key, wrapped)
            }
            Recipient::Curve(point) => {
                let (agreed, epk) = agree::fresh(point, self.algorithm(), encryption)?;
                header["epk"] = epk;
                wrap(self.algorithm(), encryption, agreed, entropy)?
            }
        };
        let header = BASE64_URL_SAFE_NO_PAD.encode(header.to_string());
        let sealed = key.seal(header.as_bytes(), content.bytes, entropy);
        let sealed = sealed.ok_or(Unencryptable)?;
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        Ok(format!(
            "{header}.{}.{}.{}.{}",
            text(&wrapped),
            text(&sealed.iv),
            text(&sealed.ciphertext),
            text(&sealed.tag),
        ))
    }
}

/// What was agreed upon is the content's key, or wraps it.
fn wrap(
    algorithm: KeyManagement,
    encryption: ContentEncryption,
    agreed: agree::Agreed,
    entropy: &dyn Entropy,
) -> Result<(ContentKey, Vec<u8>), Unencryptable> {
    if algorithm == KeyManagement::EcdhEs {
        let key = ContentKey::from_bytes(encryption, agreed.bytes()).ok_or(Unencryptable)?;
        return Ok((key, Vec::new()));
    }
    let key = ContentKey::random(encryption, entropy);
    let kek = AesKek::new(&AES_256, agreed.bytes()).map_err(|_| Unencryptable)?;
    let mut wrapped = vec![0; key.bytes().len() + 8];
    kek.wrap(key.bytes(), &mut wrapped)
        .map_err(|_| Unencryptable)?;
    Ok((key, wrapped))
}
