//! The engine: one authority, its renderings, and the keys that make them.
//!
//! Nothing here does input or output. Time and randomness come in as
//! arguments, with one exception: the cryptographic library draws the nonces
//! of its own signatures and key pairs, and offers no other way.

pub mod act;
pub mod api_key;
pub mod audit;
pub mod authority;
mod base62;
pub mod client_identifier;
pub mod clock;
pub mod dpop;
pub mod explain;
pub mod feed;
pub mod id;
pub mod jose;
pub mod jwt;
pub mod keyring;
mod mac;
pub mod macaroon;
pub mod mark;
pub mod master;
pub mod opaque;
pub mod recognize;
pub mod refresh;
pub mod revocation;
mod revocation_set;
mod root;
pub mod rotation;
#[cfg(feature = "saml")]
pub mod saml;
pub mod seal;
pub mod secret;
mod sector;
pub mod status_list;
mod wire;

pub use authority::{
    Actor, Ancestor, Authentication, Authority, Binding, Derivation, Granted, Narrowing, Subject,
    Thumbprint, WouldWiden,
};
pub use clock::{Clock, Entropy, random};
pub use id::{
    ApiKey, Browser, DeviceAuthorization, Discharge, Family, Grant, Id, Person, Session, Slot,
    Token,
};
pub use keyring::{Keyring, Purpose};
pub use master::MasterKey;
pub use revocation::{Blinding, Marks, Position};
pub use revocation_set::RevocationSet;
pub use secret::{Digest, Digesting, Secret};
