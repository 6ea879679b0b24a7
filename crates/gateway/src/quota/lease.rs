//! Batches of a shared count that this gateway took and spends by itself: no
//! round trip for most requests, and a limit that is passed by at most one batch
//! for each gateway, where a batch of one period is spent in the next.
//!
//! What is left of a batch after a second goes back. A gateway that dies takes
//! what is left of its batches with it: then less is let through, never more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::bank::{self, Bank};
use super::charge::{Charge, Counted, Denied, Receipt, Violated};
use super::count::Standing;
use super::redis::{Reply, Together, Unavailable, Want, uncounted};
use super::settings::OnError;
use super::subject::Subject;

/// How long a batch may be spent from.
const LIFE: Duration = Duration::from_secs(1);
/// How many counts a gateway has batches of at once.
const MAX_LEASES: usize = 100_000;

/// The batches of this gateway.
#[derive(Default)]
pub(crate) struct Leases(Mutex<HashMap<(Subject, u64), Arc<Lease>>>);

#[derive(Default)]
struct Lease {
    batch: Mutex<Batch>,
    /// One asks for the next batch; whoever needs it too waits.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Batch {
    left: u64,
    until: u64,
    /// How the shared count stood when it was taken.
    standing: Standing,
    is_watched: bool,
}

impl Leases {
    /// Spends from a batch, and takes the next one where that is not enough.
    pub(crate) async fn take(
        &self,
        bank: &Arc<Bank>,
        together: &Together,
        charge: &Charge,
        batch: u64,
    ) -> Result<Receipt, Denied> {
        let lease = self.lease(charge);
        let receipt = |standing| Receipt {
            charge: charge.clone(),
            standing,
            counted: Counted::Leased,
        };
        if let Some(standing) = lease.spend(charge.amount, together.steady()) {
            return Ok(receipt(standing));
        }
        let _alone = lease.asking.lock().await;
        if let Some(standing) = lease.spend(charge.amount, together.steady()) {
            return Ok(receipt(standing));
        }
        // What is left of the batch goes to this request, so nobody else spends it
        // while the rest is asked for.
        let own = lease.claim(together.steady());
        let need = charge.amount.saturating_sub(own);
        let want = Want {
            known: &charge.limit,
            need,
            want: batch.max(need),
            place: None,
            tick: 0,
        };
        let reply = together
            .act("take", charge.subject, [want].into_iter())
            .await;
        let reply = match reply.map(|all| all.first().copied()) {
            Ok(Some(reply)) => reply,
            Ok(None) | Err(Unavailable) => {
                lease.put_back(own);
                return alone(bank, charge, together);
            }
        };
        if reply.taken < need {
            lease.put_back(own);
            return Err(Denied::Exceeded(vec![Violated {
                charge: charge.clone(),
                standing: reply.standing,
                wait: reply.wait,
            }]));
        }
        let standing = lease.fill(&reply, need, together.steady());
        lease.watch(bank, charge);
        Ok(receipt(standing))
    }

    /// Puts back what was spent, where its batch is still there.
    pub(crate) fn give_back(&self, charge: &Charge, tick: i64) {
        let lease = self.lease(charge);
        let mut batch = lease.lock();
        if batch.standing.tick == tick && batch.is_watched {
            batch.left = batch.left.saturating_add(charge.amount);
        }
    }

    fn lease(&self, charge: &Charge) -> Arc<Lease> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_LEASES {
            all.retain(|_, own| own.lock().is_watched || Arc::strong_count(own) > 1);
        }
        let key = (charge.subject, charge.limit.number);
        Arc::clone(all.entry(key).or_default())
    }
}

/// This process counts for the while, where the limit says so.
fn alone(bank: &Bank, charge: &Charge, together: &Together) -> Result<Receipt, Denied> {
    if charge.limit.limit.on_error == OnError::Refuse {
        return Err(Denied::Unavailable(charge.clone()));
    }
    uncounted(&charge.limit);
    let receipts = bank.take_here(vec![charge.clone()], bank::now(together.edge()))?;
    let first = receipts.into_iter().next();
    first.ok_or_else(|| Denied::Unavailable(charge.clone()))
}

impl Lease {
    fn lock(&self) -> std::sync::MutexGuard<'_, Batch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out what is left of the batch, where it may be spent from.
    fn claim(&self, now: u64) -> u64 {
        let mut batch = self.lock();
        match now < batch.until {
            true => std::mem::take(&mut batch.left),
            false => 0,
        }
    }

    /// Puts back what was taken out and not spent.
    fn put_back(&self, claimed: u64) {
        let mut batch = self.lock();
        batch.left = batch.left.saturating_add(claimed);
    }

    fn spend(&self, amount: u64, now: u64) -> Option<Standing> {
        let mut batch = self.lock();
        if now >= batch.until {
            return None;
        }
        batch.left = batch.left.checked_sub(amount)?;
        Some(batch.standing())
    }

    /// Puts a new batch in, and spends from it at once what was missing.
    fn fill(&self, reply: &Reply, need: u64, now: u64) -> Standing {
        let mut batch = self.lock();
        // What is left of another period stays spent there.
        if batch.standing.tick != reply.standing.tick {
            batch.left = 0;
        }
        // INVARIANT: no less was taken than was needed; whoever took less was refused.
        let spare = reply.taken.saturating_sub(need);
        batch.left = batch.left.saturating_add(spare);
        batch.standing = reply.standing;
        batch.until = now + u64::try_from(LIFE.as_micros()).unwrap_or(u64::MAX);
        batch.standing()
    }

    /// Gives back what is left when the batch may be spent from no more.
    fn watch(self: &Arc<Self>, bank: &Arc<Bank>, charge: &Charge) {
        if std::mem::replace(&mut self.lock().is_watched, true) {
            return;
        }
        let (lease, bank, charge) = (Arc::clone(self), Arc::clone(bank), charge.clone());
        tokio::spawn(async move {
            let Some(together) = &bank.together else {
                return;
            };
            let (left, tick) = loop {
                tokio::time::sleep(LIFE).await;
                let mut batch = lease.lock();
                if together.steady() >= batch.until {
                    batch.is_watched = false;
                    break (std::mem::take(&mut batch.left), batch.standing.tick);
                }
            };
            if left > 0 {
                together
                    .back(charge.subject, &charge.limit, left, tick)
                    .await;
            }
        });
    }
}

impl Batch {
    /// What all gateways together have left, as far as this one knows.
    fn standing(&self) -> Standing {
        Standing {
            left: self.standing.left.saturating_add(self.left),
            ..self.standing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(taken: u64, tick: i64) -> Reply {
        Reply {
            taken,
            standing: Standing {
                left: 0,
                reset: None,
                tick,
            },
            wait: None,
        }
    }

    #[test]
    fn what_is_left_of_a_batch_is_spent_by_one_request_alone() {
        let lease = Lease::default();
        lease.fill(&reply(5, 1), 0, 0);

        let claimed = lease.claim(1);
        assert_eq!(claimed, 5);
        // While that one asks for three more, nobody finds what it has.
        assert!(lease.spend(5, 1).is_none());
        lease.fill(&reply(3, 1), 8 - claimed, 1);

        assert!(lease.spend(1, 1).is_none(), "eight of eight were spent");
    }

    #[test]
    fn what_was_not_spent_is_there_again() {
        let lease = Lease::default();
        lease.fill(&reply(5, 1), 0, 0);
        let claimed = lease.claim(1);
        lease.put_back(claimed);
        assert!(lease.spend(5, 1).is_some());
        assert!(lease.spend(1, 1).is_none());
        // What is over may be spent from no more: it goes back.
        lease.fill(&reply(4, 1), 0, 2);
        let over = 2 + u64::try_from(LIFE.as_micros()).unwrap();
        assert_eq!(lease.claim(over), 0);
        assert_eq!(lease.lock().left, 4);
    }
}
