//! Who signs in: a person, and the place in the feed after which whatever is
//! taken back of them comes after their proof.
//!
//! Spec: OpenID Connect Core 1.0 §3.1.2.3

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::feed::Position;
use crate::person::{self, Person};
use crate::row::Row;
use crate::statement::statements;

/// Finds the person who signs in under a name, and where the feed stood then:
/// what is taken back later comes after whatever was proved of the person.
#[derive(Clone, Debug)]
pub struct FindWhoSignsIn {
    /// The name, canonical.
    pub name: String,
}

statements! {
    // One statement is one snapshot: the password is that of this place.
    FIND = "SELECT p.id, p.username, p.document, p.password, p.enabled, p.created,
            p.updated, h.epoch, h.sequence
        FROM login_name n JOIN person p ON p.id = n.person JOIN feed_head h ON h.one = 1
        WHERE n.name = ?1";
}

impl Act for FindWhoSignsIn {
    type Out = Option<(Person, Position)>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Out, Fault> {
        let row = tx.one(&FIND, binds![&self.name]).await?;
        let both = |row: &Row| Ok((person::read(row)?, row.position(7)?));
        row.as_ref().map(both).transpose()
    }
}
