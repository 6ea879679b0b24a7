//! Sealing: AES-256-GCM under a key that is used once.
//!
//! Layout: version (1), key number (4), salt (24), ciphertext and tag. The key
//! of each seal comes from HKDF-SHA256 over the working key with the salt, so
//! that no two seals share a key: the nonce can be zero, and no counter has to
//! be kept.
//!
//! Spec: RFC 5869 §2.3
//! Spec: RFC 5116 §3.1

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::clock::{Entropy, random};
use crate::keyring::{Keyring, Purpose, WorkingSecret};
use crate::mark::{self, Kind};
use crate::secret::wipe;

const VERSION: u8 = 1;
const SALT: usize = 24;
/// What stands before the ciphertext: no two seals have the same.
pub(crate) const HEAD: usize = 1 + 4 + SALT;
const TAG: usize = 16;

/// What cannot be opened: not ours, changed, of another kind, issuer or epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not sealed by this installation for this use")]
pub struct Unsealable;

/// What a seal is tied to besides its kind and key.
#[derive(Debug, Clone, Copy)]
pub struct Bound<'a> {
    /// The issuer that made it.
    pub issuer: &'a str,
    /// The epoch of the revocation feed: a restore from backup voids all seals.
    pub epoch: i64,
}

impl Bound<'_> {
    fn associated(&self, kind: Kind) -> Vec<u8> {
        let mut data = Vec::with_capacity(32 + self.issuer.len());
        data.extend_from_slice(kind.word().as_bytes());
        data.push(0);
        data.extend_from_slice(&self.epoch.to_be_bytes());
        data.extend_from_slice(self.issuer.as_bytes());
        data
    }
}

impl Keyring {
    /// Seals `plain` as a credential of a kind.
    pub fn seal(
        &self,
        kind: Kind,
        bound: Bound<'_>,
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Sealed {
        let key = self.current(purpose(kind));
        let bytes = seal_bytes(key, &bound.associated(kind), plain, entropy);
        let number = token_number(&bytes);
        Sealed {
            text: mark::write_sealed(kind, bytes),
            number,
        }
    }

    /// Opens a credential of a kind.
    pub fn open(&self, kind: Kind, bound: Bound<'_>, text: &str) -> Result<Opened, Unsealable> {
        let bytes = mark::read_sealed(kind, text).ok_or(Unsealable)?;
        let id = key_number(&bytes).ok_or(Unsealable)?;
        let key = self.find(purpose(kind), id).ok_or(Unsealable)?;
        let plain = open_bytes(key, &bound.associated(kind), &bytes)?;
        Ok(Opened {
            plain,
            number: token_number(&bytes),
            key: id,
        })
    }

    /// Seals a client secret that must be used again.
    pub fn seal_secret(&self, client: &str, secret: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        seal_bytes(
            self.current(Purpose::ClientSecret),
            client.as_bytes(),
            secret,
            entropy,
        )
    }

    /// Opens what [`Keyring::seal_secret`] sealed for the same client.
    pub fn open_secret(&self, client: &str, sealed: &[u8]) -> Result<crate::Secret, Unsealable> {
        let id = key_number(sealed).ok_or(Unsealable)?;
        let key = self.find(Purpose::ClientSecret, id).ok_or(Unsealable)?;
        open_bytes(key, client.as_bytes(), sealed).map(crate::Secret::new)
    }
}

/// A key that belongs to no key ring: made from a secret that somebody else
/// keeps, so that what it sealed opens for nobody without it.
#[derive(Debug)]
pub struct SealingKey(WorkingSecret);

impl SealingKey {
    /// Derives it from a secret of at least 128 bits of chance, for one use.
    pub fn from_secret(secret: &[u8], used_for: &str) -> Self {
        let made = WorkingSecret::new(0, *crate::secret::Digest::of(secret).as_bytes());
        Self(WorkingSecret::new(
            0,
            made.mac("symbolon sealing key", &[used_for.as_bytes()]),
        ))
    }

    /// Seals `plain`, tied to `about`.
    pub fn seal(&self, about: &[u8], plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        seal_bytes(&self.0, about, plain, entropy)
    }

    /// Opens what was sealed about the same.
    pub fn open(&self, about: &[u8], sealed: &[u8]) -> Result<crate::Secret, Unsealable> {
        open_bytes(&self.0, about, sealed).map(crate::Secret::new)
    }
}

/// A credential that was just made.
pub struct Sealed {
    /// The credential.
    pub text: String,
    /// Sixteen bytes that name it, derived from its salt: known to whoever
    /// holds it, useless for making it.
    pub number: [u8; 16],
}

/// What was inside a credential.
pub struct Opened {
    /// The plain bytes.
    pub plain: Vec<u8>,
    /// Sixteen bytes that name it.
    pub number: [u8; 16],
    /// The number of the key that sealed it.
    pub key: u32,
}

const fn purpose(kind: Kind) -> Purpose {
    match kind {
        Kind::AccessToken | Kind::ApiKey => Purpose::AccessToken,
        Kind::AuthorizationCode | Kind::DeviceCode => Purpose::AuthorizationCode,
        Kind::RefreshToken => Purpose::RefreshToken,
        Kind::ClientSecret => Purpose::ClientSecret,
        Kind::Transaction | Kind::SessionCookie | Kind::Registration | Kind::Administration => {
            Purpose::Transaction
        }
    }
}

/// The first half of a digest of the salt.
pub(crate) fn token_number(sealed: &[u8]) -> [u8; 16] {
    let digest = crate::secret::Digest::of(sealed.get(5..HEAD).unwrap_or_default());
    let mut number = [0; 16];
    number.copy_from_slice(&digest.as_bytes()[..16]);
    number
}

pub(crate) fn key_number(sealed: &[u8]) -> Option<u32> {
    let number = sealed.get(1..5)?.try_into().ok()?;
    (sealed[0] == VERSION).then_some(u32::from_be_bytes(number))
}

/// The key for one seal, and its only nonce.
fn derive(key: &WorkingSecret, salt: &[u8]) -> Result<(LessSafeKey, Nonce), Unsealable> {
    let mut once = key.derive(b"symbolon seal", salt);
    let made = UnboundKey::new(&AES_256_GCM, &once);
    wipe(&mut once);
    let made = made.map_err(|_| Unsealable)?;
    // INVARIANT: the salt is drawn for each seal, so no key seals twice.
    Ok((
        LessSafeKey::new(made),
        Nonce::assume_unique_for_key([0; 12]),
    ))
}

#[expect(
    clippy::expect_used,
    reason = "the lengths are constants that fit the algorithms"
)]
pub(crate) fn seal_bytes(
    key: &WorkingSecret,
    aad: &[u8],
    plain: &[u8],
    entropy: &dyn Entropy,
) -> Vec<u8> {
    let salt: [u8; SALT] = random(entropy);
    let mut out = Vec::with_capacity(HEAD + plain.len() + TAG + 4);
    out.push(VERSION);
    out.extend_from_slice(&key.id.to_be_bytes());
    out.extend_from_slice(&salt);
    out.extend_from_slice(plain);
    let (once, nonce) = derive(key, &salt).expect("AES-256 takes 32 bytes");
    let tag = once
        .seal_in_place_separate_tag(nonce, Aad::from(aad), &mut out[HEAD..])
        .expect("plain text is far below the limit of the mode");
    out.extend_from_slice(tag.as_ref());
    out
}

pub(crate) fn open_bytes(
    key: &WorkingSecret,
    aad: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, Unsealable> {
    if sealed.len() < HEAD + TAG || sealed[0] != VERSION {
        return Err(Unsealable);
    }
    let (once, nonce) = derive(key, &sealed[5..HEAD])?;
    let mut plain = sealed[HEAD..].to_vec();
    let length = once
        .open_in_place(nonce, Aad::from(aad), &mut plain)
        .map_err(|_| Unsealable)?
        .len();
    plain.truncate(length);
    Ok(plain)
}
