//! A look at a database from outside, while others work on it: what a doctor
//! asks. Nothing is made and nothing changed.

use std::path::Path;

use symbolon_protocol::Timestamp;

use crate::backup::catalog;
use crate::backup::engine::Snapshot;
use crate::fault::Fault;
use crate::migration;
use crate::row::Row;
use crate::schema::{STEPS, level};
use crate::sqlite::sound;
use crate::store::{Options, sqlite_path};

/// What was found.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The engine: `sqlite` or `postgres`.
    pub engine: &'static str,
    /// Migrations that this version knows and that did not run.
    pub pending: Vec<i64>,
    /// Migrations that ran and that this version does not know.
    pub newer: Vec<i64>,
    /// The feature level, where this version is below it.
    pub too_high_level: Option<i64>,
    /// Tables and columns that should be there and are not.
    pub lacks: Vec<String>,
    /// The database's own clock, where it has one.
    pub clock: Option<Timestamp>,
    /// The oldest audit row that is not linked.
    pub unlinked_since: Option<Timestamp>,
    /// The oldest end among what a purge should have removed.
    pub expired_since: Option<Timestamp>,
    /// The keys in use: their purpose, and since when.
    pub keys: Vec<(String, Timestamp)>,
    /// Purposes that have keys, and none that is next.
    pub without_next: Vec<String>,
    /// The fingerprint of the master key that all keys are sealed under.
    pub master: Option<Vec<u8>>,
}

/// Looks at a database. Where its files are damaged, that is the fault.
pub async fn examine(options: &Options) -> Result<Examined, Fault> {
    if let Some(path) = sqlite_path(&options.url).map(Path::new)
        && path.exists()
    {
        sound::look_over(path)?;
    }
    let mut snapshot = Snapshot::open(options).await?;
    let applied = snapshot.migrations().await?;
    let mut found = Examined {
        engine: snapshot.engine(),
        pending: migration::pending(&applied)
            .iter()
            .map(|own| own.number)
            .collect(),
        newer: migration::newer(&applied),
        too_high_level: None,
        lacks: lacks(&mut snapshot, &applied).await?,
        clock: None,
        unlinked_since: None,
        expired_since: None,
        keys: Vec::new(),
        without_next: Vec::new(),
        master: None,
    };
    if found.engine == "postgres" {
        let clock = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        found.clock = time(&mut snapshot, clock).await?;
    }
    if applied.is_empty() || !found.lacks.is_empty() {
        snapshot.close().await?;
        return Ok(found);
    }
    let level = level::read(&mut snapshot).await?;
    found.too_high_level = (level > STEPS.last()).then_some(level);
    if found.pending.is_empty() {
        found.unlinked_since = time(
            &mut snapshot,
            "SELECT MIN(a.at) FROM audit_node n JOIN audit a
                ON a.node = n.node AND a.counter >= n.next",
        )
        .await?;
    }
    found.expired_since = time(
        &mut snapshot,
        "SELECT MIN(ends) FROM (SELECT MIN(expires) AS ends FROM revocation
            UNION ALL SELECT MIN(ends) FROM attempt) AS both_of_them",
    )
    .await?;
    keys(&mut snapshot, &mut found).await?;
    found.master = master(&mut snapshot).await?;
    snapshot.close().await?;
    Ok(found)
}

async fn time(snapshot: &mut Snapshot, text: &str) -> Result<Option<Timestamp>, Fault> {
    let mut found = None;
    snapshot
        .each(text, |row| {
            found = row.time_or_none(0)?;
            Ok(())
        })
        .await?;
    Ok(found)
}

async fn master(snapshot: &mut Snapshot) -> Result<Option<Vec<u8>>, Fault> {
    let text = format!(
        "SELECT value FROM meta WHERE name = '{}'",
        crate::MASTER_KEY
    );
    let mut found = None;
    let read = |row: Row| {
        found = Some(row.bytes(0)?.to_vec());
        Ok(())
    };
    snapshot.each(&text, read).await?;
    Ok(found)
}

async fn lacks(snapshot: &mut Snapshot, applied: &[i64]) -> Result<Vec<String>, Fault> {
    let text = match snapshot.engine() {
        "sqlite" => {
            "SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c
            WHERE t.type = 'table'"
        }
        _ => {
            "SELECT table_name::text || '.' || column_name::text FROM information_schema.columns
            WHERE table_schema = current_schema()"
        }
    };
    let mut there = std::collections::BTreeSet::new();
    let read = |row: Row| {
        there.insert(row.string(0)?);
        Ok(())
    };
    snapshot.each(text, read).await?;
    let wanted = catalog::tables(applied)?.into_iter().flat_map(|table| {
        let name = table.name.clone();
        let columns = table.columns.into_iter();
        columns
            .map(move |(column, _)| format!("{name}.{column}"))
            .collect::<Vec<_>>()
    });
    Ok(wanted.filter(|own| !there.contains(own)).collect())
}

async fn keys(snapshot: &mut Snapshot, found: &mut Examined) -> Result<(), Fault> {
    let text = "SELECT purpose, state, COALESCE(activated, created) FROM working_key
        WHERE state IN ('active', 'next') ORDER BY purpose, number";
    let mut next = Vec::new();
    let read = |row: Row| {
        match row.text(1)? {
            "active" => found.keys.push((row.string(0)?, row.time(2)?)),
            _ => next.push(row.string(0)?),
        }
        Ok(())
    };
    snapshot.each(text, read).await?;
    let purposes = found.keys.iter().map(|(purpose, _)| purpose.clone());
    found.without_next = purposes.filter(|own| !next.contains(own)).collect();
    Ok(())
}
