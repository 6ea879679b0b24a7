//! Short sequences of what random ones come upon seldom: each is run as it is.

use super::op::{Ahead, By, Key, Noun, Op, Shown, Step, Taken, Terms, Wished};

/// What a script shows, and its operations.
pub(super) type Script = (&'static str, &'static [Op]);

const ALICE: Noun = Noun::Person(0);
const JOB: Noun = Noun::Client(3);
const ACME: Noun = Noun::Organization;
const RENEW: Op = refresh(0, Wished::All);
const REDEEM: Op = redeem(Shown::Whole);
const REVOKE: Op = revoke(By::Owner);
const MACHINE: Op = machine(0);
const TO_SAFE: Op = exchange(2, Key::AsBefore);
const OUT: Op = Op::Logout { browser: 0 };
const PASSWORD: Op = Op::SetPassword { person: 0 };
const AHEAD: Op = Op::JumpAhead {
    crash: true,
    taken: None,
};
const AGAIN: Op = Op::Replay { used: 0 };
const ONE: Key = Key::Own(0);

const fn ask(want: u8) -> Op {
    on(Terms::Any, want)
}

const fn on(terms: Terms, want: u8) -> Op {
    Op::Ask {
        browser: 0,
        want,
        terms,
    }
}

const fn redeem(shown: Shown) -> Op {
    Op::Redeem {
        code: 0,
        shown,
        key: Key::Nothing,
    }
}

const fn machine(want: u8) -> Op {
    by_key(want, Key::Nothing)
}

const fn by_key(want: u8, key: Key) -> Op {
    Op::Machine { want, key }
}

const fn exchange(to: u8, key: Key) -> Op {
    Op::Exchange { token: 0, to, key }
}

/// Redeems a code, and renews what came of it, with a key.
const fn redeem_by(key: Key) -> Op {
    Op::Redeem {
        code: 0,
        shown: Shown::Whole,
        key,
    }
}

const fn renew_by(key: Key) -> Op {
    Op::Refresh {
        family: 0,
        back: 0,
        wished: Wished::All,
        by: By::Owner,
        key,
    }
}

const fn narrow(how: u8) -> Op {
    Op::Attenuate { token: 0, how }
}

const fn guess(tries: u8, right: bool) -> Op {
    Op::Guess { tries, right }
}

const fn ahead(taken: Ahead, crash: bool) -> Op {
    Op::JumpAhead {
        crash,
        taken: Some(taken),
    }
}

const fn revoke(by: By) -> Op {
    Op::RevokeToken { token: 0, by }
}

const fn take(what: Taken) -> Op {
    Op::TakeBack { what, which: 0 }
}

/// Shows a refresh token of the first family.
const fn refresh(back: u8, wished: Wished) -> Op {
    Op::Refresh {
        family: 0,
        back,
        wished,
        by: By::Owner,
        key: Key::AsBefore,
    }
}

/// Time passes: the span of that number in `time`.
const fn pass(span: u8) -> Op {
    Op::Pass { span }
}

const SECOND: Op = pass(0);
const MOST_OF_GRACE: Op = pass(5);
const GRACE: Op = pass(6);
const MINUTES: Op = pass(8);
const LIFE: Op = pass(10);
const HOUR: Op = pass(12);

/// The scripts.
#[rustfmt::skip]
pub(super) const SCRIPTS: [Script; 32] = [
    ("an older leaf within the grace time is theft",
        &[ask(0), REDEEM, RENEW, RENEW, refresh(2, Wished::All), RENEW]),
    ("a predecessor at the end of the grace time is theft",
        &[ask(0), REDEEM, RENEW, GRACE, refresh(1, Wished::All), RENEW]),
    ("a predecessor within it is a retry",
        &[ask(0), REDEEM, RENEW, MOST_OF_GRACE, refresh(1, Wished::All), RENEW]),
    ("more scopes are refused and rotate nothing",
        &[ask(0), REDEEM, refresh(0, Wished::More), refresh(0, Wished::Less), RENEW]),
    ("a code is good once",
        &[ask(0), REDEEM, SECOND, REDEEM, RENEW]),
    ("a code is good for its client alone, and with its verifier",
        &[ask(0), redeem(Shown::ByOther), redeem(Shown::WithoutVerifier), REDEEM]),
    ("what is exchanged ends with its subject",
        &[ask(0), REDEEM, MINUTES, TO_SAFE, MINUTES]),
    ("who is disabled has nothing, and gets nothing back",
        &[ask(0), REDEEM, ask(6), Op::Switch(ALICE), Op::Switch(ALICE), RENEW, ask(0), REDEEM]),
    ("a client that is switched off has nothing, and gets nothing back",
        &[MACHINE, Op::Switch(JOB), MACHINE, Op::Switch(JOB), MACHINE]),
    ("who signs out is told of once",
        &[ask(2), REDEEM, OUT, OUT]),
    ("a revoked token is dead after a crash",
        &[MACHINE, REVOKE, SECOND, Op::Crash, SECOND]),
    ("a token is dead at its end",
        &[machine(0), machine(1), machine(2), LIFE]),
    ("a name that is made again is somebody else",
        &[Op::Recreate(ALICE), Op::Recreate(ALICE), ask(0), REDEEM,
          Op::Recreate(ALICE), Op::Recreate(ALICE), ask(0), REDEEM]),
    ("a sign-in brings another secret",
        &[ask(0), PASSWORD, ask(0), REDEEM]),
    ("what a distrusted key made is dead with all that came of it",
        &[ask(0), REDEEM, TO_SAFE, Op::DistrustKey, MACHINE]),
    ("another client takes nothing back",
        &[MACHINE, revoke(By::Other), REVOKE]),
    ("two sectors know one person by two names",
        &[ask(5), REDEEM, ask(7), REDEEM]),
    ("a key is published before it signs",
        &[Op::RotateKeys, MACHINE, HOUR, Op::RotateKeys, MACHINE]),
    ("a restore voids all that was issued",
        &[ask(0), REDEEM, ask(2), Op::BackUp, REVOKE, Op::Restore, REDEEM, ask(0), REDEEM]),
    ("records stand in their order",
        &[ask(0), OUT, ask(0), Op::Crash]),
    ("what was taken back is dead on every node",
        &[machine(0), machine(1), REVOKE, ask(0), REDEEM, take(Taken::Subject)]),
    ("what was taken back while a clock was ahead stays so",
        &[MACHINE, REVOKE, AHEAD, SECOND, Op::Crash]),
    ("an hour back revives nothing",
        &[MACHINE, LIFE, Op::JumpBack, SECOND, Op::Crash, SECOND]),
    ("an organization that is deleted takes all of it along",
        &[ask(4), REDEEM, TO_SAFE, Op::Recreate(ACME), Op::Recreate(ACME), ask(4), REDEEM,
          take(Taken::Membership), ask(4)]),
    ("a key stays with what came of it, and a proof of it is good once",
        &[ask(0), redeem_by(ONE), renew_by(Key::Nothing), exchange(2, Key::Nothing), exchange(2, Key::Own(1)),
          exchange(1, ONE), exchange(2, ONE), renew_by(Key::Own(1)), AGAIN, AGAIN, Op::Crash, AGAIN, AGAIN, RENEW]),
    ("a public client is renewed by its key alone, and not rotated",
        &[ask(2), redeem_by(ONE), renew_by(Key::Own(1)), renew_by(Key::Nothing), renew_by(ONE), renew_by(ONE)]),
    ("a macaroon is narrowed to one key, and to no other after it",
        &[machine(2), narrow(2), narrow(2), narrow(5), by_key(2, ONE), AGAIN, AGAIN, narrow(0), narrow(5), Op::Crash, AGAIN]),
    ("an assertion is good once on every node, and after a crash",
        &[machine(4), AGAIN, AGAIN, Op::Crash, AGAIN, MINUTES, AGAIN, machine(4)]),
    ("a sign-in is as old as it is, and made again where it is too old",
        &[on(Terms::Silent, 0), ask(0), REDEEM, HOUR, on(Terms::SilentYoung, 0), on(Terms::Silent, 0), REDEEM,
          on(Terms::Young, 0), REDEEM, on(Terms::SilentYoung, 0), REDEEM, RENEW, on(Terms::Stronger, 0), on(Terms::Silent, 2)]),
    ("guesses are counted until their time is over",
        &[guess(4, true), guess(5, false), guess(0, true), guess(3, true), Op::Crash, guess(1, true),
          MINUTES, guess(1, false), HOUR, guess(4, true)]),
    ("a token that is taken back while a clock is ahead stays so",
        &[MACHINE, ahead(Ahead::Token(0), false), SECOND, machine(1), ahead(Ahead::Token(0), true), Op::Crash, SECOND]),
    ("whatever is taken back while a clock is ahead stays so",
        &[ask(0), REDEEM, ahead(Ahead::Other(Taken::Family, 0), true), RENEW, ask(0), REDEEM,
          ahead(Ahead::Other(Taken::Subject, 0), false), ask(0), REDEEM, ahead(Ahead::Other(Taken::Session, 1), false),
          ask(0), REDEEM, ahead(Ahead::Other(Taken::Client, 0), false), ask(0)]),
];

/// The steps of a script, each at another node than the one before; `first` is
/// where the first goes.
pub(super) fn steps(script: &Script, first: u8) -> Vec<Step> {
    let all = script.1.iter().zip(first..);
    all.map(|(op, node)| Step { op: *op, node }).collect()
}
