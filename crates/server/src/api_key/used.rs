//! When keys were used last: collected in memory, and written in one batch a
//! minute and at the end. A crash loses at most a minute of it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use symbolon_protocol::Timestamp;
use symbolon_store::{Fault, NoteApiKeyUses, Store};
use symbolon_token::{ApiKey, Id};

/// How many keys are waited for at once; uses of more are not noted.
const MAX_NOTED: usize = 100_000;
/// How many are written by one act: nobody waits long for it.
const BATCH: usize = 500;

/// Uses that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct KeyUses(Mutex<HashMap<Id<ApiKey>, Timestamp>>);

impl KeyUses {
    /// Notes that a key was used.
    pub(super) fn note(&self, key: Id<ApiKey>, at: Timestamp) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() < MAX_NOTED || noted.contains_key(&key) {
            noted.insert(key, at);
        }
    }

    /// Writes what was noted. What a fault keeps from being written is lost.
    pub(crate) async fn write(&self, store: &Store) -> Result<(), Fault> {
        let noted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let noted: Vec<_> = noted.into_iter().collect();
        for batch in noted.chunks(BATCH) {
            let uses = batch.to_vec();
            store.act(NoteApiKeyUses { uses }).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use symbolon_testkit::{START, SeededEntropy};
    use symbolon_token::Slot;

    use super::*;

    #[test]
    fn the_last_use_of_a_key_is_the_one_that_is_written() {
        let entropy = SeededEntropy::new(1);
        let key = Id::new(Slot::random(&entropy), &entropy);
        let uses = KeyUses::default();
        let later = START + std::time::Duration::from_secs(70);

        uses.note(key, START);
        uses.note(key, later);

        assert_eq!(uses.0.lock().unwrap().get(&key), Some(&later));
    }
}
