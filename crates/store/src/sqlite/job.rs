//! One act on its way through a thread: run, then answered.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::act::{Act, Link, Shared, Tx, ready};
use crate::fault::Fault;
use crate::revocation::Revocation;
use crate::store::DEADLINE;

/// An act whose type is forgotten; the one allocation a call costs here.
pub(crate) trait Job: Send {
    /// Whether the caller has gone: its act need not be started.
    fn is_abandoned(&self) -> bool;

    /// By what is seen that the caller goes while its act runs.
    fn caller(&self) -> Caller;

    /// Runs the act.
    fn run(&mut self, connection: &mut Connection, shared: &Shared) -> Ran;

    /// Whether a full disk does not refuse it: [`Act::FREES`].
    fn frees(&self) -> bool;

    /// Has the caller be told a fault in place of what the act said.
    fn refuse(&mut self, fault: Fault);

    /// Hands the caller what the act said, or the fault that undid it.
    fn answer(self: Box<Self>, undone: Option<Fault>);

    /// Whether a transaction is needed to read.
    fn is_single(&self) -> bool;
}

/// How an act ended.
pub(crate) enum Ran {
    /// With an outcome: it commits.
    Kept {
        wrote: bool,
        recorded: Vec<Revocation>,
    },
    /// With a fault: it alone is rolled back. Whether there was no room.
    Faulted { full: bool },
}

/// Whoever waits for an act, seen from the thread that runs it.
pub(crate) struct Caller(Weak<()>);

impl Caller {
    /// Whether nobody waits any more: the deadline passed, or the caller was
    /// dropped.
    pub(crate) fn has_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

struct Pending<A: Act> {
    act: A,
    out: Option<Result<A::Out, Fault>>,
    caller: oneshot::Sender<Result<A::Out, Fault>>,
    /// There for as long as the caller waits.
    waits: Weak<()>,
}

/// Sends an act to a thread and waits for its answer.
pub(crate) async fn submit<A: Act>(
    act: A,
    send: impl FnOnce(Box<dyn Job>) -> Result<(), Fault>,
) -> Result<A::Out, Fault> {
    submit_within(DEADLINE, act, send).await
}

/// The same for an act that takes longer than a request may.
pub(crate) async fn submit_within<A: Act>(
    deadline: Duration,
    act: A,
    send: impl FnOnce(Box<dyn Job>) -> Result<(), Fault>,
) -> Result<A::Out, Fault> {
    let (caller, answer) = oneshot::channel();
    let waiting = Arc::new(());
    send(Box::new(Pending {
        act,
        out: None,
        caller,
        waits: Arc::downgrade(&waiting),
    }))?;
    let answered = tokio::time::timeout(deadline, answer).await;
    drop(waiting);
    match answered {
        Ok(Ok(out)) => out,
        Ok(Err(_)) => Err(Fault::unavailable("sqlite: the thread has ended")),
        Err(_) => Err(Fault::unavailable("sqlite: no answer in time")),
    }
}

impl<A: Act> Job for Pending<A> {
    fn is_abandoned(&self) -> bool {
        self.caller.is_closed()
    }

    fn caller(&self) -> Caller {
        Caller(Weak::clone(&self.waits))
    }

    fn run(&mut self, connection: &mut Connection, shared: &Shared) -> Ran {
        let mut tx = Tx::new(Link::Sqlite(connection), shared);
        let act = AssertUnwindSafe(|| ready(self.act.run(&mut tx)));
        // A panic must not take the writer along: its act is rolled back.
        let out = catch_unwind(act).unwrap_or_else(|_| Err(Fault::broken("an act panicked")));
        let ran = match &out {
            Ok(_) => Ran::Kept {
                wrote: tx.wrote,
                recorded: std::mem::take(&mut tx.recorded),
            },
            Err(fault) => Ran::Faulted {
                full: fault.is_full(),
            },
        };
        self.out = Some(out);
        ran
    }

    fn frees(&self) -> bool {
        A::FREES
    }

    fn refuse(&mut self, fault: Fault) {
        self.out = Some(Err(fault));
    }

    fn answer(self: Box<Self>, undone: Option<Fault>) {
        let unknown = || Err(Fault::unavailable("sqlite: the act was not run"));
        let out = match undone {
            Some(fault) => Err(fault),
            None => self.out.unwrap_or_else(unknown),
        };
        // The caller may have gone; what was done is done.
        let _ = self.caller.send(out);
    }

    fn is_single(&self) -> bool {
        A::SINGLE
    }
}
