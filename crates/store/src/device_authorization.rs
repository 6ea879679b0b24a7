//! A device that waits until a person has decided.
//!
//! States: waiting, allowed, denied. Deciding is one update of what still waits.
//! The row is of the slot of its user code, since nobody knows whose it will be;
//! redeeming what was allowed is the act of [`crate::RedeemCode`], in the slot of
//! the person, so this row is written twice and never by a poll.
//!
//! Spec: RFC 8628 §3.1, §3.3, §3.5

use symbolon_protocol::Timestamp;
use symbolon_token::{DeviceAuthorization, Digest, Id};

use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::fault::Fault;
use crate::row::Row;
use crate::statement::statements;
use crate::uses::{self, Use, Uses};

const WAITING: u8 = 0;
const ALLOWED: u8 = 1;
const DENIED: u8 = 2;

/// Begins to wait.
#[derive(Clone, Debug)]
pub struct OpenDeviceAuthorization {
    /// Its id, in the slot of the user code.
    pub id: Id<DeviceAuthorization>,
    /// The digest of what the device polls with.
    pub secret: Digest,
    /// A MAC of what the person types: too short to be digested plainly.
    pub user_code: [u8; 32],
    /// What the device asks for.
    pub request: Vec<u8>,
    /// When nobody waits any more.
    pub expires: Timestamp,
    /// What one more of these is counted under, so that there are never many.
    pub uses: Vec<Use>,
    /// The time.
    pub now: Timestamp,
}

/// What beginning to wait found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It waits.
    Waiting,
    /// There are too many already. Nothing was written.
    TooMany,
    /// Another one has this user code. Nothing was written.
    Taken,
}

/// Finds what a device polls for.
#[derive(Clone, Copy, Debug)]
pub struct FindDeviceAuthorization {
    /// Its id.
    pub id: Id<DeviceAuthorization>,
}

/// Finds what a person types the code of, while it waits.
#[derive(Clone, Copy, Debug)]
pub struct FindByUserCode {
    /// The slot of the code.
    pub slot: symbolon_token::Slot,
    /// The MAC of the code.
    pub user_code: [u8; 32],
    /// The time.
    pub now: Timestamp,
}

/// A device authorization, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingDevice {
    /// Its id.
    pub id: Id<DeviceAuthorization>,
    /// The digest of what the device polls with.
    pub secret: Digest,
    /// What the device asks for.
    pub request: Vec<u8>,
    /// What became of it.
    pub decided: DeviceDecision,
    /// When nobody waits any more.
    pub expires: Timestamp,
}

/// What a person decided, if anybody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceDecision {
    /// Nobody has.
    Waiting,
    /// The device may have this.
    Allowed(Vec<u8>),
    /// It may not.
    Denied,
}

/// Decides on what waits.
#[derive(Clone, Debug)]
pub struct DecideDeviceAuthorization {
    /// Its id.
    pub id: Id<DeviceAuthorization>,
    /// What the device may have; nothing where it was denied.
    pub allowed: Option<Vec<u8>>,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

statements! {
    OPEN = "INSERT INTO device_authorization
            (slot, id, secret, user_code, request, state, allowed, expires)
        VALUES (?1, ?2, ?3, ?4, ?5, 0, NULL, ?6) ON CONFLICT DO NOTHING";
    FIND = "SELECT id, secret, request, state, allowed, expires FROM device_authorization
        WHERE slot = ?1 AND id = ?2";
    FIND_BY_USER_CODE = "SELECT id, secret, request, state, allowed, expires
        FROM device_authorization
        WHERE slot = ?1 AND user_code = ?2 AND state = 0 AND expires > ?3";
    DECIDE = "UPDATE device_authorization SET state = ?3, allowed = ?4
        WHERE slot = ?1 AND id = ?2 AND state = 0 AND expires > ?5";
}

impl Act for OpenDeviceAuthorization {
    type Out = Opened;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Opened, Fault> {
        if let Uses::Spent { .. } = uses::count(tx, &self.uses, self.now).await? {
            return Ok(Opened::TooMany);
        }
        let binds = binds![
            self.id.slot(),
            &self.id,
            &self.secret,
            &self.user_code,
            &self.request,
            self.expires,
        ];
        if tx.run(&OPEN, binds).await? > 0 {
            return Ok(Opened::Waiting);
        }
        uses::take_back(tx, &self.uses).await?;
        Ok(Opened::Taken)
    }
}

impl Act for FindDeviceAuthorization {
    type Out = Option<WaitingDevice>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<WaitingDevice>, Fault> {
        let row = tx.one(&FIND, binds![self.id.slot(), &self.id]).await?;
        row.as_ref().map(read).transpose()
    }
}

impl Act for FindByUserCode {
    type Out = Option<WaitingDevice>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<WaitingDevice>, Fault> {
        let binds = binds![self.slot, &self.user_code, self.now];
        let row = tx.one(&FIND_BY_USER_CODE, binds).await?;
        row.as_ref().map(read).transpose()
    }
}

fn read(row: &Row) -> Result<WaitingDevice, Fault> {
    let decided = match u8::try_from(row.number(3)?) {
        Ok(WAITING) => DeviceDecision::Waiting,
        Ok(ALLOWED) => DeviceDecision::Allowed(row.bytes(4)?.to_vec()),
        _ => DeviceDecision::Denied,
    };
    Ok(WaitingDevice {
        id: row.id(0)?,
        secret: row.digest(1)?,
        request: row.bytes(2)?.to_vec(),
        decided,
        expires: row.time(5)?,
    })
}

impl Act for DecideDeviceAuthorization {
    /// Whether it was this act that decided.
    type Out = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        let state = if self.allowed.is_some() {
            ALLOWED
        } else {
            DENIED
        };
        let allowed = self.allowed.as_deref();
        let binds = binds![self.id.slot(), &self.id, state, allowed, self.now];
        if tx.run(&DECIDE, binds).await? == 0 {
            return Ok(false);
        }
        audit::write(tx, &self.audit, self.now).await?;
        Ok(true)
    }
}
