//! The files of the database: who may read them, who holds them, how they open.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use symbolon_protocol::planted;

use crate::fault::Fault;

/// How many prepared statements a connection keeps.
const PREPARED: usize = 128;
/// How long a connection waits for another's lock.
pub(crate) const BUSY: Duration = Duration::from_secs(2);
/// How often whoever waits for the lock looks whether it is free.
const LOOK: Duration = Duration::from_millis(5);

/// Makes the folder (0700) and the file (0600), whatever the umask says. The
/// log and the shared memory take the file's mode from SQLite.
pub(crate) fn create(path: &Path) -> Result<(), Fault> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(folder)
            .map_err(|error| at("make the folder of", path, &error))?;
    }
    private(path).map_err(|error| at("make", path, &error))?;
    Ok(())
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn at(what: &str, path: &Path, error: &io::Error) -> Fault {
    Fault::unavailable(format!(
        "could not {what} `{}`: {}",
        path.display(),
        error.kind()
    ))
}

/// Held by the one process that has the database open. SQLite itself would let
/// a second one in, whose writer would not be ours.
pub(crate) struct Lock(Mutex<Option<File>>);

impl Lock {
    /// Takes it, or waits for as long as it is told to: nothing of the database
    /// is looked at before the other process has let go of all of it.
    pub(crate) fn take(path: &Path, patience: Duration) -> Result<Self, Fault> {
        let path = beside(path, ".lock");
        let file = private(&path).map_err(|error| at("open", &path, &error))?;
        let mut waited = Duration::ZERO;
        while file.try_lock().is_err() {
            if waited >= patience {
                return Err(Fault::held(format!(
                    "another process has this database open: it holds `{}`",
                    path.display()
                )));
            }
            std::thread::sleep(LOOK);
            waited += LOOK;
        }
        Ok(Self(Mutex::new(Some(file))))
    }

    pub(crate) fn release(&self) {
        let Ok(mut file) = self.0.lock() else { return };
        if let Some(file) = file.take() {
            // A child that has not begun its own program yet shares the file, and
            // would hold the lock beyond its closing.
            let _ = file.unlock();
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.release();
    }
}

pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The one connection that writes.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(path, flags)?;
    // FULL: every commit is on disk before anyone is answered. Checkpoints are
    // the checkpointer's, so the automatic one is off.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -8192;",
    )?;
    if planted(37) {
        connection.execute_batch("PRAGMA synchronous = OFF")?;
    }
    Ok(connection)
}

/// A connection that only reads.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(path, flags)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -2048;")?;
    Ok(connection)
}

/// The connection that copies the log back into the database.
pub(crate) fn open_checkpointer(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(path, flags)?;
    // FULL here too: a checkpoint syncs the database before the log is reused.
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA cache_size = -256;",
    )?;
    Ok(connection)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, Fault> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    // Otherwise a plan may be made anew for every value that is bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY;")?;
    Ok(connection)
}

/// Copies the whole log back and empties it, when nobody else is at it.
pub(crate) fn fold_log(path: &Path) {
    if let Ok(connection) = open_checkpointer(path) {
        // Where it fails, the next start finds the log and reads it.
        let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
}
