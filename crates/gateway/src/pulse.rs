//! Whether the other side still takes what is handed to it. What waits for a
//! reader is not asked for its next piece, so nothing inside of it could notice.
//!
//! Spec: RFC 9113 §5.2, §10.5
//! Spec: RFC 9112 §9.5

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

/// How often a side is looked at of which nothing is expected.
const LOOK: Duration = Duration::from_secs(5);

tokio::task_local! {
    static OWN: Pulse;
}

/// Until when the other side has to take what it was handed; clones are the
/// same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulse(Arc<Mutex<Option<Instant>>>);

impl Pulse {
    /// The one of whoever answers here.
    pub(crate) fn own() -> Self {
        OWN.try_with(Clone::clone).unwrap_or_default()
    }

    /// Runs what answers until it ends, or until nobody takes what it answers.
    pub(crate) async fn watch<F: Future>(answering: F) -> Option<F::Output> {
        let own = Self::default();
        let answering = OWN.scope(own.clone(), answering);
        tokio::select! {
            biased;
            answered = answering => Some(answered),
            () = own.stopped() => None,
        }
    }

    /// A piece was handed over.
    pub(crate) fn hand(&self, patience: Duration) {
        self.set(Some(Instant::now() + patience));
    }

    /// The other side waits for the next piece, or for nothing.
    pub(crate) fn rest(&self) {
        self.set(None);
    }

    fn set(&self, until: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    fn until(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a piece was not taken in time.
    pub(crate) async fn stopped(&self) {
        loop {
            match self.until() {
                None => sleep(LOOK).await,
                Some(until) if until <= Instant::now() => return,
                Some(until) => sleep_until(until).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn whoever_takes_nothing_stops_what_answers_and_nobody_else_does() {
        let stopped = Pulse::watch(async {
            Pulse::own().hand(PATIENCE);
            std::future::pending::<()>().await;
        });
        let stopped = timeout(LOOK * 3, stopped).await;
        assert_eq!(stopped, Ok(None));

        let answered = Pulse::watch(async {
            let own = Pulse::own();
            own.hand(PATIENCE);
            own.rest();
            sleep(PATIENCE * 4).await;
            7
        });
        assert_eq!(answered.await, Some(7));
    }
}
