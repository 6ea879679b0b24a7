//! Whether what many callers saw at once can be explained by one order of what
//! they did, in which everything that was answered before something else began
//! comes before it: linearizability, by search (Wing and Gong).

use std::collections::HashSet;
use std::hash::Hash;

/// How something behaves when one caller at a time uses it.
pub trait Model {
    /// What it remembers.
    type State: Clone + Eq + Hash;
    /// What a caller does.
    type Act;
    /// What the caller is answered.
    type Out: PartialEq;

    /// What it remembers at the beginning.
    fn begin(&self) -> Self::State;

    /// What it remembers after an act, and what it answers.
    fn act(&self, state: &Self::State, act: &Self::Act) -> (Self::State, Self::Out);
}

/// Something that one caller did.
#[derive(Clone, Debug)]
pub struct Event<A, O> {
    /// What it was.
    pub act: A,
    /// What was answered; nothing where it is not known whether it happened.
    pub out: Option<O>,
    /// When it began.
    pub began: u64,
    /// When it was answered.
    pub ended: u64,
}

/// How many events a history has at most.
pub const MOST_EVENTS: usize = 64;

/// Whether one order explains a history of at most [`MOST_EVENTS`] events.
pub fn is_linearizable<M: Model>(model: &M, history: &[Event<M::Act, M::Out>]) -> bool {
    assert!(history.len() <= MOST_EVENTS, "cut the history into pieces");
    let known = history.iter().enumerate();
    let known = known.filter(|(_, event)| event.out.is_some());
    let wanted = known.fold(0_u64, |all, (number, _)| all | 1 << number);
    let mut seen = HashSet::new();
    let mut open = vec![(0_u64, model.begin())];
    while let Some((done, state)) = open.pop() {
        if done & wanted == wanted {
            return true;
        }
        for (number, event) in history.iter().enumerate() {
            if done & 1 << number != 0 || !may_be_next(history, done, event) {
                continue;
            }
            let (after, out) = model.act(&state, &event.act);
            let next = (done | 1 << number, after);
            let explains = event.out.as_ref().is_none_or(|told| *told == out);
            if explains && seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    false
}

/// Whether nothing that is still to come was answered before it began. What
/// was never answered may happen at any later time, and so holds up nothing.
fn may_be_next<A, O>(history: &[Event<A, O>], done: u64, event: &Event<A, O>) -> bool {
    let mut rest = history.iter().enumerate();
    rest.all(|(number, other)| {
        done & 1 << number != 0 || other.out.is_none() || other.ended >= event.began
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something that may be used once.
    struct Once;

    impl Model for Once {
        type State = bool;
        type Act = ();
        type Out = bool;

        fn begin(&self) -> bool {
            false
        }

        fn act(&self, used: &bool, (): &()) -> (bool, bool) {
            (true, !used)
        }
    }

    fn event(began: u64, ended: u64, out: Option<bool>) -> Event<(), bool> {
        Event {
            act: (),
            out,
            began,
            ended,
        }
    }

    #[test]
    fn one_first_use_among_many_is_explained() {
        let history = [
            event(0, 9, Some(false)),
            event(1, 8, Some(true)),
            event(9, 12, Some(false)),
        ];

        assert!(is_linearizable(&Once, &history));
    }

    #[test]
    fn two_first_uses_are_not() {
        let history = [event(0, 9, Some(true)), event(1, 8, Some(true))];

        assert!(!is_linearizable(&Once, &history));
    }

    #[test]
    fn a_first_use_after_a_second_was_answered_is_not() {
        let history = [event(0, 1, Some(false)), event(2, 3, Some(true))];

        assert!(!is_linearizable(&Once, &history));
    }

    #[test]
    fn what_was_never_answered_may_have_happened_late_or_not_at_all() {
        let late = [
            event(0, 1, None),
            event(2, 3, Some(false)),
            event(4, 5, Some(false)),
        ];
        let not_at_all = [event(0, 1, None), event(2, 3, Some(true))];

        assert!(is_linearizable(&Once, &late));
        assert!(is_linearizable(&Once, &not_at_all));
    }
}
