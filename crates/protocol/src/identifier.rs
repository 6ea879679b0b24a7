//! Identifiers that people choose: of clients and of organizations.
//!
//! Spec: RFC 6749 §2.2, A.1

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How long an identifier may be, in bytes.
pub const MAX_IDENTIFIER_BYTES: usize = 256;

/// Beginnings that belong to people, so that a client acting for itself can
/// never be taken for one (RFC 9700 §4.15).
const RESERVED: [&str; 3] = ["usr_", "pws_", "ext_"];

/// Text that cannot be an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidIdentifier {
    /// Empty, or longer than [`MAX_IDENTIFIER_BYTES`].
    #[error("an identifier has 1 to {MAX_IDENTIFIER_BYTES} characters")]
    Length,
    /// A character outside printable ASCII.
    #[error("an identifier holds printable ASCII characters only")]
    Character,
    /// A beginning that subjects of people have.
    #[error("an identifier must not begin with `usr_`, `pws_` or `ext_`: those are people")]
    Reserved,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidIdentifier;

            fn from_str(text: &str) -> Result<Self, InvalidIdentifier> {
                let allowed: fn(u8) -> bool = $allowed;
                if text.is_empty() || text.len() > MAX_IDENTIFIER_BYTES {
                    return Err(InvalidIdentifier::Length);
                }
                if !text.bytes().all(allowed) {
                    return Err(InvalidIdentifier::Character);
                }
                if RESERVED.iter().any(|reserved| text.starts_with(reserved)) {
                    return Err(InvalidIdentifier::Reserved);
                }
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

identifier! {
    /// The identifier of a client: printable ASCII, spaces included.
    ClientId, |b| matches!(b, 0x20..=0x7e)
}
identifier! {
    /// The identifier of an organization: letters, digits, `-`, `_` and `.`.
    OrganizationId, |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')
}
