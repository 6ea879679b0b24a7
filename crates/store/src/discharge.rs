//! A discharge that somebody waits for, until a person has decided.
//!
//! States: waiting, given, denied. Deciding is one update of what still waits;
//! whoever waits takes the decision with the row, so it is had once.
//!
//! Spec: Macaroons NDSS 2014 §2.2

use symbolon_protocol::Timestamp;
use symbolon_token::{Digest, Discharge, Id};

use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::fault::Fault;
use crate::statement::statements;

const GIVEN: u8 = 1;
const DENIED: u8 = 2;

/// Begins to wait.
#[derive(Clone, Debug)]
pub struct OpenDischarge {
    /// Its id, in the slot of the person who decides.
    pub id: Id<Discharge>,
    /// The digest of what whoever waits holds.
    pub secret: Digest,
    /// The identifier of the caveat, which is sealed.
    pub caveat: Vec<u8>,
    /// From where it was asked for, in words for the person.
    pub place: String,
    /// When nobody waits any more.
    pub expires: Timestamp,
}

/// Finds what waits.
#[derive(Clone, Copy, Debug)]
pub struct FindDischarge {
    /// Its id.
    pub id: Id<Discharge>,
    /// The time.
    pub now: Timestamp,
}

/// A discharge that nobody has decided on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The identifier of the caveat.
    pub caveat: Vec<u8>,
    /// From where it was asked for.
    pub place: String,
}

/// What a person decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may be given.
    Give,
    /// It may not.
    Deny,
}

/// Decides on what waits.
#[derive(Clone, Debug)]
pub struct DecideDischarge {
    /// Its id.
    pub id: Id<Discharge>,
    /// What is decided.
    pub decision: Decision,
    /// The time that the discharge counts from.
    pub decided: Timestamp,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Looks whether there is a decision, and writes nothing: whoever waits asks
/// often, and strangers may.
#[derive(Clone, Debug)]
pub struct PollDischarge {
    /// Its id.
    pub id: Id<Discharge>,
    /// The digest of what whoever waits holds.
    pub secret: Digest,
    /// The time.
    pub now: Timestamp,
}

/// How it stands with what somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Nobody has decided.
    Waiting,
    /// There is a decision to be taken.
    Decided,
    /// There is no such thing, or it is over.
    Unknown,
}

/// Takes the decision, where there is one.
#[derive(Clone, Debug)]
pub struct TakeDischarge {
    /// Its id.
    pub id: Id<Discharge>,
    /// The digest of what whoever waits holds.
    pub secret: Digest,
    /// The time.
    pub now: Timestamp,
}

/// What became of what somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Nobody has decided.
    Waiting,
    /// It may be given. This is told once.
    Given {
        /// The identifier of the caveat.
        caveat: Vec<u8>,
        /// The time that it counts from.
        decided: Timestamp,
    },
    /// It may not. This is told once.
    Denied,
    /// There is no such thing, or it is over.
    Unknown,
}

statements! {
    OPEN = "INSERT INTO discharge (slot, id, secret, caveat, place, state, decided, expires)
        VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, ?6)";
    FIND = "SELECT caveat, place FROM discharge
        WHERE slot = ?1 AND id = ?2 AND state = 0 AND expires > ?3";
    DECIDE = "UPDATE discharge SET state = ?3, decided = ?4
        WHERE slot = ?1 AND id = ?2 AND state = 0 AND expires > ?5";
    TAKE = "DELETE FROM discharge
        WHERE slot = ?1 AND id = ?2 AND secret = ?3 AND state <> 0 AND expires > ?4
        RETURNING state, caveat, decided";
    POLL = "SELECT state FROM discharge
        WHERE slot = ?1 AND id = ?2 AND secret = ?3 AND expires > ?4";
}

impl Act for OpenDischarge {
    type Out = ();
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let binds = binds![
            self.id.slot(),
            &self.id,
            &self.secret,
            &self.caveat,
            &self.place,
            self.expires,
        ];
        tx.run(&OPEN, binds).await?;
        Ok(())
    }
}

impl Act for FindDischarge {
    type Out = Option<Waiting>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Waiting>, Fault> {
        let binds = binds![self.id.slot(), &self.id, self.now];
        let Some(row) = tx.one(&FIND, binds).await? else {
            return Ok(None);
        };
        Ok(Some(Waiting {
            caveat: row.bytes(0)?.to_vec(),
            place: row.text(1)?.to_owned(),
        }))
    }
}

impl Act for DecideDischarge {
    /// Whether it was this act that decided.
    type Out = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        let state = match self.decision {
            Decision::Give => GIVEN,
            Decision::Deny => DENIED,
        };
        let binds = binds![self.id.slot(), &self.id, state, self.decided, self.now];
        if tx.run(&DECIDE, binds).await? == 0 {
            return Ok(false);
        }
        audit::write(tx, &self.audit, self.now).await?;
        Ok(true)
    }
}

impl Act for PollDischarge {
    type Out = Polled;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Polled, Fault> {
        let binds = binds![self.id.slot(), &self.id, &self.secret, self.now];
        let state = tx.one(&POLL, binds).await?.map(|row| row.number(0));
        Ok(match state.transpose()? {
            None => Polled::Unknown,
            Some(0) => Polled::Waiting,
            Some(_) => Polled::Decided,
        })
    }
}

impl Act for TakeDischarge {
    type Out = Taken;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Taken, Fault> {
        let binds = binds![self.id.slot(), &self.id, &self.secret, self.now];
        if let Some(row) = tx.one(&TAKE, binds).await? {
            return Ok(match u8::try_from(row.number(0)?) {
                Ok(GIVEN) => Taken::Given {
                    caveat: row.bytes(1)?.to_vec(),
                    decided: row.time(2)?,
                },
                _ => Taken::Denied,
            });
        }
        Ok(match tx.one(&POLL, binds).await? {
            Some(_) => Taken::Waiting,
            None => Taken::Unknown,
        })
    }
}
