//! Refresh tokens: forgeries never reach the database, every retry derives the
//! same successor, and a copy of database and keys yields no live token.
//!
//! Layout: key number (4), generation (4), family (16), secret (24), MAC (16);
//! 64 bytes, and a checksum. The slot in the family's id is masked: it is the
//! person's, and would be the same at every client.
//!
//! The successor's secret is derived from the *presented* secret, which is
//! stored nowhere, under the key whose number the rotating statement wrote.

use crate::clock::{Entropy, random};
use crate::id::{Family, Id};
use crate::keyring::{Keyring, Purpose, WorkingSecret};
use crate::mark::{self, Kind};
use crate::seal::Unsealable;
use crate::secret::Digest;

/// What the store keeps of a secret: enough to tell, nothing to rebuild.
pub type SecretDigest = [u8; 16];

/// A refresh token that was made here.
pub struct RefreshToken {
    /// The family it renews.
    pub family: Id<Family>,
    /// Which of the family's tokens it is, counted from one.
    pub generation: u32,
    /// The number of the key it was made with.
    pub key: u32,
    secret: [u8; 24],
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "RefreshToken({}, generation {})",
            self.family, self.generation
        )
    }
}

impl Drop for RefreshToken {
    fn drop(&mut self) {
        crate::secret::wipe(&mut self.secret);
    }
}

impl RefreshToken {
    /// The first token of a family.
    pub fn first(keys: &Keyring, family: Id<Family>, entropy: &dyn Entropy) -> Self {
        let key = keys.current(Purpose::RefreshToken).id;
        Self {
            family,
            generation: 1,
            key,
            secret: random(entropy),
        }
    }

    /// Reads a presented token; only one of ours passes.
    pub fn open(keys: &Keyring, text: &str) -> Result<Self, Unsealable> {
        let bytes: [u8; 68] = mark::read_fixed(Kind::RefreshToken, text).ok_or(Unsealable)?;
        let number = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let key = keys
            .find(Purpose::RefreshToken, number(0))
            .ok_or(Unsealable)?;
        let (mut family, mut secret) = ([0; 16], [0; 24]);
        family.copy_from_slice(&bytes[8..24]);
        secret.copy_from_slice(&bytes[24..48]);
        let mac = aws_lc_rs::constant_time::verify_slices_are_equal(
            &mac(key, &bytes[..48]),
            &bytes[48..64],
        );
        mask_slot(key, &mut family);
        let family = Id::from_bytes(family)
            .filter(|_| mac.is_ok())
            .ok_or(Unsealable)?;
        Ok(Self {
            family,
            generation: number(4),
            key: key.id,
            secret,
        })
    }

    /// The token that follows this one, under the current key.
    pub fn successor(&self, keys: &Keyring) -> Self {
        self.derive(keys.current(Purpose::RefreshToken))
    }

    /// The token that followed this one, under the key that was written then.
    pub fn successor_under(&self, keys: &Keyring, key: u32) -> Result<Self, Unsealable> {
        keys.find(Purpose::RefreshToken, key)
            .map(|key| self.derive(key))
            .ok_or(Unsealable)
    }

    fn derive(&self, key: &WorkingSecret) -> Self {
        let generation = self.generation.wrapping_add(1);
        let derived = key.mac(
            "successor",
            &[
                self.family.as_bytes(),
                &generation.to_be_bytes(),
                &self.secret,
            ],
        );
        let mut secret = [0; 24];
        secret.copy_from_slice(&derived[..24]);
        Self {
            family: self.family,
            generation,
            key: key.id,
            secret,
        }
    }

    /// What the store keeps of this token.
    pub fn digest(&self) -> SecretDigest {
        let mut out = [0; 16];
        out.copy_from_slice(&Digest::of(&self.secret).as_bytes()[..16]);
        out
    }

    /// The text, shown once.
    pub fn write(&self, keys: &Keyring) -> Result<String, Unsealable> {
        let key = keys
            .find(Purpose::RefreshToken, self.key)
            .ok_or(Unsealable)?;
        let mut bytes = [0; 64];
        bytes[..4].copy_from_slice(&self.key.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.generation.to_be_bytes());
        let mut family = *self.family.as_bytes();
        mask_slot(key, &mut family);
        bytes[8..24].copy_from_slice(&family);
        bytes[24..48].copy_from_slice(&self.secret);
        let mac = mac(key, &bytes[..48]);
        bytes[48..].copy_from_slice(&mac);
        let text = mark::write_fixed(Kind::RefreshToken, &bytes);
        crate::secret::wipe(&mut bytes);
        Ok(text)
    }
}

/// Hides the ten bits of the slot behind what only the holder of the key can
/// compute from the rest of the id; a second time it shows them again.
fn mask_slot(key: &WorkingSecret, family: &mut [u8; 16]) {
    let mask = key.mac("slot", &[&family[2..]]);
    family[0] ^= mask[0] & 0x03;
    family[1] ^= mask[1];
}

fn mac(key: &WorkingSecret, body: &[u8]) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&key.mac("refresh", &[body])[..16]);
    out
}
