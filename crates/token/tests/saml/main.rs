//! Assertions: what is written, what is accepted, and what is refused.
//!
//! Spec: SAML 2.0 Core §2, §5, §6
//! Spec: RFC 7522 §3
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

mod encryption;
mod fixture;
mod forgery;
mod judging;
mod limits;
mod peers;
mod properties;
mod spelling;
mod writing;
