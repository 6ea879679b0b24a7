//! Who reads the revocation feed of this node: resource servers, each on a
//! stream of its own, within bounds.
//!
//! 1. `reader` says whose tokens a client may know about, and by what names.
//! 2. `sectors` knows in which sectors those tokens name people.
//! 3. `stream` passes records and heads on for as long as it may.
//! 4. `body` is the answer that a stream is written to.

mod body;
mod reader;
mod sectors;
mod stream;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use symbolon_protocol::{ClientId, ErrorCode};
use tokio::sync::Semaphore;

pub(crate) use self::reader::Reader;
use self::sectors::Sectors;
pub(crate) use self::stream::{Opening, Resumed};

use crate::failure::Refusal;

/// How many streams a node has open at most.
const MAX_READERS: usize = 1024;
/// How many of them one client has: one for each process of its API.
const MAX_OF_ONE: usize = 256;
/// How many read from the database at a time.
const MAX_CATCHING_UP: usize = 2;
/// After how many seconds it is worth asking again.
const RETRY_SECONDS: u32 = 5;

/// The readers of a node.
pub(crate) struct Readers {
    open: Arc<Mutex<HashMap<ClientId, usize>>>,
    /// Whoever reads much from the database takes turns.
    turns: Semaphore,
    sectors: Sectors,
}

/// A reader's place, given back when it is dropped.
pub(crate) struct Place {
    client: ClientId,
    open: Arc<Mutex<HashMap<ClientId, usize>>>,
}

fn lock(open: &Mutex<HashMap<ClientId, usize>>) -> MutexGuard<'_, HashMap<ClientId, usize>> {
    // Each change is one step, so a panic elsewhere left no half of one.
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Readers {
    pub(crate) fn new() -> Self {
        Self {
            open: Arc::default(),
            turns: Semaphore::new(MAX_CATCHING_UP),
            sectors: Sectors::default(),
        }
    }

    /// A place for one more stream of a client.
    pub(crate) fn take(&self, client: &ClientId) -> Result<Place, Refusal> {
        let busy = |reason, status| {
            Refusal::new(ErrorCode::TemporarilyUnavailable, reason)
                .with_status(status)
                .with_retry_after(RETRY_SECONDS)
        };
        let mut open = lock(&self.open);
        if open.values().sum::<usize>() >= MAX_READERS {
            return Err(busy("this node has as many readers as it takes", 503));
        }
        let own = open.entry(client.clone()).or_default();
        if *own >= MAX_OF_ONE {
            return Err(busy("this client has as many streams as it may", 429));
        }
        *own += 1;
        let all = open.values().sum();
        crate::metric::readers(all);
        drop(open);
        Ok(Place {
            client: client.clone(),
            open: Arc::clone(&self.open),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        if let Some(own) = open.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.client);
            }
        }
        crate::metric::readers(open.values().sum());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(n: usize) -> ClientId {
        format!("api-{n}").parse().unwrap()
    }

    #[test]
    fn one_client_has_a_share_and_gives_it_back() {
        let readers = Readers::new();
        let one = client(1);
        let mut held: Vec<Place> = Vec::new();
        while let Ok(place) = readers.take(&one) {
            held.push(place);
        }

        assert_eq!(held.len(), MAX_OF_ONE);
        assert_eq!(readers.take(&one).err().unwrap().status, Some(429));
        assert!(readers.take(&client(2)).is_ok());
        held.clear();
        assert!(lock(&readers.open).is_empty());
    }

    #[test]
    fn a_node_has_a_bound_for_all_of_them() {
        let readers = Readers::new();
        let held: Vec<_> = (0..MAX_READERS)
            .map(|n| readers.take(&client(n / 100)).unwrap())
            .collect();

        assert_eq!(readers.take(&client(99)).err().unwrap().status, Some(503));
        drop(held);
        assert!(readers.take(&client(99)).is_ok());
    }
}
