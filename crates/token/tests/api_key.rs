//! Keys by their text, their digests and their networks.

use symbolon_protocol::Environment;
use symbolon_testkit::SeededEntropy;
use symbolon_token::api_key::{
    ForeignDigest, InvalidDigest, InvalidNetworks, KeyFlaw, Made, Networks, is_foreign, make, read,
};
use symbolon_token::recognize::What;
use symbolon_token::{Digest, Keyring, Slot};

fn made(environment: Environment) -> Made {
    let entropy = SeededEntropy::new(5);
    make(Slot::random(&entropy), environment, &entropy)
}

#[test]
fn a_key_names_its_row_and_its_environment() {
    for (environment, letter) in [(Environment::Live, 'L'), (Environment::Test, 'T')] {
        let made = made(environment);
        let text = made.text.expose_str();

        assert!(text.starts_with(&format!("sym_key_{letter}")), "{text}");
        assert_eq!(text.len(), 70);
        assert_eq!(What::of(text), What::ApiKey);
        let id = made.id.to_string();
        let mut parts = (4..id.len() - 6).map(|at| &id[at..at + 6]);
        assert!(!parts.any(|part| text.contains(part)), "{id}");
        let claimed = read(text).unwrap();
        assert_eq!((claimed.id, claimed.environment), (made.id, environment));
    }
}

#[test]
fn a_key_of_which_anything_was_changed_is_refused_without_asking_anyone() {
    let made = made(Environment::Test);
    let text = made.text.expose_str();
    assert!(read(text).is_some());
    for at in 0..text.len() {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'L' { b'0' } else { b'L' };
        assert_eq!(read(std::str::from_utf8(&bytes).unwrap()), None, "{at}");
    }
    assert_eq!(read(&text[..69]), None);
    assert_eq!(read(&format!("{text}0")), None);
    assert_eq!(read(""), None);
    assert_eq!(read("sym_key_"), None);
}

#[test]
fn a_digest_is_keyed_and_of_one_use() {
    let entropy = SeededEntropy::new(7);
    let keys = Keyring::new(Keyring::generate(&entropy, Vec::new())).unwrap();
    let made = made(Environment::Live);
    let text = made.text.expose_str();

    let stored = keys.digest_api_key(&made.text);

    assert!(keys.api_key_digests(text).any(|own| own.0.matches(&stored)));
    assert!(!stored.matches(&keys.digest_secret(made.text.expose())));
    let foreign = keys.digest_foreign_key(&ForeignDigest::of(text));
    assert!(!stored.matches(&foreign) && !foreign.matches(&Digest::of(text.as_bytes())));
    let shown = ForeignDigest::of(text);
    let mut again = keys.foreign_key_digests(&shown);
    assert!(again.any(|own| own.0.matches(&foreign)));
}

#[test]
fn a_digest_from_elsewhere_is_sixty_four_digits() {
    let good = "2C26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    assert_eq!(good.parse(), Ok(ForeignDigest::of("foo")));
    for bad in ["", &good[1..], &format!("{good}0"), &good.replace('2', "g")] {
        assert_eq!(bad.parse::<ForeignDigest>(), Err(InvalidDigest), "{bad}");
    }
}

#[test]
fn no_credential_of_ours_and_no_token_is_a_key_from_elsewhere() {
    let made = made(Environment::Live);
    assert!(is_foreign("pk_live_51H8x9aBcDeFgHiJk"));
    assert!(is_foreign("SG.aaaaaaaaaaaa.bbbbbbbbbbbbbb"));
    let (long, jwt) = ("x".repeat(513), "eyJhbGciOiJFUzI1NiJ9.e30.c2ln");
    for other in [
        made.text.expose_str(),
        "short",
        "with a blank in it",
        &long,
        jwt,
    ] {
        assert!(!is_foreign(other), "{other}");
    }
}

#[test]
fn a_key_with_networks_is_good_from_them_alone() {
    let networks = |all: &[&str]| {
        Networks::try_from(all.iter().map(|own| (*own).to_owned()).collect::<Vec<_>>())
    };
    let own = networks(&["10.0.0.0/8", "2001:db8::/32"]).unwrap();
    let at = |text: &str| own.check(Some(text.parse().unwrap()));

    assert_eq!(at("10.1.2.3"), Ok(()));
    assert_eq!(at("::ffff:10.1.2.3"), Ok(()));
    assert_eq!(at("2001:db8:1::1"), Ok(()));
    assert_eq!(at("11.0.0.1"), Err(KeyFlaw::Network));
    assert_eq!(own.check(None), Err(KeyFlaw::NetworkUnknown));
    assert_eq!(Networks::default().check(None), Ok(()));
    for bad in ["10.0.0.1", "10.0.0.1/8", "x", ""] {
        assert_eq!(networks(&[bad]), Err(InvalidNetworks), "{bad}");
    }
    assert_eq!(networks(&["10.0.0.0/8"; 33]), Err(InvalidNetworks));
    let narrow = networks(&["10.1.0.0/16"]).unwrap();
    assert!(narrow.is_within(&own) && !own.is_within(&narrow));
    assert!(own.is_within(&Networks::default()) && !Networks::default().is_within(&own));
}
