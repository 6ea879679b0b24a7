//! When the grants of a person were last used to renew anything.

use symbolon_protocol::Timestamp;
use symbolon_token::{Grant, Id, Person};

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::row::Row;
use crate::statement::statements;

/// Finds when each live grant of a person was used last, as far as a refresh
/// family tells; a grant without one is not among them.
#[derive(Clone, Debug)]
pub struct GrantUsesOf {
    /// The person.
    pub person: Id<Person>,
}

/// The last use of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantUse {
    /// The grant.
    pub grant: Id<Grant>,
    /// When its client last got a refresh token.
    pub at: Timestamp,
}

statements! {
    USES = "SELECT a.grant_id, MAX(f.rotated)
        FROM grants g {by_grantor}
            CROSS JOIN family_authority a {by_grant} CROSS JOIN family f
        WHERE g.slot = ?1 AND g.person = ?2 AND g.withdrawn IS NULL
            AND a.slot = g.slot AND a.grant_id = g.id AND f.slot = a.slot AND f.id = a.id
        GROUP BY a.grant_id";
}

fn read(row: &Row) -> Result<GrantUse, Fault> {
    Ok(GrantUse {
        grant: row.id(0)?,
        at: row.time(1)?,
    })
}

impl Act for GrantUsesOf {
    type Out = Vec<GrantUse>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<GrantUse>, Fault> {
        tx.all(&USES, binds![self.person.slot(), &self.person], read)
            .await
    }
}
