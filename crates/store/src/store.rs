//! The store: opens a database, carries out acts, counts what was committed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::act::{Act, Shared};
use crate::dialect::Engine;
use crate::fault::Fault;
use crate::job::Lease;
use crate::migration::{Migrated, Migration};
#[cfg(feature = "postgres")]
use crate::postgres::Postgres;
#[cfg(feature = "postgres")]
use crate::purge::first_day;
use crate::revocation::Revocation;
use crate::schema::apply::Contract;
use crate::schema::{Finished, STEPS, Steps};
use crate::sqlite::Sqlite;

/// How long one call may take, waiting included.
pub(crate) const DEADLINE: Duration = Duration::from_secs(3);

/// What the server remembers. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    backend: Backend,
}

enum Backend {
    Sqlite(Box<Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(Postgres),
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// `sqlite://path` or `postgres://…`.
    pub url: String,
    /// False behind a pooler that shares connections between transactions.
    pub named_statements: bool,
    /// How many connections to PostgreSQL at most.
    pub pool_size: usize,
    /// A random number that names this process in audit rows.
    pub node: i64,
    /// How long to wait for another process that has the SQLite file open.
    pub patience: Duration,
}

impl Options {
    /// The defaults for a URL. `node` is random for each process.
    pub fn new(url: impl Into<String>, node: i64) -> Self {
        Self {
            url: url.into(),
            named_statements: true,
            pool_size: 16,
            node,
            patience: Duration::ZERO,
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("engine", &self.engine())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database. It changes no schema: [`Store::migrate`] does.
    pub async fn open(options: &Options) -> Result<Self, Fault> {
        let shared = Arc::new(Shared {
            node: options.node,
            ..Shared::default()
        });
        #[cfg(feature = "faults")]
        shared.faults.plan_as_told();
        let backend = if let Some(path) = sqlite_path(&options.url) {
            let path = path.to_owned();
            let (shared, patience) = (Arc::clone(&shared), options.patience);
            let open = move || Sqlite::open(&path, shared, patience);
            let opened = tokio::task::spawn_blocking(open).await;
            let opened = opened.map_err(|_| Fault::broken("opening was interrupted"))?;
            Backend::Sqlite(Box::new(opened?))
        } else {
            Self::open_postgres(options).await?
        };
        let inner = Arc::new(Inner { shared, backend });
        Ok(Self { inner })
    }

    #[cfg(feature = "postgres")]
    async fn open_postgres(options: &Options) -> Result<Backend, Fault> {
        Postgres::open(options).await.map(Backend::Postgres)
    }

    #[cfg(not(feature = "postgres"))]
    async fn open_postgres(_: &Options) -> Result<Backend, Fault> {
        Err(without_postgres())
    }

    /// Which engine this store runs on.
    pub fn engine(&self) -> Engine {
        match &self.inner.backend {
            Backend::Sqlite(_) => Engine::Sqlite,
            #[cfg(feature = "postgres")]
            Backend::Postgres(_) => Engine::Postgres,
        }
    }

    /// Carries out an act that may write. When it answers `Ok`, what was
    /// written is durable.
    pub async fn act<A: Act>(&self, act: A) -> Result<A::Out, Fault> {
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => sqlite.act(act).await,
            #[cfg(feature = "postgres")]
            Backend::Postgres(postgres) if A::ONLY_TAKES_BACK => {
                Box::pin(postgres.act_together(&self.inner.shared, act)).await
            }
            #[cfg(feature = "postgres")]
            // On the heap, so that flows which never come here stay small.
            Backend::Postgres(postgres) => Box::pin(postgres.act(&self.inner.shared, &act)).await,
        }
    }

    /// Carries out an act that only reads, beside the writer.
    pub async fn read<A: Act>(&self, act: A) -> Result<A::Out, Fault> {
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => sqlite.read(act).await,
            #[cfg(feature = "postgres")]
            Backend::Postgres(postgres) => Box::pin(postgres.read(&self.inner.shared, &act)).await,
        }
    }

    /// Has `observer` told of every revocation that an act of this process
    /// committed, before the act's caller is answered. Only the first call
    /// counts. The observer must be quick: it may run on the writer's thread.
    pub fn observe(&self, observer: impl Fn(&[Revocation]) + Send + Sync + 'static) {
        // A second observer is ignored, as the documentation says.
        let _ = self.inner.shared.observer.set(Box::new(observer));
    }

    /// How many acts that wrote were committed: what write budgets count.
    pub fn commits(&self) -> u64 {
        self.inner.shared.commits.load(Ordering::Relaxed)
    }

    /// Whom this process has written messages to since it asked last: what
    /// [`crate::BoundReceivers`] looks at.
    pub fn written_receivers(&self) -> Vec<crate::outbox::Written> {
        self.inner.shared.outbox.take()
    }

    /// Whether the disk of a SQLite file is full: what takes back is written, and
    /// nothing else.
    pub fn is_full(&self) -> bool {
        self.inner.shared.full.load(Ordering::Relaxed)
    }

    /// Lets the `nth` fault point from now on break: the first is 1.
    #[cfg(feature = "faults")]
    pub fn break_at(&self, nth: u64, breaking: crate::faults::Breaking) {
        self.inner.shared.faults.plan(nth, breaking);
    }

    /// Lets nothing break any more.
    #[cfg(feature = "faults")]
    pub fn break_no_more(&self) {
        self.inner.shared.faults.stop();
    }

    /// The fault point that broke since [`Store::break_at`], if it was reached.
    #[cfg(feature = "faults")]
    pub fn broken_at(&self) -> Option<&'static str> {
        self.inner.shared.faults.met()
    }

    /// Brings the schema up to date: adds what this version needs. Safe when
    /// several nodes start at once.
    pub async fn migrate(&self) -> Result<Migrated, Fault> {
        let migrated = self.expand(&STEPS).await?;
        #[cfg(feature = "postgres")]
        if let Backend::Postgres(postgres) = &self.inner.backend
            // Without them the days to come share one table.
            && let Err(fault) = postgres.prepare_days().await
        {
            tracing::warn!(cause = %fault, "no tables for the days to come");
        }
        Ok(migrated)
    }

    /// Forgets whole days of what was used up, and prepares the days to come:
    /// on PostgreSQL, where each has a table of its own. Answers how many days
    /// went. [`crate::PurgeExpired`] forgets what lies in no such table.
    pub async fn turn_days(&self, lease: &Lease) -> Result<u64, Fault> {
        match &self.inner.backend {
            Backend::Sqlite(_) => Ok(0),
            #[cfg(feature = "postgres")]
            Backend::Postgres(postgres) => {
                postgres.prepare_days().await?;
                postgres.drop_days(lease, first_day(lease.time)).await
            }
        }
    }

    /// Writes the rows that the migrations of this version leave to be written,
    /// in chunks, and where it is told so takes away what no version needs any
    /// more. It can be stopped and begun again.
    pub async fn finish_migrations(&self, contract: Contract) -> Result<Finished, Fault> {
        self.finish(&STEPS, contract).await
    }

    pub(crate) async fn expand(&self, steps: &Steps) -> Result<Migrated, Fault> {
        let run = self.run_steps(steps.expand, Contract::Later).await?;
        Ok(Migrated { run })
    }

    pub(crate) async fn finish(
        &self,
        steps: &Steps,
        contract: Contract,
    ) -> Result<Finished, Fault> {
        let filled = self.fill(steps).await?;
        let contracted = match contract {
            Contract::Later => Vec::new(),
            Contract::Now => self.run_steps(steps.contract, contract).await?,
        };
        Ok(Finished { filled, contracted })
    }

    async fn run_steps(
        &self,
        of: &'static [Migration],
        contract: Contract,
    ) -> Result<Vec<Migration>, Fault> {
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => sqlite.migrate(of, contract).await,
            #[cfg(feature = "postgres")]
            Backend::Postgres(postgres) => postgres.migrate(&self.inner.shared, of, contract).await,
        }
    }

    /// How many connections there are, and how many of them are idle.
    #[cfg(all(test, feature = "postgres"))]
    pub(crate) fn counts(&self) -> (usize, usize) {
        match &self.inner.backend {
            Backend::Sqlite(_) => (0, 0),
            Backend::Postgres(postgres) => postgres.counts(),
        }
    }

    /// Finishes what was accepted, and closes the database. Later calls are
    /// answered that the store is unavailable.
    pub async fn close(&self) {
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => sqlite.close().await,
            #[cfg(feature = "postgres")]
            Backend::Postgres(postgres) => postgres.close(),
        }
    }
}

#[cfg(not(feature = "postgres"))]
pub(crate) fn without_postgres() -> Fault {
    Fault::broken("this URL is not of SQLite, and the feature `postgres` is not built in")
}

/// The path of a SQLite database, where the URL is of one.
pub(crate) fn sqlite_path(url: &str) -> Option<&str> {
    url.strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"))
}
