//! A PostgreSQL database of its own, and the floor of refresh there: pgbench
//! running the same statement.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::clock;
use crate::measure::ROTATE;

/// How many connections pgbench has.
const CONNECTIONS: i64 = 32;
/// Above every slot of the server, so that its families are left alone.
const FIRST_SLOT: i64 = 5000;

/// A database that is dropped at the end.
pub(crate) struct Database {
    maintenance: String,
    name: String,
    url: String,
}

impl Database {
    pub(crate) fn create(url: &str) -> Result<Self> {
        let name = format!("symbolon_bench_{}", std::process::id());
        sql(url, &format!("CREATE DATABASE {name}"))?;
        let (base, query) = match url.split_once('?') {
            Some((base, query)) => (base, format!("?{query}")),
            None => (url, String::new()),
        };
        let (scheme, rest) = base.split_once("://").context("not a PostgreSQL URL")?;
        let authority = rest.split('/').next().unwrap_or_default();
        Ok(Self {
            maintenance: url.to_owned(),
            url: format!("{scheme}://{authority}/{name}{query}"),
            name,
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What keeps a commit here from being durable, in words.
    pub(crate) fn lax(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let value = sql(&self.url, &format!("SHOW {setting}"))?;
            if value.trim() == "off" {
                found.push(format!("{setting} = off"));
            }
        }
        Ok(found)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        if let Err(error) = sql(&self.maintenance, &drop) {
            eprintln!("could not drop {}: {error:#}", self.name);
        }
    }
}

/// Families that only pgbench writes, beside the server's own in its tables.
pub(crate) struct Rotations<'a> {
    database: &'a Database,
    script: PathBuf,
}

impl<'a> Rotations<'a> {
    /// Copies one family of the server for each of pgbench's connections.
    pub(crate) fn prepare(database: &'a Database, folder: &Path) -> Result<Self> {
        let url = database.url();
        let found = sql(
            url,
            "SELECT encode(a.id, 'hex'), a.client, f.working_key FROM family f
             JOIN family_authority a ON a.slot = f.slot AND a.id = f.id LIMIT 1",
        )?;
        let mut cells = found.trim().split('|');
        let mut cell = || cells.next().context("the server has no family");
        let (id, client, key) = (cell()?, cell()?, cell()?);
        sql(url, &copies(id))?;
        let script = folder.join("rotate.sql");
        std::fs::write(&script, script_text(id, client, key))?;
        Ok(Self { database, script })
    }

    /// Rotations a second.
    pub(crate) fn run(&self, seconds: u64) -> Result<f64> {
        let url = self.database.url();
        let secret = secret();
        sql(
            url,
            &format!(
                "UPDATE family SET generation = 0, current_secret = {secret} WHERE slot >= {FIRST_SLOT}"
            ),
        )?;
        let output = Command::new(program("pgbench"))
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
            .arg(format!("--client={CONNECTIONS}"))
            .arg(format!("--time={seconds}"))
            .args(["--define=generation=0", "--file"])
            .arg(&self.script)
            .arg(url)
            .output()
            .context("could not start pgbench")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pgbench: {errors}");
        let rate: f64 = after(&said, "tps = ")?.parse()?;
        let done: f64 = after(&said, "actually processed: ")?.parse()?;
        let written = sql(
            url,
            &format!("SELECT sum(generation) FROM family WHERE slot >= {FIRST_SLOT}"),
        )?;
        let written: f64 = written.trim().parse()?;
        // A statement that matches no row is fast, and no floor.
        ensure!(written >= done, "pgbench wrote {written} rows of {done}");
        Ok(rate)
    }
}

/// The number after a word in what pgbench says.
fn after<'s>(said: &'s str, word: &str) -> Result<&'s str> {
    let (_, rest) = said.split_once(word).context("pgbench said no figure")?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
    Ok(end.map_or(rest, |end| &rest[..end]))
}

fn secret() -> String {
    format!("'\\x{}'::bytea", "5e".repeat(16))
}

/// One family with all that its rotation looks at, once for each connection.
fn copies(id: &str) -> String {
    let secret = secret();
    let slots = format!("generate_series({FIRST_SLOT}, {FIRST_SLOT} + {CONNECTIONS} - 1) n");
    format!(
        "INSERT INTO family (slot, id, generation, current_secret, working_key, rotated, idle_ends, absolute_ends)
            SELECT n, id, 0, {secret}, working_key, rotated, idle_ends, absolute_ends
            FROM family, {slots} WHERE id = '\\x{id}';
        INSERT INTO grants (slot, id, person, client, organization, agreement, created, updated, epoch, sequence)
            SELECT n, g.id, g.person, g.client, g.organization, g.agreement, g.created, g.updated, g.epoch, g.sequence
            FROM grants g JOIN family_authority a ON a.grant_id = g.id, {slots} WHERE a.id = '\\x{id}';
        INSERT INTO session (slot, id, person, secret, authenticated, created, seen, idle_ends, absolute_ends, acr, amr, device, epoch, sequence)
            SELECT n, s.id, s.person, s.secret, s.authenticated, s.created, s.seen, s.idle_ends, s.absolute_ends, s.acr, s.amr, s.device, s.epoch, s.sequence
            FROM session s JOIN family_authority a ON a.session_id = s.id, {slots} WHERE a.id = '\\x{id}';
        INSERT INTO family_authority (slot, id, grant_id, session_id, client, person, created, epoch, sequence, document)
            SELECT n, id, grant_id, session_id, client, person, created, epoch, sequence, document
            FROM family_authority, {slots} WHERE id = '\\x{id}'"
    )
}

/// The store's statement with pgbench's variables for its parameters.
fn script_text(id: &str, client: &str, key: &str) -> String {
    let now = clock::unix_milliseconds();
    let secret = secret();
    let values = [
        ("?1", ":slot".to_owned()),
        ("?2", format!("'\\x{id}'::bytea")),
        ("?3", ":generation".to_owned()),
        ("?4", secret.clone()),
        ("?5", secret),
        ("?6", key.to_owned()),
        ("?7", now.to_string()),
        ("?8", (now + 1_000_000_000).to_string()),
        ("?9", format!("'{client}'")),
        ("min(", "LEAST(".to_owned()),
    ];
    let mut statement = ROTATE.to_owned();
    for (parameter, value) in values {
        statement = statement.replace(parameter, &value);
    }
    format!(
        "\\set slot {FIRST_SLOT} + :client_id\n{statement};\n\\set generation :generation + 1\n"
    )
}

/// Runs SQL by psql; the rows come back with `|` between columns.
fn sql(url: &str, text: &str) -> Result<String> {
    let output = Command::new(program("psql"))
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
        .args(["--set=ON_ERROR_STOP=1", "--command"])
        .args([OsStr::new(text), OsStr::new(url)])
        .output()
        .context("could not start psql")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "psql: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

/// A program of PostgreSQL: Debian keeps some of them out of the path.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql");
    let mut found: Vec<_> = versions
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin").join(name))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from(name))
}
