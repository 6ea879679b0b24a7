//! Reads that take longer than a caller waits, on SQLite.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::{Count, Folder, timed};
use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::feed::read_feed;
use crate::statement::Sql;
use crate::store::Store;

/// As many as there are threads that read.
const READERS: usize = 2;
/// What is answered within this did not wait for a read that takes minutes.
const SOON: Duration = Duration::from_secs(2);

static COUNT_FOR_MINUTES: Sql = Sql::new(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000000000)
    SELECT count(*) FROM n",
    None,
);

/// Says that it began, and reads for minutes.
struct ReadForMinutes<const SINGLE: bool>(UnboundedSender<()>);

impl<const SINGLE: bool> Act for ReadForMinutes<SINGLE> {
    type Out = i64;
    const SINGLE: bool = SINGLE;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<i64, Fault> {
        let _ = self.0.send(());
        tx.one(&COUNT_FOR_MINUTES, binds![])
            .await?
            .unwrap()
            .number(0)
    }
}

/// Has every reader read for minutes.
async fn taken(store: &Store) -> Vec<JoinHandle<Result<i64, Fault>>> {
    let (began, mut begun) = unbounded_channel();
    let mut slow = Vec::new();
    for number in 0..READERS {
        let (store, began) = (store.clone(), began.clone());
        slow.push(tokio::spawn(async move {
            if number == 0 {
                store.read(ReadForMinutes::<true>(began)).await
            } else {
                store.read(ReadForMinutes::<false>(began)).await
            }
        }));
    }
    all(&mut begun).await;
    slow
}

async fn all(begun: &mut UnboundedReceiver<()>) {
    for _ in 0..READERS {
        begun.recv().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_is_read_while_every_reader_is_slow() {
    let folder = Folder::new();
    let store = folder.store().await;
    let slow = taken(&store).await;

    let (feed, took) = timed(read_feed(&store, None)).await;

    assert!(feed.is_ok(), "{feed:?}");
    assert!(took < SOON, "{took:?}");
    assert!(slow.iter().all(|slow| !slow.is_finished()));
    slow.iter().for_each(JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_ends_soon_after_its_caller_was_told_that_it_takes_too_long() {
    let folder = Folder::new();
    let store = folder.store().await;

    for slow in taken(&store).await {
        let fault = slow.await.unwrap().unwrap_err();
        assert!(fault.is_unavailable(), "{fault}");
    }

    // Each of the two answers again, whatever was under way on it.
    for _ in 0..8 {
        let (counted, took) = timed(store.read(Count("a".to_owned()))).await;
        assert_eq!(counted.unwrap(), 0);
        assert!(took < SOON, "{took:?}");
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_ends_when_its_caller_goes() {
    let folder = Folder::new();
    let store = folder.store().await;
    let slow = taken(&store).await;

    slow.iter().for_each(JoinHandle::abort);

    let (counted, took) = timed(store.read(Count("a".to_owned()))).await;
    assert_eq!(counted.unwrap(), 0);
    assert!(took < SOON, "{took:?}");
    store.close().await;
}
