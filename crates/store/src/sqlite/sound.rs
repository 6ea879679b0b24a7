//! Whether a database is sound, asked before anything is believed of it.
//!
//! 1. The log, before SQLite reads it: it would forget what lies behind damage.
//! 2. The structure of the file, up to a size that costs a start no more than a
//!    blink; the doctor looks at files of any size.
//! 3. The records of what was taken back against their indexes, where each
//!    stands a second time: a record that changed would let a dead token live.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::file::{self, Lock};
use super::log_file;
use crate::fault::Fault;

/// How large a file is looked at, at a start: a fifth of a second's worth.
const MOST_BYTES: i64 = 128 * 1024 * 1024;
/// How many records are compared, at a start: a tenth of a second's worth.
const MOST_RECORDS: i64 = 20_000;
/// What is left to do.
const REPAIR: &str = "move its files away and `symbolon restore` the last backup";

/// Opens the one connection that writes, on a database that is sound. Nobody
/// else may have it open.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, Fault> {
    check_log(path)?;
    let opened = file::open_writer(path).and_then(|connection| {
        check(&connection, path)?;
        Ok(connection)
    });
    opened.map_err(|fault| named(path, fault))
}

/// Looks at all of a database, of any size, beside whoever works on it.
pub(crate) fn look_over(path: &Path) -> Result<(), Fault> {
    let lock = file::beside(path, ".lock");
    // Made by whoever works on it first; a log that grows is not looked at.
    let lock = lock
        .exists()
        .then(|| Lock::take(path, Duration::ZERO))
        .transpose();
    if !matches!(&lock, Err(fault) if fault.is_held()) {
        check_log(path)?;
    }
    let looked = file::open_reader(path)
        .and_then(|connection| look(&connection, "PRAGMA integrity_check(1)", path));
    looked.map_err(|fault| named(path, fault))
}

/// The same fault, with the file where it says that one is damaged.
fn named(path: &Path, fault: Fault) -> Fault {
    let said = fault.to_string();
    match fault.is_damaged() && !said.contains(REPAIR) {
        true => damaged(path, &said),
        false => fault,
    }
}

fn check_log(path: &Path) -> Result<(), Fault> {
    let flaw = log_file::flaw(path).map_err(|error| {
        let what = format!("the log of `{}`: {}", path.display(), error.kind());
        Fault::unavailable(format!("could not read {what}"))
    })?;
    flaw.map_or(Ok(()), |flaw| Err(damaged(path, &flaw)))
}

/// Refuses a database that is damaged, as far as a start may look.
fn check(connection: &Connection, path: &Path) -> Result<(), Fault> {
    let asked = |text: &str| connection.query_row(text, [], |row| row.get::<_, i64>(0));
    let size = asked("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")?;
    if size <= MOST_BYTES {
        look(connection, "PRAGMA quick_check(1)", path)?;
    }
    let has_records =
        asked("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'revocation'")?;
    if has_records == 0 {
        return Ok(());
    }
    let records = format!(
        "SELECT count(*) FROM (SELECT 1 FROM revocation LIMIT {})",
        MOST_RECORDS + 1
    );
    if asked(&records)? <= MOST_RECORDS {
        look(connection, "PRAGMA integrity_check(revocation)", path)?;
    }
    Ok(())
}

/// SQLite's own words name pages, tables and indexes, and hold no values.
fn look(connection: &Connection, text: &str, path: &Path) -> Result<(), Fault> {
    let told: String = connection.query_row(text, [], |row| row.get(0))?;
    if told == "ok" {
        return Ok(());
    }
    let first = told.lines().find(|line| !line.starts_with("***"));
    Err(damaged(path, first.unwrap_or("it is not sound")))
}

fn damaged(path: &Path, flaw: &str) -> Fault {
    Fault::damaged(format!(
        "`{}` is damaged ({flaw}); {REPAIR}",
        path.display()
    ))
}
