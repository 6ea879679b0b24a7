//! What may be used so many times, remembered by several processes together: a
//! DPoP proof once, a macaroon's `budget` and `single-use` as often as they say.
//!
//! Without it each process remembers for itself.
//!
//! Spec: RFC 9449 §11.1

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use symbolon_protocol::Timestamp;
use symbolon_token::dpop::{InvalidProof, Proof};
use symbolon_token::explain::Refused;
use symbolon_token::macaroon::{Count, Flaw};

use crate::refusal::{CannotKnow, Refusal};
use crate::verifier::Verifier;

/// One use of something that may be used so many times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// Names it, for everybody who counts.
    pub name: [u8; 32],
    /// How often it may be used.
    pub limit: u32,
    /// Until when that has to be remembered.
    pub until: Timestamp,
}

/// Nobody can say how often something was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody can say how often it was used")]
pub struct Unremembered;

/// What a memory says: whether all had a use left, and have now been used.
pub type Remembered<'a> = Pin<Box<dyn Future<Output = Result<bool, Unremembered>> + Send + 'a>>;

/// A memory of uses that several processes share ([`Verifier::share_uses`]).
pub trait SharedUses: Send + Sync + fmt::Debug {
    /// Takes one use of each, or none of any.
    fn take<'a>(&'a self, uses: &'a [Use]) -> Remembered<'a>;
}

impl Verifier {
    /// Uses a proof up for all processes.
    pub(crate) async fn use_up_together(&self, proof: &Proof) -> Result<(), Refusal> {
        let once = [Use {
            name: *proof.once(),
            limit: 1,
            until: proof.acceptable_until(),
        }];
        match self.take(&once).await? {
            Some(false) => Err(Refusal::Proof(InvalidProof::Replayed)),
            Some(true) | None => Ok(()),
        }
    }

    /// Counts uses of a macaroon: for all processes, else as somebody said how.
    pub(crate) async fn count(&self, counts: &[Count]) -> Result<(), Refusal> {
        let Some(first) = counts.first() else {
            return Ok(());
        };
        let use_of = |own: &Count| Use {
            name: *own.name.as_bytes(),
            limit: own.limit,
            until: own.until,
        };
        let uses: Vec<Use> = counts.iter().map(use_of).collect();
        let counter = self.inner.config.counter.as_ref();
        let has_some = match self.take(&uses).await? {
            Some(has_some) => Some(has_some),
            None => counter.map(|counter| counter(counts)),
        };
        let flaw = match has_some {
            Some(true) => return Ok(()),
            Some(false) => Flaw::Spent(first.caveat.clone()),
            None => Flaw::Unjudged(first.caveat.clone()),
        };
        Err(Refused::Macaroon(flaw).into())
    }

    /// Nothing where no memory is shared.
    async fn take(&self, uses: &[Use]) -> Result<Option<bool>, Refusal> {
        let Some(shared) = &self.inner.config.uses else {
            return Ok(None);
        };
        let taken = shared.take(uses).await;
        let taken = taken.map_err(|Unremembered| Refusal::CannotKnow(CannotKnow::Uses))?;
        Ok(Some(taken))
    }
}
