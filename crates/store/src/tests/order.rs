//! In which order messages about one person are numbered, on PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use symbolon_testkit::{START, SeededEntropy};
use symbolon_token::{Id, Session};
use tokio::sync::watch;

use crate::act::{Act, Tx};
use crate::authorization_code::RedeemCode;
use crate::conformance::World;
use crate::fault::Fault;
use crate::session::{EndSession, Ended};
use crate::signal::Message;
use crate::statement::Sql;

/// An act that has done all that it does, and is not over until it may be.
struct Slow {
    act: EndSession,
    /// Told which process of the server carries it out, once it has.
    ran: watch::Sender<i64>,
    may_end: watch::Receiver<bool>,
}

static PROCESS: Sql = Sql::new("SELECT CAST(pg_backend_pid() AS BIGINT)", None);

impl Act for Slow {
    type Out = Ended;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Ended, Fault> {
        let ended = self.act.run(tx).await?;
        let process = tx.one(&PROCESS, &[]).await?.unwrap().number(0)?;
        self.ran.send_replace(process);
        let mut may_end = self.may_end.clone();
        // Where the test is gone, it may.
        let _ = may_end.wait_for(|may_end| *may_end).await;
        Ok(ended)
    }
}

/// Two sessions of a person in which a client took part that wants to hear of
/// their ends.
async fn heard(world: &World) -> [Id<Session>; 2] {
    let scene = world.scene().await.unwrap();
    let open = world.session(scene.person);
    let sessions = [scene.session, open.id];
    world.store.act(open).await.unwrap();
    for session in sessions {
        let listen = RedeemCode {
            session: Some(session),
            listener: Some(scene.client.clone()),
            ..world.redeem(&scene, None)
        };
        world.store.act(listen).await.unwrap();
    }
    sessions
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
    let sessions = heard(&world).await;
    let [first, second] = sessions.map(|id| EndSession {
        id,
        now: START,
        horizon: world.horizon(),
        audit: world.audit("session.end"),
    });
    let client = schema.connect().await;
    let numbered = async || -> i64 {
        let last = "SELECT last_value FROM outbox_number_seq";
        client.query_one(last, &[]).await.unwrap().get(0)
    };

    let (ran, mut has_run) = watch::channel(0);
    let (end, may_end) = watch::channel(false);
    let first = Slow {
        act: first,
        ran,
        may_end,
    };
    let slow = tokio::spawn({
        let store = store.clone();
        async move { store.act(first).await.unwrap() }
    });
    let process = *has_run.wait_for(|process| *process > 0).await.unwrap();
    let process = i32::try_from(process).unwrap();
    let before = numbered().await;
    let quick = tokio::spawn({
        let store = store.clone();
        async move { store.act(second).await.unwrap() }
    });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))";
    let waits = async || -> i64 {
        let found = client.query_one(waiting, &[&process]).await;
        found.unwrap().get(0)
    };
    while !quick.is_finished() && waits().await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    assert_eq!(numbered().await, before, "the second has written already");
    end.send_replace(true);
    let both = (slow.await.unwrap(), quick.await.unwrap());
    assert_eq!(both, (Ended::Ended, Ended::Ended));
    let text = "SELECT message FROM outbox ORDER BY number";
    let rows = client.query(text, &[]).await.unwrap();
    let told = rows.iter().map(|row| {
        let message: Message = serde_json::from_str(row.get(0)).unwrap();
        message.session.unwrap()
    });
    assert_eq!(told.collect::<Vec<_>>(), sessions);
    store.close().await;
    schema.drop().await;
}
