//! The guard in front of a service: checks each request, then passes on
//! exactly what was checked.
//!
//! Spec: RFC 9110 §3.7, §7.6
//! Spec: RFC 6750 §3
//!
//! What becomes of one request stands in `exchange`, top to bottom:
//!
//! 1. `framing` and `target` refuse what two programs could read differently;
//!    what is left is the one form that is judged and sent.
//! 2. `routes` finds the narrowest route that takes it.
//! 3. `guard` asks the verifier of that route: six checks and key binding.
//! 4. `header` takes out what only the gateway may say, and `assertion` says it.
//! 5. `upstream` sends it; `body` and `tunnel` let it flow both ways, and
//!    `vigil` ends it when the token does.

mod admin;
mod assertion;
mod body;
mod decision;
mod exchange;
mod framing;
mod gateway;
mod guard;
mod header;
mod launch;
mod listen;
mod plan;
mod problem;
mod routes;
mod settings;
mod target;
mod tunnel;
mod upstream;
mod vigil;

pub use assertion::{Asserted, Expected, KeyOfGateway, NotAsserted};
pub use gateway::{Edge, Gateway, PlanError};
pub use launch::{Launch, LaunchError, Running};
pub use listen::{Asks, Certificate, ServeError};
pub use settings::{
    Credentials, Demand, ForwardedHeader, Needed, OnExpiry, PassToken, Route, Settings, Spoken,
    TokenDemand, Upstream,
};
