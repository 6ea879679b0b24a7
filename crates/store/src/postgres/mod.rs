//! PostgreSQL: a pool, one transaction for each act, conflicts run again.

pub(crate) mod address;
mod schema;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use deadpool_postgres::{
    Client, Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime,
    StatementCache, Transaction,
};
use futures_util::TryStreamExt;
use tokio_postgres::IsolationLevel;
use tokio_postgres::types::Type;

use crate::act::{Act, Shared, Tx};
use crate::bind::Bind;
use crate::dialect::Engine;
use crate::fault::Fault;
use crate::migration::Migration;
use crate::row::Row;
use crate::schema::apply::{Contract, Next};
use crate::statement::Sql;
use crate::store::{DEADLINE, Options};

/// How often an act is run again after a conflict.
const TRIES: usize = 8;

/// A pool of connections to PostgreSQL.
pub(crate) struct Postgres {
    pool: Pool,
    named: bool,
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
        let address = address::parse(&options.url)?;
        let recycling_method = RecyclingMethod::Fast;
        let manager = Manager::from_config(
            address.config,
            address.tls,
            ManagerConfig { recycling_method },
        );
        let mut builder = Pool::builder(manager)
            .max_size(options.pool_size.max(1))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(DEADLINE))
            .create_timeout(Some(DEADLINE))
            .recycle_timeout(Some(DEADLINE));
        // Behind a pooler a setting would stay with somebody else's connection.
        if options.named_statements {
            builder = builder.post_create(Hook::async_fn(|client, _| {
                Box::pin(async move {
                    client
                        .batch_execute(
                            "SET statement_timeout = 3000; SET lock_timeout = 3000;
                             SET idle_in_transaction_session_timeout = 10000",
                        )
                        .await
                        .map_err(HookError::Backend)
                })
            }));
        }
        let pool = builder
            .build()
            .map_err(|_| Fault::broken("postgresql: the pool could not be made"))?;
        let named = options.named_statements;
        let postgres = Self { pool, named };
        // So that a wrong address is told at the start.
        drop(postgres.client().await?);
        Ok(postgres)
    }

    async fn client(&self) -> Result<Client, Fault> {
        Ok(self.pool.get().await?)
    }

    /// Runs an act, again where it met a conflict, within the deadline.
    pub(crate) async fn act<A: Act>(&self, shared: &Shared, act: &A) -> Result<A::Out, Fault> {
        self.within_deadline(async |client| {
            for _ in 1..TRIES {
                match self.attempt(client, shared, act).await {
                    Err(fault) if fault.is_retry() => tokio::task::yield_now().await,
                    outcome => return outcome,
                }
            }
            self.attempt(client, shared, act).await
        })
        .await
    }

    async fn attempt<A: Act>(
        &self,
        client: &mut Client,
        shared: &Shared,
        act: &A,
    ) -> Result<A::Out, Fault> {
        let mut alone = Tx::new(self.link(client), shared);
        let decided = if A::SINGLE {
            Some(act.run(&mut alone).await?)
        } else {
            act.first(&mut alone).await?
        };
        if let Some(out) = decided {
            committed(alone);
            return Ok(out);
        }

        let transaction = client.transaction().await?;
        let mut tx = Tx::new(self.link_within(&transaction), shared);
        // Dropping the transaction rolls it back, so a fault needs no more.
        let out = act.run(&mut tx).await?;
        let done = Done::of(tx);
        transaction.commit().await?;
        done.tell(shared);
        Ok(out)
    }

    /// Runs an act that only reads, in one snapshot.
    pub(crate) async fn read<A: Act>(&self, shared: &Shared, act: &A) -> Result<A::Out, Fault> {
        self.within_deadline(async |client| match self.look(client, shared, act).await {
            Err(fault) if fault.is_retry() => self.look(client, shared, act).await,
            outcome => outcome,
        })
        .await
    }

    async fn look<A: Act>(
        &self,
        client: &mut Client,
        shared: &Shared,
        act: &A,
    ) -> Result<A::Out, Fault> {
        if A::SINGLE {
            let mut alone = Tx::new(self.link(client), shared);
            return act.run(&mut alone).await;
        }
        let transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await?;
        let mut tx = Tx::new(self.link_within(&transaction), shared);
        let out = act.run(&mut tx).await?;
        transaction.commit().await?;
        Ok(out)
    }

    fn link_within<'c>(&self, transaction: &'c Transaction<'_>) -> crate::act::Link<'c> {
        crate::act::Link::Postgres(Link {
            client: transaction.client(),
            cache: self.named.then(|| Arc::clone(&transaction.statement_cache)),
        })
    }

    fn link<'c>(&self, client: &'c Client) -> crate::act::Link<'c> {
        crate::act::Link::Postgres(Link {
            client,
            cache: self.named.then(|| Arc::clone(&client.statement_cache)),
        })
    }

    async fn within_deadline<T>(
        &self,
        run: impl AsyncFnOnce(&mut Client) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut client = None;
        let work = async {
            let client = client.insert(self.client().await?);
            run(client).await
        };
        if let Ok(outcome) = tokio::time::timeout(DEADLINE, work).await {
            return outcome;
        }
        // Whatever this connection is waiting for, nobody else shall wait for it.
        if let Some(client) = client {
            drop(Client::take(client));
        }
        Err(Fault::unavailable("postgresql: no answer in time"))
    }

    /// Runs what is missing of a list.
    pub(crate) async fn migrate(
        &self,
        shared: &Shared,
        of: &'static [Migration],
        contract: Contract,
    ) -> Result<Vec<Migration>, Fault> {
        schema::migrate(&mut self.client().await?, shared, Next { of, contract }).await
    }

    /// The numbers of the migrations that ran; none where there is no table.
    pub(crate) async fn applied_migrations(&self) -> Result<Vec<i64>, Fault> {
        schema::applied(&self.client().await?).await
    }

    /// About how many rows a table has; none where it does not exist.
    pub(crate) async fn rows_of(&self, table: &str) -> Result<u64, Fault> {
        schema::rows_of(&self.client().await?, table).await
    }

    pub(crate) fn close(&self) {
        self.pool.close();
    }
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
