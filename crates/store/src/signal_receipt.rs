//! A security event of somebody else's, taken once: its `jti` is spent by the
//! act that does what it says.
//!
//! Spec: RFC 8417 §2.2

use crate::act::{Act, Tx};
use crate::fault::Fault;
use crate::person::{RevokePerson, SetPersonEnabled};
use crate::spent::SpendOnce;

/// The kind of the `jti` of a security event.
pub const SECURITY_EVENT: u8 = 11;

/// What an event brings about here.
#[derive(Clone, Debug)]
pub enum SignalEffect {
    /// Nothing: it is noted that it was there.
    Nothing,
    /// All that a person has running ends.
    SignOut(RevokePerson),
    /// A person may not sign in any more.
    Disable(SetPersonEnabled),
}

/// Takes an event, unless it was taken before.
#[derive(Clone, Debug)]
pub struct TakeSignal {
    /// Its name.
    pub spend: SpendOnce,
    /// What it brings about.
    pub effect: SignalEffect,
}

/// Whether an event was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalTaken {
    /// It was, and what it says was done.
    First,
    /// It was not. Nothing was done.
    Again,
}

impl Act for TakeSignal {
    type Out = SignalTaken;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<SignalTaken, Fault> {
        if !self.spend.run(tx).await? {
            return Ok(SignalTaken::Again);
        }
        match &self.effect {
            SignalEffect::Nothing => {}
            // Whoever is gone meanwhile has nothing left to end.
            SignalEffect::SignOut(act) => {
                act.run(tx).await?;
            }
            SignalEffect::Disable(act) => {
                act.run(tx).await?;
            }
        }
        Ok(SignalTaken::First)
    }
}
