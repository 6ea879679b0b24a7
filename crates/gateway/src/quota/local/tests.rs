//! Counts under threads, refusals and want of room.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::super::settings::Rule;
use super::super::tests::{START, charge, limit, quota};
use super::*;

#[test]
fn no_interleaving_of_threads_lets_more_through_than_there_is() {
    let local = Local::default();
    let (daily, each) = (
        quota("daily", 1_000),
        limit("each", Rule::Concurrent { limit: 1_000 }),
    );
    let passed = AtomicUsize::new(0);

    std::thread::scope(|scope| {
        for thread in 0..64 {
            let (local, daily, each, passed) = (&local, &daily, &each, &passed);
            scope.spawn(move || {
                for _ in 0..100 {
                    // In either order, so that locks would be taken crosswise.
                    let mut charges = vec![charge(daily, "web", 1), charge(each, "other", 1)];
                    if thread % 2 == 0 {
                        charges.reverse();
                    }
                    if local.take(&charges, START).is_ok() {
                        passed.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });

    assert_eq!(passed.load(Ordering::SeqCst), 1_000);
}

#[test]
fn a_refusal_spends_nothing_of_the_limits_that_had_some_left() {
    let local = Local::default();
    let (daily, small) = (quota("daily", 10), quota("small", 1));
    let both = [charge(&daily, "web", 1), charge(&small, "web", 1)];
    local.take(&both, START).unwrap();

    let Err(Denied::Exceeded(violated)) = local.take(&both, START) else {
        panic!("it was let through")
    };

    assert_eq!(violated.len(), 1);
    assert_eq!(violated[0].charge.limit.limit.name, "small");
    let (standing, days) = local.standing(&charge(&daily, "web", 1), START);
    assert_eq!(standing.left, 9);
    assert_eq!(days, [(START.wall / 86_400_000, 1)]);
}

#[test]
fn callers_and_limits_are_counted_apart() {
    let local = Local::default();
    let (one, other) = (quota("one", 1), quota("other", 1));
    for charge in [
        charge(&one, "web", 1),
        charge(&other, "web", 1),
        charge(&one, "app", 1),
    ] {
        local.take(std::slice::from_ref(&charge), START).unwrap();
        local.take(&[charge], START).unwrap_err();
    }
}

#[test]
fn what_was_spent_is_never_forgotten_to_make_room() {
    let local = Local::holding(2);
    let daily = quota("daily", 1);
    let clients: Vec<String> = (0..1_000).map(|own| format!("client {own}")).collect();
    let mut passed = Vec::new();
    for client in &clients {
        let charge = charge(&daily, client, 1);
        match local.take(std::slice::from_ref(&charge), START) {
            Ok(_) => passed.push(charge),
            Err(Denied::Unavailable(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!((64..=128).contains(&passed.len()), "{}", passed.len());
    for charge in &passed {
        local.take(std::slice::from_ref(charge), START).unwrap_err();
    }

    // A day later they say nothing any more.
    let next = START.later(86_400_000 + 2_000);
    local.take(&[charge(&daily, "new", 1)], next).unwrap();
}

#[test]
fn days_of_use_are_remembered_for_thirty() {
    let local = Local::default();
    let rule = Rule::Rate {
        limit: 1_000,
        period: Duration::from_secs(1),
        burst: 1_000,
    };
    let often = limit("often", rule);
    for day in 0..40 {
        let now = START.later(day * 86_400_000);
        local.take(&[charge(&often, "web", day)], now).unwrap();
    }
    let last = START.later(39 * 86_400_000);
    let (_, days) = local.standing(&charge(&often, "web", 1), last);
    assert_eq!(days.len(), DAYS);
    assert_eq!(days.last(), Some(&(last.wall / 86_400_000, 39)));
}
