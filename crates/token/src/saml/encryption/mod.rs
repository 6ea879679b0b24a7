//! Encrypted assertions: a key of one use, wrapped for the recipient.
//!
//! What is accepted: AES-GCM with 128 or 256 bits, RSA-OAEP. CBC and RSA
//! PKCS#1 v1.5 leak through their errors, so they are not read at all.
//!
//! Spec: XML Encryption §3, §5.2.4, §5.5.2
//! Spec: SAML 2.0 Core §2.3.4, §6

mod reread;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{self, AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use zeroize::Zeroizing;

use super::certificate::Certificate;
use super::names::{
    AES128_GCM, AES256_GCM, DSIG, ELEMENT, MGF1_SHA256, RSA_OAEP, RSA_OAEP_MGF1P, SAML, SHA1,
    SHA256, XENC, XENC11,
};
use super::refused::Refused;
use super::signature::base64;
use super::xml::Element;
use crate::clock::{Entropy, random};
use crate::jose::jwe::EncryptionKey;
use crate::keyring::{Keyring, WorkingSecret};
use crate::secret::Secret;

const NONCE_BYTES: usize = 12;

/// How the key of one use is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyTransport {
    /// RSA-OAEP with SHA-256 in both places.
    #[default]
    OaepSha256,
    /// RSA-OAEP with SHA-1 in both places, for readers that know nothing else
    /// (xmlsec1 before 1.3). Its strength does not rest on collisions.
    OaepSha1,
}

impl KeyTransport {
    const fn algorithm(self) -> &'static OaepAlgorithm {
        match self {
            Self::OaepSha256 => &OAEP_SHA256_MGF1SHA256,
            Self::OaepSha1 => &OAEP_SHA1_MGF1SHA1,
        }
    }
}

/// What the text is encrypted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cipher {
    /// AES-GCM with 128 bits.
    Aes128Gcm,
    /// AES-GCM with 256 bits.
    #[default]
    Aes256Gcm,
}

impl Cipher {
    /// How long its key is, in bytes.
    const fn key_bytes(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm => 32,
        }
    }

    const fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128Gcm => &AES_128_GCM,
            Self::Aes256Gcm => &AES_256_GCM,
        }
    }

    /// Its name in XML.
    pub(super) const fn uri(self) -> &'static str {
        match self {
            Self::Aes128Gcm => AES128_GCM,
            Self::Aes256Gcm => AES256_GCM,
        }
    }

    fn named(uri: &str) -> Option<Self> {
        let all = [Self::Aes128Gcm, Self::Aes256Gcm];
        all.into_iter().find(|own| own.uri() == uri)
    }
}

/// Whom assertions are encrypted to: the RSA key of a relying party.
pub struct Recipient {
    key: OaepPublicEncryptingKey,
    transport: KeyTransport,
    cipher: Cipher,
    /// By what the server that writes can read it again.
    again: Option<Arc<WorkingSecret>>,
}

/// A certificate or key that nothing can be encrypted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("encryption needs an RSA key of 2,048 to 8,192 bits")]
pub struct NotForEncryption;

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({:?})", self.transport)
    }
}

/// What was encrypted: the wrapped key and the text under it. Only the allowed
/// forms of it can be read.
pub(super) struct Encrypted {
    pub(super) transport: KeyTransport,
    pub(super) cipher: Cipher,
    /// The name of the wrapped key, by which a server finds its own again.
    pub(super) key_id: Option<String>,
    pub(super) key: Vec<u8>,
    pub(super) data: Vec<u8>,
}

impl Recipient {
    /// Encrypts to the key of a certificate.
    pub fn new(
        certificate: &Certificate,
        transport: KeyTransport,
    ) -> Result<Self, NotForEncryption> {
        let key = PublicEncryptingKey::from_der(certificate.public_key_info())
            .map_err(|_| NotForEncryption)?;
        if !(2048..=8192).contains(&key.key_size_bits()) {
            return Err(NotForEncryption);
        }
        let key = OaepPublicEncryptingKey::new(key).map_err(|_| NotForEncryption)?;
        Ok(Self {
            key,
            transport,
            cipher: Cipher::default(),
            again: None,
        })
    }

    /// Encrypts to a key that was registered for RSA-OAEP-256, so that this
    /// installation can read it again.
    pub fn registered(
        key: EncryptionKey,
        cipher: Cipher,
        ring: &Keyring,
    ) -> Result<Self, NotForEncryption> {
        Ok(Self {
            key: key.into_rsa().ok_or(NotForEncryption)?,
            transport: KeyTransport::OaepSha256,
            cipher,
            again: Some(reread::current(ring)),
        })
    }

    /// Encrypts under a key of one use.
    pub(super) fn encrypt(
        &self,
        plain: &str,
        entropy: &dyn Entropy,
    ) -> Result<Encrypted, NotForEncryption> {
        let salt = random(entropy);
        let again = self.again.as_deref();
        let content = match again {
            Some(own) => reread::content_key(own, self.cipher, &salt),
            None => Zeroizing::new(random::<32>(entropy)[..self.cipher.key_bytes()].to_vec()),
        };
        let mut wrapped = vec![0; self.key.ciphertext_size()];
        let algorithm = self.transport.algorithm();
        self.key
            .encrypt(algorithm, &content, &mut wrapped, None)
            .map_err(|_| NotForEncryption)?;
        let nonce: [u8; NONCE_BYTES] = match again {
            Some(own) => reread::word(own, self.cipher, &salt, &wrapped),
            None => random(entropy),
        };
        let cipher = UnboundKey::new(self.cipher.algorithm(), &content);
        let mut data = plain.as_bytes().to_vec();
        LessSafeKey::new(cipher.map_err(|_| NotForEncryption)?)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut data)
            .map_err(|_| NotForEncryption)?;
        data.splice(0..0, nonce);
        Ok(Encrypted {
            transport: self.transport,
            cipher: self.cipher,
            key_id: again.map(|_| reread::key_id(&salt)),
            key: wrapped,
            data,
        })
    }
}

/// A private key that opens what was encrypted to this server.
pub struct DecryptionKey {
    key: OaepPrivateDecryptingKey,
    /// Makes the key that is tried where unwrapping failed.
    instead: hmac::Key,
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecryptionKey(..)")
    }
}

impl DecryptionKey {
    /// Draws a key pair; the answer is its PKCS#8 form, to be sealed.
    pub fn generate() -> Result<Secret, NotForEncryption> {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa3072).map_err(|_| NotForEncryption)?;
        let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&key)
            .map_err(|_| NotForEncryption)?;
        Ok(Secret::new(der.as_ref().to_vec()))
    }

    /// Takes a key pair back from its PKCS#8 form.
    pub fn from_pkcs8(document: &Secret) -> Result<Self, NotForEncryption> {
        let key = PrivateDecryptingKey::from_pkcs8(document.expose())
            .and_then(|key| OaepPrivateDecryptingKey::new(key).map_err(Into::into))
            .map_err(|_| NotForEncryption)?;
        Ok(Self {
            key,
            instead: hmac::Key::new(hmac::HMAC_SHA256, document.expose()),
        })
    }

    /// The unwrapped key. Where it cannot be unwrapped, one that nobody can
    /// foresee takes its place, so that the next step fails in the same way.
    /// It is made in any case, so that either way takes as long.
    fn unwrap(&self, encrypted: &Encrypted) -> Zeroizing<Vec<u8>> {
        let wanted = encrypted.cipher.key_bytes();
        let instead = hmac::sign(&self.instead, &encrypted.key);
        let mut chosen = Zeroizing::new(instead.as_ref()[..wanted].to_vec());
        let mut buffer = Zeroizing::new(vec![0; self.key.min_output_size()]);
        let algorithm = encrypted.transport.algorithm();
        let unwrapped = self
            .key
            .decrypt(algorithm, &encrypted.key, &mut buffer, None);
        if let Some(own) = unwrapped.ok().filter(|own| own.len() == wanted) {
            chosen.copy_from_slice(own);
        }
        chosen
    }
}

/// Opens an `EncryptedAssertion`: what is inside is text again, of which
/// nothing is trusted. Every key is tried, whatever the first one gives.
pub(super) fn decrypt(encrypted: &Encrypted, keys: &[DecryptionKey]) -> Result<String, Refused> {
    let opened = keys
        .iter()
        .map(|key| encrypted.open(&key.unwrap(encrypted)));
    // INVARIANT: nothing here ends early. One that has the right form costs one
    // use of each key, whether it opens or not.
    let opened = opened.fold(None, |found: Option<String>, own| found.or(own));
    opened.ok_or(Refused::Encrypted)
}

impl Encrypted {
    /// Takes an encrypted assertion apart.
    pub(super) fn read(element: Element<'_>) -> Result<Self, Refused> {
        Self::parts(element).map_err(|_| Refused::Encrypted)
    }

    fn parts(element: Element<'_>) -> Result<Self, Refused> {
        let refused = Refused::Encrypted;
        let encrypted = element.children()?;
        let [data] = encrypted.as_slice() else {
            return Err(refused);
        };
        let of_element = data.attribute("Type").is_none_or(|own| own == ELEMENT);
        if !element.is(SAML, "EncryptedAssertion") || !data.is(XENC, "EncryptedData") || !of_element
        {
            return Err(refused);
        }
        let data_parts = data.children()?;
        let [method, info, cipher] = data_parts.as_slice() else {
            return Err(refused);
        };
        let inside = info.children()?;
        let [key] = inside.as_slice() else {
            return Err(refused);
        };
        let key_parts = key.children()?;
        let (method_of_key, cipher_of_key) = match key_parts.as_slice() {
            [method, cipher] => (*method, *cipher),
            [method, hint, cipher] if hint.is(DSIG, "KeyInfo") => (*method, *cipher),
            _ => return Err(refused),
        };
        let right = info.is(DSIG, "KeyInfo")
            && key.is(XENC, "EncryptedKey")
            && method.is(XENC, "EncryptionMethod")
            && method_of_key.is(XENC, "EncryptionMethod");
        if !right {
            return Err(refused);
        }
        let named = method.attribute("Algorithm").and_then(Cipher::named);
        Ok(Self {
            transport: transport(method_of_key)?,
            cipher: named.ok_or(refused)?,
            key_id: key.attribute("Id").map(str::to_owned),
            key: cipher_value(cipher_of_key)?,
            data: cipher_value(*cipher)?,
        })
    }

    /// The text under a key.
    fn open(&self, content: &[u8]) -> Option<String> {
        let cipher = UnboundKey::new(self.cipher.algorithm(), content).ok()?;
        let (nonce, sealed) = self.data.split_at_checked(NONCE_BYTES)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let plain = LessSafeKey::new(cipher)
            .open_in_place(nonce, Aad::empty(), &mut sealed)
            .ok()?;
        String::from_utf8(plain.to_vec()).ok()
    }
}

/// RSA-OAEP with both hashes alike, by whichever of its two names.
fn transport(method: Element<'_>) -> Result<KeyTransport, Refused> {
    let (mut digest, mut mask) = (None, None);
    for child in method.children()? {
        let place = if child.is(DSIG, "DigestMethod") {
            &mut digest
        } else if child.is(XENC11, "MGF") {
            &mut mask
        } else {
            return Err(Refused::Encrypted);
        };
        if place.is_some() {
            return Err(Refused::Encrypted);
        }
        *place = child.attribute("Algorithm");
    }
    match (method.attribute("Algorithm"), digest, mask) {
        (Some(RSA_OAEP), Some(SHA256), Some(MGF1_SHA256)) => Ok(KeyTransport::OaepSha256),
        // Its mask generation is SHA-1 whatever the digest, and both have to
        // be alike here.
        (Some(RSA_OAEP_MGF1P), None | Some(SHA1), None) => Ok(KeyTransport::OaepSha1),
        _ => Err(Refused::Encrypted),
    }
}

fn cipher_value(data: Element<'_>) -> Result<Vec<u8>, Refused> {
    let inside = data.children()?;
    match inside.as_slice() {
        [value] if data.is(XENC, "CipherData") && value.is(XENC, "CipherValue") => base64(*value),
        _ => Err(Refused::Encrypted),
    }
}

#[cfg(test)]
mod tests;
