//! Refresh among ten thousand families and among five million: whether what is
//! remembered of others slows anybody down.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rusqlite::{CachedStatement, Connection, params};

use crate::bench::{Bench, Rounds, milliseconds};
use crate::figure::{Bound, Figure};
use crate::load::{CONNECTIONS, Run};
use crate::measure::refresh::Chains;
use crate::process::Process;
use crate::server::{Home, people};
use crate::sign_in;

const FEW: usize = 10_000;
const MANY: usize = 5_000_000;
/// How many people renew, each in a slot of their own as good as always, and
/// how many families each has.
const PEOPLE: usize = 512;
const EACH: usize = 8;
/// How many slots there are.
const SLOTS: i64 = 1024;
/// Bytes of the ids and secrets of one made-up family.
const DRAWN: usize = 5 * ID_BYTES;
const ID_BYTES: usize = 16;

pub(crate) fn families(bench: &Bench) -> Result<Vec<Figure>> {
    let few = Installation::new(bench, "families-few", FEW)?;
    let many = Installation::new(bench, "families-many", MANY)?;
    let (mut own, mut others) = (few.start(bench)?, many.start(bench)?);

    let rounds = bench.interleave(|| own.run(bench), || others.run(bench))?;

    let resident = others.process.resident()?;
    own.process.stop()?;
    others.process.stop()?;
    let size = std::fs::metadata(many.home.database())?.len() >> 20;
    Ok(vec![
        p99(
            "refresh among 10,000 families, p99",
            Vec::new(),
            &rounds.floor,
        ),
        p99(
            "refresh among 5,000,000 families, p99",
            milliseconds_of(&rounds.floor),
            &rounds.ours,
        )
        .note(format!("{size} MiB on disk")),
        rate(&rounds),
        Figure::new("memory, 5,000,000 families, under load", "MiB", Bound::None)
            .rounds(Vec::new(), vec![resident]),
    ])
}

fn p99(what: &str, floor: Vec<f64>, runs: &[Run]) -> Figure {
    let bound = Bound::AtMost(25.0);
    Figure::new(what, "ms", bound).rounds(floor, milliseconds_of(runs))
}

fn milliseconds_of(runs: &[Run]) -> Vec<f64> {
    runs.iter().map(|run| milliseconds(run.p99)).collect()
}

fn rate(rounds: &Rounds<Run, Run>) -> Figure {
    rounds.rate("refresh among 5,000,000 families", Bound::None)
}

/// A server's folder, in whose database so many families live.
struct Installation {
    home: Home,
    tokens: Vec<String>,
}

impl Installation {
    fn new(bench: &Bench, name: &str, number: usize) -> Result<Self> {
        let home = Home::on_sqlite(bench, name)?;
        home.add(&people(PEOPLE))?;
        let process = home.start(bench)?;
        let mut tokens = Vec::with_capacity(PEOPLE * EACH);
        for n in 0..PEOPLE {
            let username = format!("person{n}");
            tokens.extend(sign_in::families_of(&username, process.address, EACH)?);
        }
        process.stop()?;
        fill(&home.database(), number).context("could not fill the database")?;
        Ok(Self { home, tokens })
    }

    /// Starts the server on it. Each connection renews families in turn, those
    /// of many people.
    fn start(&self, bench: &Bench) -> Result<Renewing> {
        let process = self.home.start(bench)?;
        let groups = (0..CONNECTIONS).map(|connection| {
            let own = self.tokens.iter().skip(connection).step_by(CONNECTIONS);
            own.cloned().collect()
        });
        let chains = Chains::new(process.address, groups.collect());
        Ok(Renewing { process, chains })
    }
}

struct Renewing {
    process: Process,
    chains: Chains,
}

impl Renewing {
    fn run(&mut self, bench: &Bench) -> Result<Run> {
        self.chains.run(bench, &self.process)
    }
}

/// Adds families until there are so many, each of a person of its own with a
/// grant and a session that are as the real ones are. Nobody has their tokens.
fn fill(database: &Path, number: usize) -> Result<()> {
    let connection = Connection::open(database)?;
    connection.execute_batch(
        "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; PRAGMA cache_size = -1500000;",
    )?;
    let there: i64 = connection.query_row("SELECT count(*) FROM family", [], |row| row.get(0))?;
    let missing = i64::try_from(number)? - there;
    ensure!(missing >= 0, "more families than were asked for");
    for slot in 0..SLOTS {
        let until = |slot: i64| missing * slot / SLOTS;
        let share = usize::try_from(until(slot + 1) - until(slot))?;
        connection.execute_batch("BEGIN")?;
        fill_slot(&connection, slot, share)?;
        connection.execute_batch("COMMIT")?;
    }
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    let whole: i64 = connection.query_row("SELECT count(*) FROM family", [], |row| row.get(0))?;
    ensure!(
        whole == i64::try_from(number)?,
        "{whole} families in the end"
    );
    Ok(())
}

/// Copies one real family, its authority, its grant and its session, with ids
/// of their own.
fn fill_slot(connection: &Connection, slot: i64, share: usize) -> Result<()> {
    let bytes = i64::try_from(share * DRAWN)?;
    let drawn: Vec<u8> =
        connection.query_row("SELECT randomblob(max(1, ?1))", [bytes], |row| row.get(0))?;
    let one = "(slot, id) = (SELECT slot, id FROM family_authority LIMIT 1)";
    let mut family = copying(
        connection,
        "family",
        one,
        &[
            ("slot", "?1"),
            ("id", "?2"),
            ("generation", "3"),
            ("current_secret", "?3"),
            ("previous_secret", "?4"),
            ("absolute_ends", "absolute_ends - abs(random() % 86400000)"),
        ],
    )?;
    let mut authority = copying(
        connection,
        "family_authority",
        "true",
        &[
            ("slot", "?1"),
            ("id", "?2"),
            ("grant_id", "?3"),
            ("session_id", "?4"),
            ("person", "?5"),
        ],
    )?;
    let of_person = [("slot", "?1"), ("id", "?2"), ("person", "?3")];
    let mut grant = copying(connection, "grants", "true", &of_person)?;
    let mut session = copying(connection, "session", "true", &of_person)?;
    for own in drawn.chunks_exact(DRAWN).take(share) {
        let mut parts = own.chunks_exact(ID_BYTES);
        let mut next = || parts.next().unwrap_or_default();
        let mut id = || {
            let mut id = next().to_vec();
            let [high, low] = u16::try_from(slot).unwrap_or_default().to_be_bytes();
            id[..2].copy_from_slice(&[high, low]);
            id
        };
        let (family_id, grant_id, session_id, person) = (id(), id(), id(), id());
        let secret = next();
        family.execute(params![slot, family_id, secret, secret])?;
        authority.execute(params![slot, family_id, grant_id, session_id, person])?;
        grant.execute(params![slot, grant_id, person])?;
        session.execute(params![slot, session_id, person])?;
    }
    Ok(())
}

/// A statement that copies one row of a table, but for the columns that are
/// given anew.
fn copying<'c>(
    connection: &'c Connection,
    table: &str,
    which: &str,
    anew: &[(&str, &str)],
) -> Result<CachedStatement<'c>> {
    let mut asked = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let columns: Vec<String> = asked
        .query_map([table], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for (name, _) in anew {
        ensure!(
            columns.iter().any(|own| own == name),
            "{table} has no {name}"
        );
    }
    let value = |column: &String| {
        let given = anew.iter().find(|(name, _)| name == column);
        given.map_or(column.clone(), |(_, value)| (*value).to_owned())
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    let statement = format!(
        "INSERT INTO {table} ({}) SELECT {} FROM {table} WHERE {which} LIMIT 1",
        columns.join(", "),
        values.join(", ")
    );
    Ok(connection.prepare_cached(&statement)?)
}
