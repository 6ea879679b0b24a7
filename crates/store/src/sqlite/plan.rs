//! What a migration of a SQLite file would run, without touching the file or
//! anything beside it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::file::beside;
use crate::dialect::Engine;
use crate::fault::Fault;
use crate::migration::{self, Migration};

/// Whether there is a table of migrations at all.
const HAS_TABLE: &str =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'migration'";

/// What is missing; a file that does not exist lacks all.
pub(crate) fn pending(path: &Path) -> Result<Vec<Migration>, Fault> {
    Ok(migration::pending(&applied(path)?))
}

/// What ran that this binary does not know.
pub(crate) fn newer(path: &Path) -> Result<Vec<i64>, Fault> {
    Ok(migration::newer(&applied(path)?))
}

/// The numbers of what ran.
fn applied(path: &Path) -> Result<Vec<i64>, Fault> {
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
