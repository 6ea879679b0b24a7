//! What a migration would do: its statements, the tables that they touch, how
//! many rows these have, which locks are held and for how long about.

use std::collections::BTreeSet;

use super::{Fill, Steps};
use crate::dialect::Engine;
use crate::migration::Migration;

/// One step that is to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// The number of the migration; of a filling, the one that it follows.
    pub number: i64,
    /// What it does, in a few words.
    pub name: &'static str,
    /// Which kind of step it is.
    pub phase: Phase,
    /// Whether it runs in chunks, and goes on where it was stopped.
    pub is_chunked: bool,
    /// Its statements, as the engine reads them.
    pub statements: Vec<PlannedStatement>,
}

/// Kinds of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It only adds.
    Expand,
    /// It writes rows.
    Fill,
    /// It takes away, by command alone.
    Contract,
}

impl Phase {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Fill => "fill",
            Self::Contract => "contract",
        }
    }
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStatement {
    /// Its text.
    pub text: String,
    /// The table that it touches.
    pub table: String,
    /// How many rows the table has; nothing where this plan makes it.
    pub rows: Option<u64>,
    /// The lock that it holds on that table.
    pub lock: Lock,
    /// How long it takes, about, in milliseconds.
    pub estimate_ms: u64,
}

/// What a lock keeps others from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Nothing: nobody knows the table yet, or others go on.
    Nothing,
    /// Writing.
    Writes,
    /// Everything.
    All,
}

impl Lock {
    /// What waits.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing waits",
            Self::Writes => "writes wait",
            Self::All => "reads and writes wait",
        }
    }
}

/// How many rows a second go into an index, and how many are written anew: on
/// the slower of the two engines, on two cores, less a third.
const INDEXED: u64 = 300_000;
const WRITTEN: u64 = 20_000;
/// What a statement takes that touches no rows, in milliseconds.
const SHORT_MS: u64 = 5;

/// How far a database is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress<'a> {
    pub(crate) engine: Engine,
    /// The numbers of the migrations that ran.
    pub(crate) applied: &'a [i64],
    /// The names of the fillings that are done.
    pub(crate) filled: &'a [String],
}

/// What is to come. `rows` says how many rows a table has.
pub(crate) fn plan(
    steps: &Steps,
    progress: &Progress<'_>,
    mut rows: impl FnMut(&str) -> u64,
) -> Vec<PlannedStep> {
    let mut made = BTreeSet::new();
    let engine = progress.engine;
    let missing = |own: &&Migration| !progress.applied.contains(&own.number);
    let mut planned = Vec::new();
    let phases = [
        (Phase::Expand, steps.expand),
        (Phase::Contract, steps.contract),
    ];
    for (phase, list) in phases {
        for step in list.iter().filter(missing) {
            let own = migration((step, phase), engine, &mut made, &mut rows);
            planned.push(own);
        }
        if phase == Phase::Expand {
            let is_done = |own: &&Fill| !progress.filled.iter().any(|name| name == own.name);
            let left = steps.fill.iter().filter(is_done);
            planned.extend(left.map(|fill| filling(fill, engine, &mut rows)));
        }
    }
    planned
}

fn migration(
    (step, phase): (&Migration, Phase),
    engine: Engine,
    made: &mut BTreeSet<String>,
    rows: &mut impl FnMut(&str) -> u64,
) -> PlannedStep {
    let text = engine.render(step.text);
    let statements = split(&text);
    let statements = statements.map(|text| statement(text, made, rows));
    PlannedStep {
        number: step.number,
        name: step.name,
        phase,
        is_chunked: false,
        statements: statements.collect(),
    }
}

fn filling(fill: &Fill, engine: Engine, rows: &mut impl FnMut(&str) -> u64) -> PlannedStep {
    let count = rows(fill.table);
    let statement = PlannedStatement {
        text: fill.chunk.text(engine).to_owned(),
        table: fill.table.to_owned(),
        rows: Some(count),
        lock: Lock::Nothing,
        estimate_ms: SHORT_MS + count * 1000 / WRITTEN,
    };
    PlannedStep {
        number: fill.after,
        name: fill.name,
        phase: Phase::Fill,
        is_chunked: true,
        statements: vec![statement],
    }
}

/// The statements of a migration: none of their texts has a semicolon inside.
pub(crate) fn split(text: &str) -> impl Iterator<Item = String> {
    let words = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
    // What is for the other engine alone stands behind such a sign.
    let is_said = |line: &&str| !line.trim_start().starts_with("--");
    let said = text.lines().filter(is_said).collect::<Vec<_>>().join("\n");
    let parts: Vec<String> = said.split(';').map(words).collect();
    parts.into_iter().filter(|part| !part.is_empty())
}

fn statement(
    text: String,
    made: &mut BTreeSet<String>,
    rows: &mut impl FnMut(&str) -> u64,
) -> PlannedStatement {
    let (verb, table) = target(&text);
    let is_new = made.contains(&table);
    let count = if verb == Verb::CreateTable || is_new || table.is_empty() {
        None
    } else {
        Some(rows(&table))
    };
    let there = count.unwrap_or(0);
    let (lock, per_second) = match verb {
        Verb::CreateTable => (Lock::Nothing, None),
        Verb::CreateIndex if text.contains("CONCURRENTLY") => (Lock::Nothing, Some(INDEXED / 3)),
        Verb::CreateIndex => (Lock::Writes, Some(INDEXED)),
        Verb::Insert => (Lock::Nothing, None),
        Verb::AddColumn => (Lock::All, None),
        Verb::Other => (Lock::All, Some(WRITTEN)),
    };
    if verb == Verb::CreateTable {
        made.insert(table.clone());
    }
    let spent = per_second.map_or(0, |each| there * 1000 / each);
    PlannedStatement {
        text,
        table,
        rows: count,
        lock: if is_new { Lock::Nothing } else { lock },
        estimate_ms: SHORT_MS + spent,
    }
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    CreateTable,
    CreateIndex,
    AddColumn,
    Insert,
    Other,
}

/// What a statement does, and to which table.
pub(crate) fn target(text: &str) -> (Verb, String) {
    let words: Vec<&str> = text
        .split([' ', '('])
        .filter(|word| !word.is_empty())
        .collect();
    let after = |word: &str| {
        let at = words.iter().position(|own| *own == word);
        at.and_then(|at| words.get(at + 1)).copied().unwrap_or("")
    };
    let verb = match *words.as_slice() {
        ["CREATE", "TABLE", ..] => Verb::CreateTable,
        ["CREATE", "INDEX", ..] | ["CREATE", "UNIQUE", "INDEX", ..] => Verb::CreateIndex,
        ["ALTER", "TABLE", _, "ADD", "COLUMN", ..] => Verb::AddColumn,
        ["INSERT", ..] => Verb::Insert,
        _ => Verb::Other,
    };
    let table = match verb {
        Verb::CreateIndex => after("ON"),
        Verb::Insert => after("INTO"),
        Verb::CreateTable | Verb::AddColumn => after("TABLE"),
        Verb::Other => ["TABLE", "UPDATE", "FROM"]
            .into_iter()
            .map(after)
            .find(|own| !own.is_empty())
            .unwrap_or(""),
    };
    (verb, table.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::MIGRATIONS;

    fn planned(text: &'static str) -> Vec<PlannedStatement> {
        let step = Migration {
            number: 1,
            name: "a step",
            text,
        };
        let rows = |table: &str| if table == "audit" { 3_000_000 } else { 0 };
        let (mut made, mut rows) = (BTreeSet::new(), rows);
        let engine = Engine::Postgres;
        migration((&step, Phase::Expand), engine, &mut made, &mut rows).statements
    }

    #[test]
    fn an_index_on_a_table_with_rows_keeps_writers_waiting_unless_it_is_concurrent() {
        let found = planned(
            "CREATE INDEX a ON audit (at); CREATE INDEX {concurrently} IF NOT EXISTS b ON audit (at)",
        );
        assert_eq!(
            (found[0].lock, found[0].rows),
            (Lock::Writes, Some(3_000_000))
        );
        assert_eq!(found[0].estimate_ms, 10_005);
        assert_eq!(found[1].lock, Lock::Nothing);
        assert_eq!(found[1].table, "audit");
    }

    #[test]
    fn what_a_migration_makes_itself_keeps_nobody_waiting() {
        let found = planned(
            "CREATE TABLE n (a {integer});\n CREATE INDEX i ON n (a); INSERT INTO n (a) VALUES (1)",
        );
        assert!(found.iter().all(|own| own.lock == Lock::Nothing));
        assert!(found.iter().all(|own| own.rows.is_none()));
    }

    /// What is there goes on being used by the version before, and nobody
    /// waits: a migration adds tables, columns that may be empty, and indexes
    /// of its own tables or concurrent ones; or it gives a table another name.
    #[test]
    fn every_migration_from_the_fifth_on_only_adds_and_keeps_nobody_waiting() {
        for step in MIGRATIONS.iter().filter(|step| step.number > 4) {
            let mut made = BTreeSet::new();
            let step = (step, Phase::Expand);
            let planned = migration(step, Engine::Postgres, &mut made, &mut |_| 1_000_000);
            for own in planned.statements {
                let (verb, _) = target(&own.text);
                // A constant is not written into the rows that are there.
                let given = own.text.split(" DEFAULT ").nth(1).unwrap_or_default();
                let is_constant =
                    given.starts_with(|own: char| own == '\'' || own.is_ascii_digit());
                let is_filled = own.text.contains("NOT NULL") && !is_constant;
                let adds_column = verb == Verb::AddColumn && !is_filled;
                // Over in a moment, however many rows there are.
                let is_short = [" RENAME TO ", " ATTACH PARTITION "]
                    .iter()
                    .any(|part| own.text.contains(part));
                assert!(
                    own.lock == Lock::Nothing || adds_column || is_short,
                    "{}: {}",
                    step.0.number,
                    own.text
                );
            }
        }
    }
}
