//! Counts of this process alone, exact under any number of threads: all counts
//! that a request is charged with are locked in one order, looked at, and only
//! then spent from, all or none.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::charge::{Charge, Denied, Violated};
use super::count::{Count, Now, Standing};
use super::period;
use super::settings::Rule;
use super::subject::Subject;

/// How many parts the counts are in, each with a lock of its own.
const SHARDS: usize = 64;
/// How many counts one part holds; together a million.
const MAX_COUNTS: usize = 16_384;
/// After which time a full part is looked through again, in microseconds.
const SWEEP: u64 = 1_000_000;
/// How many days of use are remembered.
pub(crate) const DAYS: usize = 30;

/// The counts of this process.
pub(crate) struct Local {
    shards: Vec<Mutex<Shard>>,
    most: usize,
}

#[derive(Default)]
struct Shard {
    counts: HashMap<Key, Entry>,
    swept: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    subject: Subject,
    limit: u64,
}

struct Entry {
    count: Count,
    rule: Rule,
    /// What was used on each day, the last day last.
    days: VecDeque<(i64, u64)>,
}

impl Default for Local {
    fn default() -> Self {
        Self::holding(MAX_COUNTS)
    }
}

impl Local {
    fn holding(most: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            most,
        }
    }

    /// Spends all that a request is charged with, or nothing.
    pub(crate) fn take(&self, charges: &[Charge], now: Now) -> Result<Vec<Standing>, Denied> {
        let mut order: Vec<usize> = charges.iter().map(shard_of).collect();
        order.sort_unstable();
        order.dedup();
        // INVARIANT: every caller locks in this order, so none waits in a ring.
        let mut held: Vec<(usize, MutexGuard<'_, Shard>)> =
            order.into_iter().map(|at| (at, self.lock(at))).collect();
        let mut violated = Vec::new();
        for charge in charges {
            let rule = &charge.limit.limit.rule;
            let Some(entry) = entry(&mut held, charge, now, self.most) else {
                return Err(Denied::Unavailable(charge.clone()));
            };
            entry.rule = *rule;
            if entry.count.left(rule, now) < charge.amount {
                violated.push(Violated {
                    charge: charge.clone(),
                    standing: entry.count.standing(rule, now),
                    wait: entry.count.wait(rule, charge.amount, now),
                });
            }
        }
        if !violated.is_empty() {
            return Err(Denied::Exceeded(violated));
        }
        let spend = |charge: &Charge| {
            let rule = &charge.limit.limit.rule;
            let Some(entry) = entry(&mut held, charge, now, usize::MAX) else {
                return Standing::default();
            };
            entry.count.spend(rule, charge.amount, now);
            entry.note(charge.amount, now);
            entry.count.standing(rule, now)
        };
        Ok(charges.iter().map(spend).collect())
    }

    /// Gives back what was spent in a period.
    pub(crate) fn give_back(&self, charge: &Charge, amount: u64, spent_in: i64) {
        let mut shard = self.lock(shard_of(charge));
        if let Some(entry) = shard.counts.get_mut(&key(charge)) {
            entry
                .count
                .give_back(&charge.limit.limit.rule, amount, spent_in);
            if let Some((_, used)) = entry.days.back_mut() {
                *used = used.saturating_sub(amount);
            }
        }
    }

    /// Leaves a place that was taken.
    pub(crate) fn leave(&self, charge: &Charge) {
        let mut shard = self.lock(shard_of(charge));
        if let Some(entry) = shard.counts.get_mut(&key(charge)) {
            entry.count.give_back(&charge.limit.limit.rule, 1, 0);
        }
    }

    /// How a count stands, and what was used on each of the last days.
    pub(crate) fn standing(&self, charge: &Charge, now: Now) -> (Standing, Vec<(i64, u64)>) {
        let mut shard = self.lock(shard_of(charge));
        let rule = &charge.limit.limit.rule;
        match shard.counts.get_mut(&key(charge)) {
            Some(entry) => {
                let days = entry.days.iter().copied().collect();
                (entry.count.standing(rule, now), days)
            }
            None => (Count::fresh(rule, now).standing(rule, now), Vec::new()),
        }
    }

    fn lock(&self, at: usize) -> MutexGuard<'_, Shard> {
        self.shards[at]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn note(&mut self, amount: u64, now: Now) {
        let today = period::day(now.wall);
        match self.days.back_mut() {
            Some((day, used)) if *day >= today => *used = used.saturating_add(amount),
            _ => self.days.push_back((today, amount)),
        }
        let oldest = today - i64::try_from(DAYS).unwrap_or(i64::MAX);
        while self.days.front().is_some_and(|(day, _)| *day <= oldest) {
            self.days.pop_front();
        }
    }
}

fn key(charge: &Charge) -> Key {
    Key {
        subject: charge.subject,
        limit: charge.limit.number,
    }
}

fn shard_of(charge: &Charge) -> usize {
    usize::from(charge.subject.as_bytes()[0]) % SHARDS
}

/// The count of a charge, a fresh one where there is room for it.
fn entry<'h>(
    held: &'h mut [(usize, MutexGuard<'_, Shard>)],
    charge: &Charge,
    now: Now,
    most: usize,
) -> Option<&'h mut Entry> {
    let own = shard_of(charge);
    let (_, shard) = held.iter_mut().find(|(at, _)| *at == own)?;
    let key = key(charge);
    if shard.counts.len() >= most && !shard.counts.contains_key(&key) {
        shard.sweep(now);
        if shard.counts.len() >= most {
            return None;
        }
    }
    let rule = charge.limit.limit.rule;
    Some(shard.counts.entry(key).or_insert_with(|| Entry {
        count: Count::fresh(&rule, now),
        rule,
        days: VecDeque::new(),
    }))
}

impl Shard {
    /// Forgets counts that say no more than none at all would. What was spent
    /// is never forgotten to make room.
    fn sweep(&mut self, now: Now) {
        if now.steady.saturating_sub(self.swept) < SWEEP && self.swept > 0 {
            return;
        }
        self.swept = now.steady;
        self.counts.retain(|_, entry| {
            let rule = entry.rule;
            !entry.count.is_fresh(&rule, now)
        });
    }
}

#[cfg(test)]
mod tests;
