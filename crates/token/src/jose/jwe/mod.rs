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
mod nested;
mod private;
mod read;
mod reread;

pub use key::{DecryptionKey, EncryptionKey, Unencryptable};
pub use nested::{Unopened, claimed_header, is_encrypted};
pub use read::{MAX_JWE_BYTES, Undecryptable};

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use aws_lc_rs::rsa::OAEP_SHA256_MGF1SHA256;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use symbolon_protocol::{ContentEncryption, KeyManagement};

use self::agree::Purpose;
use self::content::{ContentKey, draw_iv};
use self::key::Recipient;
use self::reread::Source;
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
    /// Encrypts content for the holder of this key, and for nobody else.
    pub fn encrypt(
        &self,
        encryption: ContentEncryption,
        content: Content<'_>,
        entropy: &dyn Entropy,
    ) -> Result<String, Unencryptable> {
        self.write(encryption, content, Source::Random, entropy)
    }

    fn write(
        &self,
        encryption: ContentEncryption,
        content: Content<'_>,
        source: Source<'_>,
        entropy: &dyn Entropy,
    ) -> Result<String, Unencryptable> {
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
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
        let agreed = match self.recipient() {
            Recipient::Rsa(_) => None,
            Recipient::Curve(point) => {
                let purpose = Purpose {
                    algorithm: self.algorithm(),
                    encryption,
                };
                let note = |shared: &[u8]| source.note(shared, entropy);
                let (agreed, epk, producer) = agree::fresh(point, purpose, note)?;
                header["epk"] = epk;
                if !producer.is_empty() {
                    header["apu"] = text(&producer).into();
                }
                Some(agreed)
            }
        };
        let header = text(header.to_string().as_bytes());
        let mut iv = draw_iv(encryption, entropy);
        let found = match &agreed {
            None => source.key(encryption, &header, &iv),
            Some(_) => None,
        };
        let drawn = || found.unwrap_or_else(|| ContentKey::random(encryption, entropy));
        let is_wrapped_by_rsa = agreed.is_none();
        let (key, wrapped) = self.wrap(encryption, agreed, drawn)?;
        if is_wrapped_by_rsa {
            source.vouch(&header, &wrapped, &mut iv);
        }
        let sealed = key.seal(header.as_bytes(), content.bytes, &iv);
        let sealed = sealed.ok_or(Unencryptable)?;
        Ok(format!(
            "{header}.{}.{}.{}.{}",
            text(&wrapped),
            text(&sealed.iv),
            text(&sealed.ciphertext),
            text(&sealed.tag),
        ))
    }

    /// The content's key and what stands in the token of it: what was agreed
    /// upon is the key or wraps it, or RSA does.
    fn wrap(
        &self,
        encryption: ContentEncryption,
        agreed: Option<agree::Agreed>,
        drawn: impl FnOnce() -> ContentKey,
    ) -> Result<(ContentKey, Vec<u8>), Unencryptable> {
        if let (KeyManagement::EcdhEs, Some(agreed)) = (self.algorithm(), &agreed) {
            let key = ContentKey::from_bytes(encryption, agreed.bytes()).ok_or(Unencryptable)?;
            return Ok((key, Vec::new()));
        }
        let key = drawn();
        let wrapped = match (self.recipient(), agreed) {
            (Recipient::Rsa(public), _) => {
                let mut wrapped = vec![0; public.ciphertext_size()];
                let scheme = &OAEP_SHA256_MGF1SHA256;
                let done = public.encrypt(scheme, key.bytes(), &mut wrapped, None);
                done.map(|_| ()).map_err(|_| Unencryptable)?;
                wrapped
            }
            (Recipient::Curve(_), Some(agreed)) => {
                let kek = AesKek::new(&AES_256, agreed.bytes()).map_err(|_| Unencryptable)?;
                let mut wrapped = vec![0; key.bytes().len() + 8];
                let done = kek.wrap(key.bytes(), &mut wrapped);
                done.map(|_| ()).map_err(|_| Unencryptable)?;
                wrapped
            }
            (Recipient::Curve(_), None) => return Err(Unencryptable),
        };
        Ok((key, wrapped))
    }
}
