//! What nobody used for too long goes long before its absolute end, and only
//! where nothing hangs on it any more. So do clients that registered themselves.

use std::sync::Arc;

use symbolon_protocol::ClientId;
use symbolon_testkit::{START, SeededEntropy};
use symbolon_token::Id;

use super::Folder;
use crate::conformance::World;
use crate::refresh_family::NewFamily;
use crate::store::Store;
use crate::{EndIdle, EndUnusedClients, EndedUnused, FindFamily, FindSession, PurgeExpired};
use crate::{RegisterClient, Registered};

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// Does what is done to one slot, so many days later.
async fn pass(store: &Store, slot: symbolon_token::Slot, days: u32) {
    let (now, limit) = (START + DAY * days, 100);
    store.act(EndIdle { slot, now, limit }).await.unwrap();
    store.act(PurgeExpired { now, limit }).await.unwrap();
}

async fn are_there(
    store: &Store,
    session: Id<symbolon_token::Session>,
    family: &NewFamily,
) -> [bool; 2] {
    let session = store.read(FindSession { id: session }).await.unwrap();
    let family = store.read(FindFamily { id: family.id }).await.unwrap();
    [session.is_some(), family.is_some()]
}

#[tokio::test]
async fn what_is_idle_goes_a_day_later_and_a_session_after_what_ends_with_it() {
    let folder = Folder::new();
    let store = folder.store().await;
    let world = World::new(store.clone(), Arc::new(SeededEntropy::new(3)), START);
    let scene = world.scene().await.unwrap();
    let slot = scene.person.slot();
    let bound = NewFamily {
        session: Some(scene.session),
        ..world.new_family(&scene)
    };
    store
        .act(world.redeem(&scene, Some(bound.clone())))
        .await
        .unwrap();
    let alone = world.scene().await.unwrap();

    // Sessions are idle after a day here, and families after fourteen.
    pass(&store, slot, 2).await;
    assert_eq!(are_there(&store, scene.session, &bound).await, [true, true]);
    pass(&store, slot, 3).await;
    assert_eq!(are_there(&store, scene.session, &bound).await, [true, true]);
    pass(&store, alone.person.slot(), 3).await;
    let gone = FindSession { id: alone.session };
    assert_eq!(store.read(gone).await.unwrap(), None);

    let idle = EndIdle {
        slot,
        now: START + DAY * 14,
        limit: 100,
    };
    store.act(idle).await.unwrap();
    assert_eq!(are_there(&store, scene.session, &bound).await, [true, true]);
    let idle = EndIdle {
        now: START + DAY * 16,
        ..idle
    };
    store.act(idle).await.unwrap();
    store.act(idle).await.unwrap();
    let ended = store
        .read(FindFamily { id: bound.id })
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended.ended, Some(ended.idle_ends));
    pass(&store, slot, 17).await;
    assert_eq!(
        are_there(&store, scene.session, &bound).await,
        [false, false]
    );
    store.close().await;
}

async fn registers(world: &World) -> ClientId {
    let client = world.client().unwrap().client;
    let id = client.id.clone();
    let register = RegisterClient {
        client,
        secret: None,
        token: None,
        limit: 100,
        since: START,
        audit: world.audit("client.register"),
        now: START,
    };
    let registered = world.store.act(register).await.unwrap();
    assert_eq!(registered, Registered::Registered);
    id
}

/// What is used stays, so whoever looks once a minute must not begin with it each
/// time.
#[tokio::test]
async fn registrations_that_are_used_are_passed_and_not_looked_at_again() {
    let folder = Folder::new();
    let store = folder.store().await;
    let world = World::new(store.clone(), Arc::new(SeededEntropy::new(4)), START);
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(registers(&world).await);
    }
    clients.sort();
    let person = world.scene().await.unwrap().person;
    for used in &clients[..4] {
        let consent = world.consent(person, used, "openid");
        store.act(consent).await.unwrap();
    }

    let mut looks = Vec::new();
    let mut after = None;
    for _ in 0..3 {
        let before = START + DAY;
        let limit = 2;
        let look = EndUnusedClients {
            before,
            after: after.take(),
            limit,
        };
        let EndedUnused { ended, last } = store.act(look).await.unwrap();
        looks.push((ended, last.clone().map(|(_, id)| id)));
        after = last;
    }

    let own = |at: usize| Some(clients[at].clone());
    assert_eq!(looks, [(0, own(1)), (0, own(3)), (1, None)]);
    store.close().await;
}
