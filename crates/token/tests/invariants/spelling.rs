//! What a changed byte is in each format: a text has one spelling, and where it
//! has more, all of them are the same bytes or the same words.
//!
//! `docs/formats.md` says the same for people.
//!
//! Spec: RFC 4648 §3.2, §3.3, §3.5
//! Spec: RFC 7515 §2

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use proptest::prelude::*;

use crate::any::bearer;
use crate::form::{self, Form, read, write};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The text with another last character in one of its parts, each of the 63
/// that there are: some differ only in bits that no byte is made of.
fn other_ends(text: &str) -> Vec<String> {
    let mut ends: Vec<usize> = text.match_indices('.').map(|(at, _)| at).collect();
    ends.push(text.len());
    let mut all = Vec::new();
    for end in ends {
        for other in ALPHABET {
            let mut bytes = text.as_bytes().to_vec();
            if bytes[end - 1] != *other {
                bytes[end - 1] = *other;
                all.push(String::from_utf8(bytes).unwrap());
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]
    #[test]
    fn i30_no_ending_but_the_canonical_one_is_read(root in bearer()) {
        for form in Form::ALL {
            let text = write(form, &root).unwrap();
            prop_assert!(read(form, &text).is_some());
            for bad in other_ends(&text) {
                prop_assert!(read(form, &bad).is_none(), "{:?} {}", form, bad);
            }
        }
    }

    #[test]
    fn i30_padding_is_read_where_the_format_has_it_and_is_the_same_token(root in bearer()) {
        for form in Form::ALL {
            let text = write(form, &root).unwrap();
            let good = read(form, &text).unwrap();
            let missing = text.len().next_multiple_of(4) - text.len();
            for pads in 1..=4 {
                let padded = format!("{text}{}", "=".repeat(pads));
                let has_padding = match form {
                    Form::Macaroon => pads == missing,
                    Form::Opaque | Form::Jwt | Form::Saml => false,
                };
                let told = read(form, &padded);
                prop_assert_eq!(told.is_some(), has_padding, "{:?} {}", form, padded);
                prop_assert!(told.is_none_or(|told| told == good.clone()));
            }
        }
    }

    #[test]
    fn i30_blanks_are_read_nowhere(root in bearer()) {
        for form in Form::ALL {
            let text = write(form, &root).unwrap();
            for blank in [" ", "\n", "\r\n", "\t", "\u{a0}", "%20", "+"] {
                for at in [0, text.len() / 2, text.len()] {
                    let bad = format!("{}{blank}{}", &text[..at], &text[at..]);
                    prop_assert!(read(form, &bad).is_none(), "{:?} {}", form, bad);
                }
            }
        }
        let text = write(Form::Saml, &root).unwrap();
        let xml = form::decoded(&text);
        // Inside of a tag they would have the same canonical form; between
        // elements and inside of text they are words like any others.
        for (from, to) in [
            (" ID=\"", "  ID=\""), (" ID=\"", "\n ID=\""), ("<saml:Conditions ", "<saml:Conditions\t"),
            ("<saml:Conditions ", " <saml:Conditions "), ("</saml:Audience>", " </saml:Audience>"),
        ] {
            let other = xml.replacen(from, to, 1);
            prop_assert_ne!(&other, &xml);
            prop_assert_eq!(read(Form::Saml, &form::encoded(&other)), None);
        }
    }

    /// Whoever has (r, s) can write (r, n - s), which verifies as well.
    #[test]
    fn i30_the_twin_of_an_ecdsa_signature_is_refused(root in bearer()) {
        let text = write(Form::Jwt, &root).unwrap();
        prop_assert!(read(Form::Jwt, &text).is_some());
        let (signed, signature) = text.rsplit_once('.').unwrap();
        let mut signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let twin = minus(&ORDER_OF_P256, &signature[32..]);
        signature[32..].copy_from_slice(&twin);
        let twin = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(&signature));

        prop_assert!(read(Form::Jwt, &twin).is_none());
    }
}

/// FIPS 186-4 §D.1.2.3.
const ORDER_OF_P256: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The difference of two numbers of as many bytes, the larger one first.
fn minus(from: &[u8], what: &[u8]) -> Vec<u8> {
    let mut left = from.to_vec();
    let mut borrowed = 0_u8;
    for (at, own) in left.iter_mut().enumerate().rev() {
        let (one, first) = own.overflowing_sub(what[at]);
        let (two, second) = one.overflowing_sub(borrowed);
        (*own, borrowed) = (two, u8::from(first || second));
    }
    left
}
