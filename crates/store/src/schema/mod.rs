//! How a schema changes while servers work: expand, fill, contract.
//!
//! 1. *Expand*: migrations that only add ([`crate::migration`]). The version
//!    before goes on working on what they make.
//! 2. *Fill*: rows that a new column or table needs, in chunks. Each chunk is
//!    one short transaction that finds by itself what is left to do, so that
//!    whoever is killed in between has lost nothing.
//! 3. *Contract*: what nobody needs any more goes, by command alone, once every
//!    node is new. The database then has a feature level, below which no
//!    version starts.

pub(crate) mod apply;
pub(crate) mod ask;
pub(crate) mod level;
pub(crate) mod plan;
pub(crate) mod shape;

use crate::migration::{MIGRATIONS, Migration};
use crate::statement::Sql;

/// Rows that have to be written before something can go.
#[derive(Debug)]
pub(crate) struct Fill {
    /// Its name, under which it is entered when it is done.
    pub(crate) name: &'static str,
    /// The migration that made what it fills.
    pub(crate) after: i64,
    /// The table whose rows it changes.
    pub(crate) table: &'static str,
    /// One chunk: changes at most `?1` rows of those that are left.
    pub(crate) chunk: &'static Sql,
}

/// What was done beyond adding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// What was filled, and how many rows were written.
    pub filled: Vec<(&'static str, u64)>,
    /// The migrations that took something away.
    pub contracted: Vec<Migration>,
}

/// Everything that a version does to a schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    pub(crate) expand: &'static [Migration],
    pub(crate) fill: &'static [Fill],
    pub(crate) contract: &'static [Migration],
}

/// What this version does.
pub(crate) const STEPS: Steps = Steps {
    expand: MIGRATIONS,
    fill: &[],
    contract: &[],
};

impl Steps {
    /// The newest migration that is known.
    pub(crate) fn last(&self) -> i64 {
        let all = self.expand.iter().chain(self.contract);
        all.map(|own| own.number).max().unwrap_or(0)
    }
}
