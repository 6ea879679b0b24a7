//! One file for each thing that is measured.

mod dpop;
mod exchange;
mod families;
mod introspect;
mod issue;
mod keys;
mod macaroon;
mod memory;
mod refresh;
mod revocations;
mod rows;
mod startup;
mod verify;

pub(crate) use dpop::dpop;
pub(crate) use exchange::exchange_tokens;
pub(crate) use families::families;
pub(crate) use introspect::introspect;
pub(crate) use issue::issue;
pub(crate) use keys::keys;
pub(crate) use macaroon::macaroon;
pub(crate) use memory::memory;
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
pub(crate) const ALL: [Measure; 11] = [
    issue,
    exchange_tokens,
    introspect,
    keys,
    refresh,
    verify,
    dpop,
    macaroon,
    revocations,
    memory,
    startup,
];
