//! What other nodes have changed since somebody asked: a client that was made a
//! moment ago, or a new secret, is good on every node before it is refused on
//! one.
//!
//! One reading serves all who ask meanwhile, and there are few a second, so
//! strangers who make up names cost the store little however many they are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use symbolon_store::Engine;
use tokio::sync::Mutex;

use crate::app::App;

/// How long whoever reads waits for others who want to know as well.
const PAUSE: Duration = Duration::from_millis(20);

/// Which readings were begun, and which were done.
#[derive(Debug, Default)]
pub(crate) struct News {
    begun: AtomicU64,
    done: AtomicU64,
    reading: Mutex<()>,
}

impl News {
    /// A reading begins; its number.
    pub(crate) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// A reading is done, and all that it found is known here.
    pub(crate) fn end(&self, number: u64) {
        self.done.fetch_max(number, Ordering::AcqRel);
    }
}

impl App {
    /// Reads what other nodes have changed until now; whether it was anything.
    /// Where there is one process, it has changed all of it itself.
    pub(crate) async fn has_news(&self) -> bool {
        if self.store.engine() == Engine::Sqlite {
            return false;
        }
        let asked = self.news.begun.load(Ordering::Acquire);
        let before = self.directory.version();
        let is_read = || self.news.done.load(Ordering::Acquire) > asked;
        let _reading = self.news.reading.lock().await;
        if !is_read() {
            tokio::time::sleep(PAUSE).await;
        }
        if !is_read()
            && let Err(broken) = self.follow().await
        {
            // What is known is decided by, as it would have been.
            tracing::debug!(cause = %broken, "could not look for changes");
        }
        self.directory.version() != before
    }
}
