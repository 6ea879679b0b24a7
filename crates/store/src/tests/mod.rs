//! The store against real files and a real server.

mod anchored;
mod audit;
mod backup;
mod browser;
mod damage;
mod durability;
mod engines;
mod fallen;
#[cfg(feature = "postgres")]
mod group;
mod growth;
mod histories;
mod idle;
#[cfg(feature = "postgres")]
mod line;
mod many;
mod newer;
#[cfg(feature = "postgres")]
mod nodes;
#[cfg(feature = "postgres")]
mod order;
mod outbox;
#[cfg(feature = "postgres")]
mod pages;
mod plans;
mod power;
mod readers;
mod schema;
mod sizes;
mod slots;
mod speed;
mod steps;
mod together;
mod trail;
#[cfg(feature = "postgres")]
mod unnamed;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use symbolon_testkit::{START, SeededEntropy};

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::statement::Sql;
use crate::store::{Options, Store};

/// A folder of one test's own, gone when it ends.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("symbolon-store-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn url(&self) -> String {
        format!("sqlite://{}/symbolon.db", self.0.display())
    }

    pub(crate) async fn store(&self) -> Store {
        let store = Store::open(&Options::new(self.url(), 7)).await.unwrap();
        store.migrate().await.unwrap();
        store
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs every behaviour and names those that are otherwise.
pub(crate) async fn conform(store: &Store) {
    let entropy = Arc::new(SeededEntropy::new(1));
    let outcomes = crate::conformance::run(store, entropy, START).await;
    let broken: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| Some((outcome.name, outcome.result.as_ref().err()?)))
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(outcomes.len() >= 40);
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long it takes is what is measured"
)]
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = std::time::Instant::now();
    let out = work.await;
    (out, began.elapsed())
}

/// How long an act takes, which does not fail.
pub(crate) async fn acted<A: Act>(store: &Store, act: A) -> Duration {
    let (out, took) = timed(store.act(act)).await;
    out.map(drop).unwrap();
    took
}

static ADD: Sql = Sql::new("INSERT INTO meta (name, value) VALUES (?1, ?2)", None);
static COUNT: Sql = Sql::new("SELECT count(*) FROM meta WHERE name = ?1", None);

/// Writes a row, then does as told.
pub(crate) struct Write(pub(crate) String, pub(crate) End);

#[derive(Clone, Copy)]
pub(crate) enum End {
    Out,
    Fault,
    Panic,
    Wait,
}

impl Act for Write {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        tx.run(&ADD, binds![&self.0, b"x".as_slice()]).await?;
        match self.1 {
            End::Out => Ok(()),
            End::Fault => Err(Fault::broken("as told")),
            End::Panic => panic!("as told"),
            End::Wait => std::future::pending().await,
        }
    }
}

/// How many rows of a name there are.
pub(crate) struct Count(pub(crate) String);

impl Act for Count {
    type Out = i64;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<i64, Fault> {
        tx.one(&COUNT, binds![&self.0]).await?.unwrap().number(0)
    }
}
