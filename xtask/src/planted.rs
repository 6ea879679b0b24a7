//! Tests of the tests: each bug that was planted on purpose has to be found.
//!
//! 1. The tests are built once, with the feature `planted`.
//! 2. For each bug `SYMBOLON_PLANTED` says its number, and the tests that are
//!    named for it run, until one fails: the bug is caught. Before all else they
//!    run without any, and have to pass.
//! 3. A run of all of them writes `docs/planted.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// How many of them may be missed at most.
const MAY_BE_MISSED: usize = 1;

/// A bug that was planted.
struct Bug {
    number: u32,
    /// What is wrong, where it is planted.
    what: &'static str,
    file: &'static str,
    /// Which tests are to find it: a target, and what their names contain.
    tests: &'static [(&'static str, &'static str)],
}

const MODEL: (&str, &str) = ("model", "what_seldom_comes_up_holds_on_sqlite");
const TWO_NODES: (&str, &str) = ("model", "what_seldom_comes_up_holds_on_two_nodes");
const RANDOM: (&str, &str) = ("model", "the_server_does_what_the_model_says_on_sqlite");

#[rustfmt::skip]
const BUGS: [Bug; 41] = [
    bug(1, "a change is written over one that came in between", "crates/store/src/client.rs", &[("symbolon_store", "sqlite_conforms")]),
    bug(2, "any earlier refresh token counts as the direct predecessor", "crates/store/src/refresh_family/rotation.rs", &[MODEL, RANDOM]),
    bug(3, "the grace time of a predecessor never ends", "crates/store/src/refresh_family/rotation.rs", &[MODEL, RANDOM]),
    bug(4, "a stolen refresh token is refused and its family lives on", "crates/store/src/refresh_family/rotation.rs", &[MODEL, RANDOM]),
    bug(5, "any client may introspect any token", "crates/server/src/endpoint/introspect.rs", &[MODEL, RANDOM]),
    bug(6, "the issuer of a JWT is not compared", "crates/token/src/jwt.rs", &[("http", "")]),
    bug(7, "scopes that were not granted are taken at a refresh", "crates/server/src/grant/refresh_token.rs", &[MODEL, RANDOM]),
    bug(8, "what is exchanged may outlive its subject token", "crates/server/src/grant/token_exchange/derive.rs", &[MODEL, RANDOM]),
    bug(9, "the binding is dropped at an exchange", "crates/server/src/grant/token_exchange/derive.rs", &[("symbolon_server", "token_exchange")]),
    bug(10, "a node skips the first record that it reads of another", "crates/server/src/feed.rs", &[TWO_NODES]),
    bug(11, "a wide record hits what was issued after it", "crates/token/src/revocation_set/mod.rs", &[MODEL, RANDOM]),
    bug(12, "a wide record spares what was issued last before it", "crates/token/src/revocation_set/mod.rs", &[MODEL, RANDOM]),
    bug(13, "kept clients are not read again when they change", "crates/server/src/app.rs", &[MODEL, RANDOM]),
    bug(14, "a restore begins no new epoch", "crates/store/src/backup/load.rs", &[MODEL, RANDOM]),
    bug(15, "what was used up is forgotten a day too early", "crates/store/src/purge.rs", &[MODEL, RANDOM]),
    bug(16, "records are forgotten while they could hit something", "crates/store/src/purge.rs", &[MODEL, RANDOM]),
    bug(17, "a token is good at the instant of its end", "crates/server/src/endpoint/presented.rs", &[MODEL, RANDOM]),
    bug(18, "the `jti` of an assertion is remembered for too short a time", "crates/server/src/authn/client/assertion/mod.rs", &[("symbolon_server", "assertion")]),
    bug(19, "a code may be redeemed twice", "crates/store/src/authorization_code.rs", &[MODEL, RANDOM]),
    bug(20, "a code may be redeemed by another client", "crates/server/src/grant/authorization_code.rs", &[MODEL, RANDOM]),
    bug(21, "disabling a person writes no record", "crates/store/src/person.rs", &[MODEL, RANDOM]),
    bug(22, "disabling a client writes no record, so enabling it revives its tokens", "crates/store/src/client.rs", &[MODEL, RANDOM]),
    bug(23, "the end of a session is not audited", "crates/store/src/session.rs", &[MODEL, RANDOM]),
    bug(24, "audit records are linked out of order", "crates/store/src/audit/link.rs", &[MODEL, ("symbolon_store", "rows_are_linked_in_order")]),
    bug(25, "a chain of actors may be of any length", "crates/token/src/authority/derived.rs", &[("invariants", "")]),
    bug(26, "all sectors know a person by one pairwise name", "crates/server/src/grant/subject.rs", &[MODEL, RANDOM]),
    bug(27, "whoever gets a name again gets the `sub` of who had it", "crates/server/src/admin/users/mod.rs", &[MODEL, RANDOM]),
    bug(28, "the secret of a session is kept at sign-in", "crates/server/src/authn/session.rs", &[MODEL, RANDOM]),
    bug(29, "a success clears guesses that were not its own", "crates/store/src/attempt.rs", &[("symbolon_store", "sqlite_conforms")]),
    bug(30, "a key signs before it was published long enough", "crates/token/src/rotation.rs", &[MODEL, ("rotation", "")]),
    bug(31, "distrusting a key writes no record, so what came of its tokens lives", "crates/store/src/key/distrust.rs", &[MODEL, RANDOM]),
    bug(32, "another client's token is taken back before that is refused", "crates/server/src/endpoint/revoke.rs", &[MODEL, RANDOM]),
    bug(33, "an act is answered before its node knows what it took back", "crates/store/src/sqlite/writer.rs", &[MODEL, RANDOM]),
    bug(34, "a head of the feed that was made for another stream is believed", "crates/verify/src/subscription/intake.rs", &[("subscription", "")]),
    bug(35, "a head of the feed that tells of less than was known is believed", "crates/verify/src/subscription/intake.rs", &[("subscription", "")]),
    bug(36, "an empty key set is believed at once", "crates/verify/src/keys/automaton.rs", &[("keys", "an_empty_set")]),
    bug(37, "commits are not synced", "crates/store/src/sqlite/file.rs", &[("symbolon_store", "survives_a_power_cut")]),
    bug(38, "an act whose answer was lost is run again though it was stored", "crates/store/src/postgres/mod.rs", &[("symbolon_store", "a_lost_answer")]),
    bug(39, "no statement on PostgreSQL locks what it has read", "crates/store/src/dialect.rs", &[("symbolon_store", "postgres")]),
    bug(40, "a status list marks another place than the token's", "crates/token/src/status_list.rs", &[("symbolon_token", "bits_stand_in_bytes")]),
    bug(41, "what a head says of the age of its server's knowledge is not counted", "crates/verify/src/subscription/mod.rs", &[("subscription", "")]),
];

const fn bug(
    number: u32,
    what: &'static str,
    file: &'static str,
    tests: &'static [(&'static str, &'static str)],
) -> Bug {
    Bug {
        number,
        what,
        file,
        tests,
    }
}

/// What became of a bug.
enum Found {
    /// By a test of a target.
    By(String),
    Nowhere,
}

/// Runs the tests against the bugs of some numbers, or of all.
pub fn run(root: &Path, numbers: &[&str]) -> Result<()> {
    let wanted: BTreeSet<u32> = numbers
        .iter()
        .map(|own| own.parse().context("a number of a bug"))
        .collect::<Result<_>>()?;
    let known = BUGS.iter().map(|own| own.number).collect();
    ensure!(wanted.is_subset(&known), "no bug has such a number");
    let bugs: Vec<&Bug> = BUGS
        .iter()
        .filter(|own| wanted.is_empty() || wanted.contains(&own.number))
        .collect();
    let tests = build(root, &bugs)?;
    pass_without(&tests, &bugs)?;
    let mut found = Vec::new();
    for bug in &bugs {
        let outcome = look(&tests, bug)?;
        match &outcome {
            Found::By(test) => println!("{:2} caught by {test}", bug.number),
            Found::Nowhere => println!("{:2} MISSED: {}", bug.number, bug.what),
        }
        found.push(outcome);
    }
    let missed = found
        .iter()
        .filter(|own| matches!(own, Found::Nowhere))
        .count();
    println!("{} caught, {missed} missed", bugs.len() - missed);
    if wanted.is_empty() {
        std::fs::write(root.join("docs/planted.md"), page(&bugs, &found))?;
    }
    let may_be = if wanted.is_empty() { MAY_BE_MISSED } else { 0 };
    ensure!(missed <= may_be, "{missed} bugs were missed");
    Ok(())
}

/// Builds the test targets that are named, with the feature on.
fn build(root: &Path, bugs: &[&Bug]) -> Result<BTreeMap<String, PathBuf>> {
    let targets: BTreeSet<&str> = bugs
        .iter()
        .flat_map(|own| own.tests.iter().map(|(target, _)| *target))
        .collect();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args([
        "test",
        "--workspace",
        "--features=symbolon/full,symbolon-protocol/planted",
        "--no-run",
        "--message-format=json",
    ]);
    let is_library = |target: &&&str| target.starts_with("symbolon_");
    if targets.iter().any(|own| is_library(&own)) {
        cargo.arg("--lib");
    }
    for target in targets.iter().filter(|own| !is_library(own)) {
        cargo.args(["--test", target]);
    }
    let output = cargo.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the tests do not compile");
    let text = String::from_utf8(output.stdout)?;
    let built = text.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let name = message["target"]["name"].as_str()?.to_owned();
        let is_test = message["profile"]["test"] == true;
        let path = message["executable"].as_str().filter(|_| is_test)?;
        Some((name, PathBuf::from(path)))
    });
    let built: BTreeMap<_, _> = built.collect();
    let missing = targets.iter().find(|own| !built.contains_key(**own));
    ensure!(missing.is_none(), "cargo built no {missing:?}");
    Ok(built)
}

/// What is found without a bug says nothing about one.
fn pass_without(tests: &BTreeMap<String, PathBuf>, bugs: &[&Bug]) -> Result<()> {
    let named: BTreeSet<_> = bugs.iter().flat_map(|own| own.tests).collect();
    for (target, filter) in named {
        let failed = execute(&tests[*target], filter, None)?;
        ensure!(failed.is_none(), "{target} fails without a bug: {failed:?}");
    }
    Ok(())
}

fn look(tests: &BTreeMap<String, PathBuf>, bug: &Bug) -> Result<Found> {
    for (target, filter) in bug.tests {
        if let Some(test) = execute(&tests[*target], filter, Some(bug.number))? {
            return Ok(Found::By(format!("`{target}`: `{test}`")));
        }
    }
    Ok(Found::Nowhere)
}

/// Runs tests; the name of one that failed.
fn execute(test: &Path, filter: &str, planted: Option<u32>) -> Result<Option<String>> {
    let mut command = Command::new(test);
    if !filter.is_empty() {
        command.arg(filter);
    }
    match planted {
        Some(number) => command.env("SYMBOLON_PLANTED", number.to_string()),
        None => command.env_remove("SYMBOLON_PLANTED"),
    };
    let output = command.stderr(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        !text.contains("running 0 tests"),
        "no test of {} is called `{filter}`",
        test.display()
    );
    if output.status.success() {
        return Ok(None);
    }
    let failed = text.lines().find(|line| line.ends_with("... FAILED"));
    let name = failed.and_then(|line| line.split(' ').nth(1));
    Ok(Some(name.unwrap_or("it ended without a result").to_owned()))
}

/// The page that lists them.
fn page(bugs: &[&Bug], found: &[Found]) -> String {
    let mut text = "\
# Planted bugs

What shows that the tests find what they are for. Each of these bugs stands in the code behind `planted(n)`, which is `false` for the compiler unless the feature `planted` of `symbolon-protocol` is on; nothing that ships turns it on, and a test sees to that. `cargo run -p xtask -- planted [N…]` builds the tests once, runs those that are named for each bug with it there, and fails where more than one of all goes unnoticed. A run of all writes this page.

| bug | what is wrong | where | found by |
|---|---|---|---|
"
    .to_owned();
    for (bug, found) in bugs.iter().zip(found) {
        let by = match found {
            Found::By(test) => test,
            Found::Nowhere => "nothing",
        };
        // What takes all text never fails.
        let _ = writeln!(
            text,
            "| {} | {} | `{}` | {by} |",
            bug.number, bug.what, bug.file
        );
    }
    text
}

/// The numbers that the table names, and their files.
pub fn places() -> impl Iterator<Item = (u32, &'static str)> {
    BUGS.iter().map(|own| (own.number, own.file))
}
