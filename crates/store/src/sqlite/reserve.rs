//! Space that is kept for taking back: a file beside the database, given up
//! when the disk is full, so that a record of what was taken back still finds
//! room.
//!
//! 1. Where a write finds no room, the reserve is given up and the group runs
//!    once more; from then on only what takes back is written, and all else is
//!    refused.
//! 2. Once a second the reserve is made anew. When there is room for it, and as
//!    much again, everything is written as before.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::file::beside;

/// How much is kept.
const BYTES: u64 = 4 * 1024 * 1024;
/// How often it is tried to make it anew.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// The reserve, or that it is given up.
pub(super) struct Reserve {
    path: PathBuf,
    /// When it was last tried to make it anew, while the disk is full.
    tried: Option<Instant>,
}

impl Reserve {
    /// Makes it where it is not there. A disk that is full at a start is full
    /// from the beginning.
    pub(super) fn of(database: &Path) -> Self {
        let path = beside(database, ".reserve");
        let is_there = std::fs::metadata(&path).is_ok_and(|own| own.len() == BYTES);
        let mut own = Self { path, tried: None };
        if !is_there && let Err(error) = make(&own.path) {
            own.give_up(&error.to_string());
        }
        own
    }

    /// Whether there is room for nothing but what takes back.
    pub(super) fn is_given_up(&self) -> bool {
        self.tried.is_some()
    }

    /// Gives it up: a write has found no room.
    pub(super) fn give_up(&mut self, cause: &str) {
        if self.tried.is_none() {
            tracing::error!(
                cause,
                "the disk is full: only what takes back is written until there is room"
            );
        }
        // Where it cannot be removed there is no more room than before.
        let _ = std::fs::remove_file(&self.path);
        self.tried = Some(Instant::now());
    }

    /// Makes it anew, where that is due.
    pub(super) fn recover(&mut self) {
        if self.tried.is_none_or(|tried| tried.elapsed() < AGAIN) {
            return;
        }
        match make(&self.path) {
            Ok(()) => {
                self.tried = None;
                tracing::info!("there is room on the disk again");
            }
            Err(_) => self.tried = Some(Instant::now()),
        }
    }
}

/// Writes it out twice as long, so that there is room beside it, and no file
/// that only seems to be.
fn make(path: &Path) -> io::Result<()> {
    let written = fill(path);
    if written.is_err() {
        // Half a reserve would take the room that it is for.
        let _ = std::fs::remove_file(path);
    }
    written
}

fn fill(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file: File = options.open(path)?;
    let zeros = vec![0; 256 * 1024];
    for _ in 0..2 * BYTES / zeros.len() as u64 {
        file.write_all(&zeros)?;
    }
    file.set_len(BYTES)?;
    file.sync_all()
}
