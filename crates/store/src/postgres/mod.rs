//! PostgreSQL: a line to it, one transaction for each act, conflicts and lost
//! connections run again.
//!
//! What is run again within the deadline, and what is not:
//!
//! 1. A conflict (40001, 40P01) was rolled back by the server: again.
//! 2. A connection that was lost, or led to a server that ends or only reads,
//!    before `COMMIT` was sent: the server rolls back, so again, on another.
//! 3. One that was lost after `COMMIT`, or a lone statement, was sent: it may
//!    have been stored. The act is asked whether it was ([`Act::settled`]);
//!    where it cannot tell, the caller is told that the store is unavailable,
//!    and nothing is run a second time.

pub(crate) mod address;
mod circuit;
mod days;
mod group;
mod line;
mod schema;
mod transaction;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deadpool_postgres::{Client, StatementCache};
use futures_util::TryStreamExt;
use symbolon_protocol::planted;
use tokio_postgres::types::Type;

use self::group::Group;
use self::line::{Held, Line};
use self::transaction::Transaction;
use crate::act::{Act, Settled, Shared, Tx};
use crate::bind::Bind;
use crate::dialect::Engine;
use crate::fault::Fault;
use crate::job::Lease;
use crate::migration::Migration;
use crate::row::Row;
use crate::schema::apply::{Contract, Next};
use crate::statement::Sql;
use crate::store::{DEADLINE, Options};

/// How often an act is run again after a conflict.
const TRIES: usize = 8;
/// How long after a lost connection the next is taken, at first.
const PAUSE: Duration = Duration::from_millis(20);

/// A database on PostgreSQL.
#[derive(Clone)]
pub(crate) struct Postgres {
    line: Arc<Line>,
    named: bool,
    group: Arc<Group>,
}

/// The connection that an act's statements go to.
#[derive(Clone)]
pub(crate) struct Link<'c> {
    client: &'c tokio_postgres::Client,
    /// Where statements have names.
    cache: Option<Arc<StatementCache>>,
}

impl Postgres {
    pub(crate) async fn open(options: &Options) -> Result<Self, Fault> {
        let line = Line::new(address::parse(&options.url)?, options)?;
        let named = options.named_statements;
        let group = Arc::default();
        let postgres = Self { line, named, group };
        // So that a wrong address is told at the start.
        postgres.line.connection().await?.give_back();
        Ok(postgres)
    }

    /// Runs an act, again where it met a conflict or lost its connection.
    pub(crate) async fn act<A: Act>(&self, shared: &Shared, act: &A) -> Result<A::Out, Fault> {
        self.within_deadline(Writing {
            postgres: self,
            shared,
            act,
            is_in_doubt: false,
        })
        .await
    }

    async fn attempt<A: Act>(
        &self,
        client: &mut Client,
        shared: &Shared,
        act: &A,
    ) -> Result<A::Out, Fault> {
        shared.faults.reach("postgres: before the act").await?;
        let mut alone = Tx::new(self.link(client), shared);
        let decided = if A::SINGLE {
            act.run(&mut alone).await.map(Some)
        } else {
            act.first(&mut alone).await
        };
        let decided = decided.map_err(|fault| alone.doubted(fault))?;
        if let Some(out) = decided {
            if alone.asked_to_write {
                let answered = shared.faults.reach("postgres: after a lone statement");
                answered.await.map_err(|fault| alone.doubted(fault))?;
            }
            committed(alone);
            return Ok(out);
        }

        let transaction = self.begin(client).await?;
        let mut tx = Tx::new(self.link_within(&transaction), shared);
        // Dropping the transaction rolls it back, so a fault needs no more.
        let out = act.run(&mut tx).await?;
        shared.faults.reach("postgres: before COMMIT").await?;
        let is_writing = tx.asked_to_write;
        let done = Done::of(tx);
        let mut answered = transaction.commit().await.map_err(Fault::from);
        if answered.is_ok() {
            answered = shared.faults.reach("postgres: after COMMIT").await;
        }
        match answered {
            Ok(()) => {}
            Err(fault) if is_writing => return Err(fault.doubted()),
            Err(fault) => return Err(fault),
        }
        done.tell(shared);
        Ok(out)
    }

    /// Asks what became of an act whose commit was not answered. What is
    /// asked is rolled back.
    async fn settle<A: Act>(
        &self,
        client: &mut Client,
        shared: &Shared,
        act: &A,
    ) -> Result<Settled<A::Out>, Fault> {
        let transaction = self.begin(client).await?;
        let mut tx = Tx::new(self.link_within(&transaction), shared);
        let settled = act.settled(&mut tx).await;
        transaction.rollback().await?;
        settled
    }

    /// Runs an act that only reads, in one snapshot.
    pub(crate) async fn read<A: Act>(&self, shared: &Shared, act: &A) -> Result<A::Out, Fault> {
        self.within_deadline(Reading {
            postgres: self,
            shared,
            act,
        })
        .await
    }

    async fn look<A: Act>(
        &self,
        client: &mut Client,
        shared: &Shared,
        act: &A,
    ) -> Result<A::Out, Fault> {
        shared.faults.reach("postgres: before reading").await?;
        if A::SINGLE {
            let mut alone = Tx::new(self.link(client), shared);
            return act.run(&mut alone).await;
        }
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let transaction = Transaction::begin(client, begin, !self.named).await?;
        let mut tx = Tx::new(self.link_within(&transaction), shared);
        let out = act.run(&mut tx).await?;
        transaction.commit().await?;
        Ok(out)
    }

    async fn begin<'c>(&self, client: &'c mut Client) -> Result<Transaction<'c>, Fault> {
        Ok(Transaction::begin(client, "BEGIN", !self.named).await?)
    }

    fn link_within<'c>(&self, transaction: &Transaction<'c>) -> crate::act::Link<'c> {
        self.link(transaction.client())
    }

    fn link<'c>(&self, client: &'c Client) -> crate::act::Link<'c> {
        crate::act::Link::Postgres(Link {
            client,
            cache: self.named.then(|| Arc::clone(&client.statement_cache)),
        })
    }

    /// Runs an errand on a connection until it is answered, or time is up.
    async fn within_deadline<E: Errand>(&self, errand: E) -> Result<E::Out, Fault> {
        let mut held = None;
        let answered = self.answered(&mut held, errand);
        if let Ok(outcome) = tokio::time::timeout(DEADLINE, answered).await {
            return outcome;
        }
        // A wait for somebody's lock says nothing of the database, and neither
        // does a queue for connections: the probe tells.
        self.line.suspect();
        if let Some(held) = held {
            held.cut();
        }
        Err(Fault::unavailable("postgresql: no answer in time"))
    }

    async fn answered<E: Errand>(
        &self,
        held: &mut Option<Held>,
        mut errand: E,
    ) -> Result<E::Out, Fault> {
        let (mut conflicts, mut pause) = (0, PAUSE);
        loop {
            let connection = match held.take() {
                Some(connection) => Ok(connection),
                None => self.line.connection().await,
            };
            let outcome = match connection {
                Ok(connection) => errand.run(held.insert(connection).client()?).await,
                Err(fault) => Err(fault),
            };
            match outcome {
                Err(fault) if fault.is_retry() && conflicts < TRIES => {
                    conflicts += 1;
                    tokio::task::yield_now().await;
                }
                Err(fault) if fault.is_lost() => {
                    if let Some(held) = held.take() {
                        held.throw_away();
                    }
                    if fault.is_turned_away() {
                        self.line.suspect();
                    }
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                outcome => {
                    if let Some(held) = held.take() {
                        held.give_back();
                    }
                    return outcome;
                }
            }
        }
    }

    /// Runs what is missing of a list.
    pub(crate) async fn migrate(
        &self,
        shared: &Shared,
        of: &'static [Migration],
        contract: Contract,
    ) -> Result<Vec<Migration>, Fault> {
        let mut held = self.line.connection().await?;
        let next = Next { of, contract };
        let migrated = schema::migrate(held.client()?, shared, next).await;
        held.give_back();
        migrated
    }

    /// The numbers of the migrations that ran; none where there is no table.
    pub(crate) async fn applied_migrations(&self) -> Result<Vec<i64>, Fault> {
        let mut held = self.line.connection().await?;
        let applied = schema::applied(held.client()?).await;
        held.give_back();
        applied
    }

    /// Makes what the days to come need.
    pub(crate) async fn prepare_days(&self) -> Result<(), Fault> {
        self.within_deadline(days::Prepare).await
    }

    /// Forgets whole days before one.
    pub(crate) async fn drop_days(&self, lease: &Lease, before: i64) -> Result<u64, Fault> {
        self.within_deadline(days::Drop { lease, before }).await
    }

    /// About how many rows a table has; none where it does not exist.
    pub(crate) async fn rows_of(&self, table: &str) -> Result<u64, Fault> {
        let mut held = self.line.connection().await?;
        let rows = schema::rows_of(held.client()?, table).await;
        held.give_back();
        rows
    }

    pub(crate) fn close(&self) {
        self.line.close();
    }

    /// How many connections there are, and how many of them are idle.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> (usize, usize) {
        self.line.counts()
    }
}

/// What a call does with a connection; with another, where that was lost.
trait Errand: Send {
    type Out: Send;

    fn run(&mut self, client: &mut Client)
    -> impl Future<Output = Result<Self::Out, Fault>> + Send;
}

struct Writing<'a, A> {
    postgres: &'a Postgres,
    shared: &'a Shared,
    act: &'a A,
    is_in_doubt: bool,
}

impl<A: Act> Errand for Writing<'_, A> {
    type Out = A::Out;

    async fn run(&mut self, client: &mut Client) -> Result<A::Out, Fault> {
        let (postgres, shared, act) = (self.postgres, self.shared, self.act);
        if self.is_in_doubt {
            match postgres.settle(client, shared, act).await? {
                Settled::Done(_) if planted(38) => self.is_in_doubt = false,
                Settled::Done(out) => return Ok(out),
                Settled::Undone => self.is_in_doubt = false,
                Settled::Unknown => return Err(unknown()),
            }
        }
        let outcome = postgres.attempt(client, shared, act).await;
        self.is_in_doubt = matches!(&outcome, Err(fault) if fault.is_in_doubt());
        outcome
    }
}

struct Reading<'a, A> {
    postgres: &'a Postgres,
    shared: &'a Shared,
    act: &'a A,
}

impl<A: Act> Errand for Reading<'_, A> {
    type Out = A::Out;

    async fn run(&mut self, client: &mut Client) -> Result<A::Out, Fault> {
        self.postgres.look(client, self.shared, self.act).await
    }
}

fn unknown() -> Fault {
    Fault::unavailable(
        "postgresql: the connection was lost before the answer; it is not known whether it was stored",
    )
}

/// What an act did, kept until its commit is known.
struct Done {
    wrote: bool,
    recorded: Vec<crate::revocation::Revocation>,
}

impl Done {
    fn of(tx: Tx<'_>) -> Self {
        Self {
            wrote: tx.wrote,
            recorded: tx.recorded,
        }
    }

    fn tell(self, shared: &Shared) {
        if self.wrote {
            shared.commits.fetch_add(1, Ordering::Relaxed);
        }
        for record in &self.recorded {
            shared.seen.note(record.position);
        }
        if let Some(observer) = shared.observer.get().filter(|_| !self.recorded.is_empty()) {
            observer(&self.recorded);
        }
    }
}

fn committed(tx: Tx<'_>) {
    let shared = tx.shared;
    Done::of(tx).tell(shared);
}

impl<'c> Link<'c> {
    /// A connection that is nobody else's, and whose statements have no names.
    pub(crate) fn plain(client: &'c tokio_postgres::Client) -> Self {
        let cache = None;
        Self { client, cache }
    }

    /// Runs statements without parameters.
    pub(crate) async fn batch(&self, text: &str) -> Result<(), Fault> {
        Ok(self.client.batch_execute(text).await?)
    }

    /// Runs a statement, row by row; answers how many came or were changed.
    pub(crate) async fn each(
        &self,
        sql: &'static Sql,
        binds: &[Bind<'_>],
        mut take: impl FnMut(Row) -> Result<(), Fault> + Send,
    ) -> Result<u64, Fault> {
        let text = sql.text(Engine::Postgres);
        let stream = if let Some(cache) = &self.cache {
            let types: Vec<Type> = binds.iter().map(Bind::postgres_type).collect();
            let statement = cache.prepare_typed(self.client, text, &types).await?;
            self.client.query_raw(&statement, binds.iter()).await?
        } else {
            let typed = binds.iter().map(|bind| (bind, bind.postgres_type()));
            self.client.query_typed_raw(text, typed).await?
        };
        let mut stream = std::pin::pin!(stream);
        let mut count = 0;
        while let Some(row) = stream.try_next().await? {
            take(Row::Postgres(row))?;
            count += 1;
        }
        Ok(stream.rows_affected().unwrap_or(count).max(count))
    }
}
