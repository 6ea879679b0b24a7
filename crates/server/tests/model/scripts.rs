//! Short sequences of what random ones come upon seldom: each is run as it is.

use super::op::{By, Noun, Op, Shown, Step, Taken, Wished};

/// What a script shows, and its operations.
pub(super) type Script = (&'static str, &'static [Op]);

const ALICE: Noun = Noun::Person(0);
const JOB: Noun = Noun::Client(3);
const ACME: Noun = Noun::Organization;
const RENEW: Op = refresh(0, Wished::All);
const REDEEM: Op = redeem(Shown::Whole);
const REVOKE: Op = revoke(By::Owner);
const MACHINE: Op = machine(0);
const TO_SAFE: Op = Op::Exchange { token: 0, to: 2 };
const OUT: Op = Op::Logout { browser: 0 };
const PASSWORD: Op = Op::SetPassword { person: 0 };
const AHEAD: Op = Op::JumpAhead { crash: true };

const fn ask(want: u8) -> Op {
    Op::Ask { browser: 0, want }
}

const fn redeem(shown: Shown) -> Op {
    Op::Redeem { code: 0, shown }
}

const fn machine(want: u8) -> Op {
    Op::Machine { want }
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
pub(super) const SCRIPTS: [Script; 24] = [
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
];

/// The steps of a script, each at another node than the one before; `first` is
/// where the first goes.
pub(super) fn steps(script: &Script, first: u8) -> Vec<Step> {
    let all = script.1.iter().zip(first..);
    all.map(|(op, node)| Step { op: *op, node }).collect()
}
