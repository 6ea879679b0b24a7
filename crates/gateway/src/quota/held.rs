//! Places of requests that run at the same time, held until the answer has
//! ended, whichever way it ends.

use std::sync::Arc;

use super::bank::Bank;
use super::charge::{Charge, Counted, Receipt};

/// The places that one request holds. They are given back when this is dropped.
pub(crate) struct Held {
    bank: Option<Arc<Bank>>,
    here: Vec<Charge>,
    /// Each keeps a place that others count; it is left when this is dropped.
    #[cfg(feature = "redis")]
    elsewhere: Vec<tokio::sync::oneshot::Sender<()>>,
}

impl Held {
    /// Holds no place yet.
    pub(crate) fn new(bank: &Arc<Bank>) -> Self {
        let mut own = Self::nothing();
        own.bank = Some(Arc::clone(bank));
        own
    }

    /// Holds none, ever.
    pub(crate) const fn nothing() -> Self {
        Self {
            bank: None,
            here: Vec::new(),
            #[cfg(feature = "redis")]
            elsewhere: Vec::new(),
        }
    }

    /// Holds what was taken of this process's places.
    pub(crate) fn hold(&mut self, receipts: &[Receipt]) {
        let is_place =
            |own: &&Receipt| own.counted == Counted::Here && own.charge.limit.limit.rule.is_held();
        let places = receipts.iter().filter(is_place);
        self.here.extend(places.map(|own| own.charge.clone()));
    }

    /// Holds a place that others count for as long as somebody listens.
    #[cfg(feature = "redis")]
    pub(crate) fn hold_elsewhere(&mut self, place: tokio::sync::oneshot::Sender<()>) {
        self.elsewhere.push(place);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(bank) = &self.bank {
            for charge in &self.here {
                bank.local.leave(charge);
            }
        }
    }
}
