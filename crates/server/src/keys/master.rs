//! Where the master key comes from: a file, a variable or a program, or a
//! PKCS#11 token that it never leaves.

use std::path::Path;

use symbolon_store::{FindMeta, MASTER_KEY, Store, WorkingKey};
use symbolon_token::{Digest, Entropy, MasterKey, Secret, random};

use super::KeysError;
use crate::config::{MasterSource, StoreConfig};

/// The master key, and the one before it for as long as it is being replaced.
#[derive(Clone, Debug)]
pub struct Masters {
    /// The one that the configuration names.
    pub current: MasterKey,
    /// The one before.
    pub previous: Option<MasterKey>,
}

impl Masters {
    /// A master key alone.
    pub fn alone(current: MasterKey) -> Self {
        Self {
            current,
            previous: None,
        }
    }

    /// Reads those that a configuration names.
    pub fn configured(config: &StoreConfig, entropy: &dyn Entropy) -> Result<Self, KeysError> {
        let previous = config.previous_master_key.as_ref();
        Ok(Self {
            current: from_source(&config.master_key, entropy)?,
            previous: previous
                .map(|source| from_source(source, entropy))
                .transpose()?,
        })
    }

    /// The same, where a key that is not there is an error and not made.
    pub(crate) fn existing(config: &StoreConfig, entropy: &dyn Entropy) -> Result<Self, KeysError> {
        let previous = config.previous_master_key.as_ref();
        for source in [Some(&config.master_key), previous].into_iter().flatten() {
            if let MasterSource::File(path) = source {
                std::fs::metadata(path).map_err(|cause| KeysError::File {
                    path: path.display().to_string(),
                    cause,
                })?;
            }
        }
        Self::configured(config, entropy)
    }

    /// Those for a store: only where nothing is sealed in it yet is a key made
    /// that is not there.
    pub(crate) async fn for_store(
        config: &StoreConfig,
        store: &Store,
        entropy: &dyn Entropy,
    ) -> Result<Self, KeysError> {
        let sealed = match store.read(FindMeta { name: MASTER_KEY }).await {
            Err(fault) if fault.is_unavailable() => return Err(fault.into()),
            // A database that has no schema yet has no keys.
            Err(_) => None,
            Ok(sealed) => sealed,
        };
        match sealed {
            Some(_) => Self::existing(config, entropy).map_err(|error| match error {
                KeysError::File { path, cause } if cause.kind() == std::io::ErrorKind::NotFound => {
                    KeysError::NoMasterKey(path)
                }
                error => error,
            }),
            None => Self::configured(config, entropy),
        }
    }

    /// The one that the store is sealed under now.
    pub(super) async fn in_use(&self, store: &Store) -> Result<MasterKey, KeysError> {
        let stored = store.read(FindMeta { name: MASTER_KEY }).await?;
        let stored = stored.and_then(|bytes| bytes.try_into().ok());
        let stored = stored
            .map(Digest::from_bytes)
            .ok_or(KeysError::WrongMasterKey)?;
        let mut known = [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten();
        let found = known.find(|key| key.fingerprint().matches(&stored));
        found.cloned().ok_or(KeysError::WrongMasterKey)
    }

    /// Opens a stored key with whichever of them it is sealed under.
    pub(super) fn open(&self, key: &WorkingKey) -> Option<Secret> {
        let current = self.current.unwrap(&key.id, &key.sealed).ok();
        let previous = || self.previous.as_ref()?.unwrap(&key.id, &key.sealed).ok();
        current.or_else(previous)
    }
}

fn from_source(source: &MasterSource, entropy: &dyn Entropy) -> Result<MasterKey, KeysError> {
    match source {
        MasterSource::File(path) => master_key_from_file(path, entropy),
        MasterSource::Given(secret) => {
            MasterKey::parse(secret.expose_str()).ok_or(KeysError::Malformed)
        }
        #[cfg(feature = "pkcs11")]
        MasterSource::Pkcs11(uri) => super::pkcs11::open(uri),
        #[cfg(not(feature = "pkcs11"))]
        MasterSource::Pkcs11(_) => Err(KeysError::Token(
            "this binary was built without the feature `pkcs11`".to_owned(),
        )),
    }
}

/// Reads the master key from its file, or makes both on a first start.
pub fn master_key_from_file(path: &Path, entropy: &dyn Entropy) -> Result<MasterKey, KeysError> {
    let failed = |cause| KeysError::File {
        path: path.display().to_string(),
        cause,
    };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let text = Secret::from(text);
            MasterKey::parse(text.expose_str()).ok_or(KeysError::Malformed)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = MasterKey::generate(entropy);
            let text = key.to_file().ok_or(KeysError::Malformed)?;
            match write_private(path, text.expose(), entropy) {
                Ok(()) => Ok(key),
                // Another node that starts at once was first: its key counts.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    let text = std::fs::read_to_string(path).map(Secret::from);
                    let text = text.map_err(failed)?;
                    MasterKey::parse(text.expose_str()).ok_or(KeysError::Malformed)
                }
                Err(error) => Err(failed(error)),
            }
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file that only its owner may read, durably, and never over another.
/// Whoever finds it finds all of it.
pub(crate) fn write_private(
    path: &Path,
    contents: &[u8],
    entropy: &dyn Entropy,
) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let number = u64::from_be_bytes(random(entropy));
    let draft = path.with_added_extension(format!("{number:016x}"));
    let written =
        write_new(&draft, contents).and_then(|()| match std::fs::hard_link(&draft, path) {
            // There are file systems without a second name for a file.
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                write_new(path, contents)
            }
            linked => linked,
        });
    // Where it stays, it is as private as the other.
    let _ = std::fs::remove_file(&draft);
    written?;
    std::fs::File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

fn write_new(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}
