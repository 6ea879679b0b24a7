//! The audit chain on real databases: linked, void where an act rolled back,
//! and what somebody changes behind its back found, on both engines.

use std::sync::Arc;
use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_testkit::{START, SeededEntropy};
use symbolon_token::Keyring;
use symbolon_token::audit::{ChainCheck, FORGET, Flaw};

use super::Folder;
use crate::act::{Act, Tx};
use crate::audit::{
    self, AuditEvent, ForgetAudit, LinkAudit, Linked, Linking, ListAuditChain, MoveAuditStart,
    UnlinkedAudit, VOID,
};
use crate::fault::Fault;
use crate::store::{Options, Store};

pub(super) const MINUTE: Duration = Duration::from_secs(60);

fn ring() -> Arc<Keyring> {
    let keys = Keyring::generate(&SeededEntropy::new(5), Vec::new());
    Arc::new(Keyring::new(keys).unwrap())
}

/// Something that is told, and that comes to nothing where it is told so.
struct Tell {
    name: &'static str,
    fails: bool,
    at: Timestamp,
}

impl Act for Tell {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        audit::write(tx, &AuditEvent::new(self.name, "tester"), self.at).await?;
        match self.fails {
            true => Err(Fault::broken("as told")),
            false => Ok(()),
        }
    }
}

/// Statements behind the server's back.
pub(super) struct Tamper(pub(super) &'static str);

impl Act for Tamper {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        tx.batch(self.0).await
    }
}

pub(super) async fn tell(store: &Store, name: &'static str, fails: bool, at: Timestamp) {
    let told = store.act(Tell { name, fails, at }).await;
    assert_eq!(told.is_err(), fails);
}

pub(super) fn linking(limit: u32, now: Timestamp) -> LinkAudit {
    LinkAudit {
        signer: ring(),
        seen: None,
        discover: true,
        limit,
        now,
    }
}

pub(super) fn done(linking: Linking) -> Linked {
    match linking {
        Linking::Done(linked) => linked,
        Linking::Unanchored(head) => panic!("no anchor holds the head {head}"),
    }
}

pub(super) async fn link(store: &Store, now: Timestamp) -> Linked {
    done(store.act(linking(100, now)).await.unwrap())
}

/// Everything that is wrong with the chain of a store.
pub(super) async fn flaws(store: &Store) -> (Vec<Flaw>, usize) {
    let list = ListAuditChain {
        after: 0,
        limit: 1000,
    };
    let chain = store.read(list).await.unwrap();
    let keys = ring().anchor_keys();
    let mut check = match &chain.start {
        Some(start) => ChainCheck::since(keys, start),
        None => ChainCheck::new(keys, None),
    };
    chain.anchors.iter().for_each(|anchor| check.anchor(anchor));
    for row in &chain.rows {
        match &row.record {
            Some(record) => check.record(record, &row.hash),
            None => check.emptied(row.link, &row.hash),
        }
    }
    if check.head().0 != chain.head.link {
        return (vec![Flaw::CutShort(chain.head.link)], chain.strays.len());
    }
    (check.finish(), chain.strays.len())
}

pub(super) async fn actions(store: &Store) -> Vec<String> {
    let list = ListAuditChain {
        after: 0,
        limit: 1000,
    };
    let chain = store.read(list).await.unwrap();
    let records = chain.rows.into_iter().filter_map(|row| row.record);
    records.map(|record| record.action).collect()
}

/// A scenario for each engine.
macro_rules! on_both_engines {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let folder = super::Folder::new();
                super::$name(folder.store().await).await;
            })*
        }
        #[cfg(feature = "postgres")]
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let name = concat!("audit_", stringify!($name)).split_at_checked(36);
                let name = name.map_or(stringify!($name), |(name, _)| name);
                let Some(schema) = crate::tests::nodes::Schema::new(name).await else {
                    return;
                };
                let store = schema.open(7).await;
                store.migrate().await.unwrap();
                super::$name(store.clone()).await;
                store.close().await;
                schema.drop().await;
            })*
        }
    };
}

pub(super) use on_both_engines;

on_both_engines! {
    rows_are_linked_in_order_and_once
    a_number_that_never_appears_is_entered_as_void_after_a_minute
    linking_costs_no_write_of_a_budget
    what_is_tampered_with_is_found
    what_is_put_in_is_found
    what_is_old_enough_goes_and_the_rest_still_verifies
    what_no_old_anchor_holds_stays
    a_trail_that_was_cut_at_its_beginning_is_found
    an_anchor_is_no_earlier_than_what_it_holds
}

async fn rows_are_linked_in_order_and_once(store: Store) {
    assert!(!store.read(UnlinkedAudit { now: START }).await.unwrap());
    for name in ["a", "b", "c"] {
        tell(&store, name, false, START).await;
    }

    let first = link(&store, START).await;
    let second = link(&store, START).await;
    tell(&store, "d", false, START).await;
    assert!(store.read(UnlinkedAudit { now: START }).await.unwrap());
    let third = link(&store, START + MINUTE).await;

    assert_eq!((first.rows, second.rows, third.rows), (3, 0, 1));
    assert_eq!((first.head, third.head), (3, 4));
    assert_eq!(first.hash, second.hash);
    assert!(!store.read(UnlinkedAudit { now: START }).await.unwrap());
    assert_eq!(actions(&store).await, ["a", "b", "c", "d"]);
    assert_eq!(flaws(&store).await, (vec![], 0));
}

/// Whoever links asks for the time before it reads what others have written.
async fn an_anchor_is_no_earlier_than_what_it_holds(store: Store) {
    tell(&store, "a", false, START).await;
    tell(&store, "b", false, START + MINUTE / 2).await;
    tell(&store, "c", false, START).await;

    link(&store, START + MINUTE / 4).await;

    let list = ListAuditChain {
        after: 0,
        limit: 1000,
    };
    let chain = store.read(list).await.unwrap();
    let anchors: Vec<_> = chain.anchors.iter().map(|own| own.at).collect();
    assert_eq!(anchors, [START + MINUTE / 2]);
    assert_eq!(flaws(&store).await, (vec![], 0));
}

async fn a_number_that_never_appears_is_entered_as_void_after_a_minute(store: Store) {
    tell(&store, "before", false, START).await;
    tell(&store, "fails", true, START).await;
    tell(&store, "after", false, START).await;

    let soon = link(&store, START + MINUTE / 2).await;
    let late = link(&store, START + MINUTE).await;

    assert_eq!((soon.rows, soon.void), (1, 0), "it may still commit");
    assert_eq!((late.rows, late.void), (2, 1));
    assert_eq!(actions(&store).await, ["before", VOID, "after"]);
    assert_eq!(flaws(&store).await, (vec![], 0));
}

async fn linking_costs_no_write_of_a_budget(store: Store) {
    tell(&store, "a", false, START).await;
    let before = store.commits();

    link(&store, START).await;

    assert_eq!(store.commits(), before);
}

const TELLER: &str = "a store with six linked rows";

pub(super) async fn six(store: &Store) {
    for name in ["a", "b", "c", "d", "e", "f"] {
        tell(store, name, false, START).await;
    }
    assert_eq!(link(store, START).await.head, 6, "{TELLER}");
    assert_eq!(flaws(store).await, (vec![], 0));
}

async fn what_is_tampered_with_is_found(store: Store) {
    six(&store).await;
    let cases: [(&str, &str, Flaw); 5] = [
        (
            "UPDATE audit SET actor = 'nobody' WHERE counter = 2",
            "UPDATE audit SET actor = 'tester' WHERE counter = 2",
            Flaw::Broken(3),
        ),
        (
            "UPDATE audit SET counter = 900 WHERE counter = 3",
            "UPDATE audit SET counter = 3 WHERE counter = 900",
            Flaw::Emptied(4),
        ),
        (
            "UPDATE audit_link SET link = 901 WHERE link = 2",
            "UPDATE audit_link SET link = 2 WHERE link = 901",
            Flaw::Missing(2, 2),
        ),
        (
            "UPDATE audit_link SET counter = 800 WHERE link = 4;
             UPDATE audit_link SET counter = 3 WHERE link = 5;
             UPDATE audit_link SET counter = 4 WHERE link = 4",
            "UPDATE audit_link SET counter = 800 WHERE link = 4;
             UPDATE audit_link SET counter = 4 WHERE link = 5;
             UPDATE audit_link SET counter = 3 WHERE link = 4",
            Flaw::Broken(4),
        ),
        (
            "UPDATE audit_link SET link = -6 WHERE link = 6; UPDATE audit_head SET link = 5",
            "UPDATE audit_link SET link = 6 WHERE link = -6; UPDATE audit_head SET link = 6",
            Flaw::CutShort(6),
        ),
    ];
    for (harm, repair, flaw) in cases {
        store.act(Tamper(harm)).await.unwrap();
        let (found, _) = flaws(&store).await;
        assert!(
            found.contains(&flaw) || flaw == Flaw::Missing(2, 2) && !found.is_empty(),
            "{harm}: {found:?}"
        );
        store.act(Tamper(repair)).await.unwrap();
        assert_eq!(flaws(&store).await, (vec![], 0), "{repair}");
    }
}

async fn what_is_put_in_is_found(store: Store) {
    six(&store).await;
    let row = "INSERT INTO audit (node, counter, at, action, actor, detail, request)
        VALUES (7, -1, 0, 'x', 'y', '{}', '')";
    store.act(Tamper(row)).await.unwrap();
    assert_eq!(flaws(&store).await, (vec![], 1), "no link names it");

    // With a link, which who has no key cannot anchor.
    let hash = if store.engine() == crate::Engine::Sqlite {
        "INSERT INTO audit_link SELECT 7, 7, -1, hash FROM audit_link WHERE link = 6;
         UPDATE audit_head SET link = 7"
    } else {
        "INSERT INTO audit_link (link, node, counter, hash)
            SELECT 7, 7, -1, hash FROM audit_link WHERE link = 6;
         UPDATE audit_head SET link = 7"
    };
    store.act(Tamper(hash)).await.unwrap();
    let (found, _) = flaws(&store).await;
    assert!(found.contains(&Flaw::Unanchored(7)), "{found:?}");
}

pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Names what is older than a moment as what may go.
pub(super) async fn move_start(store: &Store, before: Timestamp) -> Option<i64> {
    let act = MoveAuditStart {
        before,
        retention_seconds: 400 * 24 * 60 * 60,
        now: START + DAY * 500,
    };
    store.act(act).await.unwrap()
}

pub(super) async fn forget(store: &Store, limit: u32) -> u64 {
    store.act(ForgetAudit { limit }).await.unwrap()
}

/// Six records of the first day, three of the tenth, one of the five hundredth.
pub(super) async fn years(store: &Store) {
    six(store).await;
    for name in ["g", "h", "i"] {
        tell(store, name, false, START + DAY * 10).await;
    }
    assert_eq!(link(store, START + DAY * 10).await.head, 9);
    tell(store, "j", false, START + DAY * 500).await;
    assert_eq!(link(store, START + DAY * 500).await.head, 10);
}

async fn what_is_old_enough_goes_and_the_rest_still_verifies(store: Store) {
    years(&store).await;
    assert_eq!(move_start(&store, START + DAY * 9).await, Some(6));
    // It does not count before the record of it is in the chain.
    assert_eq!(forget(&store, 100).await, 0);
    assert_eq!(move_start(&store, START + DAY * 20).await, None);
    assert_eq!(actions(&store).await.len(), 10);
    link(&store, START + DAY * 500).await;
    let before = store.commits();

    let mut batches = Vec::new();
    loop {
        assert_eq!(flaws(&store).await, (vec![], 0), "also halfway");
        assert_eq!(actions(&store).await, ["g", "h", "i", "j", FORGET]);
        let gone = forget(&store, 4).await;
        batches.push(gone);
        if gone == 0 {
            break;
        }
    }

    assert_eq!(batches, [4, 2, 0]);
    assert_eq!(store.commits(), before, "it is nobody's request");
    let all = crate::audit::ListAudit {
        after: None,
        limit: 100,
        filter: crate::audit::AuditFilter::default(),
    };
    assert_eq!(store.read(all).await.unwrap().entries.len(), 5);
    // The next start is a day later at least, and takes the one before along.
    assert_eq!(move_start(&store, START + DAY / 2).await, None);
    assert_eq!(move_start(&store, START + DAY * 20).await, Some(9));
    link(&store, START + DAY * 500).await;
    assert_eq!(forget(&store, 100).await, 3);
    assert_eq!(flaws(&store).await, (vec![], 0));
    // What is put in where others went is found.
    let row = "INSERT INTO audit (node, counter, at, action, actor, detail, request)
        VALUES (7, 2, 0, 'x', 'y', '{}', '')";
    store.act(Tamper(row)).await.unwrap();
    assert_eq!(flaws(&store).await, (vec![], 1));
}

async fn what_no_old_anchor_holds_stays(store: Store) {
    for name in ["a", "b", "c"] {
        tell(&store, name, false, START).await;
    }
    assert_eq!(move_start(&store, START + DAY).await, None, "not linked");
    link(&store, START).await;
    assert_eq!(move_start(&store, START - DAY).await, None, "too young");
    // A node whose clock is years behind links the next, and what is before it
    // does not look old by that.
    tell(&store, "d", false, START - DAY * 900).await;
    link(&store, START - DAY * 900).await;

    assert_eq!(move_start(&store, START - DAY * 400).await, None);

    assert_eq!(forget(&store, 100).await, 0);
    assert_eq!(actions(&store).await, ["a", "b", "c", "d"]);
}

async fn a_trail_that_was_cut_at_its_beginning_is_found(store: Store) {
    years(&store).await;
    let cut = "INSERT INTO audit_start (link, hash, at, key, signature, node, counter)
            SELECT n.link, n.hash, n.at, n.key, n.signature, l.node, l.counter
            FROM audit_anchor n JOIN audit_link l ON l.link = 10 WHERE n.link = 9;
        DELETE FROM audit WHERE counter < 9;
        DELETE FROM audit_link WHERE link <= 9";
    store.act(Tamper(cut)).await.unwrap();

    let (found, _) = flaws(&store).await;

    assert_eq!(found, [Flaw::Unexplained(9)]);
    let forged = "UPDATE audit_start SET at = at + 1";
    store.act(Tamper(forged)).await.unwrap();
    let (found, _) = flaws(&store).await;
    assert_eq!(found, [Flaw::Forged(9), Flaw::Unexplained(9)]);
}

/// An act that is still open when its number is entered as void cannot commit
/// under it: it is run again, and is told under another.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_that_is_too_late_takes_another_number() {
    let Some(schema) = super::nodes::Schema::new("audit_late").await else {
        return;
    };
    let store = schema.open(7).await;
    store.migrate().await.unwrap();
    tell(&store, "a", false, START).await;
    let taken = "INSERT INTO audit (node, counter, at, action, actor, detail, request)
        VALUES (7, 1, 0, 'audit.void', 'system', '{}', '')";
    store.act(Tamper(taken)).await.unwrap();

    tell(&store, "b", false, START).await;

    link(&store, START).await;
    assert_eq!(actions(&store).await, ["a", VOID, "b"]);
    store.close().await;
    schema.drop().await;
}

/// Rows of a process that was killed before it ever linked are linked by the
/// next, and no two that link at once link anything twice.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_nodes_link_each_row_once() {
    let Some(schema) = super::nodes::Schema::new("audit_nodes").await else {
        return;
    };
    let stores = [schema.open(1).await, schema.open(2).await];
    stores[0].migrate().await.unwrap();
    let writers = (0..40).map(|number| {
        let store = stores[number % 2].clone();
        tokio::spawn(async move { tell(&store, "x", number % 10 == 3, START).await })
    });
    let linkers = (0..8).map(|number| {
        let store = stores[number % 2].clone();
        tokio::spawn(async move {
            link(&store, START).await;
        })
    });
    let all: Vec<_> = writers.chain(linkers).collect();
    for one in all {
        one.await.unwrap();
    }

    while link(&stores[0], START + MINUTE).await.rows > 0 {}

    let told = actions(&stores[1]).await;
    assert_eq!(told.iter().filter(|name| *name == "x").count(), 36);
    assert_eq!(flaws(&stores[1]).await, (vec![], 0));
    for store in stores {
        store.close().await;
    }
    schema.drop().await;
}

/// Rows from before there was a chain are linked like any others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_from_before_the_chain_are_linked_in_batches() {
    let folder = Folder::new();
    let store = folder.store().await;
    for _ in 0..25 {
        tell(&store, "old", false, START).await;
    }
    store.close().await;
    let store = Store::open(&Options::new(folder.url(), 8)).await.unwrap();
    tell(&store, "new", false, START).await;
    let act = linking(10, START);

    let mut batches = Vec::new();
    loop {
        let linked = done(store.act(act.clone()).await.unwrap());
        batches.push(linked.rows);
        if linked.rows == 0 {
            break;
        }
    }

    assert_eq!(batches, [10, 10, 6, 0]);
    assert_eq!(flaws(&store).await, (vec![], 0));
}
