//! Typed identifiers that carry their slot.
//!
//! Each person, and each client acting for itself, belongs to one of 1,024
//! slots; the slot's number stands in the first two bytes of the id of
//! everything that hangs on it, and leads the key of those tables.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use symbolon_protocol::ClientId;

use crate::base62;
use crate::clock::{Entropy, random};
use crate::secret::Digest;

/// How many slots there are. It never changes: ids carry the number.
pub const SLOTS: u16 = 1024;

/// One of the 1,024 shares that all per-person rows are spread over.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Slot(u16);

impl Slot {
    /// The slot of a client that acts for itself.
    pub fn of_client(client: &ClientId) -> Self {
        let digest = Digest::of(client.as_str().as_bytes());
        let [high, low, ..] = *digest.as_bytes();
        Self(u16::from_be_bytes([high, low]) % SLOTS)
    }

    /// The slot of what belongs to nobody here, by whatever names it.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let [high, low, ..] = *Digest::of(bytes).as_bytes();
        Self(u16::from_be_bytes([high, low]) % SLOTS)
    }

    /// The slot whose turn it is, of all of them one after the other.
    pub const fn of_turn(turn: u64) -> Self {
        // What is left is below the number of slots.
        Self((turn % SLOTS as u64) as u16)
    }

    /// A slot drawn at random, for a new person.
    pub fn random(entropy: &dyn Entropy) -> Self {
        Self(u16::from_be_bytes(random(entropy)) % SLOTS)
    }

    /// The number, for the leading column.
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// What an [`Id`] can be the id of.
pub trait Kind {
    /// Stands before the id in text, as in `fam_…`.
    const PREFIX: &'static str;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}
        impl Kind for $name {
            const PREFIX: &'static str = $prefix;
        }
    )*};
}

kinds! {
    /// A person. The text form is the public `sub`; client ids never begin so.
    Person = "usr_";
    /// A person in a browser.
    Session = "ses_";
    /// This person let this client do this.
    Grant = "grt_";
    /// A refresh family: everything that came of one code.
    Family = "fam_";
    /// One access token (its `jti`).
    Token = "tok_";
    /// A browser at the gateway.
    Browser = "brw_";
    /// A discharge that somebody waits for.
    Discharge = "dis_";
    /// A device that waits for a person.
    DeviceAuthorization = "dev_";
    /// An API key. The id tells nothing of the secret beside it.
    ApiKey = "key_";
}

/// An identifier: two bytes of slot, fourteen random ones.
pub struct Id<K> {
    bytes: [u8; 16],
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Id<K> {
    /// Draws a new id in a slot.
    pub fn new(slot: Slot, entropy: &dyn Entropy) -> Self {
        let mut bytes: [u8; 16] = random(entropy);
        bytes[..2].copy_from_slice(&slot.0.to_be_bytes());
        Self {
            bytes,
            kind: PhantomData,
        }
    }

    /// Takes an id back from where it was written; `None` if its slot is not one.
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        (u16::from_be_bytes([bytes[0], bytes[1]]) < SLOTS).then_some(Self {
            bytes,
            kind: PhantomData,
        })
    }

    /// The sixteen bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// The slot that all rows under this id live in.
    pub const fn slot(&self) -> Slot {
        Slot(u16::from_be_bytes([self.bytes[0], self.bytes[1]]))
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}
impl<K> Eq for Id<K> {}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(26);
        text.push_str(K::PREFIX);
        base62::encode_into(&self.bytes, &mut text);
        f.write_str(&text)
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not an id of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier of the form `{0}…`")]
pub struct InvalidId(&'static str);

impl<K: Kind> FromStr for Id<K> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.strip_prefix(K::PREFIX)
            .and_then(base62::decode::<16>)
            .and_then(Self::from_bytes)
            .ok_or(InvalidId(K::PREFIX))
    }
}

impl<K: Kind> serde::Serialize for Id<K> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> serde::Deserialize<'de> for Id<K> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
