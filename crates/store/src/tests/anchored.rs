//! What is linked goes on from what was anchored, or not at all: nobody has
//! another history signed by the server itself.

use std::sync::Arc;

use symbolon_testkit::{START, SeededEntropy};
use symbolon_token::Keyring;
use symbolon_token::audit::{GENESIS, LinkHash};

use super::Folder;
use super::audit::{
    DAY, MINUTE, Tamper, actions, done, flaws, forget, link, linking, move_start, on_both_engines,
    six, tell, years,
};
use crate::act::{Act, Tx};
use crate::audit::{Head, Held, LinkAudit, Linked, Linking, ListAuditChain};
use crate::bind::binds;
use crate::fault::Fault;
use crate::statement::Sql;
use crate::store::Store;

on_both_engines! {
    a_chain_that_was_made_anew_is_linked_no_further
    a_head_that_no_anchor_names_is_linked_no_further
    a_chain_that_was_cut_back_to_an_anchor_is_linked_no_further
    clocks_that_jump_stop_no_linking
    what_a_key_signed_that_is_not_known_is_linked_no_further
    a_rewrite_that_ends_past_what_was_seen_is_linked_no_further
    what_a_distrusted_key_signed_is_linked_by_who_saw_it
    what_was_let_go_past_what_was_seen_stops_no_linking
    a_trail_that_was_emptied_is_begun_anew_by_nobody_who_saw_it
}

static RELINK: Sql = Sql::new("UPDATE audit_link SET hash = ?2 WHERE link = ?1", None);
static REHEAD: Sql = Sql::new("UPDATE audit_head SET hash = ?1 WHERE one = 1", None);

/// Every digest of the chain, as anybody can work it out who has no key.
struct Rewrite(Vec<LinkHash>);

impl Act for Rewrite {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        for (link, hash) in (1_i64..).zip(&self.0) {
            tx.run(&RELINK, binds![link, hash]).await?;
        }
        tx.run(&REHEAD, binds![self.0.last().unwrap()]).await?;
        Ok(())
    }
}

async fn rewrite(store: &Store) {
    let list = ListAuditChain {
        after: 0,
        limit: 1000,
    };
    let chain = store.read(list).await.unwrap();
    let mut before = GENESIS;
    let records = chain.rows.into_iter().map(|row| row.record.unwrap());
    let hashes = records.map(|record| {
        before = record.hash(&before);
        before
    });
    let hashes = hashes.collect();
    store.act(Rewrite(hashes)).await.unwrap();
}

async fn harm(store: &Store, text: &'static str) {
    store.act(Tamper(text)).await.unwrap();
}

/// What whoever linked saw last.
fn head(linked: &Linked) -> Head {
    Head {
        link: linked.head,
        hash: linked.hash,
        epoch: linked.epoch,
    }
}

/// The digest that the chain has at a link.
async fn digest_at(store: &Store, number: i64) -> LinkHash {
    let list = ListAuditChain {
        after: 0,
        limit: 1000,
    };
    let chain = store.read(list).await.unwrap();
    let mut rows = chain.rows.iter();
    rows.find(|row| row.link == number).unwrap().hash
}

/// Links, as a node does that saw a head last.
async fn link_after(store: &Store, seen: Head, days: u32) -> Linking {
    let act = LinkAudit {
        seen: Some(seen),
        ..linking(100, START + DAY * days)
    };
    store.act(act).await.unwrap()
}

async fn a_chain_that_was_made_anew_is_linked_no_further(store: Store) {
    six(&store).await;
    let anchors = "DELETE FROM audit_anchor";
    harm(
        &store,
        "UPDATE audit SET actor = 'nobody' WHERE counter = 2",
    )
    .await;
    rewrite(&store).await;
    tell(&store, "g", false, START).await;

    let kept = store.act(linking(100, START)).await.unwrap();
    harm(&store, anchors).await;
    let gone = store.act(linking(100, START)).await.unwrap();

    assert_eq!(
        (kept, gone),
        (Linking::Unanchored(6), Linking::Unanchored(6))
    );
    let (found, _) = flaws(&store).await;
    assert!(!found.is_empty(), "nothing was signed");
    assert_eq!(actions(&store).await.len(), 6);
}

async fn a_head_that_no_anchor_names_is_linked_no_further(store: Store) {
    six(&store).await;
    tell(&store, "g", false, START + DAY).await;
    let cases = [
        (
            "UPDATE audit_head SET link = 0",
            "UPDATE audit_head SET link = 6",
        ),
        (
            "UPDATE audit_head SET link = 5",
            "UPDATE audit_head SET link = 6",
        ),
        (
            "UPDATE audit_anchor SET at = at + 1",
            "UPDATE audit_anchor SET at = at - 1",
        ),
        (
            "UPDATE audit_anchor SET key = 'audit:1'",
            "UPDATE audit_anchor SET key = (SELECT key FROM kept)",
        ),
    ];
    harm(&store, "CREATE TABLE kept AS SELECT key FROM audit_anchor").await;
    for (text, repair) in cases {
        harm(&store, text).await;
        let linking = store.act(linking(100, START + DAY)).await.unwrap();
        assert!(matches!(linking, Linking::Unanchored(_)), "{text}");
        harm(&store, repair).await;
    }

    let after = link(&store, START + DAY).await;

    assert_eq!((after.rows, after.head, after.held), (1, 7, Held::Signed));
    assert_eq!(flaws(&store).await, (vec![], 0));
}

async fn a_chain_that_was_cut_back_to_an_anchor_is_linked_no_further(store: Store) {
    six(&store).await;
    tell(&store, "g", false, START + DAY).await;
    let seen = head(&link(&store, START + DAY).await);
    tell(&store, "h", false, START + DAY).await;
    for text in [
        "DELETE FROM audit_anchor WHERE link > 6",
        "DELETE FROM audit_link WHERE link > 6",
        "UPDATE audit_head SET link = 6, hash = (SELECT hash FROM audit_link WHERE link = 6)",
    ] {
        harm(&store, text).await;
    }
    let saw = LinkAudit {
        seen: Some(seen),
        ..linking(100, START + DAY)
    };

    assert_eq!(
        store.act(saw.clone()).await.unwrap(),
        Linking::Unanchored(6)
    );

    let restored = LinkAudit {
        seen: Some(Head {
            epoch: seen.epoch - 1,
            ..seen
        }),
        ..saw
    };
    let linking = store.act(restored).await.unwrap();
    assert!(matches!(linking, Linking::Done(_)), "{linking:?}");
}

async fn clocks_that_jump_stop_no_linking(store: Store) {
    six(&store).await;
    let hours = [24 * 60_i32, 0, 30, -900, 1, 10_000, 59, 61, 2 * 60 + 1];
    for minutes in hours {
        let at = match minutes {
            ..0 => START - MINUTE * minutes.unsigned_abs(),
            _ => START + MINUTE * minutes.unsigned_abs(),
        };
        tell(&store, "x", false, at).await;
        while link(&store, at).await.rows > 0 {}
    }
    assert_eq!(actions(&store).await.len(), 6 + hours.len());
    assert_eq!(flaws(&store).await, (vec![], 0));
}

async fn what_a_key_signed_that_is_not_known_is_linked_no_further(store: Store) {
    six(&store).await;
    tell(&store, "g", false, START).await;
    let other = Keyring::generate(&SeededEntropy::new(6), Vec::new());
    let act = LinkAudit {
        signer: Arc::new(Keyring::new(other).unwrap()),
        ..linking(100, START)
    };
    let unknown = store.act(act.clone()).await.unwrap();
    assert_eq!(unknown, Linking::Unanchored(6));
    let distrust = "INSERT INTO working_key (id, purpose, state, sealed, created, number)
        SELECT key, 'audit', 'distrusted', hash, 0, 1 FROM audit_anchor";
    harm(&store, distrust).await;

    let first = done(store.act(act.clone()).await.unwrap());
    let second = done(store.act(act).await.unwrap());

    // Once, and that is told; from then on the new key vouches.
    assert_eq!((first.rows, first.held), (1, Held::Distrusted));
    assert_eq!((second.rows, second.held), (0, Held::Signed));
}

/// Record 3 is changed, a record that waits is linked, every digest is
/// worked out anew, and the last is anchored by a key that is called distrusted.
async fn a_rewrite_that_ends_past_what_was_seen_is_linked_no_further(store: Store) {
    six(&store).await;
    let seen = head(&link(&store, START).await);
    tell(&store, "g", false, START).await;
    for text in [
        "UPDATE audit SET actor = 'nobody' WHERE counter = 2",
        "INSERT INTO audit_link (link, node, counter, hash)
            SELECT 7, a.node, a.counter, l.hash
            FROM audit a JOIN audit_link l ON l.link = 6 WHERE a.counter = 6",
        "UPDATE audit_node SET next = 7",
        "UPDATE audit_head SET link = 7",
        "INSERT INTO working_key (id, purpose, state, sealed, created, number)
            SELECT 'audit:1', 'audit', 'distrusted', hash, 0, 1 FROM audit_anchor",
    ] {
        harm(&store, text).await;
    }
    rewrite(&store).await;
    let anchor = "UPDATE audit_anchor SET link = 7, key = 'audit:1',
        hash = (SELECT hash FROM audit_head)";
    harm(&store, anchor).await;
    tell(&store, "h", false, START).await;

    let saw = link_after(&store, seen, 0).await;
    let saw_nothing = link(&store, START).await;
    let saw_and_it_is_signed = link_after(&store, seen, 0).await;

    assert_eq!(saw, Linking::Unanchored(7));
    // A node that was started since cannot know, and says so.
    assert_eq!((saw_nothing.rows, saw_nothing.held), (1, Held::Distrusted));
    assert_eq!(saw_and_it_is_signed, Linking::Unanchored(8));
}

async fn what_a_distrusted_key_signed_is_linked_by_who_saw_it(store: Store) {
    six(&store).await;
    let own = head(&link(&store, START).await);
    let earlier = Head {
        link: 5,
        hash: digest_at(&store, 5).await,
        ..own
    };
    let of_another_epoch = Head {
        epoch: own.epoch + 1,
        ..own
    };
    let distrust = "INSERT INTO working_key (id, purpose, state, sealed, created, number)
        SELECT key, 'audit', 'distrusted', hash, 0, 1 FROM audit_anchor";
    harm(&store, distrust).await;
    let other = Keyring::generate(&SeededEntropy::new(6), Vec::new());
    let other = Arc::new(Keyring::new(other).unwrap());
    let after = |seen| LinkAudit {
        signer: Arc::clone(&other) as _,
        seen: Some(seen),
        ..linking(100, START + MINUTE * 120)
    };

    for seen in [earlier, of_another_epoch] {
        let did_not_see = store.act(after(seen)).await.unwrap();
        assert_eq!(did_not_see, Linking::Unanchored(6));
    }
    let saw = done(store.act(after(own)).await.unwrap());
    tell(&store, "g", false, START).await;
    let later = done(store.act(after(earlier)).await.unwrap());

    // Nothing waited, and a key that counts vouches again: the others go on.
    assert_eq!((saw.rows, saw.held), (0, Held::Distrusted));
    assert_eq!((later.head, later.held), (7, Held::Signed));
}

/// Six records are let go of eleven, under an anchor that is the start.
async fn what_was_let_go_past_what_was_seen_stops_no_linking(store: Store) {
    years(&store).await;
    let (fifth, sixth) = (digest_at(&store, 5).await, digest_at(&store, 6).await);
    assert_eq!(move_start(&store, START + DAY * 9).await, Some(6));
    let epoch = link(&store, START + DAY * 500).await.epoch;
    assert_eq!(forget(&store, 100).await, 6);
    let seen = |link, hash| Head { link, hash, epoch };

    for seen in [seen(5, fifth), seen(6, sixth)] {
        let gone = done(link_after(&store, seen, 500).await);
        assert_eq!(gone.head, 11);
    }

    for other in [seen(6, fifth), seen(9, sixth)] {
        let changed = link_after(&store, other, 500).await;
        assert_eq!(changed, Linking::Unanchored(11), "{other:?}");
    }
    harm(&store, "UPDATE audit_start SET at = at + 1").await;
    let forged = link_after(&store, seen(5, fifth), 500).await;
    assert_eq!(forged, Linking::Unanchored(11));
}

/// All that tells of a chain is removed, as if none had been begun.
async fn a_trail_that_was_emptied_is_begun_anew_by_nobody_who_saw_it(store: Store) {
    six(&store).await;
    let seen = head(&link(&store, START).await);
    for text in [
        "UPDATE audit SET actor = 'nobody' WHERE counter = 2",
        "DELETE FROM audit_link",
        "DELETE FROM audit_anchor",
        "UPDATE audit_node SET next = 0",
        "UPDATE audit_head SET link = 0, hash = NULL",
    ] {
        harm(&store, text).await;
    }

    let emptied = link_after(&store, seen, 0).await;
    harm(&store, "UPDATE feed_head SET epoch = epoch + 1").await;
    let as_if_restored = link_after(&store, seen, 0).await;

    assert_eq!(
        (emptied, as_if_restored),
        (Linking::Unanchored(0), Linking::Unanchored(0))
    );
    assert_eq!(actions(&store).await.len(), 0, "nothing was linked");
}
