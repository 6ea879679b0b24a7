//! Invariants: what was written is read, and nothing else is.

use proptest::prelude::*;
use symbolon_protocol::SigningAlgorithm::Es256;
use symbolon_testkit::START;
use symbolon_token::saml::Attribute;

use crate::fixture::{Making, base64url, expected, good, key, read, trusted, xml};

/// Text that XML can carry in a name.
const NAME: &str = "[ -~äß€\u{1f600}]{1,40}";
/// Text that XML can carry in a value.
const VALUE: &str = "[ -~\t\n\r€]{0,40}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_read(
        subject in NAME, session in proptest::option::of(NAME),
        attributes in proptest::collection::btree_map("[a-z]{4,9}x", proptest::collection::vec(VALUE, 0..4), 0..4),
        life in 1..600_i64, skew in -5..5_i64,
    ) {
        let attributes: Vec<Attribute> = attributes.into_iter()
            .map(|(name, values)| Attribute { name, format: None, values }).collect();
        let mut making = Making { subject: &subject, ..Making::new(Es256) };
        making.rendering.attributes = &attributes;
        making.rendering.session_index = session.as_deref();
        making.granted.expires = symbolon_testkit::at(life);
        making.issued = symbolon_testkit::at(skew);

        let assertion = read(&xml(&making.mint().unwrap()), Es256).unwrap();

        prop_assert_eq!(&assertion.subject().value, &subject);
        prop_assert_eq!(&assertion.authentication().unwrap().session, &session);
        prop_assert_eq!(assertion.expires(), symbolon_testkit::at(life));
        prop_assert_eq!(assertion.issued(), symbolon_testkit::at(skew));
        for own in &attributes {
            prop_assert!(assertion.attributes().contains(own));
        }
    }

    #[test]
    fn noise_is_refused_and_never_panics(text in "[<>!/?a-z\"'= &;#:\\[\\]-]{0,200}") {
        prop_assert!(read(&text, Es256).is_err());
    }

    #[test]
    fn a_cut_or_doubled_piece_never_says_anything_else(from in 0..4_000_usize, length in 1..60_usize, place in 0..4_000_usize) {
        let good = good(Es256);
        let own = read(&good, Es256).unwrap();
        let (from, place) = (from % good.len(), place % good.len());
        let piece = &good[from..(from + length).min(good.len())];
        let cut = format!("{}{}", &good[..from], &good[from + piece.len()..]);
        let doubled = format!("{}{piece}{}", &good[..place], &good[place..]);
        for changed in [cut, doubled] {
            if let Ok(read) = read(&changed, Es256) {
                prop_assert_eq!(&read, &own);
            }
        }
    }
}

/// XML has more than one spelling of the same thing (a blank between two
/// attributes may be a line end), and a signature covers the thing. So a changed
/// byte of the document is refused, or is another spelling that says the same,
/// under the same id.
#[test]
fn any_changed_byte_is_refused_or_changes_nothing() {
    let good = good(Es256);
    let own = read(&good, Es256).unwrap();
    let mut spellings = 0;
    for at in 0..good.len() {
        for replacement in [good.as_bytes()[at] ^ 1, b' '] {
            let mut changed = good.clone().into_bytes();
            if changed[at] == replacement {
                continue;
            }
            changed[at] = replacement;
            let token = base64url(&changed);
            let opened =
                symbolon_token::saml::open(&token, &[], &[trusted(&key(Es256))], &expected());
            if let Ok(opened) = opened {
                assert_eq!(opened, own, "byte {at}");
                spellings += 1;
            }
        }
    }
    assert!(spellings < 20, "{spellings} spellings");
}

/// The outer coding has one spelling: base64url without padding.
#[test]
fn any_changed_character_of_what_is_presented_is_refused_or_changes_nothing() {
    let token = base64url(good(Es256));
    let own = read(&xml(&token), Es256).unwrap();
    for at in (0..token.len()).step_by(7) {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        let opened =
            symbolon_token::saml::open(&changed, &[], &[trusted(&key(Es256))], &expected());
        assert!(opened.is_err() || opened.unwrap() == own, "character {at}");
    }
    assert_eq!(own.issued(), START);
}
