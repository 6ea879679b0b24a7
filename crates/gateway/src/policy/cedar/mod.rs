//! Cedar, behind one door: policies of the operator's own, read and validated
//! whole before any of them answers.
//!
//! 1. `file` reads files, and says where in them a mistake is.
//! 2. `load` brings schema, entities and policies together.
//! 3. `told` leaves out of a question what no policy names, as `wanted` knows, and
//!    `entity` writes the rest in Cedar's terms.
//! 4. `slice` leaves out the policies that cannot apply.
//! 5. `decide` answers, and fails closed.

mod decide;
mod entity;
mod file;
mod known;
mod load;
mod member;
mod named;
mod own;
mod slice;
mod told;
mod wanted;

pub use file::Mistake;
pub use load::{PolicyFiles, SCHEMA};
pub use named::Names;

use std::fmt;
use std::sync::Arc;

use cedar_policy::{Authorizer, Entities, Entity, Schema};
use quick_cache::sync::Cache;

use self::entity::Actions;
use self::load::Meant;
use self::member::Members;
use self::named::Named;
use self::slice::Slices;
use self::wanted::Wanted;
use super::ruling::Ruling;

/// How many answers are kept; about 200 bytes each.
const MAX_ANSWERED: usize = 20_000;

/// Policies that were validated against the schema.
pub struct Policies {
    schema: Schema,
    authorizer: Authorizer,
    slices: Slices,
    /// What each policy demands besides yes and no, by its id.
    meant: Meant,
    actions: Actions,
    wanted: Wanted,
    members: Members,
    /// The operator's own entities with what they are in, and all actions.
    entities: Arc<Entities>,
    /// The same, where there are any besides actions.
    own: Vec<Entity>,
    /// Answers to questions of late, by what was told.
    answered: Cache<[u8; 32], Arc<Ruling>>,
    count: usize,
    named: Vec<Named>,
}

impl Policies {
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none: then nothing is permitted.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policies({})", self.count)
    }
}

#[cfg(test)]
mod tests;
