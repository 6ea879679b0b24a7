//! What people do to their own account: another password, and taking back all
//! that there is.

use symbolon_protocol::Timestamp;
use symbolon_token::{Id, Person};

use crate::act::{Act, Tx};
use crate::audit::AuditEvent;
use crate::bind::binds;
use crate::client::Updated;
use crate::fault::Fault;
use crate::feed::Position;
use crate::person::Departure;
use crate::signal::Signal;
use crate::statement::statements;

/// Replaces the password that a person has just shown. Whoever was signed in is
/// not any more, and everything issued before dies.
#[derive(Clone)]
pub struct ChangePassword {
    /// The person.
    pub id: Id<Person>,
    /// The hash that was verified; another one stays.
    pub was: String,
    /// The new password's hash as a PHC string.
    pub phc: String,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of the person has expired.
    pub horizon: Timestamp,
}

/// Ends all that a person has running, and withdraws all that they allowed:
/// every application has to ask again.
#[derive(Clone, Debug)]
pub struct TakeAllBack {
    /// The person.
    pub id: Id<Person>,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of the person has expired.
    pub horizon: Timestamp,
}

statements! {
    CHANGE = "UPDATE person SET password = ?3, updated = ?4
        WHERE id = ?1 AND password = ?2 AND enabled = 1";
    TOUCH = "UPDATE person SET updated = ?2 WHERE id = ?1";
}

impl Act for ChangePassword {
    /// Where the record of it stands; nothing where the password is another one by
    /// now, or the person may not come in. Nothing was written then.
    type Out = Option<Position>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Position>, Fault> {
        let binds = binds![&self.id, &self.was, &self.phc, self.now];
        if tx.run(&CHANGE, binds).await? == 0 {
            return Ok(None);
        }
        let departure = Departure {
            id: self.id,
            signal: Signal::Password("update"),
            withdraws: false,
            audit: &self.audit,
            now: self.now,
            horizon: self.horizon,
        };
        departure.write(tx).await.map(Some)
    }
}

impl Act for TakeAllBack {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        if tx.run(&TOUCH, binds![&self.id, self.now]).await? == 0 {
            return Ok(Updated::Missing);
        }
        let departure = Departure {
            id: self.id,
            signal: Signal::AllEnds,
            withdraws: true,
            audit: &self.audit,
            now: self.now,
            horizon: self.horizon,
        };
        departure.write(tx).await?;
        Ok(Updated::Updated)
    }
}
