//! HMAC-SHA256 over parts, under a key that is set up once.
//!
//! Not of the provider of signatures, whose contexts are large enough for every
//! digest: to copy one takes longer than the digest of a short text. The states
//! of a key are wiped when it goes.
//!
//! Spec: RFC 2104 §2

use hmac::digest::{FixedOutput as _, Update as _};
use hmac::{Hmac, KeyInit as _};
use sha2::Sha256;

/// A MAC in the making.
#[derive(Clone)]
pub(crate) struct Mac(Hmac<Sha256>);

impl Mac {
    /// Begins one under a key.
    #[inline]
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(key);
        Self(Hmac::new(&block.into()))
    }

    #[inline]
    pub(crate) fn add(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    #[inline]
    pub(crate) fn end(self) -> [u8; 32] {
        self.0.finalize_fixed().into()
    }

    /// The MAC over parts put together.
    #[inline]
    pub(crate) fn over(mut self, parts: &[&[u8]]) -> [u8; 32] {
        for part in parts {
            self.add(part);
        }
        self.end()
    }
}

/// The key of many MACs, with both its blocks already taken in.
pub(crate) struct MacKey(Mac);

impl MacKey {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(Mac::new(key))
    }

    /// Begins one of them.
    pub(crate) fn begin(&self) -> Mac {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
    use proptest::prelude::*;

    use super::Mac;

    proptest! {
        #[test]
        fn it_is_the_mac_of_the_provider(
            key in any::<[u8; 32]>(),
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4),
        ) {
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let made = Mac::new(&key).over(&parts);
            let theirs = sign(&Key::new(HMAC_SHA256, &key), &parts.concat());
            prop_assert_eq!(&made[..], theirs.as_ref());
        }
    }
}
