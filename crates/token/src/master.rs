//! The master key, which only wraps other keys: in a file of its own, or in a
//! place that it never leaves.

use std::fmt;
use std::sync::Arc;

use crate::clock::{Entropy, random};
use crate::keyring::WorkingSecret;
use crate::seal::{self, Unsealable};
use crate::secret::{Digest, Secret};

/// Wraps with a key that never leaves its place.
pub trait Wraps: fmt::Debug + Send + Sync {
    /// Seals bytes; what is associated has to be the same when they are opened.
    fn seal(&self, associated: &[u8], plain: &[u8], entropy: &dyn Entropy) -> Option<Vec<u8>>;

    /// Opens what [`Wraps::seal`] sealed with the same associated bytes.
    fn open(&self, associated: &[u8], sealed: &[u8]) -> Option<Secret>;

    /// A value that is the same for this key whenever it is asked for.
    fn fingerprint(&self) -> Option<Digest>;
}

/// The key that only wraps other keys.
#[derive(Clone)]
pub struct MasterKey(Held);

#[derive(Clone)]
enum Held {
    Here(Arc<WorkingSecret>),
    Elsewhere(Arc<dyn Wraps>, Digest),
}

/// The place where the master key is kept does not answer as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the place of the master key does not wrap or unwrap")]
pub struct Unwrapped;

impl MasterKey {
    /// Draws a new one.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self::here(random(entropy))
    }

    fn here(bytes: [u8; 32]) -> Self {
        Self(Held::Here(Arc::new(WorkingSecret::new(0, bytes))))
    }

    /// Takes one that never leaves its place.
    pub fn elsewhere(place: Arc<dyn Wraps>) -> Result<Self, Unwrapped> {
        let fingerprint = place.fingerprint().ok_or(Unwrapped)?;
        Ok(Self(Held::Elsewhere(place, fingerprint)))
    }

    /// Takes one from its file: 64 hexadecimal digits. A key that somebody
    /// could have typed (all bytes alike, or counting up) is refused.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
        }
        let steps = |step: u8| {
            bytes
                .windows(2)
                .all(|pair| pair[1].wrapping_sub(pair[0]) == step)
        };
        (!steps(0) && !steps(1)).then_some(Self::here(bytes))
    }

    /// The text for the file; `None` where the key never leaves its place.
    pub fn to_file(&self) -> Option<Secret> {
        let Held::Here(own) = &self.0 else {
            return None;
        };
        let mut text = String::with_capacity(65);
        for byte in own.bytes() {
            text.push_str(&format!("{byte:02x}"));
        }
        text.push('\n');
        Some(Secret::from(text))
    }

    /// Seals a working key under its id and purpose.
    pub fn wrap(
        &self,
        name: &str,
        secret: &Secret,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, Unwrapped> {
        match &self.0 {
            Held::Here(own) => Ok(seal::seal_bytes(
                own,
                &associated(name),
                secret.expose(),
                entropy,
            )),
            Held::Elsewhere(place, _) => place
                .seal(&associated(name), secret.expose(), entropy)
                .ok_or(Unwrapped),
        }
    }

    /// Opens what [`MasterKey::wrap`] sealed under the same name.
    pub fn unwrap(&self, name: &str, sealed: &[u8]) -> Result<Secret, Unsealable> {
        match &self.0 {
            Held::Here(own) => seal::open_bytes(own, &associated(name), sealed).map(Secret::new),
            Held::Elsewhere(place, _) => place.open(&associated(name), sealed).ok_or(Unsealable),
        }
    }

    /// A value that tells whether this is the key an installation began with.
    pub fn fingerprint(&self) -> Digest {
        match &self.0 {
            Held::Here(own) => Digest::from_bytes(own.mac("fingerprint", &[])),
            Held::Elsewhere(_, fingerprint) => Digest::from_bytes(*fingerprint.as_bytes()),
        }
    }
}

fn associated(name: &str) -> Vec<u8> {
    format!("symbolon master {name}").into_bytes()
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_somebody_could_have_typed_is_refused() {
        let good = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let counting: String = (0..32).map(|byte| format!("{byte:02x}")).collect();
        assert!(MasterKey::parse(good).is_some());
        for bad in [
            &good[1..],
            &"00".repeat(32),
            &counting,
            &good.replace("9f", "+f"),
        ] {
            assert!(MasterKey::parse(bad).is_none(), "{bad}");
        }
    }
}
