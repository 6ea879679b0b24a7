//! What a set of revocations hits.

use proptest::prelude::*;

use super::*;
use crate::revocation::{pair_name, public_name};

fn at(sequence: i64) -> Position {
    Position { epoch: 1, sequence }
}

fn record(sequence: i64, target: Target, name: u64) -> Revocation {
    Revocation {
        sequence,
        target,
        name,
        expires: Timestamp::FAR,
    }
}

#[test]
fn a_wide_record_kills_what_was_made_before_it_and_nothing_after() {
    let mut set = RevocationSet::new(at(0));
    set.apply(record(5, Target::Subject, 7));
    let marks = Marks {
        subject: Some(7),
        ..Marks::default()
    };
    assert_eq!(set.hit(&marks, at(4)), Some(Hit::Record(Target::Subject)));
    assert_eq!(set.hit(&marks, at(5)), None);
}

#[test]
fn a_narrow_record_kills_for_good() {
    let mut set = RevocationSet::new(at(0));
    set.apply(record(5, Target::Family, 7));
    let marks = Marks {
        family: Some(7),
        ..Marks::default()
    };
    assert_eq!(set.hit(&marks, at(9)), Some(Hit::Record(Target::Family)));
}

#[test]
fn a_distrusted_key_kills_whatever_sequence_its_thief_writes() {
    let mut set = RevocationSet::new(at(0));
    set.apply(record(5, Target::Key, public_name(Target::Key, "k")));
    let marks = Marks {
        key: Some(public_name(Target::Key, "k")),
        ..Marks::default()
    };
    let hit = set.hit(&marks, at(i64::MAX));
    assert_eq!(hit, Some(Hit::Record(Target::Key)));
    assert!(set.hits_key(public_name(Target::Key, "k")));
    assert!(!set.hits_key(public_name(Target::Key, "other")));
}

#[test]
fn a_pair_is_hit_only_by_both_its_parts() {
    let mut set = RevocationSet::new(at(0));
    set.apply(record(
        5,
        Target::Membership,
        pair_name(Target::Membership, 1, 2),
    ));
    let member = Marks {
        organization: Some(1),
        subject: Some(2),
        ..Marks::default()
    };
    assert!(set.hit(&member, at(0)).is_some());
    assert_eq!(
        set.hit(
            &Marks {
                organization: Some(3),
                ..member.clone()
            },
            at(0)
        ),
        None
    );
}

#[test]
fn the_record_for_many_tokens_spares_families() {
    let mut set = RevocationSet::new(at(0));
    set.apply(record(
        5,
        Target::ClientSubject,
        pair_name(Target::ClientSubject, 1, 2),
    ));
    let token = Marks {
        token: Some(9),
        client: Some(1),
        subject: Some(2),
        ..Marks::default()
    };
    assert!(set.hit(&token, at(0)).is_some());
    assert_eq!(
        set.hit(
            &Marks {
                token: None,
                ..token.clone()
            },
            at(0)
        ),
        None
    );
}

#[test]
fn another_epoch_is_dead_even_in_an_empty_set() {
    let set = RevocationSet::new(Position {
        epoch: 2,
        sequence: 0,
    });
    assert_eq!(set.hit(&Marks::default(), at(100)), Some(Hit::Epoch));
}

#[test]
fn what_was_derived_dies_with_each_of_its_ancestors() {
    let root = Marks {
        token: Some(1),
        client: Some(2),
        subject: Some(3),
        key: Some(4),
        ..Marks::default()
    };
    let derived = Marks {
        token: Some(9),
        lineage: root.ancestors(),
        ..Marks::default()
    };
    for ancestor in root.ancestors() {
        let mut set = RevocationSet::new(at(0));
        set.apply(record(5, ancestor.target, ancestor.name));

        assert!(set.hit(&derived, at(4)).is_some(), "{ancestor:?}");
    }
    assert_eq!(
        root.ancestors().len(),
        5,
        "the pair of client and subject too"
    );
}

#[test]
fn an_older_record_that_arrives_late_weakens_nothing() {
    let mut set = RevocationSet::new(at(0));
    set.apply(record(5, Target::Client, 7));
    set.apply(record(3, Target::Client, 7));
    let marks = Marks {
        client: Some(7),
        ..Marks::default()
    };
    assert!(set.hit(&marks, at(4)).is_some());
}

#[test]
fn a_copy_is_not_changed_by_what_its_twin_takes_in() {
    let mut set = RevocationSet::new(at(0));
    set.apply(record(1, Target::Client, 7));
    let before = set.clone();

    set.apply(record(5, Target::Client, 7));
    set.apply(record(6, Target::Session, 8));
    set.purge(Timestamp::EPOCH);

    let client = Marks {
        client: Some(7),
        ..Marks::default()
    };
    assert_eq!((before.len(), set.len()), (1, 2));
    assert_eq!(before.hit(&client, at(3)), None);
    assert!(set.hit(&client, at(3)).is_some());
}

#[test]
fn what_has_expired_goes_and_what_never_does_stays() {
    let mut set = RevocationSet::new(at(0));
    let ends = |name: u64, expires| Revocation {
        expires,
        ..record(1, Target::Token, name)
    };
    set.apply(ends(1, Timestamp::from_millis(5_001)));
    set.apply(ends(2, Timestamp::FAR));
    set.apply(ends(2, Timestamp::from_seconds(1)));

    set.purge(Timestamp::from_millis(5_001));
    assert_eq!(set.len(), 2, "an end is rounded up, never down");
    set.purge(Timestamp::from_seconds(6));
    assert_eq!(set.len(), 1);
    set.purge(Timestamp::from_seconds(10_000_000_000));
    assert_eq!(set.len(), 1, "the later of two ends counts");
}

proptest! {
    /// The set is what a plain map would be.
    #[test]
    fn it_hits_what_a_plain_map_would(
        records in proptest::collection::vec((1_u8..=12, 0_u64..40, 1_i64..9, 0_i64..20), 0..80),
        now in 0_i64..20,
        asked in (1_u8..=12, 0_u64..40, 0_i64..9),
    ) {
        let mut set = RevocationSet::new(at(0));
        let mut plain = std::collections::HashMap::new();
        for (target, name, sequence, ends) in records {
            let target = Target::numbered(target).unwrap();
            set.apply(Revocation {
                expires: Timestamp::from_seconds(ends),
                ..record(sequence, target, name)
            });
            let own = plain.entry((target, name)).or_insert((sequence, ends));
            *own = (own.0.max(sequence), own.1.max(ends));
        }
        set.purge(Timestamp::from_seconds(now));
        plain.retain(|_, (_, ends)| *ends > now);

        let (target, name, sequence) = asked;
        let target = Target::numbered(target).unwrap();
        let marks = Marks {
            lineage: vec![crate::authority::Ancestor { target, name }],
            ..Marks::default()
        };
        let expected = plain
            .get(&(target, name))
            .is_some_and(|own| !target.is_wide() || sequence < own.0);
        prop_assert_eq!(set.hit(&marks, at(sequence)).is_some(), expected);
        prop_assert_eq!(set.len(), plain.len());
    }
}
