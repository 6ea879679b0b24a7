//! PostgreSQL behind a pooler: no connection is anybody's own, so each
//! transaction brings its limits along.

use std::time::Duration;

use symbolon_testkit::{START, SeededEntropy};
use tokio::time::Instant;

use super::nodes::Schema;
use crate::act::{Act, Tx};
use crate::conformance::World;
use crate::fault::Fault;
use crate::revocation::{self, Target};
use crate::statement::Sql;
use crate::store::{Options, Store};

/// A node that is stopped once it has taken a number of the feed, and goes on
/// long after.
struct Stopped(std::sync::mpsc::Sender<()>);

impl Act for Stopped {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let target = (Target::Key("stopped".to_owned()), START);
        revocation::record(tx, &[target], START).await?;
        let _ = self.0.send(());
        // Not a wait that the deadline of the call could end.
        std::thread::sleep(Duration::from_secs(9));
        Ok(())
    }
}

async fn node(schema: &Schema, number: i64) -> Store {
    let options = Options {
        named_statements: false,
        ..Options::new(schema.url(), number)
    };
    Store::open(&options).await.unwrap()
}

static SAID: Sql = Sql::new(
    "SELECT current_setting('statement_timeout') || ' ' || current_setting('lock_timeout')
        || ' ' || current_setting('idle_in_transaction_session_timeout')",
    None,
);

/// What a transaction, or a lone statement, is limited to.
struct Limits;

impl Act for Limits {
    type Out = String;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<String, Fault> {
        tx.one(&SAID, &[]).await?.unwrap().string(0)
    }
}

struct Alone;

impl Act for Alone {
    type Out = String;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<String, Fault> {
        Limits.run(tx).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_end_with_the_transaction_that_brought_them() {
    let Some(schema) = Schema::new("limits").await else {
        return;
    };
    let store = node(&schema, 1).await;
    let before = store.read(Alone).await.unwrap();

    assert_eq!(store.act(Limits).await.unwrap(), "3s 3s 4s");
    assert_eq!(store.read(Limits).await.unwrap(), "3s 3s 4s");

    assert_eq!(store.read(Alone).await.unwrap(), before);
    store.close().await;
    schema.drop().await;
}

/// R38, behind a pooler: whoever is stopped in a transaction holds the head of
/// the feed for no longer than elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_transaction_that_is_left_open_is_ended_by_the_server() {
    let Some(schema) = Schema::new("stopped").await else {
        return;
    };
    let (first, second) = (node(&schema, 1).await, node(&schema, 2).await);
    first.migrate().await.unwrap();
    let world = World::new(
        second.clone(),
        std::sync::Arc::new(SeededEntropy::new(9)),
        START,
    );
    let (stops, stopped) = std::sync::mpsc::channel();
    let stopping = tokio::spawn({
        let first = first.clone();
        async move { first.act(Stopped(stops)).await }
    });
    while stopped.try_recv().is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let began = Instant::now();
    let mut made = None;
    while made.is_none() && began.elapsed() < Duration::from_secs(8) {
        let act = crate::revocation::RevokeToken {
            token: world.id(world.slot()),
            client: "web".parse().unwrap(),
            subject: "usr_a".to_owned(),
            expires: world.horizon(),
            horizon: world.horizon(),
            now: START,
            audit: None,
        };
        made = second.act(act).await.ok();
    }

    let took = began.elapsed();
    assert!(
        made.is_some() && took < Duration::from_millis(6_500),
        "{took:?}"
    );
    assert!(stopping.await.unwrap().is_err(), "it was ended");
    first.close().await;
    second.close().await;
    schema.drop().await;
}
