//! What may be used once: decided by the statement that writes it down.
//!
//! Spec: RFC 7523 §3
//! Spec: RFC 9449 §11.1

use symbolon_protocol::Timestamp;
use symbolon_token::Slot;

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::statement::statements;

/// The kind of an authorization code; callers' own kinds are larger.
pub(crate) const AUTHORIZATION_CODE: u8 = 1;

/// The kind of a client assertion's `jti`.
pub const CLIENT_ASSERTION: u8 = 2;

/// The kind of the `jti` of an assertion that is itself a grant.
pub const BEARER_ASSERTION: u8 = 3;

/// The kind of a device code that was allowed.
pub(crate) const DEVICE_CODE: u8 = 10;

/// The kind of a DPoP proof, by its key and `jti`.
pub(crate) const DPOP_PROOF: u8 = 9;

/// A DPoP proof that an act uses up beside what it is for, in the slot of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpentProof {
    /// A digest of its key and `jti`.
    pub key: [u8; 32],
    /// When it could not be used any more anyway.
    pub expires: Timestamp,
}

impl SpentProof {
    /// Uses the proof up; whether this was the first use.
    pub(crate) async fn spend(&self, tx: &mut Tx<'_>, slot: Slot) -> Result<bool, Fault> {
        let binds = binds![day(self.expires), slot, DPOP_PROOF, &self.key];
        Ok(tx.run(&SPEND, binds).await? > 0)
    }
}

/// Uses something up that may be used once, as a client assertion's `jti`.
#[derive(Clone, Debug)]
pub struct SpendOnce {
    /// What sort of thing it is.
    pub kind: u8,
    /// The slot of whom it belongs to.
    pub slot: Slot,
    /// A digest of it.
    pub key: [u8; 32],
    /// When it could not be used any more anyway.
    pub expires: Timestamp,
}

statements! {
    SPEND = "INSERT INTO spent (day, slot, kind, key, again) VALUES (?1, ?2, ?3, ?4, 0)
        ON CONFLICT DO NOTHING";
    FIND = "SELECT 1 FROM spent WHERE day = ?1 AND slot = ?2 AND kind = ?3 AND key = ?4";
}

/// The day of an item's own expiry: part of its key, so that a whole day can
/// be thrown away at once.
pub(crate) fn day(expires: Timestamp) -> i64 {
    expires.millis().div_euclid(DAY)
}

pub(crate) const DAY: i64 = 24 * 60 * 60 * 1000;

impl Act for SpendOnce {
    /// Whether this was the first use.
    type Out = bool;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        let binds = binds![day(self.expires), self.slot, self.kind, &self.key];
        Ok(tx.run(&SPEND, binds).await? > 0)
    }
}

/// Looks whether something that may be used once was used, and uses nothing up.
#[derive(Clone, Debug)]
pub struct WasSpent(
    /// What would use it up.
    pub SpendOnce,
);

impl Act for WasSpent {
    type Out = bool;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        let once = &self.0;
        let binds = binds![day(once.expires), once.slot, once.kind, &once.key];
        Ok(tx.one(&FIND, binds).await?.is_some())
    }
}
