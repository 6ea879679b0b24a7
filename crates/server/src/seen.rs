//! Access tokens in JWT form whose signature was good a moment ago.
//!
//! A signature costs more than all other checks together, and an API shows the
//! same token again and again. Only the signature is remembered, and only for
//! as long as the same keys are held; whether a token has ended or was taken
//! back is asked each time.
//!
//! Spec: RFC 9068 §4

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use symbolon_token::Digest;
use symbolon_token::jose::KeySet;
use symbolon_token::jwt::AccessToken;

/// How many tokens are remembered.
const MAX_TOKENS: u64 = 4096;
/// For how long.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);

/// What is remembered, and the keys that it was checked with.
#[derive(Clone)]
struct Entry {
    token: Arc<AccessToken>,
    keys: Arc<KeySet>,
}

/// The tokens.
pub(crate) struct Seen(Cache<Digest, Entry>);

impl Seen {
    pub(crate) fn new() -> Self {
        Self(
            Cache::builder()
                .max_capacity(MAX_TOKENS)
                .time_to_live(MAX_AGE)
                .build(),
        )
    }

    /// A token whose signature was good under these very keys.
    pub(crate) fn find(&self, text: &Digest, keys: &Arc<KeySet>) -> Option<Arc<AccessToken>> {
        let entry = self.0.get(text)?;
        Arc::ptr_eq(&entry.keys, keys).then_some(entry.token)
    }

    /// Remembers a token whose signature is good.
    pub(crate) fn insert(&self, text: Digest, keys: &Arc<KeySet>, token: &Arc<AccessToken>) {
        let entry = Entry {
            token: Arc::clone(token),
            keys: Arc::clone(keys),
        };
        self.0.insert(text, entry);
    }
}
