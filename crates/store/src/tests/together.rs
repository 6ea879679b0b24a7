//! Who writes what is shown once is answered what stands there, or has written
//! nothing.

use super::steps::each_engine;
use crate::act::{Act, Tx};
use crate::client::{AddClientSecret, FindClient, NewSecret, Updated};
use crate::conformance::World;
use crate::fault::Fault;
use crate::together::ThenRead;

/// A read that finds the store broken.
#[derive(Clone)]
struct Unreadable;

impl Act for Unreadable {
    type Out = ();

    async fn run(&self, _tx: &mut Tx<'_>) -> Result<(), Fault> {
        Err(Fault::broken("nothing can be read"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_whose_client_cannot_be_read_is_not_written() {
    each_engine("together", async |world: &World| {
        let create = world.client().unwrap();
        let id = create.client.id.clone();
        let read = FindClient { id: id.clone() };
        world.store.act(create).await.unwrap();
        let act = AddClientSecret {
            id,
            secret: NewSecret {
                digest: symbolon_token::Digest::of(b"another"),
                sealed: None,
            },
            old_expires: None,
            audit: world.audit("client.rotate_secret"),
            now: world.now,
        };
        let broken = ThenRead {
            act: act.clone(),
            read: Unreadable,
        };

        let failed = world.store.act(broken).await;

        assert!(failed.is_err());
        let stored = world.store.read(read.clone()).await.unwrap().unwrap();
        assert_eq!(stored.secrets.len(), 1, "nobody was told of another");
        let told = ThenRead { act, read };
        let (outcome, stored) = world.store.act(told).await.unwrap();
        assert_eq!(outcome, Updated::Updated);
        assert_eq!(stored.unwrap().secrets.len(), 2);
    })
    .await;
}
