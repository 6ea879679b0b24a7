//! Refresh tokens: what opens, and what every retry derives.
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

use symbolon_testkit::SeededEntropy;
use symbolon_token::refresh::RefreshToken;
use symbolon_token::{Id, Keyring, Slot};

fn keys(seed: u64) -> Keyring {
    Keyring::new(Keyring::generate(&SeededEntropy::new(seed), Vec::new())).unwrap()
}

fn first(keys: &Keyring) -> RefreshToken {
    let entropy = SeededEntropy::new(9);
    RefreshToken::first(keys, Id::new(Slot::random(&entropy), &entropy), &entropy)
}

#[test]
fn what_was_written_is_opened_and_nothing_else() {
    let keys = keys(1);
    let text = first(&keys).write(&keys).unwrap();

    let opened = RefreshToken::open(&keys, &text).unwrap();

    assert_eq!(
        (opened.generation, opened.digest()),
        (1, first(&keys).digest())
    );
    for at in 7..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
        assert!(RefreshToken::open(&keys, std::str::from_utf8(&bytes).unwrap()).is_err());
    }
}

#[test]
fn another_installation_opens_none() {
    let text = first(&keys(1)).write(&keys(1)).unwrap();
    assert!(RefreshToken::open(&keys(2), &text).is_err());
}

#[test]
fn every_retry_derives_the_same_successor() {
    let keys = keys(1);
    let one = first(&keys).successor(&keys);
    let again = first(&keys).successor_under(&keys, one.key).unwrap();
    assert_eq!(one.write(&keys).unwrap(), again.write(&keys).unwrap());
    assert_eq!(one.generation, 2);
    assert_ne!(one.digest(), first(&keys).digest());
}

#[test]
fn a_pairwise_subject_leads_back_to_its_person_in_its_own_sector_alone() {
    let keys = keys(1);
    let entropy = SeededEntropy::new(3);
    let person = Id::new(Slot::random(&entropy), &entropy);

    let one = keys.pairwise("one.example", person);

    assert_eq!(one, keys.pairwise("one.example", person));
    assert_ne!(one, keys.pairwise("two.example", person));
    assert_eq!(keys.person_of("one.example", &one), Some(person));
    assert_ne!(keys.person_of("two.example", &one), Some(person));
}
