//! The opaque rendering of an access token: noise to its holder, an authority
//! to the server that made it, and no row anywhere.

use symbolon_protocol::Timestamp;

use crate::authority::Authority;
use crate::clock::Entropy;
use crate::id::{Id, Token};
use crate::keyring::{Keyring, Purpose};
use crate::mark::{self, Kind};
use crate::seal::{self, Bound, Unsealable};
use crate::wire::{Reader, Writer};

/// An opaque access token that was just made.
pub struct Minted {
    /// The token.
    pub text: String,
    /// Its identifier (`jti`).
    pub token: Id<Token>,
}

/// An opaque access token whose seal was ours. Nothing else is checked yet.
#[derive(Debug, Clone)]
pub struct OpaqueToken {
    /// Its identifier.
    pub token: Id<Token>,
    /// When it was made.
    pub issued: Timestamp,
    /// What it permits.
    pub authority: Authority,
    /// The mark of the key that sealed it, by which it dies with that key.
    pub key: u64,
}

/// Why an opaque token could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the authority is too large for an opaque token")]
pub struct TooLarge;

/// Writes an authority as an opaque token.
pub fn mint(
    keys: &Keyring,
    bound: Bound<'_>,
    authority: &Authority,
    issued: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Minted, TooLarge> {
    let mut plain = Writer(Vec::with_capacity(224));
    plain.number(issued.millis().max(0) as u64);
    plain.bytes(&authority.encode());
    let sealed = keys.seal(Kind::AccessToken, bound, &plain.0, entropy);
    if sealed.text.len() > crate::mark::MAX_OPAQUE_CHARACTERS {
        return Err(TooLarge);
    }
    Ok(Minted {
        text: sealed.text,
        token: name(sealed.number),
    })
}

/// Opens an opaque token.
pub fn open(keys: &Keyring, bound: Bound<'_>, text: &str) -> Result<OpaqueToken, Unsealable> {
    let opened = keys.open(Kind::AccessToken, bound, text)?;
    let mut from = Reader(&opened.plain);
    let issued = from.number().and_then(|millis| i64::try_from(millis).ok());
    let authority = from.bytes().and_then(Authority::decode);
    match (issued, authority, from.end()) {
        (Some(issued), Some(authority), Some(())) => Ok(OpaqueToken {
            token: name(opened.number),
            issued: Timestamp::from_millis(issued),
            authority,
            key: Purpose::AccessToken.key_mark(opened.key),
        }),
        _ => Err(Unsealable),
    }
}

/// What the revocation feed calls the key that a text says it is sealed with.
/// Nobody vouches for it: for finding what was said of that key, never for
/// deciding.
pub fn claimed_key(text: &str) -> Option<String> {
    let sealed = mark::read_sealed(Kind::AccessToken, text)?;
    let number = seal::key_number(&sealed)?;
    Some(Purpose::AccessToken.key_name(number))
}

/// The token's id, from the number of its seal. Its slot means nothing, so the
/// two bytes are brought into range.
#[expect(clippy::expect_used, reason = "the mask leaves a number below 1,024")]
pub(crate) fn name(mut number: [u8; 16]) -> Id<Token> {
    number[0] &= 0x03;
    Id::from_bytes(number).expect("two bits and a byte are below 1,024")
}
