//! The working keys: read at start, made where there are none yet.

use std::path::Path;
use std::sync::Arc;

use symbolon_protocol::{SigningAlgorithm, Timestamp};
use symbolon_store::{
    AllKeys, AuditEvent, ClaimMeta, CreateKeyIfAbsent, Fault, KeyState, Store, WorkingKey,
};
use symbolon_token::jose::{KeySet, SigningKey};
use symbolon_token::keyring::{Keys, WorkingSecret};
use symbolon_token::{Digest, Entropy, Keyring, MasterKey, Purpose, Secret};

/// The name under which the store knows which master key it belongs to.
const FINGERPRINT: &str = "master-key";
/// The purpose under which signing keys are stored.
const SIGNING: &str = "signing";

/// Why there are no keys to work with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The master key cannot be read or made.
    #[error("could not read master key from `{path}`: {cause}")]
    File {
        /// Where it should be.
        path: String,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// What was read is no master key.
    #[error("the master key is not 64 random hexadecimal digits")]
    Malformed,
    /// The database belongs to another master key.
    #[error("this database was made with another master key; give the one it was made with")]
    WrongMasterKey,
    /// The store could not do it.
    #[error("could not load keys: {0}")]
    Store(#[from] Fault),
    /// A stored key does not open or is not a key.
    #[error("stored key `{0}` does not open")]
    Unusable(String),
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
            write_private(path, key.to_file().expose()).map_err(failed)?;
            Ok(key)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file that only its owner may read, durably, and never over another.
pub(crate) fn write_private(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(contents)?;
    file.sync_all()?;
    std::fs::File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// Everything that keys are needed for.
#[derive(Debug)]
pub struct LoadedKeys {
    /// The ring.
    pub ring: Arc<Keyring>,
    /// The public halves, for tokens of ours that come back.
    pub own: Arc<KeySet>,
    /// The published key set, ready to be sent.
    pub document: Arc<str>,
    /// What the status page says of each signing key.
    pub rows: Vec<KeyRow>,
}

/// A signing key as people see it.
#[derive(Debug, Clone)]
pub struct KeyRow {
    /// Its name.
    pub kid: String,
    /// Its algorithm.
    pub algorithm: SigningAlgorithm,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it was made.
    pub created: Timestamp,
}

/// Loads all keys, making those that are missing. Two nodes that start at once
/// on an empty database end with the same keys: the store decides whose.
pub async fn load(
    store: &Store,
    master: &MasterKey,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<LoadedKeys, KeysError> {
    let fingerprint = master.fingerprint();
    let claim = ClaimMeta {
        name: FINGERPRINT,
        value: fingerprint.as_bytes().to_vec(),
    };
    let stored = store.act(claim).await?;
    let same = stored
        .try_into()
        .is_ok_and(|bytes| Digest::from_bytes(bytes).matches(&fingerprint));
    if !same {
        return Err(KeysError::WrongMasterKey);
    }
    let mut rows = store.read(AllKeys).await?;
    make_missing(store, master, now, entropy, &mut rows).await?;
    assemble(master, &rows)
}

/// A key to be made: its purpose, its algorithm, and its PKCS#8 or raw bytes.
async fn make_missing(
    store: &Store,
    master: &MasterKey,
    now: Timestamp,
    entropy: &dyn Entropy,
    rows: &mut Vec<WorkingKey>,
) -> Result<(), KeysError> {
    for purpose in Purpose::ALL {
        if rows.iter().any(|row| row.purpose == purpose.name()) {
            continue;
        }
        let secret = WorkingSecret::generate(entropy);
        let id = format!("{}:{}", purpose.name(), secret.id);
        let row = new_row(id, purpose.name().to_owned(), None, now);
        rows.push(create(store, master, row, &secret.to_secret(), entropy).await?);
    }
    let missing: Vec<_> = SigningAlgorithm::ALL
        .iter()
        .filter(|algorithm| {
            !rows
                .iter()
                .any(|row| row.algorithm.as_deref() == Some(algorithm.as_str()))
        })
        .collect();
    for algorithm in missing {
        let made = tokio::task::spawn_blocking(move || SigningKey::generate(*algorithm)).await;
        let document = made
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| KeysError::Unusable(algorithm.to_string()))?;
        let key = SigningKey::from_pkcs8(*algorithm, &document)
            .map_err(|_| KeysError::Unusable(algorithm.to_string()))?;
        let purpose = format!("{SIGNING}:{algorithm}");
        let mut row = new_row(
            format!("{SIGNING}:{}", key.kid()),
            purpose,
            Some(algorithm.to_string()),
            now,
        );
        row.public = Some(key.public_jwk().to_string().into_bytes());
        rows.push(create(store, master, row, &document, entropy).await?);
    }
    Ok(())
}

fn new_row(id: String, purpose: String, algorithm: Option<String>, now: Timestamp) -> WorkingKey {
    WorkingKey {
        id,
        purpose,
        number: 1,
        algorithm,
        state: KeyState::Active,
        sealed: Vec::new(),
        public: None,
        created: now,
        activated: Some(now),
        retires: None,
    }
}

async fn create(
    store: &Store,
    master: &MasterKey,
    mut row: WorkingKey,
    secret: &Secret,
    entropy: &dyn Entropy,
) -> Result<WorkingKey, KeysError> {
    row.sealed = master.wrap(&row.id, secret, entropy);
    let mut audit = AuditEvent::new("key.create", "system");
    audit.detail = serde_json::json!({
        "key": row.id,
        "purpose": row.purpose,
        "algorithm": row.algorithm,
    });
    let now = row.created;
    Ok(store
        .act(CreateKeyIfAbsent {
            key: row,
            audit,
            now,
        })
        .await?)
}

fn assemble(master: &MasterKey, rows: &[WorkingKey]) -> Result<LoadedKeys, KeysError> {
    let unusable = |row: &WorkingKey| KeysError::Unusable(row.id.clone());
    let mut keys = Keys::default();
    let mut shown = Vec::new();
    for row in rows.iter().filter(|row| row.state != KeyState::Retired) {
        let secret = master
            .unwrap(&row.id, &row.sealed)
            .map_err(|_| unusable(row))?;
        let Some(algorithm) = &row.algorithm else {
            let purpose = Purpose::named(&row.purpose).ok_or_else(|| unusable(row))?;
            let number = row
                .id
                .rsplit(':')
                .next()
                .and_then(|number| number.parse().ok());
            let secret = number.and_then(|number| WorkingSecret::from_secret(number, &secret));
            keys.secrets
                .push((purpose, secret.ok_or_else(|| unusable(row))?));
            continue;
        };
        let algorithm: SigningAlgorithm = algorithm.parse().map_err(|_| unusable(row))?;
        let key = SigningKey::from_pkcs8(algorithm, &secret).map_err(|_| unusable(row))?;
        shown.push(KeyRow {
            kid: key.kid().to_owned(),
            algorithm,
            state: row.state,
            created: row.created,
        });
        keys.signing.push(Arc::new(key));
    }
    let published: Vec<_> = keys.signing.iter().map(|key| key.public_jwk()).collect();
    let document = serde_json::json!({ "keys": published }).to_string();
    let own =
        KeySet::parse(document.as_bytes()).map_err(|_| KeysError::Unusable("key set".into()))?;
    let ring = Keyring::new(keys).map_err(|missing| KeysError::Unusable(missing.to_string()))?;
    Ok(LoadedKeys {
        ring: Arc::new(ring),
        own: Arc::new(own),
        document: document.into(),
        rows: shown,
    })
}
