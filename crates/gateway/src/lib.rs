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
//! 2. `browser` puts an access token in the place of a session's cookie.
//! 3. `judge` asks `routes` for the narrowest route that takes it, and `guard`
//!    for the word of that route's verifier: six checks and key binding.
//! 4. `content` reads the body whole, only where what is in it has to be judged:
//!    by `graphql`, where the route guards a graph, and by `mcp`.
//! 5. `policy` and `risk` say whether it may pass here and now.
//! 6. `quota` charges it to whoever calls.
//! 7. `header` takes out what only the gateway may say, and `introduction` says it.
//! 8. `upstream` sends it; `body` and `tunnel` let it flow both ways, and
//!    `vigil` ends it when the token does.
//!
//! Where another proxy passes requests on and only asks about them, `forward_auth`
//! does 1 and 2 for the request that is described, and `introduction` answers.

mod admin;
mod assertion;
#[cfg(feature = "cedar")]
mod authzen;
mod body;
mod browser;
mod client_certificate;
mod content;
mod cost;
mod decision;
mod document;
mod exchange;
mod forward_auth;
mod framing;
mod gateway;
#[cfg(feature = "graphql")]
mod graphql;
mod grpc;
mod guard;
mod header;
mod introduction;
mod judge;
mod launch;
mod listen;
mod mcp;
mod outlook;
mod plan;
pub mod policy;
mod problem;
mod pulse;
mod quota;
mod repeated;
pub mod risk;
mod routes;
mod settings;
mod target;
mod tunnel;
mod upstream;
mod vigil;

pub use assertion::{Asserted, Expected, KeyOfGateway, NotAsserted};
pub use forward_auth::check_request;
pub use gateway::{Edge, Gateway, PlanError};
#[cfg(feature = "graphql")]
pub use graphql::{
    ClaimHas, Graph, GraphSettings, Introspection, Limits, Mistake, Mode, OnDenied, Persisted,
    Source, Trial, Untried,
};
pub use launch::{Launch, LaunchError, Running};
pub use listen::{Asks, Certificate, ServeError};
pub use mcp::{Allowed, Mcp, Rule as McpRule, Unlisted};
#[cfg(feature = "testing")]
pub use quota::probe;
pub use quota::{
    Counting, Limit, Notices, OnError, Per, Period, Quotas, Redis, RouteQuota, Rule, ServicePlan,
    Spent,
};
#[cfg(not(feature = "graphql"))]
pub use settings::Graph;
pub use settings::{
    AskedAt, Balance, Browser, BrowserUse, Check, Credentials, Demand, Dialect, Ejection,
    ForwardAuth, ForwardedHeader, Needed, OnExpiry, PassToken, Route, Settings, Spoken,
    TokenDemand, Upstream,
};
pub use target::one_form;
