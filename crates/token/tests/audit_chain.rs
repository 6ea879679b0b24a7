//! The audit chain: as it was made it has no flaw, and whatever is done to it
//! is named.
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

use proptest::prelude::*;
use symbolon_testkit::{START, SeededEntropy};

use symbolon_token::Keyring;
use symbolon_token::audit::{Anchor, ChainCheck, FORGET, Flaw, GENESIS, LinkHash, Record};
use symbolon_token::keyring::Keys;

fn ring() -> Keyring {
    let keys: Keys = Keyring::generate(&SeededEntropy::new(3), Vec::new());
    Keyring::new(keys).unwrap()
}

fn record(link: i64) -> Record {
    Record {
        link,
        node: link % 2,
        counter: (link - 1) / 2,
        at: START,
        action: "client.create".to_owned(),
        actor: "administrator".to_owned(),
        subject: None,
        client: Some(format!("client-{link}")),
        detail: "{}".to_owned(),
        request: "req_1".to_owned(),
    }
}

type Chain = Vec<(Record, LinkHash)>;

fn chain(length: i64) -> Chain {
    let mut before = GENESIS;
    let link = |number| {
        let record = record(number);
        before = record.hash(&before);
        (record, before)
    };
    (1..=length).map(link).collect()
}

fn anchors(ring: &Keyring, chain: &Chain) -> Vec<Anchor> {
    let anchor = |at: usize| ring.anchor(chain[at].0.link, chain[at].1, START);
    vec![anchor(chain.len() / 2), anchor(chain.len() - 1)]
}

fn flaws(ring: &Keyring, chain: &Chain, anchors: &[Anchor]) -> Vec<Flaw> {
    let mut check = ChainCheck::new(ring.anchor_keys(), None);
    anchors.iter().for_each(|anchor| check.anchor(anchor));
    for (record, hash) in chain {
        check.record(record, hash);
    }
    check.finish()
}

#[test]
fn a_chain_as_it_was_made_has_no_flaw() {
    let (ring, chain) = (ring(), chain(9));
    assert_eq!(flaws(&ring, &chain, &anchors(&ring, &chain)), []);
}

#[test]
fn a_changed_record_is_named() {
    let (ring, mut chain) = (ring(), chain(9));
    let anchors = anchors(&ring, &chain);
    chain[3].0.actor = "somebody else".to_owned();
    assert_eq!(flaws(&ring, &chain, &anchors), [Flaw::Broken(4)]);
}

#[test]
fn a_removed_record_is_named() {
    let (ring, mut chain) = (ring(), chain(9));
    let anchors = anchors(&ring, &chain);
    chain.remove(2);
    let found = flaws(&ring, &chain, &anchors);
    assert_eq!(found[0], Flaw::Missing(3, 3));
    assert_eq!(Flaw::Missing(3, 3).to_string(), "record 3 was removed");
}

#[test]
fn records_that_changed_places_are_named() {
    let (ring, mut chain) = (ring(), chain(9));
    let anchors = anchors(&ring, &chain);
    chain.swap(2, 3);
    let found = flaws(&ring, &chain, &anchors);
    assert!(found.contains(&Flaw::OutOfOrder(3)), "{found:?}");
    // Renumbered, so that they stand in order again.
    (chain[2].0.link, chain[3].0.link) = (3, 4);
    let found = flaws(&ring, &chain, &anchors);
    assert!(found.contains(&Flaw::Broken(3)), "{found:?}");
}

#[test]
fn a_history_made_anew_without_the_key_is_not_the_one_that_was_anchored() {
    let (ring, mut chain) = (ring(), chain(9));
    let anchors = anchors(&ring, &chain);
    chain[1].0.actor = "somebody else".to_owned();
    let mut before = GENESIS;
    for (record, hash) in &mut chain {
        *hash = record.hash(&before);
        before = *hash;
    }
    let found = flaws(&ring, &chain, &anchors);
    assert_eq!(found, [Flaw::OtherHistory(5), Flaw::OtherHistory(9)]);
    let stranger = Keyring::new(Keyring::generate(&SeededEntropy::new(4), Vec::new())).unwrap();
    let mut forged = stranger.anchor(9, chain[8].1, START);
    forged.key.clone_from(&anchors[0].key);
    assert_eq!(flaws(&ring, &chain, &[forged])[0], Flaw::Forged(9));
}

#[test]
fn a_cut_tail_and_one_put_on_are_named() {
    let (ring, mut chain) = (ring(), chain(9));
    let anchors = anchors(&ring, &chain);
    let ninth = chain.pop().unwrap();
    assert_eq!(flaws(&ring, &chain, &anchors), [Flaw::CutShort(9)]);
    chain.push(ninth);
    let tenth = record(10);
    let hash = tenth.hash(&chain[8].1);
    chain.push((tenth, hash));
    assert_eq!(flaws(&ring, &chain, &anchors), [Flaw::Unanchored(10)]);
}

#[test]
fn a_record_whose_process_skipped_a_number_is_named() {
    let ring = ring();
    let mut chain = Chain::new();
    let mut before = GENESIS;
    for (link, counter) in [(1, 0), (2, 2)] {
        let mut record = record(link);
        (record.node, record.counter) = (7, counter);
        before = record.hash(&before);
        chain.push((record, before));
    }
    let anchors = [ring.anchor(2, before, START)];
    assert_eq!(flaws(&ring, &chain, &anchors), [Flaw::Skipped(2, 1)]);
}

#[test]
fn a_part_is_checked_from_a_link_that_is_known() {
    let (ring, mut chain) = (ring(), chain(9));
    let anchors = anchors(&ring, &chain);
    let rest = chain.split_off(6);
    let (last, hash) = &chain[5];
    let mut check = ChainCheck::new(ring.anchor_keys(), Some((last.link, *hash)));
    check.anchor(&anchors[1]);
    for (record, hash) in &rest {
        check.record(record, hash);
    }
    assert_eq!(check.head(), (9, Some(rest[2].1)));
    assert_eq!(check.finish(), []);
}

proptest! {
    /// No two records that differ anywhere have one digest: lengths stand
    /// before texts, so nothing can move from one member into the next.
    #[test]
    fn whatever_is_changed_changes_the_link(
        texts in proptest::array::uniform4("[a-c]{0,3}"),
        others in proptest::array::uniform4("[a-c]{0,3}"),
        optional in proptest::array::uniform2(proptest::option::of("[a-c]{0,2}")),
    ) {
        let make = |texts: &[String; 4], subject: &Option<String>| Record {
            action: texts[0].clone(),
            actor: texts[1].clone(),
            subject: subject.clone(),
            client: None,
            detail: texts[2].clone(),
            request: texts[3].clone(),
            ..record(1)
        };
        let (one, other) = (make(&texts, &optional[0]), make(&others, &optional[1]));
        prop_assert_eq!(one == other, one.hash(&GENESIS) == other.hash(&GENESIS));
    }
}

/// What is kept of a chain from a link on, with a record at its end that tells
/// of what went.
fn kept(ring: &Keyring, through: i64, told: i64) -> (Anchor, Chain) {
    let mut chain = chain(9);
    let before = chain.last().unwrap().1;
    let mut forget = record(10);
    forget.action = FORGET.to_owned();
    forget.detail = format!(r#"{{"through":{told}}}"#);
    let hash = forget.hash(&before);
    chain.push((forget, hash));
    let at = usize::try_from(through).unwrap();
    let start = ring.anchor(through, chain[at - 1].1, START);
    (start, chain.split_off(at))
}

fn flaws_since(ring: &Keyring, start: &Anchor, chain: &Chain) -> Vec<Flaw> {
    let mut check = ChainCheck::since(ring.anchor_keys(), start);
    let (last, hash) = chain.last().unwrap();
    check.anchor(&ring.anchor(last.link, *hash, START));
    for (record, hash) in chain {
        check.record(record, hash);
    }
    check.finish()
}

#[test]
fn a_chain_whose_beginning_was_let_go_says_so_itself() {
    let ring = ring();
    let (start, chain) = kept(&ring, 4, 4);
    assert_eq!(flaws_since(&ring, &start, &chain), []);

    let (start, chain) = kept(&ring, 5, 4);
    assert_eq!(flaws_since(&ring, &start, &chain), [Flaw::Unexplained(5)]);
    let (mut start, chain) = kept(&ring, 4, 4);
    start.at = START + std::time::Duration::from_secs(1);
    assert_eq!(flaws_since(&ring, &start, &chain), [Flaw::Forged(4)]);
    let (start, chain) = kept(&ring, 4, 4);
    let later = chain[1..].to_vec();
    assert!(flaws_since(&ring, &start, &later).contains(&Flaw::Missing(5, 5)));
    let told = Flaw::Unexplained(5).to_string();
    assert!(told.contains("up to 5 were removed"), "{told}");
}
