//! A database that a newer version has been at.

use super::Folder;
use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::migration::{ENTER, MIGRATIONS, NewerMigrations};
use crate::store::{Options, Store};

/// Enters a migration that this binary does not have.
struct Enter(i64);

impl Act for Enter {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let name = "from the future".to_owned();
        tx.run(&ENTER, binds![self.0, &name]).await?;
        Ok(())
    }
}

/// Asks a store, open and not, before and after a newer version was there.
async fn ask(options: &Options) {
    let next = MIGRATIONS.last().unwrap().number + 1;
    let none: Vec<i64> = Vec::new();
    assert_eq!(Store::newer_migrations(options).await.unwrap(), none);
    let store = Store::open(options).await.unwrap();
    store.migrate().await.unwrap();
    assert_eq!(store.read(NewerMigrations).await.unwrap(), none);

    store.act(Enter(next)).await.unwrap();

    assert_eq!(store.read(NewerMigrations).await.unwrap(), [next]);
    let again = store.migrate().await.unwrap();
    assert!(again.run.is_empty(), "it goes on beside the newer one");
    store.close().await;
    assert_eq!(Store::newer_migrations(options).await.unwrap(), [next]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_version_is_noticed_on_sqlite() {
    let folder = Folder::new();
    ask(&Options::new(folder.url(), 7)).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_version_is_noticed_on_postgres() {
    let Some(schema) = super::nodes::Schema::new("newer").await else {
        return;
    };
    ask(&Options::new(schema.url(), 7)).await;
    schema.drop().await;
}
