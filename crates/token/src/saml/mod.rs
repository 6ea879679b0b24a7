//! SAML 2.0 assertions: an authority written as XML, and the reading of one.
//!
//! Parser and canonical form come from `bergshamra`, a young library, behind
//! `xml` alone. What is signed, with which key and how, is decided here: the
//! profile is fixed, so that what an attacker would want to choose (transforms,
//! algorithms, references, keys) is compared with the one thing it may be.
//!
//! 1. Limits are checked over the bytes, before anything is parsed (`limits`).
//! 2. One tree is made; signature and reader both walk that tree (`xml`).
//! 3. The signature must be a child of the very element that is read, and
//!    cover it (`signature`).
//! 4. The element is read by the schema, and nothing unknown is passed over
//!    ([`assertion`]).
//! 5. What it says is judged (`judge`), and of what this server wrote itself
//!    also how it is spelled (`spelling`).
//!
//! Spec: SAML 2.0 Core §2, §5
//! Spec: RFC 7522 §2, §3
//! Spec: RFC 8693 §3

pub mod assertion;
pub mod certificate;
mod claims;
pub mod encryption;
mod judge;
mod limits;
mod mint;
mod names;
mod presented;
pub mod refused;
mod signature;
mod spelling;
mod time;
pub mod trusted;
mod write;
mod xml;

pub use assertion::{Assertion, Attribute, NameId};
pub use certificate::Certificate;
pub use encryption::{Cipher, DecryptionKey, KeyTransport, Recipient};
pub use judge::Expected;
pub use limits::{
    MAX_ASSERTION_BYTES, MAX_ATTRIBUTES_PER_TAG, MAX_DEPTH, MAX_NAMESPACES_PER_TAG, MAX_TAGS,
};
pub use mint::{NameFormat, Rendering, Unwritable, mint};
pub use presented::{Presented, open};
pub use refused::Refused;
pub use trusted::Trusted;

#[cfg(test)]
mod tests;
