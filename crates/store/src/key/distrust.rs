//! Taking a key back: it is believed by nobody from the commit on, and another
//! one stands in its place.

use symbolon_protocol::{Timestamp, planted};
use symbolon_token::Digest;

use super::{KeyState, WorkingKey, insert, lock};
use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::fault::Fault;
use crate::feed;
use crate::revocation::{self, Target};
use crate::statement::statements;

/// Takes a key back.
#[derive(Clone, Debug)]
pub struct DistrustKey {
    /// The key.
    pub id: String,
    /// What the revocation feed calls it.
    pub name: String,
    /// Two new keys of its purpose, for the places that it leaves. Their
    /// numbers and states are decided here.
    pub spares: [WorkingKey; 2],
    /// The fingerprint of the master key that the new keys are sealed under.
    pub master: Digest,
    /// How long what it made could be shown to somebody.
    pub horizon: Timestamp,
    /// The time.
    pub now: Timestamp,
    /// What to write down.
    pub audit: AuditEvent,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrusted {
    /// It is believed no more, and others stand in its places.
    Now,
    /// There is no such key, or it was distrusted before.
    Before,
    /// It is believed no more. Another master key is in use than the caller
    /// has, so that no new key could be made.
    OtherMaster,
}

statements! {
    // What is left is the name, so that nobody wonders.
    DISTRUST = "UPDATE working_key SET state = 'distrusted', sealed = ?2, public_part = NULL,
            retires = ?3
        WHERE id = ?1 AND state <> 'distrusted' RETURNING purpose";
    PROMOTE = "UPDATE working_key SET state = 'active', activated = ?2
        WHERE purpose = ?1 AND state = 'next' AND NOT EXISTS
            (SELECT 1 FROM working_key o WHERE o.purpose = ?1 AND o.state = 'active')";
    STANDING = "SELECT COALESCE(SUM(CASE WHEN state = 'active' THEN 1 ELSE 0 END), 0),
            COALESCE(SUM(CASE WHEN state = 'next' THEN 1 ELSE 0 END), 0), MAX(number)
        FROM working_key WHERE purpose = ?1";
}

impl DistrustKey {
    /// Fills the places of an active and a next key, where they are empty.
    async fn fill(&self, tx: &mut Tx<'_>, purpose: &str) -> Result<(), Fault> {
        let lost = || Fault::broken("a key vanished under its lock");
        let row = tx.one(&STANDING, binds![purpose]).await?.ok_or_else(lost)?;
        let (active, next, last) = (row.number(0)?, row.number(1)?, row.number(2)?);
        let places = [(active, KeyState::Active), (next, KeyState::Next)];
        let empty = places.into_iter().filter(|(there, _)| *there == 0);
        for ((number, (_, state)), spare) in (last + 1..).zip(empty).zip(&self.spares) {
            let key = WorkingKey {
                number,
                state,
                activated: (state == KeyState::Active).then_some(self.now),
                ..spare.clone()
            };
            if !insert(tx, &key).await? {
                return Err(lost());
            }
        }
        Ok(())
    }
}

impl Act for DistrustKey {
    type Out = Distrusted;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Distrusted, Fault> {
        // Whoever lacks the master key can still say that a key is bad: the
        // new ones are for somebody else to make, and the old one dies now.
        let can_seal = lock(tx, &self.master).await?;
        const ERASED: &[u8] = &[];
        let binds = binds![&self.id, ERASED, self.horizon];
        let Some(row) = tx.one(&DISTRUST, binds).await? else {
            return Ok(Distrusted::Before);
        };
        let purpose = row.string(0)?;
        tx.run(&PROMOTE, binds![&purpose, self.now]).await?;
        if can_seal {
            self.fill(tx, &purpose).await?;
        }
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        if !planted(31) {
            let record = (Target::Key(self.name.clone()), self.horizon);
            revocation::record(tx, &[record], self.now).await?;
        }
        Ok(match can_seal {
            true => Distrusted::Now,
            false => Distrusted::OtherMaster,
        })
    }
}
