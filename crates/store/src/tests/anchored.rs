//! What is linked goes on from what was anchored, or not at all: nobody has
//! another history signed by the server itself.

use std::sync::Arc;

use symbolon_testkit::{START, SeededEntropy};
use symbolon_token::Keyring;
use symbolon_token::audit::{GENESIS, LinkHash};

use super::Folder;
use super::audit::{
    DAY, MINUTE, Tamper, actions, done, flaws, link, linking, on_both_engines, six, tell,
};
use crate::act::{Act, Tx};
use crate::audit::{Head, Held, LinkAudit, Linking, ListAuditChain};
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
    let last = link(&store, START + DAY).await;
    let seen = Head {
        link: last.head,
        hash: last.hash,
        epoch: last.epoch,
    };
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
