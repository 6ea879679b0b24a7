//! Who counts: this process, or all gateways together. Charges are spent all or
//! none, and what was spent is given back where the rest could not be.

use std::sync::Arc;

use symbolon_verify::SharedUses;

use super::charge::{Charge, Counted, Denied, Receipt};
use super::count::Now;
use super::held::Held;
use super::local::Local;
use super::notice::Outgoing;
use super::refused::Refused;
use super::settings::Redis;
use super::usage::Used;
use crate::gateway::{Edge, PlanError};

/// The counts. They outlive every configuration.
#[derive(Default)]
pub(crate) struct Bank {
    pub(crate) local: Local,
    pub(crate) notices: Outgoing,
    pub(crate) refused: Refused,
    #[cfg(feature = "redis")]
    pub(crate) together: Option<super::redis::Together>,
}

/// The time, as counts take it.
pub(crate) fn now(edge: &Edge) -> Now {
    Now {
        steady: u64::try_from(edge.clock.monotonic().as_micros()).unwrap_or(u64::MAX),
        wall: edge.clock.now().millis(),
    }
}

impl Bank {
    /// Counts for this process alone, or with others where it is told where.
    pub(crate) fn new(redis: Option<&Redis>, edge: &Edge) -> Result<Self, PlanError> {
        #[cfg(feature = "redis")]
        let own = Self {
            together: match redis {
                Some(redis) => Some(super::redis::Together::new(redis, edge)?),
                None => None,
            },
            ..Self::default()
        };
        #[cfg(not(feature = "redis"))]
        let own = match redis {
            // INVARIANT: limits that were meant for all gateways together are
            // never counted by one alone without a word.
            Some(_) => return Err(PlanError::Redis("it is not built in".into())),
            None => Self::default(),
        };
        let _ = edge;
        Ok(own)
    }

    /// What remembers for all gateways what was used, where they count together.
    #[cfg(feature = "redis")]
    pub(crate) fn uses(own: &Arc<Self>) -> Option<Arc<dyn SharedUses>> {
        let is_shared = own.together.is_some();
        is_shared.then(|| Arc::new(super::redis::Uses(Arc::clone(own))) as Arc<dyn SharedUses>)
    }

    #[cfg(not(feature = "redis"))]
    pub(crate) fn uses(_: &Arc<Self>) -> Option<Arc<dyn SharedUses>> {
        None
    }

    /// Spends all charges, or none.
    pub(crate) async fn take(
        self: &Arc<Self>,
        charges: Vec<Charge>,
        edge: &Edge,
    ) -> Result<(Vec<Receipt>, Held), Denied> {
        let (together, here) = charges.into_iter().partition(|own| self.is_shared(own));
        let mut receipts = self.take_here(here, now(edge))?;
        // From here on nobody can go away and leave a place taken.
        let mut held = Held::new(self);
        held.hold(&receipts);
        match self.take_together(together, edge, &mut held).await {
            Ok(more) => receipts.extend(more),
            Err(denied) => {
                drop(held);
                let spent = receipts.into_iter();
                let spent = spent.filter(|own| !own.charge.limit.limit.rule.is_held());
                Self::give_back(self, spent.collect());
                return Err(denied);
            }
        }
        Ok((receipts, held))
    }

    /// Spends from the counts of this process.
    pub(crate) fn take_here(&self, charges: Vec<Charge>, now: Now) -> Result<Vec<Receipt>, Denied> {
        let standings = self.local.take(&charges, now)?;
        let both = charges.into_iter().zip(standings);
        let receipt = |(charge, standing)| Receipt {
            charge,
            standing,
            counted: Counted::Here,
        };
        Ok(both.map(receipt).collect())
    }

    /// What was used under a limit; nothing where nobody can know.
    pub(crate) async fn used(&self, charge: &Charge, now: Now) -> Option<Used> {
        #[cfg(feature = "redis")]
        if let Some(together) = &self.together
            && self.is_shared(charge)
        {
            return together.used(charge).await;
        }
        Some(self.local.standing(charge, now))
    }

    #[cfg(not(feature = "redis"))]
    fn is_shared(&self, _: &Charge) -> bool {
        false
    }

    #[cfg(not(feature = "redis"))]
    async fn take_together(
        self: &Arc<Self>,
        _: Vec<Charge>,
        _: &Edge,
        _: &mut Held,
    ) -> Result<Vec<Receipt>, Denied> {
        Ok(Vec::new())
    }

    #[cfg(feature = "redis")]
    fn is_shared(&self, charge: &Charge) -> bool {
        use super::settings::Counting;
        self.together.is_some() && charge.limit.limit.counting != Counting::Process
    }

    #[cfg(feature = "redis")]
    async fn take_together(
        self: &Arc<Self>,
        charges: Vec<Charge>,
        edge: &Edge,
        held: &mut Held,
    ) -> Result<Vec<Receipt>, Denied> {
        match &self.together {
            Some(together) if !charges.is_empty() => together.take(self, charges, edge, held).await,
            _ => Ok(Vec::new()),
        }
    }

    /// Gives back what was spent. What others count is given back by the way:
    /// nobody waits for it.
    pub(crate) fn give_back(own: &Arc<Self>, receipts: Vec<Receipt>) {
        let mut elsewhere = Vec::new();
        for receipt in receipts {
            let (charge, tick) = (&receipt.charge, receipt.standing.tick);
            match receipt.counted {
                Counted::Here => own.local.give_back(charge, charge.amount, tick),
                Counted::Together | Counted::Leased => elsewhere.push(receipt),
            }
        }
        #[cfg(feature = "redis")]
        if !elsewhere.is_empty() {
            let bank = Arc::clone(own);
            tokio::spawn(async move {
                if let Some(together) = &bank.together {
                    together.give_back(elsewhere).await;
                }
            });
        }
    }
}
