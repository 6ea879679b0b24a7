//! Copies the write-ahead log back into the database, beside the writer.
//!
//! A passive checkpoint never resets a log that is always being written, so
//! past a length the writer itself restarts it between two groups: by then
//! most of it has been copied, and that is short.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;

use super::file;
use super::thread::{Handle, Thread};
use crate::fault::Fault;

const INTERVAL: Duration = Duration::from_millis(200);
/// How long the writer waits for readers before it restarts the log.
const SHORT: Duration = Duration::from_millis(20);
/// 64 MiB in pages of 4 KiB.
const LONG: i64 = 16 * 1024;

/// How long the log is, as far as the last checkpoint saw.
#[derive(Default)]
pub(crate) struct Log {
    grew: AtomicBool,
    pages: AtomicI64,
}

impl Log {
    pub(crate) fn grew(&self) {
        self.grew.store(true, Ordering::Relaxed);
    }

    /// Called by the writer between two groups.
    pub(crate) fn restart_when_long(&self, writer: &Connection) {
        if self.pages.load(Ordering::Relaxed) < LONG {
            return;
        }
        // Where a reader is in the way, the next passive checkpoint asks again:
        // a backup reads for as long as it needs, and no act waits for it.
        let _ = writer.busy_timeout(SHORT);
        let _ = writer.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()));
        let _ = writer.busy_timeout(super::file::BUSY);
        self.pages.store(0, Ordering::Relaxed);
    }
}

pub(crate) struct Checkpointer {
    alive: Mutex<Option<SyncSender<()>>>,
    thread: Thread,
}

impl Checkpointer {
    pub(crate) fn start(path: &Path, log: Arc<Log>) -> Result<Self, Fault> {
        let connection = file::open_checkpointer(path)?;
        let (alive, stopped) = sync_channel::<()>(0);
        let run = move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                if log.grew.swap(false, Ordering::Relaxed) {
                    checkpoint(&connection, &log);
                }
            }
        };
        Ok(Self {
            alive: Mutex::new(Some(alive)),
            thread: Thread::start("store-checkpoint", run)?,
        })
    }

    pub(crate) fn stop(&self) -> Handle {
        if let Ok(mut alive) = self.alive.lock() {
            alive.take();
        }
        self.thread.handle()
    }
}

fn checkpoint(connection: &Connection, log: &Log) {
    let answer: rusqlite::Result<i64> =
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1));
    match answer {
        Ok(pages) => log.pages.store(pages, Ordering::Relaxed),
        Err(_) => tracing::warn!("the write-ahead log could not be copied back"),
    }
}
