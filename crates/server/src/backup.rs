//! Backup and restore of what a configuration names.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use symbolon_store::AuditEvent;
use symbolon_store::backup::{self, NewEpoch, Restore, SealsBackups};
use symbolon_token::{Digest, Entropy, MasterKey, Secret, random};

use crate::app::Edge;
use crate::config::Config;
use crate::keys::{self, KeysError, Masters};
use crate::launch::store_options;
use crate::settings::KeySettings;

pub use symbolon_store::backup::{BackupError, Contents, Existing};

/// Why nothing was backed up or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeepError {
    /// The backup, or the store.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The master key.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

impl KeepError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Backup(error) => error.code(),
            Self::Keys(_) => "keys",
        }
    }
}

/// The name under which the master key seals digests of backups; no key has it.
const SEAL: &str = "backup";

/// The master keys that are here, as keepers of seals.
struct Keeper {
    masters: Masters,
    entropy: Arc<dyn Entropy>,
}

impl Keeper {
    /// Reads the master key; unlike a start, this makes none.
    fn configured(config: &Config, edge: &Edge) -> Result<Self, KeysError> {
        Ok(Self {
            masters: Masters::existing(&config.store, &*edge.entropy)?,
            entropy: Arc::clone(&edge.entropy),
        })
    }

    fn find(&self, fingerprint: &Digest) -> Option<&MasterKey> {
        let known = [Some(&self.masters.current), self.masters.previous.as_ref()];
        let mut known = known.into_iter().flatten();
        known.find(|key| key.fingerprint().matches(fingerprint))
    }
}

impl SealsBackups for Keeper {
    fn seal(&self, master: &Digest, digest: &Digest) -> Option<Vec<u8>> {
        let digest = Secret::new(digest.as_bytes().to_vec());
        let master = self.find(master)?;
        master.wrap(SEAL, &digest, &*self.entropy).ok()
    }

    fn open(&self, master: &Digest, sealed: &[u8]) -> Option<Digest> {
        let opened = self.find(master)?.unwrap(SEAL, sealed).ok()?;
        Some(Digest::from_bytes(opened.expose().try_into().ok()?))
    }

    fn knows(&self, master: &Digest) -> bool {
        self.find(master).is_some()
    }
}

/// Writes a backup into a new file (mode 0600), whole or not at all. A file that
/// exists is not written over.
pub async fn back_up(config: &Config, edge: &Edge, path: &Path) -> Result<Contents, KeepError> {
    let keeper = Keeper::configured(config, edge)?;
    // Nobody waits for a backup that has no name to go to.
    if path.symlink_metadata().is_ok() {
        return Err(BackupError::from(exists()).into());
    }
    let mut name = path.as_os_str().to_owned();
    let drawn = u64::from_be_bytes(random(&*edge.entropy));
    name.push(format!(".{drawn:016x}.partial"));
    let partial = Path::new(&name);
    let written = write(config, edge, (partial, path), &keeper).await;
    // Where it was renamed it is gone. What cannot be removed has a name that says
    // what it is.
    let _ = std::fs::remove_file(partial);
    Ok(written?)
}

async fn write(
    config: &Config,
    edge: &Edge,
    (partial, path): (&Path, &Path),
    keeper: &Keeper,
) -> Result<Contents, BackupError> {
    let options = store_options(config, &*edge.entropy);
    let mut own = OpenOptions::new();
    let file = own.write(true).create_new(true).mode(0o600).open(partial)?;
    let mut out = BufWriter::with_capacity(1024 * 1024, file);
    let contents = backup::back_up(&options, &mut out, keeper, edge.clock.now()).await?;
    out.flush()?;
    out.get_ref().sync_all()?;
    name_it(partial, path)?;
    let folder = path.parent().filter(|own| !own.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or_else(|| Path::new(".")));
    if let Err(error) = folder.and_then(|own| own.sync_all()) {
        // The name is this run's own: no file had it.
        let _ = std::fs::remove_file(path);
        return Err(error.into());
    }
    Ok(contents)
}

/// Gives what was written its name, over no file that has it already. A process
/// that is killed before leaves none of that name.
fn name_it(partial: &Path, path: &Path) -> std::io::Result<()> {
    match std::fs::hard_link(partial, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            // A file system without links.
            if path.symlink_metadata().is_ok() {
                return Err(exists());
            }
            std::fs::rename(partial, path)
        }
        linked => linked,
    }
}

fn exists() -> std::io::Error {
    std::io::Error::from(ErrorKind::AlreadyExists)
}

/// Checks a backup: its digests, and with a configuration its seal.
pub fn check(path: &Path, config: Option<(&Config, &Edge)>) -> Result<Contents, KeepError> {
    let Some((config, edge)) = config else {
        return Ok(backup::check(path, None)?);
    };
    let keeper = Keeper::configured(config, edge)?;
    Ok(backup::check(path, Some(&keeper))?)
}

/// Restores a backup, and begins a new epoch; answers with what was in it and
/// the epoch.
pub async fn restore(
    config: &Config,
    edge: &Edge,
    path: &Path,
    existing: Existing,
) -> Result<(Contents, i64), KeepError> {
    let keeper = Keeper::configured(config, edge)?;
    let contents = backup::check(path, Some(&keeper))?;
    let master = contents.manifest.fingerprint();
    let master = master.and_then(|fingerprint| keeper.find(&fingerprint));
    let master = master.ok_or(BackupError::OtherMaster)?;
    let now = edge.clock.now();
    let mut audit = AuditEvent::new("store.restore", "system");
    audit.detail = json!({
        "made": contents.manifest.created().to_string(),
        "rows": contents.rows(),
        "sha256": contents.sha256,
        "replaced": existing == Existing::Delete,
    });
    let restore = Restore {
        path,
        seals: &keeper,
        existing,
        epoch: NewEpoch {
            keys: keys::renewed(master, &KeySettings::from(&config.keys), edge).await?,
            later_than: 0,
            audit,
            now,
        },
    };
    let options = store_options(config, &*edge.entropy);
    Ok(backup::restore(&options, restore).await?)
}
