//! One count, and the arithmetic of each rule: what is left, what spending does
//! to it, and when more is there. It asks no clock, and rounds against the
//! caller where it has to round.
//!
//! A rate is the generic cell rate algorithm: of all that was spent, only the
//! instant is kept at which it will have been earned again.
//!
//! Spec: ITU-T I.371 §A.1

use std::collections::VecDeque;
use std::time::Duration;

use super::settings::Rule;

/// In how many pieces a rolling window moves on.
pub(crate) const PIECES: i64 = 60;

/// The time, twice: a rate is measured with what never jumps, a period of the
/// calendar with what the calendar says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// Microseconds since some fixed moment.
    pub(crate) steady: u64,
    /// Milliseconds since 1970.
    pub(crate) wall: i64,
}

/// How a count stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// What is left now.
    pub(crate) left: u64,
    /// When there is more, at the latest, if ever by itself.
    pub(crate) reset: Option<Duration>,
    /// To which period it belongs; what is given back later goes there.
    pub(crate) tick: i64,
}

/// What is kept of one caller under one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Count {
    /// When everything will have been earned again.
    Rate { earned: u64 },
    /// What was used in a period.
    Quota { period: i64, used: u64 },
    /// What was used in each piece, the oldest first.
    Rolling { pieces: VecDeque<(i64, u64)> },
    /// What is left, as of a refill.
    Credits { balance: u64, tick: i64 },
    /// How many are open.
    Open { places: u64 },
}

impl Count {
    /// Nothing is spent yet.
    pub(crate) fn fresh(rule: &Rule, now: Now) -> Self {
        match rule {
            Rule::Rate { .. } => Self::Rate { earned: 0 },
            Rule::Quota { period, .. } => Self::Quota {
                period: period.number(now.wall),
                used: 0,
            },
            Rule::Rolling { .. } => Self::Rolling {
                pieces: VecDeque::new(),
            },
            Rule::Credits {
                capacity, every, ..
            } => Self::Credits {
                balance: *capacity,
                tick: tick(now, *every),
            },
            Rule::Concurrent { .. } => Self::Open { places: 0 },
        }
    }

    /// What can be spent now. It moves on to the present, and never back: a wall
    /// clock that jumps back gives nobody a period twice.
    pub(crate) fn left(&mut self, rule: &Rule, now: Now) -> u64 {
        match (self, rule) {
            (Self::Rate { earned }, Rule::Rate { burst, .. }) => {
                let each = interval(rule);
                let room = burst.saturating_mul(each);
                room.saturating_sub(earned.saturating_sub(now.steady)) / each
            }
            (Self::Quota { period, used }, Rule::Quota { limit, period: of }) => {
                let current = of.number(now.wall);
                if current > *period {
                    (*period, *used) = (current, 0);
                }
                limit.saturating_sub(*used)
            }
            (Self::Rolling { pieces }, Rule::Rolling { limit, window }) => {
                let oldest = piece(now, *window) - PIECES;
                while pieces.front().is_some_and(|(at, _)| *at < oldest) {
                    pieces.pop_front();
                }
                let used = pieces
                    .iter()
                    .fold(0_u64, |sum, (_, own)| sum.saturating_add(*own));
                limit.saturating_sub(used)
            }
            (
                Self::Credits { balance, tick: at },
                Rule::Credits {
                    capacity,
                    refill,
                    every,
                },
            ) => {
                let current = tick(now, *every);
                if current > *at {
                    let ticks = u64::try_from(current - *at).unwrap_or(u64::MAX);
                    let more = balance.saturating_add(ticks.saturating_mul(*refill));
                    *balance = more.min(*capacity);
                    *at = current;
                }
                // A capacity that was lowered meanwhile holds at once.
                *balance = (*balance).min(*capacity);
                *balance
            }
            (Self::Open { places }, Rule::Concurrent { limit }) => limit.saturating_sub(*places),
            (own, rule) => {
                // The rule is of another kind than it was.
                *own = Self::fresh(rule, now);
                rule.most()
            }
        }
    }

    /// Spends what [`left`](Self::left) said is there.
    pub(crate) fn spend(&mut self, rule: &Rule, amount: u64, now: Now) {
        match (self, rule) {
            (Self::Rate { earned }, Rule::Rate { .. }) => {
                let from = (*earned).max(now.steady);
                *earned = from.saturating_add(amount.saturating_mul(interval(rule)));
            }
            (Self::Quota { used, .. }, _) => *used = used.saturating_add(amount),
            (Self::Rolling { pieces }, Rule::Rolling { window, .. }) => {
                let at = piece(now, *window);
                match pieces.back_mut() {
                    // What a clock that jumped back would date earlier counts
                    // for as long as the latest.
                    Some((last, used)) if *last >= at => *used = used.saturating_add(amount),
                    _ => pieces.push_back((at, amount)),
                }
            }
            (Self::Credits { balance, .. }, _) => *balance = balance.saturating_sub(amount),
            (Self::Open { places }, _) => *places = places.saturating_add(1),
            _ => {}
        }
    }

    /// Gives back what was spent in a period, where that still counts.
    pub(crate) fn give_back(&mut self, rule: &Rule, amount: u64, spent_in: i64) {
        match (self, rule) {
            (Self::Rate { earned }, Rule::Rate { .. }) => {
                *earned = earned.saturating_sub(amount.saturating_mul(interval(rule)));
            }
            (Self::Quota { period, used }, _) if *period == spent_in => {
                *used = used.saturating_sub(amount);
            }
            (Self::Rolling { pieces }, _) => {
                let own = pieces.iter_mut().find(|(at, _)| *at == spent_in);
                if let Some((_, used)) = own {
                    *used = used.saturating_sub(amount);
                }
            }
            (Self::Credits { balance, .. }, Rule::Credits { capacity, .. }) => {
                *balance = balance.saturating_add(amount).min(*capacity);
            }
            (Self::Open { places }, _) => *places = places.saturating_sub(1),
            _ => {}
        }
    }

    /// How it stands now.
    pub(crate) fn standing(&mut self, rule: &Rule, now: Now) -> Standing {
        let left = self.left(rule, now);
        let (reset, tick) = match (&*self, rule) {
            (Self::Rate { earned }, _) => (
                Some(Duration::from_micros(earned.saturating_sub(now.steady))),
                0,
            ),
            (Self::Quota { period, .. }, Rule::Quota { period: of, .. }) => {
                (Some(until(of.end(*period), now)), *period)
            }
            (Self::Rolling { pieces }, Rule::Rolling { window, .. }) => {
                let oldest = pieces.front().map(|(at, _)| gone(*at, *window));
                let last = pieces.back().map_or(0, |(at, _)| *at);
                (
                    Some(oldest.map_or(Duration::ZERO, |at| until(at, now))),
                    last,
                )
            }
            (Self::Credits { tick, .. }, Rule::Credits { refill, every, .. }) => {
                let next = (tick + 1).saturating_mul(millis(*every));
                ((*refill > 0).then(|| until(next, now)), *tick)
            }
            _ => (None, 0),
        };
        Standing { left, reset, tick }
    }

    /// How long somebody has to wait who wants more than is left; nobody who
    /// wants more than there ever is gets it by waiting.
    pub(crate) fn wait(&mut self, rule: &Rule, amount: u64, now: Now) -> Option<Duration> {
        if amount > rule.most() {
            return None;
        }
        let missing = amount.saturating_sub(self.left(rule, now));
        match (&*self, rule) {
            (Self::Rate { earned }, Rule::Rate { burst, .. }) => {
                let each = interval(rule);
                let debt = earned.saturating_sub(now.steady);
                let wanted = debt.saturating_add(amount.saturating_mul(each));
                Some(Duration::from_micros(
                    wanted.saturating_sub(burst.saturating_mul(each)),
                ))
            }
            (Self::Rolling { pieces }, Rule::Rolling { window, .. }) => {
                let mut freed = 0_u64;
                let enough = pieces.iter().find(|(_, used)| {
                    freed = freed.saturating_add(*used);
                    freed >= missing
                });
                Some(until(gone(enough?.0, *window), now))
            }
            (Self::Credits { tick, .. }, Rule::Credits { refill, every, .. }) => {
                if *refill == 0 {
                    return None;
                }
                let ticks = i64::try_from(missing.div_ceil(*refill)).ok()?;
                let then = tick.saturating_add(ticks).saturating_mul(millis(*every));
                Some(until(then, now))
            }
            // Somebody else's request has to end; nobody knows when.
            (Self::Open { .. }, _) => Some(Duration::from_secs(1)),
            _ => self.standing(rule, now).reset,
        }
    }

    /// Whether it says no more than none at all would.
    pub(crate) fn is_fresh(&mut self, rule: &Rule, now: Now) -> bool {
        self.left(rule, now) == rule.most()
    }
}

/// The span in which one unit is earned, in microseconds.
pub(crate) fn interval(rule: &Rule) -> u64 {
    let Rule::Rate { limit, period, .. } = rule else {
        return 1;
    };
    let period = u64::try_from(period.as_micros()).unwrap_or(u64::MAX);
    period.div_ceil((*limit).max(1)).max(1)
}

/// How wide one piece of a rolling window is, in milliseconds.
pub(crate) fn width(window: Duration) -> i64 {
    (millis(window) / PIECES).max(1)
}

fn piece(now: Now, window: Duration) -> i64 {
    now.wall.div_euclid(width(window))
}

/// When a piece counts no more: a whole window after its own end, so that any
/// window of that length is within the limit.
fn gone(piece: i64, window: Duration) -> i64 {
    (piece + PIECES + 1) * width(window)
}

fn tick(now: Now, every: Duration) -> i64 {
    now.wall.div_euclid(millis(every).max(1))
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn until(instant: i64, now: Now) -> Duration {
    Duration::from_millis(u64::try_from(instant.saturating_sub(now.wall)).unwrap_or(0))
}

#[cfg(test)]
mod tests;
