//! Tokens whose signature was good before: facts, never decisions.
//!
//! What has ended stays until its place is needed: the end of a token is asked
//! at every use, here as anywhere.

use std::sync::Arc;

use quick_cache::sync::Cache;
use symbolon_token::Digest;

use crate::principal::Facts;

/// How many tokens are remembered.
const MAX_REMEMBERED: usize = 10_000;

#[derive(Clone)]
struct Entry {
    facts: Arc<Facts>,
    /// Of the key set that held the key.
    generation: u64,
}

pub(crate) struct Remembered(Cache<[u8; 32], Entry>);

impl Remembered {
    pub(crate) fn new() -> Self {
        Self(Cache::new(MAX_REMEMBERED))
    }

    /// What was proved of a token under this very key set.
    pub(crate) fn find(&self, digest: &Digest, generation: u64) -> Option<Arc<Facts>> {
        let entry = self.0.get(digest.as_bytes())?;
        (entry.generation == generation).then_some(entry.facts)
    }

    pub(crate) fn insert(&self, digest: &Digest, generation: u64, facts: &Arc<Facts>) {
        let entry = Entry {
            facts: Arc::clone(facts),
            generation,
        };
        self.0.insert(*digest.as_bytes(), entry);
    }
}
