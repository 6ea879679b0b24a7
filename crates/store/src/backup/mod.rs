//! Backup and restore: all that is remembered, in one file that belongs to no
//! engine.
//!
//! The file is JSON lines. It is written from one snapshot while the server
//! works, and read twice: whole to be checked, then to be loaded.
//!
//! 1. `{"symbolon_backup": 1, "created_ms", "engine", "epoch", "sequence",
//!    "master_key", "migrations"}`.
//! 2. For each table `{"table", "columns": [[name, kind]…]}`, its rows as lists
//!    (numbers, texts, bytes in base64url), and `{"rows", "sha256"}` over the
//!    part's bytes.
//! 3. `{"tables", "rows", "sha256", "seal"}`: the digest of all that stands
//!    before, and the same sealed by the master key, without which nobody can
//!    make a file that passes.

pub(crate) mod catalog;
#[cfg(feature = "postgres")]
mod copy;
mod dump;
pub(crate) mod engine;
mod file;
mod load;
mod target;
pub(crate) mod void;

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use symbolon_protocol::Timestamp;
use symbolon_token::Digest;

use crate::fault::Fault;

pub use dump::back_up;
pub use file::check;
pub use load::{Existing, Restore, restore};
pub use void::{NewEpoch, RENEWED_FOR};

/// The version of the form that this binary writes and reads.
pub const FORM: u32 = 1;

/// How long a line may be, in bytes: a row holds documents of 256 KiB.
pub(crate) const MAX_LINE: usize = 16 * 1024 * 1024;

/// What stands first in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the form.
    pub symbolon_backup: u32,
    /// When it was made.
    pub created_ms: i64,
    /// The engine that it was made on.
    pub engine: String,
    /// The epoch of the revocation feed then.
    pub epoch: i64,
    /// The feed's last number then.
    pub sequence: i64,
    /// The fingerprint of the master key that the keys are sealed under, in
    /// hexadecimal digits.
    pub master_key: String,
    /// The migrations that had run.
    pub migrations: Vec<i64>,
}

impl Manifest {
    /// When it was made.
    pub fn created(&self) -> Timestamp {
        Timestamp::from_millis(self.created_ms)
    }

    /// The fingerprint of the master key.
    pub fn fingerprint(&self) -> Option<Digest> {
        let digits = self.master_key.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            let pair = self.master_key.get(at * 2..at * 2 + 2)?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Digest::from_bytes(bytes))
    }
}

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// What stands first in it.
    pub manifest: Manifest,
    /// The tables and how many rows each has.
    pub tables: Vec<(String, u64)>,
    /// The digest of all of it, in hexadecimal digits.
    pub sha256: String,
}

impl Contents {
    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|(_, rows)| rows).sum()
    }
}

/// Who seals backups and opens their seals: the master key's keeper.
pub trait SealsBackups: Send + Sync {
    /// Seals a digest under the master key of a fingerprint.
    fn seal(&self, master: &Digest, digest: &Digest) -> Option<Vec<u8>>;

    /// Opens a seal; nothing where the key is another or the seal is not one.
    fn open(&self, master: &Digest, sealed: &[u8]) -> Option<Digest>;

    /// Whether there is a master key of this fingerprint.
    fn knows(&self, master: &Digest) -> bool;
}

/// Why a backup was not made, or not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The store.
    #[error(transparent)]
    Store(#[from] Fault),
    /// The file.
    #[error("could not read or write the backup: {0}")]
    File(#[from] std::io::Error),
    /// It is something else.
    #[error("this is not a backup of Symbolon")]
    Foreign,
    /// A newer version made it, or has been at the database.
    #[error(
        "a newer version made it: migration {0} is not known here; use that version or a later one"
    )]
    Newer(i64),
    /// It ends too early.
    #[error("the backup is cut: it ends at line {0}, before its own end")]
    Cut(u64),
    /// It is not as it was written.
    #[error("the backup is damaged at line {line}: {what}")]
    Damaged {
        /// Where.
        line: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The keys in it are sealed under a master key that is not here.
    #[error("the keys in it are sealed under another master key: give the one it was made with")]
    OtherMaster,
    /// The digest is right and the seal is not.
    #[error("the backup was changed by somebody who does not have the master key")]
    Unsealed,
    /// There is something in the store.
    #[error("the store is not empty: it holds {0}")]
    NotEmpty(String),
    /// The schema is not there.
    #[error("the database has no schema of Symbolon: there is nothing to back up")]
    NoSchema,
}

impl BackupError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(fault) if fault.is_held() => "store.locked",
            Self::Store(_) => "store",
            Self::File(_) => "backup.file",
            Self::Foreign => "backup.foreign",
            Self::Newer(_) => "backup.newer",
            Self::Cut(_) => "backup.cut",
            Self::Damaged { .. } => "backup.damaged",
            Self::OtherMaster => "backup.master_key",
            Self::Unsealed => "backup.unsealed",
            Self::NotEmpty(_) => "restore.not_empty",
            Self::NoSchema => "backup.no_schema",
        }
    }
}

/// A path to a backup that is to be read.
pub(crate) fn open(path: &Path) -> Result<std::io::BufReader<std::fs::File>, BackupError> {
    let file = std::fs::File::open(path)?;
    Ok(std::io::BufReader::with_capacity(1024 * 1024, file))
}

/// Digits of a digest.
pub(crate) fn hex(digest: &Digest) -> String {
    let mut out = String::with_capacity(64);
    for byte in digest.as_bytes() {
        // A `String` takes whatever is written.
        let _ = fmt::Write::write_fmt(&mut out, format_args!("{byte:02x}"));
    }
    out
}
