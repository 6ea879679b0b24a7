//! What a sequence is made of: operations, and how they are drawn.
//!
//! An operation names what it is about by small numbers, taken modulo what
//! there is, so that one means something wherever it stands, and a sequence
//! from which some were dropped is still a sequence.

use symbolon_testkit::SeededEntropy;
use symbolon_token::Entropy;

/// Who shows a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Whom it was given to.
    Owner,
    /// Another client.
    Other,
}

/// How a code is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Whole,
    ByOther,
    WithoutVerifier,
}

/// Which key is proved to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The one that was shown before, where one was.
    AsBefore,
    Nothing,
    Own(usize),
}

impl Key {
    pub(super) fn after(self, before: Option<usize>) -> Option<usize> {
        match self {
            Self::AsBefore => before,
            Self::Nothing => None,
            Self::Own(number) => Some(number),
        }
    }
}

/// What a sign-in has to be for what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Terms {
    Any,
    /// A few minutes old at most.
    Young,
    /// There already: nobody is asked anything.
    Silent,
    /// Both.
    SilentYoung,
    /// Stronger than any that there is.
    Stronger,
}

/// What is taken back while a clock is ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ahead {
    Token(u8),
    Other(Taken, u8),
}

/// What is asked for at a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wished {
    All,
    Less,
    More,
}

/// What an administrator takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Token,
    Family,
    Grant,
    Session,
    Subject,
    Client,
    Organization,
    Membership,
}

/// What can be switched off and on, and deleted and made again under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noun {
    Person(u8),
    Client(u8),
    Organization,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    /// Somebody lets a client do something: signs in, agrees, is sent a code.
    Ask {
        browser: u8,
        want: u8,
        terms: Terms,
    },
    Redeem {
        code: u8,
        shown: Shown,
        key: Key,
    },
    /// A client asks for itself.
    Machine {
        want: u8,
        key: Key,
    },
    /// A refresh token is shown: the current one, or one of `back` before it.
    Refresh {
        family: u8,
        back: u8,
        wished: Wished,
        by: By,
        key: Key,
    },
    Exchange {
        token: u8,
        to: u8,
        key: Key,
    },
    Attenuate {
        token: u8,
        how: u8,
    },
    /// What was accepted once is shown again.
    Replay {
        used: u8,
    },
    /// Somebody guesses a password, and may know it.
    Guess {
        tries: u8,
        right: bool,
    },
    RevokeToken {
        token: u8,
        by: By,
    },
    RevokeRefresh {
        family: u8,
        by: By,
    },
    TakeBack {
        what: Taken,
        which: u8,
    },
    Logout {
        browser: u8,
    },
    SetPassword {
        person: u8,
    },
    /// Off where it is on, and on where it is off.
    Switch(Noun),
    /// Deletes, or makes again what was deleted.
    Recreate(Noun),
    /// Time passes.
    Pass {
        span: u8,
    },
    /// The clock jumps back an hour, or is set right.
    JumpBack,
    /// The clock jumps a day ahead, things are shown and taken back, and it
    /// jumps back.
    JumpAhead {
        crash: bool,
        taken: Option<Ahead>,
    },
    Crash,
    BackUp,
    Restore,
    RotateKeys,
    DistrustKey,
}

/// An operation, and the node that it goes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) op: Op,
    pub(super) node: u8,
}

/// What becomes of five drawn bytes.
type Draw = fn(&[u8; 5]) -> Op;

/// How often each kind of operation is drawn, out of their sum.
#[rustfmt::skip]
const WEIGHTS: [(u8, Draw); 23] = [
    (15, |b| Op::Ask { browser: b[0], want: b[1], terms: terms(b[2]) }),
    (16, |b| Op::Redeem { code: b[0], shown: shown(b[1]), key: key(b[2]) }),
    ( 7, |b| Op::Machine { want: b[0], key: key(b[1]) }),
    (20, |b| Op::Refresh { family: b[0], back: back(b[1]), wished: wished(b[2]), by: by(b[3]), key: key(b[4]) }),
    ( 8, |b| Op::Exchange { token: b[0], to: b[1], key: key(b[2]) }),
    ( 4, |b| Op::Replay { used: b[0] }),
    ( 4, |b| Op::Guess { tries: b[0] % 5, right: b[1].is_multiple_of(3) }),
    ( 5, |b| Op::Attenuate { token: b[0], how: b[1] }),
    ( 4, |b| Op::RevokeToken { token: b[0], by: by(b[1]) }),
    ( 3, |b| Op::RevokeRefresh { family: b[0], by: by(b[1]) }),
    ( 6, |b| Op::TakeBack { what: taken(b[0]), which: b[1] }),
    ( 2, |b| Op::Logout { browser: b[0] }),
    ( 1, |b| Op::SetPassword { person: b[0] }),
    ( 6, |b| Op::Switch(noun(b[0]))),
    ( 3, |b| Op::Recreate(noun(b[0]))),
    ( 9, |b| Op::Pass { span: b[0] }),
    ( 2, |_| Op::JumpBack),
    ( 2, |b| Op::JumpAhead { crash: b[0].is_multiple_of(2), taken: ahead(b[1], b[2]) }),
    ( 3, |_| Op::Crash),
    ( 1, |_| Op::BackUp),
    ( 1, |_| Op::Restore),
    ( 2, |_| Op::RotateKeys),
    ( 1, |_| Op::DistrustKey),
];

/// The sequence of a seed.
pub(super) fn sequence(seed: u64, length: usize) -> Vec<Step> {
    let entropy = SeededEntropy::new(seed);
    let sum: u32 = WEIGHTS.iter().map(|(weight, _)| u32::from(*weight)).sum();
    let draw = |_| {
        let mut bytes = [0; 10];
        entropy.fill(&mut bytes);
        let [a, b, c, d, e, node, drawn @ ..] = bytes;
        let mut left = u32::from_be_bytes(drawn) % sum;
        let found = WEIGHTS.iter().find(|(weight, _)| {
            let is_here = left < u32::from(*weight);
            left = left.wrapping_sub(u32::from(*weight));
            is_here
        });
        let op = found.unwrap().1(&[a, b, c, d, e]);
        Step { op, node }
    };
    (0..length).map(draw).collect()
}

fn shown(byte: u8) -> Shown {
    match byte % 8 {
        0 => Shown::ByOther,
        1 => Shown::WithoutVerifier,
        _ => Shown::Whole,
    }
}

/// Mostly none, or the one that is needed.
fn key(byte: u8) -> Key {
    match byte % 8 {
        0 => Key::Nothing,
        1 | 2 => Key::Own(0),
        3 => Key::Own(1),
        _ => Key::AsBefore,
    }
}

fn terms(byte: u8) -> Terms {
    match byte % 12 {
        0 => Terms::Stronger,
        1 => Terms::Young,
        2 => Terms::Silent,
        3 => Terms::SilentYoung,
        _ => Terms::Any,
    }
}

fn ahead(what: u8, which: u8) -> Option<Ahead> {
    match what % 4 {
        0 => None,
        1 | 2 => Some(Ahead::Token(which)),
        _ => Some(Ahead::Other(taken(what / 4), which)),
    }
}

fn wished(byte: u8) -> Wished {
    match byte % 8 {
        0 => Wished::More,
        1 | 2 => Wished::Less,
        _ => Wished::All,
    }
}

fn by(byte: u8) -> By {
    match byte % 6 {
        0 => By::Other,
        _ => By::Owner,
    }
}

/// Mostly the current one, often the one before it, seldom an older one.
fn back(byte: u8) -> u8 {
    match byte % 10 {
        0..6 => 0,
        6..9 => 1,
        _ => 2,
    }
}

fn taken(byte: u8) -> Taken {
    const ALL: [Taken; 8] = [
        Taken::Token,
        Taken::Family,
        Taken::Grant,
        Taken::Session,
        Taken::Subject,
        Taken::Client,
        Taken::Organization,
        Taken::Membership,
    ];
    ALL[usize::from(byte) % ALL.len()]
}

fn noun(byte: u8) -> Noun {
    match byte % 4 {
        0 | 1 => Noun::Person(byte / 4),
        2 => Noun::Client(byte / 4),
        _ => Noun::Organization,
    }
}
