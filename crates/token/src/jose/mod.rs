//! Compact JWS on the cryptographic library: one key, one algorithm, one use.
//!
//! Whoever verifies says which algorithms are allowed; the key decides which
//! one it is, the header only has to agree. JSON with a member twice, an
//! unknown `crit`, an encoding that is not the canonical one, or anything past
//! a limit is refused before a signature is looked at.
//!
//! Spec: RFC 7515 §3.1, §4.1, §5.2
//! Spec: RFC 7517 §4, §5
//! Spec: RFC 7518 §3
//! Spec: RFC 8037 §3.1
//! Spec: RFC 8725 §3
//! Spec: RFC 9864 §2.2
//! Spec: RFC 9964 §3

pub mod json;
pub mod jwe;
mod jwk;
mod low_s;
mod roca;
mod sign;
mod verify;

pub use jwk::{InvalidKey, KeySet, VerifyingKey};
#[cfg(feature = "saml")]
pub(crate) use low_s::is_lower;
pub use sign::{SigningKey, hmac_sha256};
pub use verify::{Algorithm, Header, Invalid, Unverified};

/// How long a token may be, in bytes.
pub const MAX_JWT_BYTES: usize = 16 * 1024;
/// How long a key identifier may be, in bytes.
pub const MAX_KID_BYTES: usize = 256;
