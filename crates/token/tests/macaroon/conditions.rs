//! Conditions: met, not met, and not known, which is not met either.

use std::time::Duration;

use symbolon_testkit::{START, SeededEntropy};
use symbolon_token::macaroon::{self, Context, Count, Flaw, Request};

use crate::{BOUND, authority, caveats, context, keys, minted, narrowed};

fn judge(text: &str, context: &Context<'_>) -> Result<Vec<Count>, Flaw> {
    let token = macaroon::open(&keys(1), BOUND, text)?;
    Ok(token.judge(context)?.1)
}

#[test]
fn each_condition_is_met_by_its_request_and_by_no_other() {
    // START is a Thursday, midnight in UTC.
    for (met, unmet) in [
        (
            "after = 2026-01-01T00:00:00Z",
            "after = 2026-01-01T00:00:01Z",
        ),
        (
            "hours = 01:00-02:00 Europe/Berlin",
            "hours = 00:00-01:00 Europe/Berlin",
        ),
        ("days = thu", "days = wed,fri"),
        (
            "network = 192.0.2.0/24,10.0.0.0/8",
            "network = 192.0.2.0/24",
        ),
        ("method = HEAD,GET", "method = POST"),
        ("path = /orders/{id}", "path = /orders"),
    ] {
        assert!(judge(&narrowed(&[met]), &context(START)).is_ok(), "{met}");
        let refused = judge(&narrowed(&[unmet]), &context(START)).unwrap_err();
        assert_eq!(refused, Flaw::Unmet(unmet.into()));
        let both = judge(&narrowed(&[met, unmet]), &context(START));
        assert_eq!(both.unwrap_err(), Flaw::Unmet(unmet.into()));
    }
}

#[test]
fn what_is_not_known_of_the_request_is_not_met() {
    let nothing = Context {
        request: Request::default(),
        ..context(START)
    };
    for caveat in ["network = 0.0.0.0/0", "method = GET", "path = /{*rest}"] {
        let refused = judge(&narrowed(&[caveat]), &nothing).unwrap_err();
        assert_eq!(refused, Flaw::Unjudged(caveat.into()));
    }
    assert!(judge(&narrowed(&["days = thu"]), &nothing).is_ok());
}

#[test]
fn a_mapped_address_is_the_address_that_it_maps() {
    let mapped = Context {
        request: Request {
            address: Some("::ffff:10.1.2.3".parse().unwrap()),
            ..Request::default()
        },
        ..context(START)
    };
    assert!(judge(&narrowed(&["network = 10.0.0.0/8"]), &mapped).is_ok());
    assert!(judge(&narrowed(&["network = ::/0"]), &mapped).is_err());
}

#[test]
fn a_beginning_allows_for_the_clock_and_nothing_else_does() {
    let early = Context {
        skew: Duration::from_secs(10),
        ..context(START)
    };
    assert!(judge(&narrowed(&["after = 2026-01-01T00:00:10Z"]), &early).is_ok());
    assert!(judge(&narrowed(&["after = 2026-01-01T00:00:11Z"]), &early).is_err());
    assert!(judge(&narrowed(&["hours = 23:00-24:00"]), &early).is_err());
}

#[test]
fn conditions_cannot_be_carried_on_into_another_token() {
    for caveat in ["method = GET", "days = thu", "budget = 3", "single-use = a"] {
        let token = macaroon::open(&keys(1), BOUND, &narrowed(&[caveat])).unwrap();
        assert!(token.unconditional().is_err(), "{caveat}");
    }
    let plain = narrowed(&["scope = read:orders", "before = 2026-01-01T00:01:00Z"]);
    let token = macaroon::open(&keys(1), BOUND, &plain).unwrap();
    assert!(token.unconditional().is_ok());
}

#[test]
fn a_budget_is_shared_by_what_is_made_of_it_and_by_nothing_else() {
    let one = |text: &str| judge(text, &context(START)).unwrap();
    let parent = narrowed(&["method = GET", "budget = 3"]);
    let child = macaroon::attenuate(&parent, &caveats(&["scope = read:orders"])).unwrap();
    let again = narrowed(&["method = GET", "budget = 3"]);
    let sibling = narrowed(&["path = /orders/{id}", "budget = 3"]);
    let other = macaroon::mint(&keys(1), BOUND, &authority(), START, &SeededEntropy::new(9));
    let other = macaroon::attenuate(
        &other.unwrap().text,
        &caveats(&["method = GET", "budget = 3"]),
    );

    assert_eq!(one(&parent)[0].limit, 3);
    assert_eq!(one(&parent), one(&child));
    assert_eq!(one(&parent), one(&again));
    assert_ne!(one(&parent)[0].name, one(&sibling)[0].name);
    assert_ne!(one(&parent)[0].name, one(&other.unwrap())[0].name);
    let tighter = macaroon::attenuate(&parent, &caveats(&["budget = 2"])).unwrap();
    assert_eq!(one(&tighter).len(), 2);
}

#[test]
fn a_nonce_is_used_once_wherever_it_stands_under_a_root() {
    let one = |texts: &[&str]| judge(&narrowed(texts), &context(START)).unwrap();

    let first = one(&["single-use = abc"]);

    assert_eq!(first, one(&["method = GET", "single-use = abc"]));
    assert_ne!(first, one(&["single-use = abd"]));
    assert_eq!(first[0].limit, 1);
    assert!(judge(&minted(), &context(START)).unwrap().is_empty());
}
