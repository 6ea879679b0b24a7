//! A thread of its own for calls that may hang, each with a deadline.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

/// How many calls may wait. Behind one that hangs, later ones fail.
const MAX_WAITING: usize = 16;

type Job<T> = Box<dyn FnOnce(&T) + Send>;

/// Something that lives in a thread of its own and is asked there, one call
/// after the other.
pub(super) struct Worker<T> {
    jobs: SyncSender<Job<T>>,
    deadline: Duration,
}

impl<T: 'static> Worker<T> {
    /// Makes it in its thread; `None` where that took too long.
    pub(super) fn start<E: Send + 'static>(
        name: &str,
        deadline: Duration,
        make: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Option<Result<Self, E>> {
        let (jobs, waiting) = sync_channel::<Job<T>>(MAX_WAITING);
        let (answer, answered) = sync_channel(1);
        let work = move || {
            let made = make();
            let (own, outcome) = match made {
                Ok(own) => (Some(own), Ok(())),
                Err(error) => (None, Err(error)),
            };
            // Whoever waited may have given up.
            let _ = answer.send(outcome);
            let Some(own) = own else { return };
            for job in waiting {
                job(&own);
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread.spawn(work).ok()?;
        let outcome = answered.recv_timeout(deadline).ok()?;
        Some(outcome.map(|()| Self { jobs, deadline }))
    }

    /// Asks it; `None` where it did not answer in time.
    pub(super) fn call<R: Send + 'static>(
        &self,
        job: impl FnOnce(&T) -> R + Send + 'static,
    ) -> Option<R> {
        let (answer, answered) = sync_channel(1);
        let job = move |own: &T| {
            let _ = answer.send(job(own));
        };
        self.jobs.try_send(Box::new(job)).ok()?;
        answered.recv_timeout(self.deadline).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than a busy machine makes anybody wait.
    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn a_call_that_hangs_ends_for_whoever_waits_and_later_ones_go_on() {
        let worker = Worker::start("test", LONG, || Ok::<_, ()>(7_u8));
        let mut worker = worker.unwrap().unwrap();
        let (release, hangs) = sync_channel::<()>(1);
        assert_eq!(worker.call(|own| *own + 1), Some(8));
        worker.deadline = SHORT;

        let hung = worker.call(move |_| hangs.recv().is_ok());

        assert_eq!(hung, None);
        assert_eq!(
            worker.call(|own| *own),
            None,
            "behind it nobody waits for ever"
        );
        release.send(()).unwrap();
        worker.deadline = LONG;
        assert_eq!(worker.call(|own| *own), Some(7));
    }

    #[test]
    fn what_cannot_be_made_says_why_or_that_it_took_too_long() {
        let refused = Worker::<u8>::start("test", LONG, || Err("no token"));
        assert_eq!(refused.unwrap().err(), Some("no token"));
        let (release, hangs) = sync_channel::<()>(1);
        let late = Worker::start("test", SHORT, move || hangs.recv().map(|()| 1_u8));
        assert!(late.is_none());
        drop(release);
    }
}
