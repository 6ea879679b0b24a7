//! When the key set is fetched, kept and given up: a machine without a clock,
//! a network or randomness of its own.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use symbolon_protocol::planted;

/// How often unknown key names may cause a fetch.
pub(crate) const COOLDOWN: Duration = Duration::from_secs(30);
/// How many absent key names are remembered.
const MAX_ABSENT: usize = 256;
/// How long a key set serves that came without `Cache-Control`.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(5 * 60);
const MIN_LIFETIME: Duration = Duration::from_secs(60);
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// How long the wait after the first failure is, and the longest.
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// How many empty key sets in a row are believed.
const EMPTY_CONFIRMED: u8 = 2;

/// What happens to the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event<'a> {
    /// Time passed.
    Tick,
    /// A token names a key that the held set lacks.
    Unknown(&'a str),
    /// The fetch that this name caused is over, and the name is still unknown.
    StillUnknown(&'a str),
    /// The fetch brought a key set.
    Fetched(Fetched),
    /// The fetch failed.
    Failed,
}

/// What a fetch brought.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fetched {
    /// How many keys of it can be used.
    pub(crate) keys: usize,
    /// Whether it differs from the held set.
    pub(crate) content: Content,
    /// For how long the issuer lets it be kept.
    pub(crate) max_age: Option<Duration>,
}

/// Whether a fetched set is the held one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Same,
    Changed,
}

/// What the driver does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing.
    Nothing,
    /// Start a fetch; report its end as `Fetched` or `Failed`.
    Fetch,
    /// Wait for the fetch that is under way.
    Wait,
    /// Refuse: the issuer has no such key.
    Refuse,
    /// Say that nobody can know now.
    CannotKnow,
    /// Hold the fetched set from now on.
    Adopt,
    /// Drop the fetched set and keep the held one.
    Keep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Scheduled,
    UnknownKey,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Automaton {
    stale_if_error: Duration,
    confirmed: Option<Duration>,
    refresh_at: Duration,
    unknown_at: Duration,
    under_way: Option<Purpose>,
    failures: u32,
    last_failed: bool,
    empties: u8,
    absent: Absent,
}

impl Automaton {
    /// A machine that holds nothing and fetches at its first tick.
    pub(crate) fn new(stale_if_error: Duration) -> Self {
        Self {
            stale_if_error,
            confirmed: None,
            refresh_at: Duration::ZERO,
            unknown_at: Duration::ZERO,
            under_way: None,
            failures: 0,
            last_failed: false,
            empties: 0,
            absent: Absent::default(),
        }
    }

    /// When the next tick can matter.
    pub(crate) fn due(&self) -> Duration {
        if self.under_way.is_some() {
            Duration::MAX
        } else {
            self.refresh_at
        }
    }

    /// When the issuer last confirmed the held set.
    pub(crate) fn confirmed(&self) -> Option<Duration> {
        self.confirmed
    }

    /// Whether the held set may still be believed.
    fn is_usable(&self, now: Duration) -> bool {
        is_usable(self.confirmed, now, self.stale_if_error)
    }

    /// Takes one step. `jitter` spreads what many processes would otherwise do
    /// at the same moment.
    pub(crate) fn step(&mut self, now: Duration, event: Event<'_>, jitter: u8) -> Action {
        match event {
            Event::Tick => self.tick(now),
            Event::Unknown(kid) => self.unknown(now, kid),
            Event::StillUnknown(kid) => self.still_unknown(now, kid),
            Event::Fetched(fetched) => self.fetched(now, fetched, jitter),
            Event::Failed => self.failed(now, jitter),
        }
    }

    fn tick(&mut self, now: Duration) -> Action {
        if self.under_way.is_some() || now < self.refresh_at {
            return Action::Nothing;
        }
        self.under_way = Some(Purpose::Scheduled);
        Action::Fetch
    }

    fn unknown(&mut self, now: Duration, kid: &str) -> Action {
        if !self.is_usable(now) {
            // Nothing is held: this is the scheduled fetch, not a search.
            return match (self.under_way, self.tick(now)) {
                (Some(_), _) => Action::Wait,
                (None, Action::Fetch) => Action::Fetch,
                _ => Action::CannotKnow,
            };
        }
        if self.absent.holds(kid, now) {
            return Action::Refuse;
        }
        if self.under_way.is_some() {
            return Action::Wait;
        }
        if now >= self.unknown_at {
            self.unknown_at = now + COOLDOWN;
            self.under_way = Some(Purpose::UnknownKey);
            return Action::Fetch;
        }
        self.verdict()
    }

    fn still_unknown(&mut self, now: Duration, kid: &str) -> Action {
        if !self.is_usable(now) {
            return Action::CannotKnow;
        }
        if !self.last_failed {
            // No longer than until the next search: an issuer may show a key only
            // after it has signed with it.
            self.absent.insert(kid, self.unknown_at);
        }
        self.verdict()
    }

    /// Whether a set is held and the issuer did not answer when it was asked
    /// last: then an answer that is not there is not waited for.
    pub(crate) fn is_cut_off(&self, now: Duration) -> bool {
        self.last_failed && self.is_usable(now)
    }

    /// A name that the last good answer lacks is refused; where the last
    /// attempt failed, the issuer may well have the key.
    fn verdict(&self) -> Action {
        if self.last_failed {
            Action::CannotKnow
        } else {
            Action::Refuse
        }
    }

    fn fetched(&mut self, now: Duration, fetched: Fetched, jitter: u8) -> Action {
        self.under_way = None;
        self.last_failed = false;
        self.failures = 0;
        if fetched.keys == 0 {
            self.empties = self.empties.saturating_add(1);
            if self.empties < EMPTY_CONFIRMED && !planted(36) {
                self.refresh_at = now + COOLDOWN;
                return Action::Keep;
            }
        } else {
            self.empties = 0;
        }
        if fetched.content == Content::Changed {
            self.absent.clear();
        }
        self.confirmed = Some(now);
        let lifetime = fetched
            .max_age
            .unwrap_or(DEFAULT_LIFETIME)
            .clamp(MIN_LIFETIME, MAX_LIFETIME)
            .min(self.stale_if_error);
        // Between 70 and 80 percent of the lifetime: ahead of its end.
        let tenth = lifetime / 10;
        self.refresh_at = now + tenth * 7 + tenth * u32::from(jitter) / 255;
        Action::Adopt
    }

    fn failed(&mut self, now: Duration, jitter: u8) -> Action {
        self.last_failed = true;
        // A search that failed moves no schedule: the budgets are separate.
        if self.under_way.take() == Some(Purpose::Scheduled) {
            let wait = MIN_BACKOFF * 2_u32.pow(self.failures.min(6));
            self.failures = self.failures.saturating_add(1);
            self.refresh_at = now + wait.min(MAX_BACKOFF) + MIN_BACKOFF * u32::from(jitter) / 255;
        }
        Action::Keep
    }
}

/// Whether a set that was confirmed then may be believed now: one hard age,
/// also while the issuer is away.
pub(crate) fn is_usable(confirmed: Option<Duration>, now: Duration, most: Duration) -> bool {
    confirmed.is_some_and(|then| now.saturating_sub(then) < most)
}

/// Names that the issuer does not have: the oldest goes when there are too many.
#[derive(Debug, Default)]
struct Absent {
    until: HashMap<Box<str>, Duration>,
    order: VecDeque<Box<str>>,
}

impl Absent {
    fn holds(&self, kid: &str, now: Duration) -> bool {
        self.until.get(kid).is_some_and(|until| now < *until)
    }

    fn insert(&mut self, kid: &str, until: Duration) {
        if self.until.insert(kid.into(), until).is_some() {
            self.order.retain(|own| **own != *kid);
        }
        self.order.push_back(kid.into());
        if self.order.len() > MAX_ABSENT
            && let Some(oldest) = self.order.pop_front()
        {
            self.until.remove(&oldest);
        }
    }

    fn clear(&mut self) {
        self.until.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STALE: Duration = Duration::from_secs(24 * 3600);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn brought(keys: usize) -> Event<'static> {
        Event::Fetched(Fetched {
            keys,
            content: Content::Same,
            max_age: None,
        })
    }

    fn holding() -> Automaton {
        let mut machine = Automaton::new(STALE);
        assert_eq!(machine.step(at(0), Event::Tick, 0), Action::Fetch);
        assert_eq!(machine.step(at(0), brought(1), 0), Action::Adopt);
        machine
    }

    #[test]
    fn an_unknown_name_fetches_once_and_is_then_refused_without_asking() {
        let mut machine = holding();
        assert_eq!(machine.step(at(20), Event::Unknown("x"), 0), Action::Fetch);
        assert_eq!(machine.step(at(20), Event::Unknown("y"), 0), Action::Wait);
        machine.step(at(21), brought(1), 0);
        assert_eq!(
            machine.step(at(21), Event::StillUnknown("x"), 0),
            Action::Refuse
        );
        assert_eq!(machine.step(at(22), Event::Unknown("y"), 0), Action::Refuse);
        assert_eq!(machine.step(at(49), Event::Unknown("x"), 0), Action::Refuse);
        assert_eq!(machine.step(at(50), Event::Unknown("x"), 0), Action::Fetch);
        assert_eq!(machine.step(at(50), Event::Unknown("y"), 0), Action::Wait);
    }

    /// Whoever shows a key before its issuer does is refused for a cooldown, not
    /// for longer.
    #[test]
    fn a_name_that_was_absent_is_looked_for_again_after_the_cooldown() {
        let mut machine = holding();
        assert_eq!(machine.step(at(20), Event::Unknown("x"), 0), Action::Fetch);
        machine.step(at(24), brought(1), 0);
        machine.step(at(24), Event::StillUnknown("x"), 0);

        for second in 25..50 {
            let found = machine.step(at(second), Event::Unknown("x"), 0);
            assert_eq!(found, Action::Refuse, "{second}");
        }
        assert_eq!(machine.step(at(50), Event::Unknown("x"), 0), Action::Fetch);
    }

    #[test]
    fn an_issuer_that_failed_is_not_waited_for_while_a_set_is_held() {
        let mut machine = Automaton::new(STALE);
        machine.step(at(0), Event::Tick, 0);
        machine.step(at(1), Event::Failed, 0);
        assert!(!machine.is_cut_off(at(1)), "nothing is held");
        machine.step(at(2), Event::Tick, 0);
        machine.step(at(2), brought(1), 0);
        assert!(!machine.is_cut_off(at(2)), "it answered");

        machine.step(at(20), Event::Unknown("x"), 0);
        assert!(!machine.is_cut_off(at(21)), "nobody knows yet");
        machine.step(at(25), Event::Failed, 0);

        assert!(machine.is_cut_off(at(25)));
        assert!(
            !machine.is_cut_off(at(2) + STALE),
            "nothing can be believed"
        );
    }

    #[test]
    fn an_unknown_name_cannot_be_judged_while_the_issuer_is_away() {
        let mut machine = holding();
        machine.step(at(20), Event::Unknown("x"), 0);
        machine.step(at(21), Event::Failed, 0);
        assert_eq!(
            machine.step(at(21), Event::StillUnknown("x"), 0),
            Action::CannotKnow
        );
        assert_eq!(
            machine.step(at(22), Event::Unknown("y"), 0),
            Action::CannotKnow
        );
    }

    #[test]
    fn a_failed_search_moves_no_schedule() {
        let mut machine = holding();
        let due = machine.due();
        machine.step(at(20), Event::Unknown("x"), 0);
        machine.step(at(21), Event::Failed, 0);
        assert_eq!(machine.due(), due);
    }

    #[test]
    fn an_empty_set_is_believed_when_it_comes_twice() {
        let mut machine = holding();
        assert_eq!(machine.step(at(300), Event::Tick, 0), Action::Fetch);
        assert_eq!(machine.step(at(300), brought(0), 0), Action::Keep);
        assert_eq!(machine.step(at(330), Event::Tick, 0), Action::Fetch);
        assert_eq!(machine.step(at(330), brought(0), 0), Action::Adopt);
    }

    #[test]
    fn cache_control_is_honoured_between_a_minute_and_a_day() {
        for (max_age, least, most) in [(0, 42, 48), (600, 420, 480), (u64::MAX, 60_480, 69_120)] {
            for jitter in [0, 255] {
                let mut machine = Automaton::new(STALE);
                machine.step(at(0), Event::Tick, 0);
                let fetched = Fetched {
                    keys: 1,
                    content: Content::Changed,
                    max_age: Some(at(max_age)),
                };
                machine.step(at(0), Event::Fetched(fetched), jitter);
                assert!((at(least)..=at(most)).contains(&machine.due()));
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Happening {
        Wait(u64),
        Tick,
        Unknown(u8),
        StillUnknown(u8),
        Fetched(usize, bool, Option<u32>),
        Failed,
    }

    fn happening() -> impl Strategy<Value = Happening> {
        prop_oneof![
            (0..200_000_u64).prop_map(Happening::Wait),
            Just(Happening::Wait(3_600_000)),
            Just(Happening::Tick),
            any::<u8>().prop_map(Happening::Unknown),
            any::<u8>().prop_map(Happening::StillUnknown),
            (0..3_usize, any::<bool>(), any::<Option<u32>>())
                .prop_map(|(keys, same, age)| Happening::Fetched(keys, same, age)),
            Just(Happening::Failed),
        ]
    }

    /// What the driver knows: it reports an end only of a fetch it started.
    #[derive(Default)]
    struct Driver {
        now: Duration,
        under_way: bool,
        is_scheduled: bool,
        searched: Option<Duration>,
        confirmed: Option<Duration>,
        failed: Option<Duration>,
        is_failing: bool,
        empties: u32,
    }

    impl Driver {
        fn step(&mut self, machine: &mut Automaton, happening: &Happening, jitter: u8) {
            let usable = is_usable(self.confirmed, self.now, STALE);
            let (now, name) = (self.now, |n: &u8| n.to_string());
            match happening {
                Happening::Wait(millis) => self.now += Duration::from_millis(*millis),
                Happening::Tick => {
                    if machine.step(now, Event::Tick, jitter) == Action::Fetch {
                        self.starts();
                        self.is_scheduled = true;
                        let pause = |then: Duration| now.saturating_sub(then) >= MIN_BACKOFF;
                        assert!(self.failed.is_none_or(pause));
                    }
                }
                Happening::Unknown(n) => {
                    match machine.step(now, Event::Unknown(&name(n)), jitter) {
                        Action::Fetch => {
                            self.starts();
                            self.is_scheduled = !usable;
                            if usable {
                                let gap = |then: Duration| now - then >= COOLDOWN;
                                assert!(self.searched.replace(now).is_none_or(gap));
                            }
                        }
                        Action::Wait => assert!(self.under_way),
                        Action::Refuse => assert!(usable),
                        Action::CannotKnow => assert!(!usable || self.is_failing),
                        other => panic!("{other:?}"),
                    }
                }
                Happening::StillUnknown(n) => {
                    let action = machine.step(now, Event::StillUnknown(&name(n)), jitter);
                    assert!(matches!(action, Action::Refuse | Action::CannotKnow));
                    assert!(usable || action == Action::CannotKnow);
                }
                Happening::Fetched(keys, same, age) => {
                    self.ends(machine, (*keys, *same, *age), jitter);
                }
                Happening::Failed => {
                    if std::mem::take(&mut self.under_way) {
                        self.is_failing = true;
                        if self.is_scheduled {
                            self.failed = Some(now);
                        }
                        assert_eq!(machine.step(now, Event::Failed, jitter), Action::Keep);
                    }
                }
            }
        }

        fn starts(&mut self) {
            assert!(!std::mem::replace(&mut self.under_way, true), "two at once");
        }

        fn ends(
            &mut self,
            machine: &mut Automaton,
            (keys, same, age): (usize, bool, Option<u32>),
            jitter: u8,
        ) {
            if !std::mem::take(&mut self.under_way) {
                return;
            }
            self.empties = if keys == 0 { self.empties + 1 } else { 0 };
            let event = Event::Fetched(Fetched {
                keys,
                content: if same {
                    Content::Same
                } else {
                    Content::Changed
                },
                max_age: age.map(|seconds| at(u64::from(seconds))),
            });
            let action = machine.step(self.now, event, jitter);
            if self.empties == 1 {
                assert_eq!(action, Action::Keep);
            } else {
                assert_eq!(action, Action::Adopt);
                self.confirmed = Some(self.now);
                assert!(machine.due() >= self.now + MIN_LIFETIME * 7 / 10);
            }
            (self.failed, self.is_failing) = (None, false);
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_fetches_are_single_paced_and_age_is_bounded(
            happenings in proptest::collection::vec((happening(), any::<u8>()), 0..400),
        ) {
            let mut machine = Automaton::new(STALE);
            let mut driver = Driver::default();
            for (happening, jitter) in &happenings {
                driver.step(&mut machine, happening, *jitter);
                prop_assert_eq!(machine.confirmed(), driver.confirmed);
                prop_assert_eq!(
                    machine.is_usable(driver.now),
                    driver.confirmed.is_some_and(|then| driver.now - then < STALE)
                );
                prop_assert!(machine.absent.until.len() <= MAX_ABSENT);
                prop_assert_eq!(machine.absent.until.len(), machine.absent.order.len());
            }
        }

        #[test]
        fn a_storm_of_names_costs_one_fetch_a_cooldown(names in 1_000..3_000_u64) {
            let mut machine = holding();
            let mut fetches = 0;
            for n in 0..names {
                let now = at(20) + Duration::from_millis(n * 10);
                if machine.step(now, Event::Unknown(&n.to_string()), 0) == Action::Fetch {
                    fetches += 1;
                    machine.step(now, brought(1), 0);
                    machine.step(now, Event::StillUnknown(&n.to_string()), 0);
                }
            }
            prop_assert!(fetches <= 1 + names / 1_000);
        }
    }
}
