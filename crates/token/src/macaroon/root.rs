//! What a macaroon is rooted in: the head of its identifier, what its seal is
//! tied to, and the key of its chain.

use zeroize::Zeroizing;

use super::binary::Key;
use super::chain;
use crate::keyring::WorkingSecret;
use crate::seal::Bound;

/// Begins the identifier of a macaroon that only the server can check. These
/// numbers are written into tokens and never change.
pub(super) const SERVER: u8 = 1;
/// Begins the identifier of one that its resource can check.
pub(super) const SHARED: u8 = 2;

/// The key of the chain: a MAC over what no other identifier has, put through
/// the key derivation that the libraries share.
pub(super) fn chain_key(secret: &WorkingSecret, own: &[u8]) -> Zeroizing<Key> {
    let secret = Zeroizing::new(secret.mac("macaroon root", &[own]));
    chain::key_of(&*secret)
}

/// What the seal inside an identifier is tied to: the kind and key that stand
/// before it, the issuer, its epoch, and the resource where there is one.
pub(super) fn associated(head: &[u8], bound: Bound<'_>, audience: &str) -> Vec<u8> {
    let mut data = Vec::with_capacity(64 + bound.issuer.len() + audience.len());
    data.extend_from_slice(b"macaroon\0");
    data.extend_from_slice(head);
    data.push(0);
    data.extend_from_slice(&bound.epoch.to_be_bytes());
    data.extend_from_slice(bound.issuer.as_bytes());
    data.push(0);
    data.extend_from_slice(audience.as_bytes());
    data
}
