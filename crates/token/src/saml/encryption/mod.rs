//! Encrypted assertions: a key of one use, wrapped for the recipient.
//!
//! What is accepted: AES-GCM with 128 or 256 bits, RSA-OAEP. CBC and RSA
//! PKCS#1 v1.5 leak through their errors, so they are not read at all.
//!
//! Spec: XML Encryption §3, §5.2.4, §5.5.2
//! Spec: SAML 2.0 Core §2.3.4, §6

use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
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

/// Whom assertions are encrypted to: a relying party's RSA certificate.
pub struct Recipient {
    key: OaepPublicEncryptingKey,
    pub(super) transport: KeyTransport,
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

/// What was encrypted: the wrapped key and the text under it.
pub(super) struct Encrypted {
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
        Ok(Self { key, transport })
    }

    /// Encrypts under a new key with AES-256-GCM.
    pub(super) fn encrypt(
        &self,
        plain: &str,
        entropy: &dyn Entropy,
    ) -> Result<Encrypted, NotForEncryption> {
        let key = Zeroizing::new(random::<32>(entropy));
        let nonce: [u8; NONCE_BYTES] = random(entropy);
        let cipher = UnboundKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| NotForEncryption)?;
        let mut data = plain.as_bytes().to_vec();
        LessSafeKey::new(cipher)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut data)
            .map_err(|_| NotForEncryption)?;
        data.splice(0..0, nonce);
        let mut wrapped = vec![0; self.key.ciphertext_size()];
        let algorithm = self.transport.algorithm();
        self.key
            .encrypt(algorithm, key.as_slice(), &mut wrapped, None)
            .map_err(|_| NotForEncryption)?;
        Ok(Encrypted { key: wrapped, data })
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
    fn unwrap(&self, wrapped: &Wrapped) -> Zeroizing<Vec<u8>> {
        let mut buffer = Zeroizing::new(vec![0; self.key.min_output_size()]);
        let algorithm = wrapped.transport.algorithm();
        let unwrapped = self
            .key
            .decrypt(algorithm, &wrapped.key, &mut buffer, None)
            .ok()
            .filter(|own| own.len() == wrapped.key_bytes)
            .map(|own| own.to_vec());
        Zeroizing::new(unwrapped.unwrap_or_else(|| {
            let mac = hmac::sign(&self.instead, &wrapped.key);
            mac.as_ref()[..wrapped.key_bytes].to_vec()
        }))
    }
}

/// Opens an `EncryptedAssertion`: what is inside is text again, of which
/// nothing is trusted.
pub(super) fn decrypt(element: Element<'_>, keys: &[DecryptionKey]) -> Result<String, Refused> {
    let wrapped = Wrapped::read(element).map_err(|_| Refused::Encrypted)?;
    keys.iter()
        .find_map(|key| wrapped.open(key))
        .ok_or(Refused::Encrypted)
}

/// An encrypted assertion taken apart. Only the allowed forms of it can be.
struct Wrapped {
    transport: KeyTransport,
    key_bytes: usize,
    key: Vec<u8>,
    data: Vec<u8>,
}

impl Wrapped {
    fn read(element: Element<'_>) -> Result<Self, Refused> {
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
        let key_bytes = match method.attribute("Algorithm") {
            Some(AES128_GCM) => 16,
            Some(AES256_GCM) => 32,
            _ => return Err(refused),
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
        Ok(Self {
            transport: transport(method_of_key)?,
            key_bytes,
            key: cipher_value(cipher_of_key)?,
            data: cipher_value(*cipher)?,
        })
    }

    fn open(&self, key: &DecryptionKey) -> Option<String> {
        let content = key.unwrap(self);
        let algorithm = match self.key_bytes {
            16 => &AES_128_GCM,
            _ => &AES_256_GCM,
        };
        let cipher = UnboundKey::new(algorithm, &content).ok()?;
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
