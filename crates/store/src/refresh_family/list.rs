//! The live families of a grant, for whoever looks after it.

use symbolon_protocol::Timestamp;
use symbolon_token::{Family, Grant, Id};

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::row::Row;
use crate::statement::statements;

/// Lists the live families of a grant, the newest first.
#[derive(Clone, Debug)]
pub struct FamiliesOf {
    /// The grant.
    pub grant: Id<Grant>,
    /// The time.
    pub now: Timestamp,
    /// At most how many.
    pub limit: u32,
}

/// What may be known of a family without what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyLine {
    /// Its id.
    pub id: Id<Family>,
    /// When it was opened.
    pub created: Timestamp,
    /// When its last refresh token was made.
    pub rotated: Timestamp,
    /// How many refresh tokens it has had.
    pub generation: u32,
    /// When it ends where it is not used.
    pub idle_ends: Timestamp,
    /// When it ends in any case.
    pub absolute_ends: Timestamp,
}

statements! {
    LIST = "SELECT f.id, a.created, f.rotated, f.generation, f.idle_ends, f.absolute_ends
        FROM family_authority a {by_grant}
            CROSS JOIN family f CROSS JOIN grants g
            LEFT JOIN session s ON s.slot = a.slot AND s.id = a.session_id
        WHERE a.slot = ?1 AND a.grant_id = ?2
            AND f.slot = a.slot AND f.id = a.id AND g.slot = a.slot AND g.id = a.grant_id
            AND g.withdrawn IS NULL AND s.ended IS NULL
            AND f.ended IS NULL AND f.idle_ends > ?3 AND f.absolute_ends > ?3
        ORDER BY a.created DESC, f.id LIMIT ?4";
}

fn read(row: &Row) -> Result<FamilyLine, Fault> {
    Ok(FamilyLine {
        id: row.id(0)?,
        created: row.time(1)?,
        rotated: row.time(2)?,
        generation: row.count(3)?,
        idle_ends: row.time(4)?,
        absolute_ends: row.time(5)?,
    })
}

impl Act for FamiliesOf {
    type Out = Vec<FamilyLine>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<FamilyLine>, Fault> {
        let binds = binds![self.grant.slot(), &self.grant, self.now, self.limit];
        tx.all(&LIST, binds, read).await
    }
}
