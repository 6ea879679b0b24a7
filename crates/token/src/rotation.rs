//! When keys change: a pure function of the keys there are, the time, and the
//! policy of their purpose.
//!
//! 1. `next`: published, so that whoever checks knows it before it is used.
//! 2. `active`: makes everything new. A purpose has exactly one.
//! 3. `retiring`: makes nothing; what it made still counts.
//! 4. `retired`: published no more; its public half recognises old ID tokens.
//!
//! Then it is forgotten. Beside them stands `distrusted`: nothing that such a
//! key ever made counts.

use std::time::Duration;

use symbolon_protocol::{Timestamp, planted};

/// The life of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyState {
    /// Published, not used yet.
    Next,
    /// In use.
    Active,
    /// Used no more; what it made may still live.
    Retiring,
    /// Published no more; the public half is kept for logout hints.
    Retired,
    /// Taken back: nothing that it made counts.
    Distrusted,
}

impl KeyState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Next,
        Self::Active,
        Self::Retiring,
        Self::Retired,
        Self::Distrusted,
    ];

    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Distrusted => "distrusted",
        }
    }

    /// The state with a word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether what a key of this state made is still believed.
    pub const fn is_believed(self) -> bool {
        matches!(self, Self::Next | Self::Active | Self::Retiring)
    }
}

/// How the keys of one purpose live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a key is active; `None` changes it by command alone.
    pub every: Option<Duration>,
    /// How long a key is published at least before it is used.
    pub announced: Duration,
    /// How long what it made lives at most after it was used last; `None`
    /// where nobody can know.
    pub outlives: Option<Duration>,
    /// How much longer its public half is kept.
    pub remembered: Duration,
}

/// What is known of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which one of its purpose it is, counted from one.
    pub number: i64,
    /// Where in its life it is.
    pub state: KeyState,
    /// When it was made, and so published.
    pub created: Timestamp,
    /// When it came into use; of a `next` key, when somebody asked for it.
    pub activated: Option<Timestamp>,
    /// When its state ends, of the last three.
    pub ends: Option<Timestamp>,
}

/// What has to be done to the keys of one purpose. Each is one act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Make a key and use it at once: there is none.
    Begin {
        /// Its number.
        number: i64,
    },
    /// Make a key and publish it.
    Announce {
        /// Its number.
        number: i64,
    },
    /// Use the next key.
    Rotate {
        /// Whose place it takes.
        from: Option<i64>,
        /// The next key.
        to: i64,
        /// Until when the key before is believed; `None` has no end.
        until: Option<Timestamp>,
        /// The number of the key to be published in its place.
        announce: i64,
    },
    /// Publish a key no more.
    Retire {
        /// Its number.
        number: i64,
        /// Until when its public half is kept.
        until: Timestamp,
    },
    /// Delete a key.
    Forget {
        /// Its number.
        number: i64,
    },
}

/// What has to be done now. Doing it leaves nothing to do.
pub fn due(keys: &[Standing], now: Timestamp, policy: &Policy) -> Vec<Change> {
    let in_state = |state| keys.iter().find(|key| key.state == state);
    let free = keys.iter().map(|key| key.number).max().unwrap_or(0) + 1;
    let mut changes = Vec::new();
    match (in_state(KeyState::Active), in_state(KeyState::Next)) {
        (None, None) => {
            changes.push(Change::Begin { number: free });
            changes.push(Change::Announce { number: free + 1 });
        }
        (Some(_), None) => changes.push(Change::Announce { number: free }),
        (active, Some(next)) if takes_over(active, next, policy).is_some_and(|at| at <= now) => {
            changes.push(Change::Rotate {
                from: active.map(|key| key.number),
                to: next.number,
                until: policy.outlives.map(|outlives| now + outlives),
                announce: free,
            });
        }
        _ => {}
    }
    for key in keys
        .iter()
        .filter(|key| key.ends.is_some_and(|ends| ends <= now))
    {
        let number = key.number;
        changes.push(match key.state {
            KeyState::Retiring if !policy.remembered.is_zero() => Change::Retire {
                number,
                until: now + policy.remembered,
            },
            KeyState::Retiring | KeyState::Retired | KeyState::Distrusted => {
                Change::Forget { number }
            }
            KeyState::Next | KeyState::Active => continue,
        });
    }
    changes
}

/// When the next key takes over: when the active one is old enough or somebody
/// asked, and never before it was published long enough. Where nothing is
/// active it does so at once.
fn takes_over(active: Option<&Standing>, next: &Standing, policy: &Policy) -> Option<Timestamp> {
    let Some(active) = active else {
        return Some(next.created);
    };
    let since = active.activated.unwrap_or(active.created);
    let scheduled = policy.every.map(|every| since + every);
    let wanted = [scheduled, next.activated].into_iter().flatten().min();
    wanted.map(|wanted| wanted.max(ripe(next, policy)))
}

/// When a key has been published long enough to be used.
pub fn ripe(next: &Standing, policy: &Policy) -> Timestamp {
    match planted(30) {
        true => next.created,
        false => next.created + policy.announced,
    }
}

/// When something has to be done next, where nobody asks for anything.
pub fn next_due(keys: &[Standing], policy: &Policy) -> Option<Timestamp> {
    let in_state = |state| keys.iter().find(|key| key.state == state);
    let takes_over = match (in_state(KeyState::Active), in_state(KeyState::Next)) {
        (active, Some(next)) => takes_over(active, next, policy),
        (_, None) => Some(Timestamp::EPOCH),
    };
    let ends = keys.iter().filter_map(|key| key.ends);
    ends.chain(takes_over).min()
}

/// What the keys are after a change: the same that the store does.
pub fn after(keys: &[Standing], change: Change, now: Timestamp) -> Vec<Standing> {
    let mut keys = keys.to_vec();
    let fresh = |number, state, activated| Standing {
        number,
        state,
        created: now,
        activated,
        ends: None,
    };
    let set = |keys: &mut Vec<Standing>, number, change: &dyn Fn(&mut Standing)| {
        keys.iter_mut()
            .filter(|key| key.number == number)
            .for_each(change);
    };
    match change {
        Change::Begin { number } => keys.push(fresh(number, KeyState::Active, Some(now))),
        Change::Announce { number } => keys.push(fresh(number, KeyState::Next, None)),
        Change::Rotate {
            from,
            to,
            until,
            announce,
        } => {
            set(&mut keys, to, &|key| {
                (key.state, key.activated) = (KeyState::Active, Some(now));
            });
            if let Some(from) = from {
                set(&mut keys, from, &|key| {
                    (key.state, key.ends) = (KeyState::Retiring, until);
                });
            }
            keys.push(fresh(announce, KeyState::Next, None));
        }
        Change::Retire { number, until } => set(&mut keys, number, &|key| {
            (key.state, key.ends) = (KeyState::Retired, Some(until));
        }),
        Change::Forget { number } => keys.retain(|key| key.number != number),
    }
    keys
}

/// A change and when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When.
    pub at: Timestamp,
    /// What.
    pub change: Change,
}

/// What would happen, and when, if somebody asked now for another key: until
/// the key that is active now is forgotten, or for [`MAX_PLANNED`] changes.
pub fn plan(keys: &[Standing], now: Timestamp, policy: &Policy) -> Vec<Planned> {
    let mut keys = keys.to_vec();
    let is = |state| move |key: &&Standing| key.state == state;
    let old = keys.iter().find(is(KeyState::Active)).map(|key| key.number);
    if let Some(next) = keys.iter_mut().find(|key| key.state == KeyState::Next) {
        next.activated = Some(next.activated.map_or(now, |before| before.min(now)));
    }
    let (mut planned, mut at) = (Vec::new(), now);
    while planned.len() < MAX_PLANNED {
        for change in due(&keys, at, policy) {
            keys = after(&keys, change, at);
            planned.push(Planned { at, change });
        }
        let is_over = old.is_none_or(|old| keys.iter().all(|key| key.number != old));
        match next_due(&keys, policy).filter(|_| !is_over) {
            Some(due) => at = due.max(at),
            None => break,
        }
    }
    planned.truncate(MAX_PLANNED);
    planned
}

/// How many changes a plan shows at most.
pub const MAX_PLANNED: usize = 16;
