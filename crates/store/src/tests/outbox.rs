//! The bound of an outbox: whoever was away for too long is written nothing
//! more, until there is room again. And what becomes of it in a restore.

use std::time::Duration;

use symbolon_testkit::START;

use super::Folder;
use crate::act::{Act, Tx};
use crate::audit::AuditEvent;
use crate::backup::NewEpoch;
use crate::bind::binds;
use crate::fault::Fault;
use crate::outbox::{self, HELD, NewMessage, TO_SEND};
use crate::signal::{Event, Initiator, Message};
use crate::statement::Sql;
use crate::store::Store;
use crate::{
    BoundReceivers, FetchMessages, LeaseReceiver, ListDeadLetters, MAX_WAITING, OutboxLine,
    OutboxState, Retried, RetryDeadLetter,
};

const RECEIVER: &str = "stream:one";

static MANY: Sql = Sql::new(
    "INSERT INTO outbox (receiver, subject, jti, message, state, attempts, created, next_try,
            expires, reason)
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
        SELECT ?1, x'00', randomblob(16), '{\"event\":\"logout\"}', 1, 0, ?3, ?3, ?3 + 86400000, ''
        FROM n",
    None,
);

/// So many messages that wait.
struct Many(u32);

impl Act for Many {
    type Out = u64;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, Fault> {
        tx.run(&MANY, binds![RECEIVER, self.0, START]).await
    }
}

/// One message, as an act writes it.
struct One(u8);

impl Act for One {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let message = Message {
            event: Event::SessionRevoked,
            person: None,
            session: None,
            by: Initiator::System,
            words: Vec::new(),
        };
        let new = NewMessage {
            receiver: RECEIVER.to_owned(),
            subject: b"somebody",
            state: self.0,
            message: &message,
        };
        outbox::add(tx, &new, START).await
    }
}

async fn line(store: &Store) -> OutboxLine {
    let state = OutboxState {
        after: None,
        limit: 1,
    };
    store.read(state).await.unwrap().remove(0)
}

async fn look(store: &Store) {
    let written = store.written_receivers();
    store.act(BoundReceivers { written }).await.unwrap();
}

#[tokio::test]
async fn who_has_too_many_messages_is_written_none_until_one_was_taken() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.act(Many(MAX_WAITING - 1)).await.unwrap();
    store.act(One(HELD)).await.unwrap();
    look(&store).await;

    store.act(One(HELD)).await.unwrap();
    look(&store).await;

    let full = line(&store).await;
    assert_eq!((full.waiting, full.dropped), (MAX_WAITING.into(), 1));
    let fetch = |taken| FetchMessages {
        receiver: RECEIVER.to_owned(),
        taken,
        refused: Vec::new(),
        limit: 1,
        now: START,
    };
    let first = store.act(fetch(Vec::new())).await.unwrap().remove(0);
    store.act(fetch(vec![first.id])).await.unwrap();
    store.act(One(HELD)).await.unwrap();
    let again = line(&store).await;
    assert_eq!((again.waiting, again.dropped), (MAX_WAITING.into(), 1));
    store.close().await;
}

/// What a backup had to tell may have been told since, and taken back.
#[tokio::test]
async fn what_waited_when_a_backup_was_made_is_sent_by_nobody_after_it_is_restored() {
    let folder = Folder::new();
    let store = folder.store().await;
    store.act(One(TO_SEND)).await.unwrap();
    store.act(One(HELD)).await.unwrap();
    let restore = NewEpoch {
        keys: Vec::new(),
        later_than: 0,
        audit: AuditEvent::new("store.restore", "tester"),
        now: START,
    };

    store.act(restore).await.unwrap();

    let state = line(&store).await;
    assert_eq!((state.waiting, state.dead), (0, 2));
    let lease = LeaseReceiver {
        receiver: RECEIVER.to_owned(),
        now: START,
        span: Duration::ZERO,
        limit: 10,
    };
    let leased = store.act(lease).await.unwrap().unwrap();
    assert_eq!(leased.messages, []);
    let list = ListDeadLetters {
        after: None,
        receiver: None,
        limit: 10,
    };
    let dead = store.read(list).await.unwrap();
    assert!(dead.iter().all(|own| own.reason == "restored"));
    let retry = RetryDeadLetter {
        number: dead[0].number,
        audit: AuditEvent::new("dead_letter.retry", "tester"),
        now: START,
    };
    assert_eq!(store.act(retry).await.unwrap(), Retried::Waits);
    let state = line(&store).await;
    assert_eq!((state.waiting, state.dead), (1, 1));
    store.close().await;
}
