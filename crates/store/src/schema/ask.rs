//! Questions about a database that is neither made nor changed by them.

use std::path::PathBuf;

use super::apply::IsFilled;
use super::plan::{PlannedStep, Progress, plan};
use super::{STEPS, Steps};
use crate::dialect::Engine;
use crate::fault::Fault;
use crate::migration::{self, Migration};
#[cfg(feature = "postgres")]
use crate::postgres::Postgres;
use crate::sqlite::plan as file;
use crate::store::{Options, Store, sqlite_path};

impl Store {
    /// The migrations that [`Store::migrate`] would run on a database, which is
    /// neither made nor changed by the question. One that does not exist lacks
    /// all of them.
    pub async fn pending_migrations(options: &Options) -> Result<Vec<Migration>, Fault> {
        Ok(migration::pending(&Self::applied(options).await?))
    }

    /// The numbers of migrations that ran on a database and that this binary
    /// does not know. Nothing is made and nothing changed by the question.
    pub async fn newer_migrations(options: &Options) -> Result<Vec<i64>, Fault> {
        Ok(migration::newer(&Self::applied(options).await?))
    }

    /// What would be done to a database to bring it up to date, statement by
    /// statement. Nothing is made and nothing changed by the question.
    pub async fn migration_plan(options: &Options) -> Result<Vec<PlannedStep>, Fault> {
        Self::plan_by(options, &STEPS).await
    }

    pub(crate) async fn plan_by(
        options: &Options,
        steps: &'static Steps,
    ) -> Result<Vec<PlannedStep>, Fault> {
        let applied = Self::applied(options).await?;
        if let Some(path) = sqlite_path(&options.url).map(PathBuf::from) {
            let asked = tokio::task::spawn_blocking(move || {
                let filled = file::filled(&path)?;
                let progress = Progress {
                    engine: Engine::Sqlite,
                    applied: &applied,
                    filled: &filled,
                };
                Ok(plan(steps, &progress, |table| file::rows_of(&path, table)))
            });
            return interrupted(asked.await)?;
        }
        Self::plan_on_postgres(options, steps, &applied).await
    }

    async fn applied(options: &Options) -> Result<Vec<i64>, Fault> {
        let Some(path) = sqlite_path(&options.url).map(PathBuf::from) else {
            return Self::applied_on_postgres(options).await;
        };
        let asked = tokio::task::spawn_blocking(move || file::applied(&path)).await;
        interrupted(asked)?
    }

    #[cfg(feature = "postgres")]
    async fn applied_on_postgres(options: &Options) -> Result<Vec<i64>, Fault> {
        let postgres = Postgres::open(options).await?;
        let applied = postgres.applied_migrations().await;
        postgres.close();
        applied
    }

    #[cfg(feature = "postgres")]
    async fn plan_on_postgres(
        options: &Options,
        steps: &'static Steps,
        applied: &[i64],
    ) -> Result<Vec<PlannedStep>, Fault> {
        let postgres = Postgres::open(options).await?;
        let mut counts = std::collections::BTreeMap::new();
        let progress = Progress {
            engine: Engine::Postgres,
            applied,
            filled: &[],
        };
        // Which tables are asked for is found out first, then they are counted.
        let mut tables = Vec::new();
        plan(steps, &progress, |table| {
            tables.push(table.to_owned());
            0
        });
        for table in tables {
            let rows = postgres.rows_of(&table).await?;
            counts.insert(table, rows);
        }
        postgres.close();
        let filled = Self::filled_on_postgres(options, steps, applied).await?;
        let progress = Progress {
            filled: &filled,
            ..progress
        };
        let rows = |table: &str| counts.get(table).copied().unwrap_or(0);
        Ok(plan(steps, &progress, rows))
    }

    #[cfg(feature = "postgres")]
    async fn filled_on_postgres(
        options: &Options,
        steps: &'static Steps,
        applied: &[i64],
    ) -> Result<Vec<String>, Fault> {
        let mut filled = Vec::new();
        let due = steps.fill.iter().filter(|own| applied.contains(&own.after));
        for fill in due {
            let store = Self::open(options).await?;
            let is_done = store.read(IsFilled(fill.name)).await;
            store.close().await;
            filled.extend(is_done?.then(|| fill.name.to_owned()));
        }
        Ok(filled)
    }

    #[cfg(not(feature = "postgres"))]
    async fn applied_on_postgres(_: &Options) -> Result<Vec<i64>, Fault> {
        Err(crate::store::without_postgres())
    }

    #[cfg(not(feature = "postgres"))]
    async fn plan_on_postgres(
        _: &Options,
        _: &'static Steps,
        _: &[i64],
    ) -> Result<Vec<PlannedStep>, Fault> {
        Err(crate::store::without_postgres())
    }
}

fn interrupted<T>(asked: Result<T, tokio::task::JoinError>) -> Result<T, Fault> {
    asked.map_err(|_| Fault::broken("the question was interrupted"))
}
