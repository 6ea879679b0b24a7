//! What each rule does over time, against plain models where there is one.

use std::time::Duration;

use proptest::prelude::*;

use super::super::period::Period;
use super::super::tests::START;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn rate(limit: u64, seconds: u64, burst: u64) -> Rule {
    Rule::Rate {
        limit,
        period: Duration::from_secs(seconds),
        burst,
    }
}

/// Spends where there is enough, and says whether there was.
fn take(count: &mut Count, rule: &Rule, amount: u64, now: Now) -> bool {
    let is_there = count.left(rule, now) >= amount;
    if is_there {
        count.spend(rule, amount, now);
    }
    is_there
}

/// A bucket that fills up by one drop at a time: the plain model of a rate.
struct Bucket {
    drops: u64,
    since: u64,
}

impl Bucket {
    fn take(&mut self, rule: &Rule, amount: u64, now: u64) -> bool {
        let (each, most) = (interval(rule), rule.most());
        let earned = (now - self.since) / each;
        self.drops = (self.drops + earned).min(most);
        self.since = match self.drops == most {
            true => now,
            false => self.since + earned * each,
        };
        let is_there = self.drops >= amount;
        if is_there {
            self.drops -= amount;
        }
        is_there
    }
}

proptest! {
    #[test]
    fn a_rate_lets_through_what_a_bucket_of_drops_would(
        limit in 1_u64..50, seconds in 1_u64..30, burst in 1_u64..20,
        steps in prop::collection::vec((0_u64..3_000, 1_u64..4), 1..200),
    ) {
        let rule = rate(limit, seconds, burst);
        let (mut count, mut now) = (Count::fresh(&rule, START), START);
        let mut bucket = Bucket { drops: burst, since: now.steady };
        for (wait, amount) in steps {
            now = now.later(wait);
            let own = take(&mut count, &rule, amount, now);
            prop_assert_eq!(own, bucket.take(&rule, amount, now.steady));
        }
    }

    #[test]
    fn no_span_of_a_rolling_window_has_more_than_the_limit(
        limit in 1_u64..20,
        steps in prop::collection::vec((0_u64..20_000, 1_u64..4), 1..200),
    ) {
        let window = Duration::from_secs(60);
        let rule = Rule::Rolling { limit, window };
        let (mut count, mut now) = (Count::fresh(&rule, START), START);
        let mut spent: Vec<(i64, u64)> = Vec::new();
        for (wait, amount) in steps {
            now = now.later(wait);
            if take(&mut count, &rule, amount, now) {
                spent.push((now.wall, amount));
            }
            let within = spent.iter().filter(|(at, _)| now.wall - at < 60_000);
            prop_assert!(within.map(|(_, own)| own).sum::<u64>() <= limit);
        }
    }

    #[test]
    fn whoever_waits_as_told_is_let_through(
        kind in 0_usize..4, spent in 1_u64..10, wanted in 1_u64..10, later in 0_u64..100_000,
    ) {
        let rule = [
            rate(7, 3, 10),
            Rule::Quota { limit: 10, period: Period::Hour },
            Rule::Rolling { limit: 10, window: Duration::from_secs(60) },
            Rule::Credits { capacity: 10, refill: 3, every: Duration::from_secs(5) },
        ][kind];
        let now = START.later(later);
        let mut count = Count::fresh(&rule, now);
        count.spend(&rule, spent, now);

        let wait = count.wait(&rule, wanted, now).unwrap();

        let then = now.later(u64::try_from(wait.as_millis()).unwrap() + 1);
        prop_assert!(wait.is_zero() || count.left(&rule, then) >= wanted);
    }
}

#[test]
fn a_burst_is_had_at_once_and_then_as_fast_as_the_rate() {
    let rule = rate(60, 60, 5);
    let mut count = Count::fresh(&rule, START);
    let all = (0..10)
        .filter(|_| take(&mut count, &rule, 1, START))
        .count();
    assert_eq!(all, 5);
    assert_eq!(count.wait(&rule, 1, START), Some(SECOND));
    assert_eq!(count.wait(&rule, 6, START), None);

    assert!(take(&mut count, &rule, 1, START.later(1000)));
    assert!(!take(&mut count, &rule, 1, START.later(1000)));
}

#[test]
fn a_quota_begins_again_with_its_period_and_never_because_a_clock_jumps_back() {
    let period = Period::Month;
    let rule = Rule::Quota { limit: 3, period };
    let mut count = Count::fresh(&rule, START);
    assert!(take(&mut count, &rule, 3, START));
    assert!(!take(&mut count, &rule, 1, START));

    let before = Now {
        wall: START.wall - 1,
        ..START
    };
    assert!(!take(&mut count, &rule, 1, before));
    let next = START.later(31 * 86_400_000);
    assert!(take(&mut count, &rule, 1, next));
    assert!(!take(&mut count, &rule, 3, next));
}

#[test]
fn credits_are_filled_up_to_what_they_were_and_without_a_refill_never() {
    let every = Duration::from_secs(10);
    let filled = |refill| Rule::Credits {
        capacity: 10,
        refill,
        every,
    };
    let mut count = Count::fresh(&filled(4), START);
    assert!(take(&mut count, &filled(4), 10, START));
    assert_eq!(count.left(&filled(4), START.later(9_999)), 0);
    assert_eq!(count.left(&filled(4), START.later(10_000)), 4);
    assert_eq!(count.left(&filled(4), START.later(100_000)), 10);

    let mut count = Count::fresh(&filled(0), START);
    assert!(take(&mut count, &filled(0), 10, START));
    assert_eq!(count.left(&filled(0), START.later(1_000_000_000)), 0);
    assert_eq!(count.wait(&filled(0), 1, START), None);
}

#[test]
fn what_is_given_back_can_be_spent_again_in_its_own_period_alone() {
    for rule in [
        rate(10, 60, 10),
        Rule::Quota {
            limit: 10,
            period: Period::Day,
        },
        Rule::Rolling {
            limit: 10,
            window: Duration::from_secs(600),
        },
        Rule::Credits {
            capacity: 10,
            refill: 0,
            every: SECOND,
        },
        Rule::Concurrent { limit: 1 },
    ] {
        let mut count = Count::fresh(&rule, START);
        let most = rule.most();
        count.spend(&rule, most, START);
        let tick = count.standing(&rule, START).tick;
        assert_eq!(count.left(&rule, START), 0, "{rule:?}");

        count.give_back(&rule, most, tick);

        assert_eq!(count.left(&rule, START), most, "{rule:?}");
    }
    let period = Period::Day;
    let rule = Rule::Quota { limit: 10, period };
    let mut count = Count::fresh(&rule, START);
    count.spend(&rule, 10, START);
    count.give_back(&rule, 10, START.wall / 86_400_000 - 1);
    assert_eq!(count.left(&rule, START), 0);
}
