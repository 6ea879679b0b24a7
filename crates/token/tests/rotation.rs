//! The life of keys, tried with any sequence of waiting, asking and ticking.
//!
//! I17: every signature verifies by a key that was published before; I18: one
//! number, one key.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use symbolon_protocol::Timestamp;
use symbolon_testkit::START;
use symbolon_token::rotation::{
    Change, KeyState, MAX_PLANNED, Policy, Standing, after, due, next_due, plan,
};

const ANNOUNCED: Duration = Duration::from_secs(70);
const CACHE: Duration = Duration::from_secs(60);
const OUTLIVES: Duration = Duration::from_secs(630);
const TOKEN: Duration = Duration::from_secs(600);

fn policy(every: Option<u64>) -> Policy {
    Policy {
        every: every.map(Duration::from_secs),
        announced: ANNOUNCED,
        outlives: Some(OUTLIVES),
        remembered: Duration::from_secs(1000),
    }
}

fn tick(keys: &[Standing], now: Timestamp, policy: &Policy) -> Vec<Standing> {
    let changes = due(keys, now, policy);
    changes
        .into_iter()
        .fold(keys.to_vec(), |keys, change| after(&keys, change, now))
}

fn in_state(keys: &[Standing], state: KeyState) -> Vec<i64> {
    let of = keys.iter().filter(|key| key.state == state);
    of.map(|key| key.number).collect()
}

fn published(keys: &[Standing]) -> BTreeSet<i64> {
    let of = keys.iter().filter(|key| key.state.is_believed());
    of.map(|key| key.number).collect()
}

fn ask(keys: &mut [Standing], now: Timestamp) {
    for next in keys.iter_mut().filter(|key| key.state == KeyState::Next) {
        next.activated.get_or_insert(now);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Ask,
    /// The clock of another node, which is behind.
    Behind(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1_u64..400).prop_map(Step::Wait),
        2 => Just(Step::Ask),
        1 => (1_u64..10).prop_map(Step::Behind),
    ];
    proptest::collection::vec(step, 1..80)
}

/// What a world of verifiers and tokens sees.
#[derive(Default)]
struct Seen {
    /// What was published, from when on.
    published: Vec<(Timestamp, BTreeSet<i64>)>,
    /// When each key signed last.
    signed: BTreeMap<i64, Timestamp>,
    made: BTreeSet<i64>,
    states: BTreeMap<i64, KeyState>,
}

impl Seen {
    fn look(&mut self, keys: &[Standing], now: Timestamp) {
        assert_eq!(in_state(keys, KeyState::Active).len(), 1, "{keys:?}");
        assert_eq!(in_state(keys, KeyState::Next).len(), 1, "{keys:?}");
        for key in keys {
            self.made.insert(key.number);
            let before = self.states.insert(key.number, key.state);
            assert!(before.is_none_or(|before| before <= key.state), "goes back");
        }
        let numbers: BTreeSet<i64> = keys.iter().map(|key| key.number).collect();
        assert_eq!(numbers.len(), keys.len(), "a number twice");
        let signer = in_state(keys, KeyState::Active)[0];
        // Whatever set a verifier may still hold knows the signer.
        if signer != 1 {
            let oldest = now - CACHE;
            let at = |moment| {
                let held = self
                    .published
                    .iter()
                    .rev()
                    .find(|(from, _)| *from <= moment);
                held.map(|(_, set)| set)
            };
            for moment in self.published.iter().map(|(from, _)| *from).chain([oldest]) {
                if moment >= oldest && moment < now {
                    assert!(at(moment).is_none_or(|set| set.contains(&signer)));
                }
            }
        }
        self.signed.insert(signer, now);
        self.published.push((now, published(keys)));
        // Whatever still lives is checked by a published key.
        for (key, at) in &self.signed {
            if *at + TOKEN > now {
                assert!(published(keys).contains(key), "a live token lost its key");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_happens_every_token_finds_its_key(
        every in proptest::option::of(100_u64..5000),
        steps in steps(),
    ) {
        let policy = policy(every);
        let mut now = START;
        let mut keys = tick(&[], now, &policy);
        let mut seen = Seen::default();
        seen.look(&keys, now);
        for step in steps {
            match step {
                Step::Wait(seconds) => now = now + Duration::from_secs(seconds),
                Step::Ask => ask(&mut keys, now),
                Step::Behind(seconds) => {
                    keys = tick(&keys, now - Duration::from_secs(seconds), &policy);
                    continue;
                }
            }
            keys = tick(&keys, now, &policy);
            seen.look(&keys, now);
            prop_assert_eq!(due(&keys, now, &policy), Vec::new(), "doing it leaves nothing to do");
            prop_assert!(next_due(&keys, &policy).is_none_or(|at| at > now));
        }
    }

    #[test]
    fn a_plan_says_what_then_happens(
        every in proptest::option::of(100_u64..5000),
        waited in 0_u64..3000,
    ) {
        let policy = policy(every);
        let mut keys = tick(&[], START, &policy);
        let mut now = START + Duration::from_secs(waited);
        keys = tick(&keys, now, &policy);

        let planned = plan(&keys, now, &policy);

        ask(&mut keys, now);
        let mut happened = Vec::new();
        while happened.len() < planned.len() {
            for change in due(&keys, now, &policy) {
                happened.push((now, change));
                keys = after(&keys, change, now);
            }
            now = next_due(&keys, &policy).unwrap_or(now).max(now);
        }
        let planned: Vec<_> = planned.into_iter().map(|one| (one.at, one.change)).collect();
        prop_assert_eq!(&happened[..planned.len()], &planned[..]);
    }
}

#[test]
fn a_first_key_is_used_at_once_and_the_next_one_after_its_announcement() {
    let policy = policy(None);
    let mut keys = tick(&[], START, &policy);
    assert_eq!(in_state(&keys, KeyState::Active), [1]);
    assert_eq!(in_state(&keys, KeyState::Next), [2]);

    ask(&mut keys, START);
    let early = START + ANNOUNCED - Duration::from_millis(1);
    assert_eq!(due(&keys, early, &policy), []);

    let keys = tick(&keys, START + ANNOUNCED, &policy);
    assert_eq!(in_state(&keys, KeyState::Active), [2]);
    assert_eq!(in_state(&keys, KeyState::Retiring), [1]);
}

#[test]
fn a_key_whose_products_have_no_end_is_kept() {
    let policy = Policy {
        outlives: None,
        ..policy(Some(100))
    };
    let mut keys = tick(&[], START, &policy);
    let mut now = START;
    for _ in 0..10 {
        now = next_due(&keys, &policy).unwrap();
        keys = tick(&keys, now, &policy);
    }
    assert_eq!(in_state(&keys, KeyState::Retiring).len(), 10);
    assert!(plan(&keys, now, &policy).len() <= MAX_PLANNED);
}

#[test]
fn what_is_over_goes_through_every_state_and_then_goes() {
    let policy = policy(None);
    let mut keys = tick(&[], START, &policy);
    ask(&mut keys, START);
    let rotated = START + ANNOUNCED;
    keys = tick(&keys, rotated, &policy);

    keys = tick(&keys, rotated + OUTLIVES, &policy);
    assert_eq!(in_state(&keys, KeyState::Retired), [1]);
    let over = rotated + OUTLIVES + policy.remembered;
    assert_eq!(due(&keys, over, &policy), [Change::Forget { number: 1 }]);
}

#[test]
fn without_an_active_key_the_next_one_takes_over_at_once() {
    let policy = policy(None);
    let mut keys = tick(&[], START, &policy);
    keys.retain(|key| key.state == KeyState::Next);

    let keys = tick(&keys, START, &policy);
    assert_eq!(in_state(&keys, KeyState::Active), [2]);
    assert_eq!(in_state(&keys, KeyState::Next), [3]);
}
