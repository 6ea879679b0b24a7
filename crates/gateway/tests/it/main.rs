//! The gateway on real sockets: between the real issuer and an upstream that
//! says what it got.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests stop where something is missing"
)]

mod binding;
mod browser;
mod bypass;
mod closed;
mod decision;
mod decision_point;
mod envoy;
mod fault;
mod flood;
mod forgetting;
mod forward_auth;
mod frame;
#[cfg(feature = "graphql")]
mod graphql;
mod header;
mod issuer;
mod keys;
mod logged_out;
mod macaroon;
mod matrix;
mod mcp;
mod mcp_stream;
mod message;
#[cfg(feature = "cedar")]
mod policy;
mod quota;
mod raw;
#[cfg(feature = "redis")]
mod redis;
mod reload;
mod servers;
mod site;
mod slow;
mod smuggling;
mod stalled;
mod stranger;
mod stream;
#[cfg(feature = "redis")]
mod together;
mod upstream;
#[cfg(feature = "redis")]
mod way;
