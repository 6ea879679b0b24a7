//! One file per way to prove who you are.

pub(crate) mod client;
pub(crate) mod password;
pub(crate) mod session;
pub(crate) mod transaction;
