//! How risky a request looks that is otherwise good: a score from 0 to 100, of
//! signals that an operator can read, weigh and switch off.
//!
//! 1. `memory` knows what is usual for a subject, within bounds.
//! 2. `signal` names what can be unusual, and what it weighs.
//! 3. `places` tells how far apart two addresses are.
//! 4. `score` adds up; nothing that is found makes a request look better.
//! 5. `revoker` takes a token back at the issuer where that was asked for.
//!
//! Spec: NIST SP 800-207 §3.3.1

mod memory;
mod places;
mod revoker;
mod score;
mod signal;

pub use places::{Places, PlacesMistake};
pub use score::{Limits, RiskSettings, Thresholds};
pub use signal::{Signal, Weights};

pub(crate) use memory::{Memory, names};
pub(crate) use revoker::Revoker;
pub(crate) use score::{Assessed, Due, Sight, address_key, assess};

pub use revoker::RevokeAt;
