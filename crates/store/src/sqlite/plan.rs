//! How far the schema of a SQLite file is, told without touching the file or
//! anything beside it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::file::beside;
use crate::dialect::Engine;
use crate::fault::Fault;
use crate::migration;

/// Whether there is a table of migrations at all.
const HAS_TABLE: &str =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'migration'";

/// The numbers of what ran.
pub(crate) fn applied(path: &Path) -> Result<Vec<i64>, Fault> {
    let exists = path.try_exists().map_err(|error| {
        let what = format!("could not look for `{}`: {}", path.display(), error.kind());
        Fault::unavailable(what)
    })?;
    if !exists {
        return Ok(Vec::new());
    }
    let connection = open(path)?;
    let has_table: i64 = connection.query_row(HAS_TABLE, [], |row| row.get(0))?;
    if has_table == 0 {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare(migration::APPLIED.text(Engine::Sqlite))?;
    let applied: Result<Vec<i64>, _> = statement.query_map([], |row| row.get(0))?.collect();
    Ok(applied?)
}

/// The names of the fillings that are done.
pub(crate) fn filled(path: &Path) -> Result<Vec<String>, Fault> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let connection = open(path)?;
    let Ok(mut statement) = connection.prepare("SELECT name FROM schema_fill") else {
        return Ok(Vec::new());
    };
    let names: Result<Vec<String>, _> = statement.query_map([], |row| row.get(0))?.collect();
    Ok(names?)
}

/// How many rows a table has; none where there is no such table.
pub(crate) fn rows_of(path: &Path, table: &str) -> u64 {
    let text = format!("SELECT count(*) FROM {table}");
    let counted = open(path).and_then(|connection| {
        let count: i64 = connection.query_row(&text, [], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    });
    counted.unwrap_or(0)
}

/// A database in WAL mode makes files beside itself when it is opened, unless
/// it is said to be immutable: true where no log is left to be read. Where one
/// is, its files exist already.
fn open(path: &Path) -> Result<Connection, Fault> {
    let log = std::fs::metadata(beside(path, "-wal")).map_or(0, |log| log.len());
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push_str(if log == 0 { "?immutable=1" } else { "?mode=ro" });
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Connection::open_with_flags(uri, flags)?)
}
