//! One file for each thing that is measured.

mod dpop;
mod exchange;
mod families;
mod gateway;
mod graphql;
mod introspect;
mod issue;
mod keys;
mod limit;
mod macaroon;
mod memory;
mod policy;
mod refresh;
mod revocations;
mod rows;
mod startup;
mod verify;

pub(crate) use dpop::dpop;
pub(crate) use exchange::exchange_tokens;
pub(crate) use families::families;
pub(crate) use gateway::gateway;
pub(crate) use graphql::graphql;
pub(crate) use introspect::introspect;
pub(crate) use issue::issue;
pub(crate) use keys::keys;
pub(crate) use limit::limit;
pub(crate) use macaroon::macaroon;
pub(crate) use memory::memory;
pub(crate) use policy::policy;
pub(crate) use refresh::refresh;
pub(crate) use revocations::revocations;
pub(crate) use rows::ROTATE;
pub(crate) use startup::startup;
pub(crate) use verify::verify;

use anyhow::Result;

use crate::bench::Bench;
use crate::figure::Figure;

/// One of them.
type Measure = fn(&Bench) -> Result<Vec<Figure>>;

/// All of them, in the order of the table.
pub(crate) const ALL: [Measure; 15] = [
    issue,
    exchange_tokens,
    introspect,
    gateway,
    keys,
    refresh,
    verify,
    dpop,
    macaroon,
    graphql,
    limit,
    policy,
    revocations,
    memory,
    startup,
];
