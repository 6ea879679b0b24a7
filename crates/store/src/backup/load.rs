//! Loads a backup: one transaction, or nothing.
//!
//! 1. The file is checked from end to end before the store is touched.
//! 2. The tables are made as they were when the backup was made, and filled.
//! 3. Later migrations run over them, and a new epoch begins.
//! 4. What was loaded has the digest that was checked, or nothing is kept.

use std::path::Path;

use symbolon_protocol::planted;

use super::catalog::{self, Table};
use super::file::{self, Reading};
use super::target::Target;
use super::void::NewEpoch;
use super::{BackupError, Contents, SealsBackups, hex, open};
use crate::fault::Fault;
use crate::migration::MIGRATIONS;
use crate::store::Options;

/// What becomes of what a store holds already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is restored.
    Keep,
    /// It is deleted.
    Delete,
}

/// What to restore, and how.
pub struct Restore<'a> {
    /// The backup.
    pub path: &'a Path,
    /// Who opens its seal.
    pub seals: &'a dyn SealsBackups,
    /// What becomes of what is there.
    pub existing: Existing,
    /// The epoch that begins.
    pub epoch: NewEpoch,
}

/// Tables in which a schema has rows from its beginning.
const ALWAYS: [&str; 4] = ["audit_head", "feed_head", "job", "status_head"];
/// How often a database that is in use is asked for its tables.
const TRIES: usize = 5;

/// Restores a backup; answers with what was in it and the new epoch.
pub async fn restore(
    options: &Options,
    restore: Restore<'_>,
) -> Result<(Contents, i64), BackupError> {
    let contents = file::check(restore.path, Some(restore.seals))?;
    let mut target = begin(options).await?;
    match fill(&mut target, &restore, &contents).await {
        Ok(epoch) => {
            target.commit().await?;
            Ok((contents, epoch))
        }
        Err(error) => {
            target.roll_back().await;
            Err(error)
        }
    }
}

/// The store to oneself. Nodes that work meanwhile wait, or are told that the
/// store is unavailable.
async fn begin(options: &Options) -> Result<Target, BackupError> {
    let ours = ours()?;
    for _ in 1..TRIES {
        match Target::begin(options, &ours).await {
            Err(fault) if fault.is_unavailable() && !fault.is_held() => {}
            outcome => return Ok(outcome?),
        }
    }
    Ok(Target::begin(options, &ours).await?)
}

/// Every table that a version of this program makes.
fn ours() -> Result<Vec<Table>, Fault> {
    let all: Vec<i64> = MIGRATIONS.iter().map(|own| own.number).collect();
    catalog::tables(&all)
}

async fn fill(
    target: &mut Target,
    restore: &Restore<'_>,
    contents: &Contents,
) -> Result<i64, BackupError> {
    let later_than = clear(target, restore.existing).await?;
    let before = &contents.manifest.migrations;
    target.migrate(|number| before.contains(&number)).await?;
    let mut reading = Reading::begin(open(restore.path)?)?;
    while let Some(table) = reading.table()? {
        target.empty(&table).await?;
        target.load(&table, &mut reading).await?;
    }
    let (_, ending) = reading.end(&contents.tables)?;
    if hex(&ending.digest) != contents.sha256 {
        return Err(BackupError::Damaged {
            line: 1,
            what: "the file was changed while it was read",
        });
    }
    target.migrate(|number| !before.contains(&number)).await?;
    let epoch = NewEpoch {
        later_than: later_than.max(restore.epoch.later_than),
        ..restore.epoch.clone()
    };
    if planted(14) {
        return Ok(later_than);
    }
    Ok(target.act(&epoch).await?)
}

/// Takes away what is there, where that was asked for; answers the epoch that
/// it had.
async fn clear(target: &mut Target, existing: Existing) -> Result<i64, BackupError> {
    let there = target.tables();
    let applied = match there.iter().any(|name| name == "migration") {
        true => {
            target
                .numbers("SELECT number FROM migration ORDER BY number")
                .await?
        }
        false => Vec::new(),
    };
    if let Some(newer) = catalog::unknown(&applied) {
        return Err(BackupError::Newer(newer));
    }
    let mut filled = Vec::new();
    for name in there.iter().filter(|name| *name != "migration") {
        let text = format!("SELECT count(*) FROM (SELECT 1 FROM {name} LIMIT 1) AS one");
        let has_rows = target.numbers(&text).await? != [0];
        if has_rows && !ALWAYS.contains(&name.as_str()) {
            filled.push(name.clone());
        }
    }
    if !filled.is_empty() && existing == Existing::Keep {
        return Err(BackupError::NotEmpty(filled.join(", ")));
    }
    let mut epoch = 0;
    if there.iter().any(|name| name == "feed_head") {
        let text = "SELECT epoch FROM feed_head WHERE one = 1";
        epoch = target.numbers(text).await?.first().copied().unwrap_or(0);
    }
    for name in there {
        target.batch(&format!("DROP TABLE {name}")).await?;
    }
    Ok(epoch)
}
