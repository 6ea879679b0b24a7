//! Whether the database can be reached: once it cannot, calls are refused at
//! once instead of waiting each for itself, until a probe has got through.

use tokio::sync::watch;

/// What is known of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It answers.
    Closed,
    /// Something failed: a probe is on its way, and calls are still let
    /// through.
    Suspect,
    /// Probes failed: nobody waits for it.
    Open,
}

/// Shared by all calls; changed by whoever sees a failure, and by the probe.
#[derive(Debug)]
pub(crate) struct Circuit(watch::Sender<State>);

impl Circuit {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(State::Closed))
    }

    pub(crate) fn state(&self) -> State {
        *self.0.borrow()
    }

    /// Notes a failure; whether it is the caller's to send the probe. Of many
    /// that fail at once, one is.
    pub(crate) fn suspect(&self) -> bool {
        self.0.send_if_modified(|state| {
            let is_first = *state == State::Closed;
            if is_first {
                *state = State::Suspect;
            }
            is_first
        })
    }

    /// Refuses calls from now on.
    pub(crate) fn open(&self) {
        self.0.send_replace(State::Open);
    }

    /// Lets calls through again.
    pub(crate) fn close(&self) {
        self.0.send_replace(State::Closed);
    }

    /// Waits until calls are refused.
    pub(crate) async fn opened(&self) {
        let mut states = self.0.subscribe();
        // The sender is `self`, so it outlives the wait.
        let _ = states.wait_for(|state| *state == State::Open).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_failures_one_sends_the_probe() {
        let circuit = Circuit::new();

        let senders = (0..100).filter(|_| circuit.suspect()).count();

        assert_eq!(senders, 1);
        assert_eq!(circuit.state(), State::Suspect);
        circuit.open();
        assert!(!circuit.suspect(), "the probe is under way already");
        circuit.close();
        assert!(circuit.suspect(), "the next outage has a probe of its own");
    }
}
