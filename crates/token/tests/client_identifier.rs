//! Identifiers of clients that registered themselves.
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

use symbolon_testkit::SeededEntropy;
use symbolon_token::Keyring;
use symbolon_token::client_identifier::{ClientIdentifier, PREFIX};

const ISSUER: &str = "https://login.example.com";

fn keyring(seed: u64) -> Keyring {
    let keys = Keyring::generate(&SeededEntropy::new(seed), Vec::new());
    Keyring::new(keys).unwrap()
}

#[test]
fn an_identifier_is_the_same_every_time_and_opens_to_what_was_written() {
    let keys = keyring(1);
    for of in [
        ClientIdentifier::Whole(b"a client".to_vec()),
        ClientIdentifier::Row([7; 16]),
    ] {
        let text = keys.write_client_identifier(ISSUER, &of).unwrap();

        assert_eq!(keys.write_client_identifier(ISSUER, &of).unwrap(), text);
        assert_eq!(keys.open_client_identifier(ISSUER, &text), Some(of));
    }
}

#[test]
fn what_was_changed_or_written_elsewhere_does_not_open() {
    let keys = keyring(1);
    let of = ClientIdentifier::Whole(b"a client".to_vec());
    let text = keys.write_client_identifier(ISSUER, &of).unwrap();

    assert!(
        keys.open_client_identifier("https://other.example", &text)
            .is_none()
    );
    assert!(keyring(2).open_client_identifier(ISSUER, &text).is_none());
    for at in PREFIX.len()..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(
            keys.open_client_identifier(ISSUER, &changed).is_none(),
            "{at}"
        );
    }
    for bad in ["", "symclient_", "symclient_AQ", "web", &format!("{text}A")] {
        assert!(keys.open_client_identifier(ISSUER, bad).is_none(), "{bad}");
    }
}

#[test]
fn what_is_too_long_for_an_identifier_gets_none() {
    let whole = |length| ClientIdentifier::Whole(vec![b'a'; length]);
    let fits = |length| keyring(1).write_client_identifier(ISSUER, &whole(length));

    assert!(fits(166).is_some());
    assert!(fits(167).is_none());
}
