//! Named threads that can be waited for once.

use std::sync::Mutex;
use std::thread::{Builder, JoinHandle};

use crate::fault::Fault;

/// A thread that was started, until somebody waits for its end.
pub(crate) struct Thread(Mutex<Option<JoinHandle<()>>>);

/// The right to wait for a thread's end.
pub(crate) struct Handle(Option<JoinHandle<()>>);

impl Thread {
    pub(crate) fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<Self, Fault> {
        let started = Builder::new().name(name.to_owned()).spawn(run);
        let handle = started.map_err(|_| Fault::unavailable("no thread could be started"))?;
        Ok(Self(Mutex::new(Some(handle))))
    }

    pub(crate) fn handle(&self) -> Handle {
        Handle(self.0.lock().ok().and_then(|mut handle| handle.take()))
    }
}

impl Handle {
    pub(crate) fn join(self) {
        if let Some(handle) = self.0 {
            // A thread that panicked has ended as well.
            let _ = handle.join();
        }
    }
}
