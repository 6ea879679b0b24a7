//! A head of the feed that fell behind what was read of it.

use symbolon_testkit::{START, SeededEntropy};

use super::Folder;
use crate::act::{Act, Tx};
use crate::conformance::World;
use crate::fault::Fault;
use crate::feed::{Position, RaiseHead, read_feed};
use crate::revocation::{RevokeToken, Target};
use crate::statement::Sql;
use crate::store::Store;

static FORGET: Sql = Sql::new("DELETE FROM revocation", None);
static FALL: Sql = Sql::new(
    "UPDATE feed_head SET sequence = sequence - 3 WHERE one = 1",
    None,
);

/// What a standby that becomes the primary may not have received.
struct Lose;

impl Act for Lose {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        tx.run(&FORGET, &[]).await?;
        tx.run(&FALL, &[]).await?;
        Ok(())
    }
}

fn revoke(world: &World) -> RevokeToken {
    RevokeToken {
        token: world.id(world.slot()),
        client: "web".parse().unwrap(),
        subject: "usr_a".to_owned(),
        expires: world.horizon(),
        horizon: world.horizon(),
        now: world.now,
        audit: None,
    }
}

/// `other` knows nothing of what this process has seen.
async fn no_number_is_given_out_twice(store: &Store, other: &Store) {
    let entropy = std::sync::Arc::new(SeededEntropy::new(3));
    let world = World::new(store.clone(), entropy, START);
    for _ in 0..3 {
        store.act(revoke(&world)).await.unwrap();
    }
    let seen = read_feed(store, None).await.unwrap().head;

    store.act(Lose).await.unwrap();
    let made = store.act(revoke(&world)).await.unwrap();
    assert_eq!(made[0].position.sequence, seen.sequence + 1);
    store.act(Lose).await.unwrap();
    let head = read_feed(store, None).await.unwrap().head;
    assert!(head < seen, "nobody has raised it");

    let again = vec![(Target::Key("k1".to_owned()), world.horizon())];
    let raise = RaiseHead {
        seen,
        again,
        now: START,
    };
    let elsewhere = Position {
        epoch: seen.epoch + 1,
        ..seen
    };
    let strange = RaiseHead {
        seen: elsewhere,
        ..raise.clone()
    };
    other.act(strange).await.unwrap();
    assert_eq!(read_feed(other, None).await.unwrap().head, head);
    other.act(raise.clone()).await.unwrap();
    let once = read_feed(other, Some(seen)).await.unwrap();
    assert!(!once.reset && once.head == once.revocations[0].position);
    assert!(once.head > seen, "{once:?}");
    let nothing = RaiseHead {
        again: Vec::new(),
        ..raise
    };
    other.act(nothing).await.unwrap();
    assert_eq!(read_feed(other, None).await.unwrap().head, once.head);
    store.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_fell_gives_no_number_twice_on_sqlite() {
    let folder = Folder::new();
    let store = folder.store().await;
    no_number_is_given_out_twice(&store, &store).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_fell_gives_no_number_twice_on_postgresql() {
    let Some(schema) = super::nodes::Schema::new("fallen").await else {
        return;
    };
    let store = schema.open(1).await;
    store.migrate().await.unwrap();
    let other = schema.open(2).await;
    no_number_is_given_out_twice(&store, &other).await;
    schema.drop().await;
}
