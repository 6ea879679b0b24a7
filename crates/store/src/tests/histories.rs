//! R47: what many callers see of a family at once, while steps fail, can be
//! explained by one order.

use std::sync::Arc;

use symbolon_testkit::linear::{Event, Model, is_linearizable};
use symbolon_testkit::{Row, START, SeededEntropy};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Folder;
use crate::conformance::World;
use crate::faults::Breaking;
use crate::refresh_family::{Rotate, Rotated};
use crate::session::Ended;
use crate::store::Store;
use crate::{EndFamily, FindFamily};

/// What a caller does with the one family of a history.
#[derive(Clone, Debug)]
enum Doing {
    Rotate(Box<Rotate>),
    End(Box<EndFamily>),
    Look(FindFamily),
}

/// What a caller sees.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Successor,
    Refused,
    Ended(bool),
    Lives(bool),
}

/// A family by the book: the first token may be shown again and again within
/// its grace, and gets one successor, until the family ends.
struct Book;

impl Model for Book {
    type State = bool;
    type Act = Doing;
    type Out = Seen;

    fn begin(&self) -> bool {
        true
    }

    fn act(&self, lives: &bool, doing: &Doing) -> (bool, Seen) {
        match doing {
            Doing::Rotate(_) if *lives => (true, Seen::Successor),
            Doing::Rotate(_) => (false, Seen::Refused),
            Doing::End(_) => (false, Seen::Ended(*lives)),
            Doing::Look(_) => (*lives, Seen::Lives(*lives)),
        }
    }
}

async fn carry_out(store: &Store, doing: &Doing) -> Option<Seen> {
    match doing {
        Doing::Rotate(rotate) => match store.act(Rotate::clone(rotate)).await.ok()? {
            Rotated::To(live) | Rotated::Same(live) => {
                assert_eq!(live.generation, 2);
                Some(Seen::Successor)
            }
            Rotated::Ended => Some(Seen::Refused),
            other => panic!("{other:?}"),
        },
        Doing::End(end) => {
            let ended = store.act(EndFamily::clone(end)).await.ok()?;
            Some(Seen::Ended(ended == Ended::Ended))
        }
        Doing::Look(find) => {
            let found = store.read(find.clone()).await.ok()?;
            Some(Seen::Lives(found.unwrap().ended.is_none()))
        }
    }
}

/// One family, five callers with eight acts each, and a step that fails.
async fn history(stores: &[Store], world: &World, seed: u64) -> Vec<Event<Doing, Seen>> {
    let family = world.family(&world.scene().await.unwrap()).await.unwrap();
    let end = EndFamily {
        id: family.id,
        client: None,
        now: world.now,
        horizon: world.horizon(),
        audit: world.audit("family.end"),
    };
    let acts = [
        Doing::Rotate(Box::new(world.rotate(&family))),
        Doing::Look(FindFamily { id: family.id }),
        Doing::End(Box::new(end)),
    ];
    let breaking = u64::from(world.bytes::<1>()[0]) % 60 + 1;
    stores[0].break_at(breaking, Breaking::Error);
    let (began, mut callers) = (Instant::now(), JoinSet::new());
    for caller in 0..5_u64 {
        let store = stores[usize::try_from(caller).unwrap() % stores.len()].clone();
        let (acts, bytes) = (acts.clone(), world.bytes::<8>());
        callers.spawn(async move {
            let mut events = Vec::new();
            for (turn, byte) in bytes.into_iter().enumerate() {
                // Seldom an end, or there would be little to see before it.
                let which = match (turn, byte % 8) {
                    (4.., 0) => 2,
                    (_, 1..4) => 1,
                    _ => 0,
                };
                let doing = acts[which].clone();
                let at = |began: Instant| u64::try_from(began.elapsed().as_nanos()).unwrap();
                let started = at(began);
                let out = carry_out(&store, &doing).await;
                events.push(Event {
                    act: doing,
                    out,
                    began: started,
                    ended: at(began),
                });
            }
            events
        });
    }
    let mut events = callers.join_all().await.concat();
    stores[0].break_no_more();
    events.sort_by_key(|event| event.began);
    assert_eq!(events.len(), 40, "seed {seed}");
    events
}

async fn histories_are_explained(stores: &[Store], seed: u64) {
    let entropy = Arc::new(SeededEntropy::new(seed));
    let world = World::new(stores[0].clone(), entropy, START);
    let mut unknown = 0;
    for _ in 0..Row::R47.size(40, 2_000) {
        let events = history(stores, &world, seed).await;
        unknown += events.iter().filter(|event| event.out.is_none()).count();
        assert!(
            is_linearizable(&Book, &events),
            "seed {seed}: {:#?}",
            events
                .iter()
                .map(|event| (event.began, event.ended, &event.act, &event.out))
                .collect::<Vec<_>>()
        );
    }
    eprintln!("seed {seed}: {unknown} acts without an answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_callers_see_of_a_family_is_explained_by_one_order_on_sqlite() {
    let folder = Folder::new();
    let store = folder.store().await;

    histories_are_explained(&[store], 11).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn what_callers_see_of_a_family_is_explained_by_one_order_on_two_nodes() {
    let Some(schema) = super::nodes::Schema::new("histories").await else {
        return;
    };
    let stores = [schema.open(1).await, schema.open(2).await];
    stores[0].migrate().await.unwrap();

    histories_are_explained(&stores, 12).await;

    schema.drop().await;
}
