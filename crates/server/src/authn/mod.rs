//! One file per way to prove who you are.

pub(crate) mod carried;
pub(crate) mod client;
pub(crate) mod device;
pub(crate) mod guess;
pub(crate) mod password;
mod queue;
pub(crate) mod session;
pub(crate) mod transaction;
