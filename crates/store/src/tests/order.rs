//! In which order messages about one person are numbered, on PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use symbolon_testkit::{START, SeededEntropy};
use tokio::time::Instant;

use crate::act::{Act, Tx};
use crate::conformance::World;
use crate::fault::Fault;
use crate::session::{EndSession, Ended};
use crate::statement::Sql;

/// An act that takes its time after all that it does.
struct Slow(EndSession);

static SLEEP: Sql = Sql::new("SELECT 1 FROM pg_sleep(0.6)", None);

impl Act for Slow {
    type Out = Ended;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Ended, Fault> {
        let ended = self.0.run(tx).await?;
        tx.one(&SLEEP, &[]).await?;
        Ok(ended)
    }
}

/// What ends two sessions of a person is numbered in the order in which it is
/// committed: the second act writes its messages when the first is over.
#[tokio::test(flavor = "multi_thread")]
async fn messages_about_one_person_are_numbered_as_they_are_committed() {
    let Some(schema) = super::nodes::Schema::new("numbered").await else {
        return;
    };
    let store = schema.open(1).await;
    store.migrate().await.unwrap();
    let world = World::new(store.clone(), Arc::new(SeededEntropy::new(5)), START);
    let scene = world.scene().await.unwrap();
    let second = world.session(scene.person);
    let end = |id| EndSession {
        id,
        now: START,
        horizon: world.horizon(),
        audit: world.audit("session.end"),
    };
    let (first, then) = (Slow(end(scene.session)), end(second.id));
    store.act(second).await.unwrap();

    let slow = tokio::spawn({
        let store = store.clone();
        async move { store.act(first).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    let quick = store.act(then).await.unwrap();
    let waited = began.elapsed();

    assert_eq!((slow.await.unwrap(), quick), (Ended::Ended, Ended::Ended));
    assert!(waited > Duration::from_millis(300), "{waited:?}");
    store.close().await;
    schema.drop().await;
}
