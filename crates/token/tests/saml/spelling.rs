//! One assertion, one text: what this server wrote comes back byte for byte, or
//! not at all. What a partner wrote may be spelled in any way that its
//! signature covers.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use symbolon_protocol::SigningAlgorithm::{self, Es256, Rs256};
use symbolon_testkit::{START, at};
use symbolon_token::saml::{Certificate, Presented, Refused};

use crate::fixture::{Making, attribute, base64url, good, key, part, read, trusted, xml};

/// One of our own that comes back.
fn reopened(text: &str, algorithm: SigningAlgorithm) -> Result<(), Refused> {
    let presented = Presented::parse(text, &[])?;
    presented.reopen(&trusted(&key(algorithm)), START).map(drop)
}

/// Every spelling here has the canonical form of what was signed.
#[test]
fn i30_no_other_spelling_of_our_own_is_taken_and_any_of_a_partners_is() {
    for algorithm in [Es256, Rs256] {
        let attributes = [attribute("odd", &["a\r\nb\tc \"<&>' €", ""])];
        let mut making = Making::new(algorithm);
        making.rendering.attributes = &attributes;
        making.rendering.session_index = Some("s<1>");
        let text = xml(&making.mint().unwrap());
        let value = part(&text, "<ds:SignatureValue>", "</ds:SignatureValue>");
        let split = value.replacen("=</", "=\n</", 1);
        #[rustfmt::skip]
        let spellings = [
            format!("<?xml version=\"1.0\"?>{text}"),
            format!("{text}\n"),
            format!("<!-- c -->{text}"),
            text.replacen(" ID=\"", "  ID=\"", 1),
            text.replacen(" ID=\"", "\n ID=\"", 1),
            text.replacen("Version=\"2.0\"", "Version='2.0'", 1),
            text.replacen("Version=\"2.0\"", "Version=\"2&#46;0\"", 1),
            text.replacen("<saml:Issuer>", "<saml:Issuer >", 1),
            text.replacen("<saml:Issuer>h", "<saml:Issuer><!-- -->h", 1),
            text.replacen("<saml:Issuer>h", "<saml:Issuer>&#104;", 1),
            text.replacen("</saml:Issuer>", "</saml:Issuer >", 1),
            text.replacen("a&#xD;", "a&#13;", 1),
            text.replacen("<ds:DigestValue>", "<ds:DigestValue>\n", 1),
            text.replacen("<ds:SignatureValue>", "<ds:SignatureValue>\n", 1),
            text.replacen("<ds:SignedInfo>", "<!-- --><ds:SignedInfo>", 1),
            text.replacen("</ds:Signature>", "<ds:KeyInfo><ds:KeyName>us</ds:KeyName></ds:KeyInfo></ds:Signature>", 1),
            text.replacen("<ds:Signature ", "<ds:Signature Id=\"_s\" ", 1),
            text.replace("<saml:AttributeValue></saml:AttributeValue>", "<saml:AttributeValue/>"),
            text.replacen(value, &split, 1),
            swapped(&text),
        ];
        assert_eq!(reopened(&base64url(&text), algorithm), Ok(()));
        for (number, other) in spellings.into_iter().enumerate() {
            if other == text {
                continue;
            }
            let ours = reopened(&base64url(&other), algorithm);
            // Of what was signed the digest tells; the spelling of that is free.
            let partners = read(&other, algorithm);
            match &partners {
                Ok(_) => assert_eq!(ours, Err(Refused::Spelling), "case {number}: {other}"),
                Err(why) => assert_eq!(ours, Err(why.clone()), "case {number}: {other}"),
            }
        }
        assert!(read(&swapped(&text), algorithm).is_ok(), "the twin");
        assert!(read(&format!("{text}\n"), algorithm).is_ok(), "the twin");
    }
}

/// The same with two attributes in another order.
fn swapped(text: &str) -> String {
    let own = part(text, " NotBefore=\"", "\" ");
    let own = own.strip_suffix(' ').unwrap();
    let other = part(text, " NotOnOrAfter=\"", "Z\"");
    let both = format!("<saml:Conditions{own}{other}");
    assert!(text.contains(&both), "{text}");
    text.replacen(&both, &format!("<saml:Conditions{other}{own}"), 1)
}

#[test]
fn i30_padding_is_another_spelling_of_our_own() {
    // One of three lengths needs none.
    let padded = ["a", "ab", "abc"].map(|name| {
        let mut making = Making::new(Es256);
        let attributes = [attribute(name, &["x"])];
        making.rendering.attributes = &attributes;
        let text = making.mint().unwrap();
        let pads = text.len().next_multiple_of(4) - text.len();
        assert_eq!(reopened(&text, Es256), Ok(()));
        (format!("{text}{}", "=".repeat(pads)), pads)
    });
    for (text, pads) in padded {
        let expected = if pads == 0 {
            Ok(())
        } else {
            Err(Refused::Spelling)
        };
        assert_eq!(reopened(&text, Es256), expected);
        assert!(read(&xml(text.trim_end_matches('=')), Es256).is_ok());
    }
}

/// Whoever has (r, s) can write (r, n - s), which verifies as well.
#[test]
fn i30_the_twin_of_an_ecdsa_signature_is_no_signature_of_ours() {
    let text = good(Es256);
    let value = part(&text, "<ds:SignatureValue>", "</ds:SignatureValue>");
    let inside = value.split(['<', '>']).nth(2).unwrap();
    let mut signature = BASE64_STANDARD.decode(inside).unwrap();
    let (_, s) = signature.split_at_mut(32);
    let mut borrowed = false;
    for (own, order) in s.iter_mut().zip(ORDER_OF_P256).rev() {
        let (one, first) = order.overflowing_sub(*own);
        let (two, second) = one.overflowing_sub(u8::from(borrowed));
        (*own, borrowed) = (two, first || second);
    }
    let twin = text.replacen(inside, &BASE64_STANDARD.encode(&signature), 1);

    assert_eq!(reopened(&base64url(&twin), Es256), Err(Refused::Spelling));
    assert!(read(&twin, Es256).is_ok(), "a partner may have written it");
}

/// FIPS 186-4 §D.1.2.3.
const ORDER_OF_P256: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// A certificate in it is not covered by the signature, so nobody could tell
/// that it is the one that was written.
#[test]
fn i30_one_with_a_certificate_is_for_others() {
    let mut making = Making::new(Rs256);
    let certificate = Certificate::self_signed(&making.key, "idp.test", START, at(60)).unwrap();
    making.rendering.certificate = Some(&certificate);
    let text = making.mint().unwrap();

    assert_eq!(reopened(&text, Rs256), Err(Refused::Spelling));
    assert!(read(&xml(&text), Rs256).is_ok());
}

/// With everything that can be said, and without.
#[test]
fn whatever_is_written_is_spelled_as_it_is_written() {
    for session in [None, Some("s")] {
        for qualifiers in [[None; 2], [Some("https://a.test"), Some("b \"c\"")]] {
            let mut making = Making::new(Es256);
            making.rendering.session_index = session;
            making.rendering.qualifiers = qualifiers;
            making.rendering.in_response_to = session;
            making.granted.authentication =
                making.granted.authentication.filter(|_| session.is_some());

            assert_eq!(reopened(&making.mint().unwrap(), Es256), Ok(()));
        }
    }
}
