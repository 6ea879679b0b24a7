//! What is kept in memory of API keys: facts with the version and the place in
//! the feed that they were read at, and which texts are no keys from elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use symbolon_protocol::Timestamp;
use symbolon_store::{
    Fault, FindApiKey, FindImportedApiKey, HasImportedApiKeys, Store, StoredApiKey,
};
use symbolon_token::api_key::ForeignDigest;
use symbolon_token::{ApiKey, Digest, Id, Position};

use super::used::KeyUses;
use crate::cx::Cx;

/// How many keys are kept.
const MAX_KEYS: u64 = 50_000;
/// How many texts are remembered that are no keys, or whose key is known.
const MAX_FOREIGN: u64 = 50_000;
/// How long a use that was noted stands for those that follow, and how long facts
/// are kept: not beyond the record of what was taken back after they were read.
const MINUTE: Duration = Duration::from_secs(60);

/// Facts about a key.
pub(crate) struct Kept {
    pub(crate) facts: StoredApiKey,
    /// The version of everything that they were read at.
    version: i64,
    /// Where the feed stood before they were read.
    pub(super) as_of: Position,
    /// When a use was noted last, in milliseconds.
    noted: AtomicI64,
}

/// What is kept.
pub(crate) struct ApiKeys {
    keys: Cache<Id<ApiKey>, Arc<Kept>>,
    /// The version of everything that is known here: keys, people and all that
    /// a key depends on.
    version: AtomicI64,
    /// Which row a text names, or none, at such a version.
    foreign: Cache<[u8; 32], (i64, Option<Id<ApiKey>>)>,
    has_imported: AtomicBool,
    pub(crate) uses: KeyUses,
}

impl ApiKeys {
    pub(crate) fn new() -> Self {
        Self {
            version: AtomicI64::new(-1),
            keys: Cache::builder()
                .max_capacity(MAX_KEYS)
                .time_to_live(MINUTE)
                .build(),
            foreign: Cache::new(MAX_FOREIGN),
            has_imported: AtomicBool::new(false),
            uses: KeyUses::default(),
        }
    }

    /// Reads again whether there are keys from elsewhere, and believes nothing
    /// more of what was read at another version.
    pub(crate) async fn learn(&self, store: &Store, version: i64) -> Result<(), Fault> {
        let has = store.read(HasImportedApiKeys).await?;
        self.has_imported.store(has, Ordering::Release);
        self.version.store(version, Ordering::Release);
        Ok(())
    }

    /// Whether any key is from elsewhere.
    pub(super) fn has_imported(&self) -> bool {
        self.has_imported.load(Ordering::Acquire)
    }

    fn version(&self) -> i64 {
        self.version.load(Ordering::Acquire)
    }

    /// What is kept of a key, where it is of the version that is known here.
    pub(super) fn kept(&self, id: Id<ApiKey>) -> Option<Arc<Kept>> {
        let kept = self.keys.get(&id)?;
        (kept.version == self.version()).then_some(kept)
    }

    /// Reads a key.
    pub(super) async fn read(&self, cx: &Cx, id: Id<ApiKey>) -> Result<Option<Arc<Kept>>, Fault> {
        let before = Before::of(cx);
        let found = Box::pin(cx.store.read(FindApiKey { id })).await?;
        Ok(found.map(|facts| self.keep(before, facts)))
    }

    /// Which key a text from elsewhere is, where that is remembered.
    pub(super) fn remembered(&self, digest: &Digest) -> Option<Option<Id<ApiKey>>> {
        let (version, id) = self.foreign.get(digest.as_bytes())?;
        (version == self.version()).then_some(id)
    }

    /// Reads a key by a text from elsewhere.
    pub(super) async fn read_foreign(
        &self,
        cx: &Cx,
        digest: &ForeignDigest,
    ) -> Result<Option<Arc<Kept>>, Fault> {
        let before = Before::of(cx);
        let mut digests = cx.keys.foreign_key_digests(digest).map(|own| own.0);
        let Some(first) = digests.next() else {
            return Ok(None);
        };
        let find = FindImportedApiKey {
            digests: std::iter::once(first).chain(digests).collect(),
        };
        let found = Box::pin(cx.store.read(find)).await?;
        let id = found.as_ref().map(|facts| facts.id);
        self.foreign.insert(*first.as_bytes(), (before.version, id));
        Ok(found.map(|facts| self.keep(before, facts)))
    }

    fn keep(&self, before: Before, facts: StoredApiKey) -> Arc<Kept> {
        let last = facts.last_used.map_or(i64::MIN, Timestamp::millis);
        let kept = Arc::new(Kept {
            version: before.version,
            as_of: before.position,
            noted: AtomicI64::new(last),
            facts,
        });
        self.keys.insert(kept.facts.id, Arc::clone(&kept));
        kept
    }

    /// Notes that a key was used, at most once a minute.
    pub(super) fn note(&self, kept: &Kept, now: Timestamp) {
        let last = Timestamp::from_millis(kept.noted.load(Ordering::Relaxed));
        if now.millis() >= last.millis().saturating_add(MINUTE.as_millis() as i64) {
            kept.noted.store(now.millis(), Ordering::Relaxed);
            self.uses.note(kept.facts.id, now);
        }
    }
}

/// What was known before something was read: what is read is that or newer.
struct Before {
    version: i64,
    position: Position,
}

impl Before {
    fn of(cx: &Cx) -> Self {
        Self {
            version: cx.api_keys.version(),
            position: cx.feed.position(),
        }
    }
}
