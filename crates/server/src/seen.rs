//! Access tokens in JWT form whose signature was good, or made, a moment ago.
//!
//! A signature costs more than all other checks together, and an API shows the
//! same token again and again; the first time is often soon after this node
//! made it. Only the signature is remembered, and only for as long as the same
//! keys are held; whether a token has ended or was taken back is asked each
//! time.
//!
//! Spec: RFC 9068 §4

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use symbolon_token::Digest;
use symbolon_token::jose::KeySet;
use symbolon_token::jwt::AccessToken;

/// How many tokens are remembered.
const MAX_TOKENS: u64 = 4096;
/// Of how many that were made here the digest is, at most: each has one place,
/// and the next that has the same takes it.
const MAX_MADE: usize = 16 * 1024;
/// For how long.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);

/// What is remembered, and the keys that it was checked with.
#[derive(Clone)]
struct Entry {
    token: Arc<AccessToken>,
    keys: Arc<KeySet>,
}

/// A text that was signed here, and the keys that were held then.
type Made = Mutex<Option<(Digest, Arc<KeySet>)>>;

/// The tokens.
pub(crate) struct Seen {
    read: Cache<Digest, Entry>,
    made: Vec<Made>,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self {
            read: Cache::builder()
                .max_capacity(MAX_TOKENS)
                .time_to_live(MAX_AGE)
                .build(),
            made: std::iter::repeat_with(Made::default)
                .take(MAX_MADE)
                .collect(),
        }
    }

    /// A token whose signature was good under these very keys.
    pub(crate) fn find(&self, text: &Digest, keys: &Arc<KeySet>) -> Option<Arc<AccessToken>> {
        let entry = self.read.get(text)?;
        Arc::ptr_eq(&entry.keys, keys).then_some(entry.token)
    }

    /// Remembers a token whose signature is good.
    pub(crate) fn insert(&self, text: Digest, keys: &Arc<KeySet>, token: &Arc<AccessToken>) {
        let entry = Entry {
            token: Arc::clone(token),
            keys: Arc::clone(keys),
        };
        self.read.insert(text, entry);
    }

    /// Remembers a text that this node signed while these keys were held.
    pub(crate) fn note_made(&self, text: &str, keys: &Arc<KeySet>) {
        let digest = Digest::of(text.as_bytes());
        let mut place = self.place(&digest);
        *place = Some((digest, Arc::clone(keys)));
    }

    /// Whether this very text was signed here while these very keys were held.
    pub(crate) fn was_made(&self, text: &Digest, keys: &Arc<KeySet>) -> bool {
        let place = self.place(text);
        let held = place.as_ref().filter(|(made, _)| made == text);
        held.is_some_and(|(_, held)| Arc::ptr_eq(held, keys))
    }

    fn place(&self, text: &Digest) -> MutexGuard<'_, Option<(Digest, Arc<KeySet>)>> {
        let [a, b, ..] = *text.as_bytes();
        let at = usize::from(u16::from_be_bytes([a, b])) % MAX_MADE;
        // Nothing in it is ever half written.
        self.made[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_keys() -> Arc<KeySet> {
        Arc::new(KeySet::parse(br#"{"keys":[]}"#).unwrap())
    }

    #[test]
    fn what_was_signed_here_is_known_by_its_very_bytes_and_keys() {
        let (seen, keys) = (Seen::new(), no_keys());

        seen.note_made("a.b.c", &keys);

        let made = |text: &str, keys| seen.was_made(&Digest::of(text.as_bytes()), keys);
        assert!(made("a.b.c", &keys));
        assert!(!made("a.b.d", &keys));
        assert!(!made("a.b.c", &no_keys()), "the keys have changed");
    }
}
