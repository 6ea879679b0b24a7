//! What is read is what the library reads.

use libmacaroon::{Caveat, MacaroonKey};
use proptest::prelude::*;

use super::*;

/// What the library reads, as this module shows it.
type Read = (
    Option<String>,
    Vec<u8>,
    Vec<(Option<(String, Vec<u8>)>, Vec<u8>)>,
    Vec<u8>,
);

fn ours(bytes: &[u8]) -> Option<Read> {
    let (read, rest) = Binary::read(bytes.to_vec()).ok()?;
    if !rest.is_empty() {
        return None;
    }
    assert_eq!(read.bytes(), bytes);
    let caveats = read.caveats().map(|own| match own {
        Field::First(text) => (None, text.to_vec()),
        Field::Third {
            location,
            id,
            verifier,
        } => {
            let location = String::from_utf8(location.to_vec()).unwrap();
            (Some((location, verifier.to_vec())), id.to_vec())
        }
    });
    Some((
        read.location().map(str::to_owned),
        read.identifier().to_vec(),
        caveats.collect(),
        read.signature().to_vec(),
    ))
}

fn theirs(bytes: &[u8]) -> Option<Read> {
    let read = Macaroon::deserialize_binary(bytes).ok()?;
    let caveats = read.caveats().iter().map(|own| match own {
        Caveat::FirstParty(own) => (None, own.predicate().to_vec()),
        Caveat::ThirdParty(own) => {
            let third = (own.location().to_owned(), own.verifier_id().to_vec());
            (Some(third), own.id().to_vec())
        }
    });
    let signature: &[u8; 32] = read.signature().as_ref();
    Some((
        read.location().map(str::to_owned),
        read.identifier().to_vec(),
        caveats.collect(),
        signature.to_vec(),
    ))
}

fn made() -> impl Strategy<Value = Vec<u8>> {
    let text = || "[ -~]{0,200}";
    let caveat = (prop::option::of(text()), text());
    let caveats = prop::collection::vec(caveat, 0..5);
    (prop::option::of(text()), "[ -~]{1,200}", caveats).prop_map(|(location, id, caveats)| {
        let key = MacaroonKey::generate(b"a key");
        let mut made = Macaroon::create(location.as_deref(), &key, id).unwrap();
        for (third, text) in caveats {
            let added = match third {
                Some(place) => made.add_third_party_caveat(&place, &key, text),
                None => made.add_first_party_caveat(text),
            };
            added.unwrap();
        }
        decode(&made.serialize(Format::V2).unwrap()).unwrap()
    })
}

/// Bytes in which some were changed, put in or taken out.
fn bent() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), 0..4_u8, any::<u8>());
    // Tags and short lengths are what decides.
    let change = change.prop_flat_map(|(at, what, byte)| {
        let byte = prop_oneof![Just(byte), 0..8_u8, 0x7f..0x82_u8];
        (Just(at), Just(what), byte)
    });
    (made(), prop::collection::vec(change, 1..4)).prop_map(|(mut bytes, changes)| {
        for (at, what, byte) in changes {
            let at = at.index(bytes.len());
            match what {
                0 => bytes.insert(at, byte),
                1 => drop(bytes.remove(at)),
                _ => bytes[at] = byte,
            }
            if bytes.is_empty() {
                break;
            }
        }
        bytes
    })
}

proptest! {
    #[test]
    fn whatever_the_library_writes_is_read_as_it_reads_it(bytes in made()) {
        prop_assert!(ours(&bytes).is_some());
        prop_assert_eq!(ours(&bytes), theirs(&bytes));
    }

    #[test]
    fn whatever_is_changed_is_read_or_refused_as_by_the_library(bytes in bent()) {
        // The library takes v1 by the same door.
        prop_assume!(bytes.first() == Some(&VERSION));
        prop_assert_eq!(ours(&bytes), theirs(&bytes));
    }

    #[test]
    fn what_stands_behind_one_is_handed_back(bytes in made(), rest in prop::collection::vec(any::<u8>(), 0..40)) {
        let both = [&*bytes, &*rest].concat();
        let (read, left) = Binary::read(both).unwrap();
        prop_assert_eq!(read.bytes(), &*bytes);
        prop_assert_eq!(left, rest);
    }

    #[test]
    fn whatever_is_cut_off_is_refused(bytes in made(), at in any::<prop::sample::Index>()) {
        let at = at.index(bytes.len());
        prop_assert!(Binary::read(bytes[..at].to_vec()).is_err());
    }
}

#[test]
fn a_length_has_one_spelling() {
    let whole = |length: &[u8]| {
        let signature = [&[0, 0, SIGNATURE, 32][..], &[7; 32]].concat();
        [&[VERSION, IDENTIFIER], length, b"keyid", &*signature].concat()
    };
    assert!(ours(&whole(&[5])).is_some());
    for other in [&[0x85, 0][..], &[0x85, 0x80, 0], &[0x85, 0x80, 0x80, 0]] {
        assert_eq!(ours(&whole(other)), None, "{other:?}");
    }
}
