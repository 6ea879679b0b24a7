//! What applications and agents do with the tokens that they hold.
//!
//! A [`Macaroon`] is narrowed by whoever holds it, without asking anyone, so
//! that what is handed on permits no more than the work at hand:
//!
//! ```
//! use symbolon_client::{Caveat, Macaroon};
//!
//! # let held = "AgETaHR0cDovL2V4YW1wbGUub3JnLwIFa2V5aWQAAAYgfN7nklEcW8b1KEhYBd_psk54XijiqZMB-dcRxgnjjvc";
//! let held = Macaroon::parse(held)?;
//! let read_only: Caveat = "method = GET,HEAD".parse()?;
//! let until: Caveat = "before = 2026-12-01T18:00:00Z".parse()?;
//! let handed_on = held.narrow(&[read_only, until])?;
//! assert_eq!(handed_on.contents().caveats.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agreement;
mod macaroon;
#[cfg(feature = "sign-in")]
pub mod sign_in;

pub use agreement::{Agreement, InvalidAgreement};
pub use macaroon::{Macaroon, ThirdParty};
pub use symbolon_token::Secret;
pub use symbolon_token::macaroon::{Caveat, Contents, Flaw, InvalidCaveat, ShownCaveat};
