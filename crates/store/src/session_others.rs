//! The other sessions of a person: they sign out everywhere but here.

use symbolon_protocol::Timestamp;
use symbolon_token::{Id, Person, Session};

use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::fault::Fault;
use crate::revocation::{self, Target};
use crate::session;
use crate::statement::statements;

/// Ends up to a hundred sessions of a person, but one, with the families that end
/// with them.
#[derive(Clone, Debug)]
pub struct EndOtherSessions {
    /// The person.
    pub person: Id<Person>,
    /// The session that stays.
    pub keep: Id<Session>,
    /// The time.
    pub now: Timestamp,
    /// When the last token of those that end has expired.
    pub horizon: Timestamp,
    /// What to write down, where any ended.
    pub audit: AuditEvent,
}

statements! {
    OTHERS = "SELECT id FROM session {by_person}
        WHERE slot = ?1 AND person = ?2 AND id <> ?3 AND ended IS NULL
        ORDER BY id LIMIT 100";
}

impl Act for EndOtherSessions {
    /// How many ended: where there were any, there may be more, up to
    /// [`MAX_UNENDED`](crate::MAX_UNENDED).
    type Out = u32;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u32, Fault> {
        let binds = binds![self.person.slot(), &self.person, &self.keep];
        let others: Vec<Id<Session>> = tx.all(&OTHERS, binds, |row| row.id(0)).await?;
        let mut records = Vec::new();
        for other in others {
            if session::end(tx, &other, &self.audit, self.now).await? {
                records.push((Target::Session(other), self.horizon));
            }
        }
        if records.is_empty() {
            return Ok(0);
        }
        audit::write(tx, &self.audit, self.now).await?;
        let ended = revocation::record(tx, &records, self.now).await?;
        Ok(u32::try_from(ended.len()).unwrap_or(u32::MAX))
    }
}
