//! Fault points: places before and after each durable step where a test lets
//! something go wrong. Without the feature `faults`, which no build that ships
//! has, each of them is nothing.

use crate::fault::Fault;

/// What goes wrong at a point.
#[cfg(feature = "faults")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaking {
    /// The step fails, as when a disk or a connection does.
    Error,
    /// The process ends at once, as by `kill -9`.
    Kill,
    /// Nothing happens for so long.
    Pause(std::time::Duration),
}

/// The variable that names what breaks in a process that a test starts.
#[cfg(feature = "faults")]
pub const PLAN: &str = "SYMBOLON_TEST_FAULT";

/// The points of one store, and which of them breaks.
#[derive(Default)]
pub(crate) struct Faults {
    #[cfg(feature = "faults")]
    plan: std::sync::Mutex<Plan>,
}

#[cfg(feature = "faults")]
#[derive(Default)]
struct Plan {
    passed: u64,
    next: Option<(u64, Breaking)>,
    met: Option<&'static str>,
}

#[cfg(not(feature = "faults"))]
impl Faults {
    /// Passes a point on a thread that may wait.
    #[inline]
    pub(crate) fn pass(&self, _point: &'static str) -> Result<(), Fault> {
        Ok(())
    }

    /// Passes a point in a task, which waits by giving way.
    #[cfg(feature = "postgres")]
    #[inline]
    pub(crate) fn reach(
        &self,
        _point: &'static str,
    ) -> impl Future<Output = Result<(), Fault>> + Send + use<> {
        std::future::ready(Ok(()))
    }
}

#[cfg(feature = "faults")]
impl Faults {
    /// Passes a point on a thread that may wait.
    pub(crate) fn pass(&self, point: &'static str) -> Result<(), Fault> {
        match self.meet(point) {
            None => Ok(()),
            Some(Breaking::Pause(span)) => {
                std::thread::sleep(span);
                Ok(())
            }
            Some(Breaking::Error) => Err(Fault::unavailable(point)),
            Some(Breaking::Kill) => kill(),
        }
    }

    /// Passes a point in a task, which waits by giving way.
    #[cfg(feature = "postgres")]
    pub(crate) async fn reach(&self, point: &'static str) -> Result<(), Fault> {
        match self.meet(point) {
            None => Ok(()),
            Some(Breaking::Pause(span)) => {
                tokio::time::sleep(span).await;
                Ok(())
            }
            Some(Breaking::Error) => Err(Fault::lost(point)),
            Some(Breaking::Kill) => kill(),
        }
    }

    /// Lets the `nth` point from now on break; the first is 1.
    pub(crate) fn plan(&self, nth: u64, breaking: Breaking) {
        let mut plan = self.locked();
        *plan = Plan {
            next: Some((nth, breaking)),
            ..Plan::default()
        };
    }

    /// Plans what [`PLAN`] says in the environment of a process that a test
    /// starts: `37:kill`, `5:error`, `12:pause:3000` (milliseconds).
    pub(crate) fn plan_as_told(&self) {
        let told = std::env::var(PLAN).unwrap_or_default();
        let mut words = told.split(':');
        let nth = words.next().and_then(|nth| nth.parse().ok());
        let breaking = match words.next() {
            Some("kill") => Some(Breaking::Kill),
            Some("error") => Some(Breaking::Error),
            Some("pause") => {
                let span = words.next().and_then(|span| span.parse().ok());
                span.map(|span| Breaking::Pause(std::time::Duration::from_millis(span)))
            }
            _ => None,
        };
        if let (Some(nth), Some(breaking)) = (nth, breaking) {
            self.plan(nth, breaking);
        }
    }

    /// Lets nothing break any more; what broke is still told.
    pub(crate) fn stop(&self) {
        self.locked().next = None;
    }

    /// The point that broke since the last plan, if it was reached.
    pub(crate) fn met(&self) -> Option<&'static str> {
        self.locked().met
    }

    fn meet(&self, point: &'static str) -> Option<Breaking> {
        let mut plan = self.locked();
        plan.passed += 1;
        let (nth, breaking) = plan.next?;
        if plan.passed != nth {
            return None;
        }
        plan.met = Some(point);
        Some(breaking)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Ends the process without a chance to finish anything.
#[cfg(feature = "faults")]
fn kill() -> ! {
    // The core dump that this would leave is forbidden before anything starts.
    std::process::abort()
}
