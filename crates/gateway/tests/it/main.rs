//! The gateway on real sockets: between the real issuer and an upstream that
//! says what it got.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests stop where something is missing"
)]

mod binding;
mod bypass;
mod closed;
mod decision;
mod fault;
mod header;
mod issuer;
mod raw;
mod reload;
mod site;
mod smuggling;
mod stream;
mod upstream;
