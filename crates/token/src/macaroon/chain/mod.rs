//! The chain of MACs: proves that nothing was changed, moved or taken away,
//! and that each discharge is asked for, bound to this root, and used once.
//!
//! What the caveats mean is not asked here:
//! [`Demands`](super::demands::Demands) judges those of the root and of every
//! discharge. No discharge is left over, so there is none whose caveats do not
//! count.
//!
//! Spec: Macaroons NDSS 2014 §3.1

use std::sync::LazyLock;

use crypto_secretbox::XSalsa20Poly1305;
use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::Flaw;
use super::binary::{Binary, Field, Key};
use super::form::Bundle;
use crate::mac::{Mac, MacKey};

/// What the libraries derive keys with.
const GENERATOR: &Key = b"macaroons-key-generator\0\0\0\0\0\0\0\0\0";
/// What discharges are bound with.
const BINDER: &Key = &[0; 32];
/// What stands before an encrypted key.
const NONCE: usize = 24;

/// The key that the libraries derive from a secret of any length.
pub(super) fn key_of(secret: &[u8]) -> Zeroizing<Key> {
    static KEY: LazyLock<MacKey> = LazyLock::new(|| MacKey::new(GENERATOR));
    Zeroizing::new(KEY.begin().over(&[secret]))
}

/// Proves a bundle under the key of its root.
pub(super) fn prove(bundle: &Bundle, key: &Key) -> Result<(), Flaw> {
    let all = &bundle.discharges;
    let is_named_twice = |(at, own): (usize, &Binary)| {
        let mut before = all.iter().take(at);
        before.any(|other| other.identifier() == own.identifier())
    };
    if all.iter().enumerate().any(is_named_twice) {
        return Err(Flaw::DischargeUnused);
    }
    let mut discharges = Discharges {
        signature: bundle.root.signature(),
        left: all.iter().collect(),
    };
    let last = discharges.last(&bundle.root, key)?;
    check(&last, bundle.root.signature())?;
    match discharges.left.is_empty() {
        true => Ok(()),
        false => Err(Flaw::DischargeUnused),
    }
}

struct Discharges<'a> {
    /// The signature of the root, to which each is bound.
    signature: &'a [u8],
    left: Vec<&'a Binary>,
}

impl Discharges<'_> {
    /// The last MAC of a chain. Each discharge that it asks for is proved and
    /// taken out, so that none is deeper than there are discharges.
    fn last(&mut self, one: &Binary, key: &Key) -> Result<Zeroizing<Key>, Flaw> {
        let mut last = Zeroizing::new(mac(key, &[one.identifier()]));
        for caveat in one.caveats() {
            *last = match caveat {
                Field::First(text) => mac(&last, &[text]),
                Field::Third { id, verifier, .. } => {
                    let key = decrypted(&last, verifier)?;
                    let found = self.left.iter().position(|own| own.identifier() == id);
                    let own = self.left.remove(found.ok_or(Flaw::DischargeMissing)?);
                    let end = self.last(own, &key)?;
                    let bound = mac_of_two(BINDER, self.signature, &*end);
                    check(&bound, own.signature())?;
                    mac_of_two(&last, verifier, id)
                }
            };
        }
        Ok(last)
    }
}

fn check(made: &Key, found: &[u8]) -> Result<(), Flaw> {
    match bool::from(made.ct_eq(found)) {
        true => Ok(()),
        false => Err(Flaw::Mac),
    }
}

fn mac(key: &Key, parts: &[&[u8]]) -> Key {
    Mac::new(key).over(parts)
}

/// A MAC over the MACs of two parts.
fn mac_of_two(key: &Key, first: &[u8], second: &[u8]) -> Key {
    let (first, second) = (mac(key, &[first]), mac(key, &[second]));
    mac(key, &[&first, &second])
}

/// The key of a discharge: a nonce, then what XSalsa20-Poly1305 makes of it
/// under the MAC before the caveat.
fn decrypted(key: &Key, sealed: &[u8]) -> Result<Zeroizing<Key>, Flaw> {
    let (nonce, inside) = sealed.split_first_chunk::<NONCE>().ok_or(Flaw::Mac)?;
    let opener = XSalsa20Poly1305::new(key.into());
    let plain = opener.decrypt(nonce.into(), inside);
    let plain = Zeroizing::new(plain.map_err(|_| Flaw::Mac)?);
    let key = Key::try_from(plain.as_slice()).map_err(|_| Flaw::Mac)?;
    Ok(Zeroizing::new(key))
}

#[cfg(test)]
mod tests;
