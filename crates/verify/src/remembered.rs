//! Tokens whose signature was good before: facts, never decisions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;
use symbolon_token::Digest;

use crate::principal::Facts;

/// How many tokens are remembered.
const MAX_REMEMBERED: u64 = 10_000;

#[derive(Clone)]
struct Entry {
    facts: Arc<Facts>,
    /// Of the key set that held the key.
    generation: u64,
    lives: Duration,
}

struct UntilExpiry;

impl Expiry<[u8; 32], Entry> for UntilExpiry {
    fn expire_after_create(&self, _: &[u8; 32], entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.lives)
    }
}

pub(crate) struct Remembered(Cache<[u8; 32], Entry>);

impl Remembered {
    pub(crate) fn new() -> Self {
        Self(
            Cache::builder()
                .max_capacity(MAX_REMEMBERED)
                .expire_after(UntilExpiry)
                .build(),
        )
    }

    /// What was proved of a token under this very key set.
    pub(crate) fn find(&self, digest: &Digest, generation: u64) -> Option<Arc<Facts>> {
        let entry = self.0.get(digest.as_bytes())?;
        (entry.generation == generation).then_some(entry.facts)
    }

    pub(crate) fn insert(
        &self,
        digest: &Digest,
        generation: u64,
        facts: &Arc<Facts>,
        lives: Duration,
    ) {
        let entry = Entry {
            facts: Arc::clone(facts),
            generation,
            lives,
        };
        self.0.insert(*digest.as_bytes(), entry);
    }
}
