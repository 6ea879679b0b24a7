//! The content's own key: drawn for one token, and used once.
//!
//! Spec: RFC 7518 §5.2.2, §5.3
//! Spec: RFC 7516 §5.1

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey,
    UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{cipher, constant_time, hmac};
use symbolon_protocol::ContentEncryption;

use crate::clock::Entropy;
use crate::secret::wipe;

/// A key for one content.
pub(super) struct ContentKey {
    encryption: ContentEncryption,
    bytes: Vec<u8>,
}

/// Encrypted content in its parts.
pub(super) struct Sealed {
    pub(super) iv: Vec<u8>,
    pub(super) ciphertext: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

/// How many bytes a key has.
pub(super) const fn key_length(encryption: ContentEncryption) -> usize {
    match encryption {
        ContentEncryption::A128Gcm => 16,
        ContentEncryption::A256Gcm => 32,
        ContentEncryption::A256CbcHs512 => 64,
    }
}

/// Draws what no two contents under one key may share.
pub(super) fn draw_iv(encryption: ContentEncryption, entropy: &dyn Entropy) -> Vec<u8> {
    let length = match encryption {
        ContentEncryption::A256CbcHs512 => 16,
        _ => 12,
    };
    let mut iv = vec![0; length];
    entropy.fill(&mut iv);
    iv
}

impl ContentKey {
    pub(super) fn random(encryption: ContentEncryption, entropy: &dyn Entropy) -> Self {
        let mut bytes = vec![0; key_length(encryption)];
        entropy.fill(&mut bytes);
        Self { encryption, bytes }
    }

    /// A key that was agreed upon or unwrapped, if it has the right length.
    pub(super) fn from_bytes(encryption: ContentEncryption, bytes: &[u8]) -> Option<Self> {
        let fits = bytes.len() == key_length(encryption);
        fits.then(|| Self {
            encryption,
            bytes: bytes.to_vec(),
        })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Seals the one content of this key.
    pub(super) fn seal(&self, aad: &[u8], plain: &[u8], iv: &[u8]) -> Option<Sealed> {
        match self.encryption {
            ContentEncryption::A256CbcHs512 => self.seal_cbc(aad, plain, iv),
            _ => self.seal_gcm(aad, plain, iv),
        }
    }

    /// Opens content; the tag is checked before anything is decrypted.
    pub(super) fn open(&self, aad: &[u8], sealed: &Sealed) -> Option<Vec<u8>> {
        match self.encryption {
            ContentEncryption::A256CbcHs512 => self.open_cbc(aad, sealed),
            _ => self.open_gcm(aad, sealed),
        }
    }

    fn gcm(&self) -> Option<LessSafeKey> {
        let algorithm = match self.encryption {
            ContentEncryption::A128Gcm => &aead::AES_128_GCM,
            _ => &aead::AES_256_GCM,
        };
        UnboundKey::new(algorithm, &self.bytes)
            .ok()
            .map(LessSafeKey::new)
    }

    fn seal_gcm(&self, aad: &[u8], plain: &[u8], iv: &[u8]) -> Option<Sealed> {
        let mut ciphertext = plain.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(iv).ok()?;
        let tag = self
            .gcm()?
            .seal_in_place_separate_tag(nonce, Aad::from(aad), &mut ciphertext)
            .ok()?;
        Some(Sealed {
            iv: iv.to_vec(),
            ciphertext,
            tag: tag.as_ref().to_vec(),
        })
    }

    fn open_gcm(&self, aad: &[u8], sealed: &Sealed) -> Option<Vec<u8>> {
        // A tag that was cut short would be easier to guess.
        if sealed.tag.len() != 16 {
            return None;
        }
        let nonce = Nonce::try_assume_unique_for_key(&sealed.iv).ok()?;
        let mut plain = vec![0; sealed.ciphertext.len()];
        self.gcm()?
            .open_separate_gather(
                nonce,
                Aad::from(aad),
                &sealed.ciphertext,
                &sealed.tag,
                &mut plain,
            )
            .ok()?;
        Some(plain)
    }

    /// The MAC's key is the first half, the cipher's the second.
    fn halves(&self) -> Option<(hmac::Key, UnboundCipherKey)> {
        let (mac, cipher) = self.bytes.split_at_checked(32)?;
        let cipher = UnboundCipherKey::new(&cipher::AES_256, cipher).ok()?;
        Some((hmac::Key::new(hmac::HMAC_SHA512, mac), cipher))
    }

    fn seal_cbc(&self, aad: &[u8], plain: &[u8], iv: &[u8]) -> Option<Sealed> {
        let (mac, cipher) = self.halves()?;
        let iv: [u8; 16] = iv.try_into().ok()?;
        let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(cipher).ok()?;
        let mut ciphertext = plain.to_vec();
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        cipher.less_safe_encrypt(&mut ciphertext, context).ok()?;
        let tag = cbc_tag(&mac, aad, &iv, &ciphertext)[..32].to_vec();
        Some(Sealed {
            iv: iv.to_vec(),
            ciphertext,
            tag,
        })
    }

    fn open_cbc(&self, aad: &[u8], sealed: &Sealed) -> Option<Vec<u8>> {
        let (mac, cipher) = self.halves()?;
        let iv: [u8; 16] = sealed.iv.as_slice().try_into().ok()?;
        let tag = cbc_tag(&mac, aad, &iv, &sealed.ciphertext);
        // Before decryption, so that padding tells nobody anything.
        constant_time::verify_slices_are_equal(&tag[..32], &sealed.tag).ok()?;
        let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(cipher).ok()?;
        let mut content = sealed.ciphertext.clone();
        let context = DecryptionContext::Iv128(FixedLength::from(iv));
        let plain = cipher.decrypt(&mut content, context).ok()?;
        Some(plain.to_vec())
    }
}

impl Drop for ContentKey {
    fn drop(&mut self) {
        wipe(&mut self.bytes);
    }
}

/// Header, initialization vector, ciphertext and the header's length in bits.
fn cbc_tag(mac: &hmac::Key, aad: &[u8], iv: &[u8; 16], ciphertext: &[u8]) -> [u8; 64] {
    let mut context = hmac::Context::with_key(mac);
    context.update(aad);
    context.update(iv);
    context.update(ciphertext);
    context.update(&(aad.len() as u64 * 8).to_be_bytes());
    let mut tag = [0; 64];
    tag.copy_from_slice(context.sign().as_ref());
    tag
}
