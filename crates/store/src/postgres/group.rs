//! Acts that only take back, in groups: those that wait on one node share a
//! transaction.
//!
//! Whoever takes something back waits for the head of the feed. If each did so
//! with a connection of its own, one client that takes back a thousand tokens
//! would hold all of a node's, and nobody else would be served.
//!
//! 1. An act is put behind those that wait. Where nobody carries them out, a
//!    task begins to.
//! 2. The task runs a few of them in one transaction and then answers them all.
//! 3. Where one of them fails, each is run by its caller, alone. A savepoint for
//!    each would spare that, and cost each two ways to the database while others
//!    wait for the head.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deadpool_postgres::Client;
use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::{Done, Postgres, Writing};
use crate::act::{Act, Shared, Tx};
use crate::fault::Fault;
use crate::store::DEADLINE;

/// How many acts may wait. One more is answered that the store is unavailable.
const MAX_WAITING: usize = 1024;
/// How many share a transaction at most: others wait for the head of the feed
/// meanwhile, some tens of milliseconds where the database is near.
const MOST: usize = 16;

/// The acts that wait on this node.
#[derive(Default)]
pub(super) struct Group(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Box<dyn Job>>,
    /// Whether a task carries them out.
    is_served: bool,
}

/// The act does not stand with others, and is run alone.
#[derive(Clone, Copy, Debug)]
struct Alone {
    /// Whether it may have been stored all the same.
    is_in_doubt: bool,
}

type Answer<A> = oneshot::Receiver<Result<<A as Act>::Out, Alone>>;
type Running<'a> = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send + 'a>>;

/// An act whose type is forgotten.
trait Job: Send {
    /// Whether the caller has gone: its act need not be started.
    fn is_abandoned(&self) -> bool;

    fn run<'a>(&'a mut self, tx: &'a mut Tx<'_>) -> Running<'a>;

    /// Hands the caller what the act said, or that it has to be run alone.
    fn answer(self: Box<Self>, alone: Option<Alone>);
}

struct Pending<A: Act> {
    act: Arc<A>,
    out: Option<A::Out>,
    caller: oneshot::Sender<Result<A::Out, Alone>>,
}

impl<A: Act> Job for Pending<A> {
    fn is_abandoned(&self) -> bool {
        self.caller.is_closed()
    }

    fn run<'a>(&'a mut self, tx: &'a mut Tx<'_>) -> Running<'a> {
        Box::pin(async move {
            self.out = Some(self.act.run(tx).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, alone: Option<Alone>) {
        let undone = Alone { is_in_doubt: false };
        let out = match (self.out, alone) {
            (Some(out), None) => Ok(out),
            (_, alone) => Err(alone.unwrap_or(undone)),
        };
        // The caller may have gone; what was done is done.
        let _ = self.caller.send(out);
    }
}

impl Postgres {
    /// Runs an act that only takes back, with others that wait on this node.
    pub(crate) async fn act_together<A: Act>(
        &self,
        shared: &Arc<Shared>,
        act: A,
    ) -> Result<A::Out, Fault> {
        let act = Arc::new(act);
        let (answer, is_first) = self.group.add(Arc::clone(&act))?;
        if is_first {
            tokio::spawn(serve(self.clone(), Arc::clone(shared)));
        }
        let answered = async {
            let is_in_doubt = match answer.await {
                Ok(Ok(out)) => return Ok(out),
                Ok(Err(alone)) => alone.is_in_doubt,
                // Whoever carried them out is gone, and nobody knows how far
                // that came.
                Err(_) => true,
            };
            self.within_deadline(Writing {
                postgres: self,
                shared,
                act: &*act,
                is_in_doubt,
            })
            .await
        };
        if let Ok(outcome) = tokio::time::timeout(DEADLINE, answered).await {
            return outcome;
        }
        self.line.suspect();
        Err(Fault::unavailable("postgresql: no answer in time"))
    }
}

impl Group {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an act behind those that wait. Whether nobody carries them out: then
    /// the caller has somebody begin.
    fn add<A: Act>(&self, act: Arc<A>) -> Result<(Answer<A>, bool), Fault> {
        let (caller, answer) = oneshot::channel();
        let mut waiting = self.waiting();
        if waiting.jobs.len() >= MAX_WAITING {
            return Err(Fault::unavailable(
                "postgresql: too many wait that take something back",
            ));
        }
        let out = None;
        waiting
            .jobs
            .push_back(Box::new(Pending { act, out, caller }));
        Ok((answer, !std::mem::replace(&mut waiting.is_served, true)))
    }

    /// The next to be carried out; where nothing waits, nobody does any more.
    fn take(&self) -> Option<Vec<Box<dyn Job>>> {
        let mut waiting = self.waiting();
        waiting.jobs.retain(|job| !job.is_abandoned());
        let some = waiting.jobs.len().min(MOST);
        waiting.is_served = some > 0;
        (some > 0).then(|| waiting.jobs.drain(..some).collect())
    }
}

/// Lets somebody else begin where this one was interrupted.
struct Turn {
    group: Arc<Group>,
    is_over: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_over {
            self.group.waiting().is_served = false;
        }
    }
}

/// Carries out what waits, until nothing does.
async fn serve(postgres: Postgres, shared: Arc<Shared>) {
    let mut turn = Turn {
        group: Arc::clone(&postgres.group),
        is_over: false,
    };
    while let Some(mut jobs) = postgres.group.take() {
        let outcome = carry_out(&postgres, &shared, &mut jobs).await;
        let alone = outcome.err().map(|fault| Alone {
            is_in_doubt: fault.is_in_doubt(),
        });
        for job in jobs {
            job.answer(alone);
        }
    }
    turn.is_over = true;
}

/// Runs acts on one connection: all of them, or none.
async fn carry_out(
    postgres: &Postgres,
    shared: &Shared,
    jobs: &mut [Box<dyn Job>],
) -> Result<(), Fault> {
    let mut held = postgres.line.connection().await?;
    let ran = transact(postgres, held.client()?, shared, jobs);
    match tokio::time::timeout(DEADLINE, ran).await {
        Ok(Err(fault)) if fault.is_lost() => {
            held.throw_away();
            Err(fault)
        }
        Ok(ran) => {
            held.give_back();
            ran
        }
        Err(_) => {
            postgres.line.suspect();
            held.cut();
            Err(Fault::lost("postgresql: no answer in time").doubted())
        }
    }
}

async fn transact(
    postgres: &Postgres,
    client: &mut Client,
    shared: &Shared,
    jobs: &mut [Box<dyn Job>],
) -> Result<(), Fault> {
    shared.faults.reach("postgres: before the act").await?;
    let transaction = postgres.begin(client).await?;
    let (mut done, mut has_head) = (Vec::new(), false);
    for job in jobs {
        let mut tx = Tx::new(postgres.link_within(&transaction), shared);
        tx.has_head = has_head;
        // A panic must not take the others along.
        let ran = AssertUnwindSafe(job.run(&mut tx)).catch_unwind().await;
        ran.unwrap_or_else(|_| Err(Fault::broken("an act panicked")))?;
        has_head = tx.has_head;
        done.push(Done::of(tx));
    }
    shared.faults.reach("postgres: before COMMIT").await?;
    let mut answered = transaction.commit().await.map_err(Fault::from);
    if answered.is_ok() {
        answered = shared.faults.reach("postgres: after COMMIT").await;
    }
    answered.map_err(Fault::doubted)?;
    for own in done {
        own.tell(shared);
    }
    Ok(())
}
