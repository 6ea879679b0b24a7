//! What each signal adds, and that none takes away.

use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3_600;
const TABLE: &str = "192.0.2.0/24,48.2,16.4\n198.51.100.0/24,-33.9,151.2\n";

fn sight(address: &str, user_agent: &'static str, now: i64) -> Sight<'static> {
    Sight {
        issuer: "https://as.test",
        subject: "usr_1",
        address: address.parse().unwrap(),
        user_agent,
        is_bound: true,
        is_on_record: false,
        now,
    }
}

fn settings() -> RiskSettings {
    RiskSettings {
        places: Some(Arc::new(Places::read(TABLE).unwrap())),
        ..RiskSettings::default()
    }
}

/// What is unusual, and learns it.
fn pass(settings: &RiskSettings, memory: &Memory, sight: &Sight<'_>) -> Vec<Signal> {
    let found = assess(settings, memory, sight).signals;
    sight.learn(settings, memory);
    found
}

#[test]
fn whoever_comes_for_the_first_time_is_as_usual() {
    let (settings, memory) = (settings(), Memory::new());
    let found = assess(&settings, &memory, &sight("192.0.2.1", "curl", 0));
    assert_eq!(found, Assessed::default());
}

#[test]
fn a_new_network_and_a_new_program_stand_out_until_they_are_usual() {
    let (settings, memory) = (settings(), Memory::new());
    pass(&settings, &memory, &sight("203.0.113.1", "curl", 0));
    assert!(pass(&settings, &memory, &sight("203.0.113.200", "curl", 1)).is_empty());
    let both = [Signal::NewNetwork, Signal::NewUserAgent];
    assert_eq!(
        pass(&settings, &memory, &sight("203.0.114.1", "wget", 2)),
        both
    );
    assert_eq!(
        pass(&settings, &memory, &sight("203.0.114.1", "wget", 3)),
        both
    );
    assert!(pass(&settings, &memory, &sight("203.0.114.1", "wget", 2 + HOUR)).is_empty());
    assert!(pass(&settings, &memory, &sight("203.0.113.1", "curl", 3 + HOUR)).is_empty());
}

#[test]
fn who_is_refused_does_not_become_usual_by_trying_again() {
    let (settings, memory) = (settings(), Memory::new());
    pass(&settings, &memory, &sight("203.0.113.1", "curl", 0));
    for now in [1, HOUR, 100 * HOUR] {
        let found = assess(&settings, &memory, &sight("203.0.114.1", "curl", now));
        assert_eq!(found.signals, [Signal::NewNetwork]);
    }
}

#[test]
fn nobody_is_in_sydney_an_hour_after_vienna() {
    let (settings, memory) = (settings(), Memory::new());
    pass(&settings, &memory, &sight("192.0.2.1", "curl", 0));
    let soon = assess(&settings, &memory, &sight("198.51.100.1", "curl", HOUR));
    assert_eq!(soon.signals, [Signal::NewNetwork, Signal::ImpossibleTravel]);
    let late = assess(
        &settings,
        &memory,
        &sight("198.51.100.1", "curl", 20 * HOUR),
    );
    assert_eq!(late.signals, [Signal::NewNetwork]);
    let back = assess(&settings, &memory, &sight("198.51.100.1", "curl", -HOUR));
    assert!(back.signals.contains(&Signal::ImpossibleTravel));
    let nowhere = assess(&settings, &memory, &sight("203.0.113.1", "curl", 1));
    assert_eq!(nowhere.signals, [Signal::NewNetwork]);
}

#[test]
fn a_journey_that_nobody_makes_is_remembered_for_a_while() {
    let (settings, memory) = (settings(), Memory::new());
    pass(&settings, &memory, &sight("192.0.2.1", "curl", 0));
    pass(&settings, &memory, &sight("198.51.100.1", "curl", 60));
    let after = assess(&settings, &memory, &sight("198.51.100.1", "curl", 120));
    assert!(after.signals.contains(&Signal::ImpossibleTravel));
    let later = assess(
        &settings,
        &memory,
        &sight("198.51.100.1", "curl", 60 + HOUR),
    );
    assert!(later.signals.is_empty());
}

#[test]
fn refusals_of_an_address_and_of_a_subject_count_for_a_while() {
    let (settings, memory) = (settings(), Memory::new());
    let at = |now| sight("192.0.2.1", "curl", now);
    for now in 0..4 {
        memory.refused(&address_key(at(0).address), now);
    }
    assert!(assess(&settings, &memory, &at(4)).signals.is_empty());
    memory.refused(&address_key(at(0).address), 4);
    assert_eq!(
        assess(&settings, &memory, &at(5)).signals,
        [Signal::Failures]
    );
    assert!(
        assess(&settings, &memory, &sight("192.0.2.2", "curl", 5))
            .signals
            .is_empty()
    );
    assert!(assess(&settings, &memory, &at(400)).signals.is_empty());
    for now in 1_000..1_005 {
        at(now).refused(&memory);
    }
    let elsewhere = assess(&settings, &memory, &sight("192.0.2.9", "curl", 1_006));
    assert_eq!(elsewhere.signals, [Signal::Failures]);
}

#[test]
fn the_gravest_threshold_that_is_reached_acts() {
    let thresholds = Thresholds {
        step_up: Some(20),
        refuse: Some(50),
        revoke: Some(90),
        ..Thresholds::default()
    };
    let due = |score| {
        let assessed = Assessed {
            score,
            signals: Vec::new(),
        };
        assessed.due(&thresholds)
    };
    assert_eq!(due(19), Due::Nothing);
    assert_eq!(due(20), Due::StepUp);
    assert_eq!(due(50), Due::Refuse);
    assert_eq!(due(100), Due::Revoke);
    assert_eq!(
        Assessed::default().due(&Thresholds::default()),
        Due::Nothing
    );
}

fn signals() -> impl Strategy<Value = Vec<Signal>> {
    proptest::sample::subsequence(Signal::ALL.to_vec(), 0..=Signal::ALL.len())
}

fn weights() -> impl Strategy<Value = Weights> {
    proptest::array::uniform6(0..=255_u8).prop_map(|all| {
        let mut own = Weights::default();
        for (signal, weight) in Signal::ALL.into_iter().zip(all) {
            own.set(signal, weight);
        }
        own
    })
}

proptest! {
    #[test]
    fn no_signal_lowers_the_score_and_it_stays_in_bounds(found in signals(), weights in weights()) {
        let whole = Assessed::of(found.clone(), &weights);
        prop_assert!(whole.score <= 100);
        for at in 0..found.len() {
            let mut less = found.clone();
            less.remove(at);
            prop_assert!(Assessed::of(less, &weights).score <= whole.score);
        }
    }

    #[test]
    fn what_is_switched_off_is_never_found(
        off in signals(),
        bound in any::<bool>(),
        record in any::<bool>(),
        times in proptest::collection::vec(0..10_000_i64, 1..20),
    ) {
        let (mut settings, memory) = (settings(), Memory::new());
        for signal in &off {
            settings.weights.set(*signal, 0);
        }
        for (at, now) in times.into_iter().enumerate() {
            let address = ["192.0.2.1", "198.51.100.1", "2001:db8::1"][at % 3];
            let mut sight = sight(address, ["a", "b"][at % 2], now);
            (sight.is_bound, sight.is_on_record) = (bound, record);
            memory.refused(&address_key(sight.address), now);
            let found = assess(&settings, &memory, &sight);
            prop_assert!(found.signals.iter().all(|own| !off.contains(own)));
            prop_assert!(found.score <= 100);
            sight.learn(&settings, &memory);
        }
    }
}
