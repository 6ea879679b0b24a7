//! What an issuer hides in an encrypted assertion is refused as in the open.

use base64::Engine;
use symbolon_protocol::{SigningAlgorithm, Timestamp};

use super::*;
use crate::jose::SigningKey;
use crate::saml::{Presented, write};

#[derive(Debug)]
struct Sevens;

impl Entropy for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// What comes of text that was encrypted, and perhaps encrypted again.
fn presented(text: &str, times: usize) -> Result<String, Refused> {
    let document = DecryptionKey::generate().unwrap();
    let key = SigningKey::from_pkcs8(SigningAlgorithm::Rs256, &document).unwrap();
    let (from, to) = (Timestamp::EPOCH, Timestamp::from_seconds(60));
    let certificate = Certificate::self_signed(&key, "test", from, to).unwrap();
    let recipient = Recipient::new(&certificate, KeyTransport::OaepSha256).unwrap();
    let mut text = text.to_owned();
    for _ in 0..times {
        let encrypted = recipient.encrypt(&text, &Sevens).unwrap();
        text = write::encrypted(&encrypted);
    }
    let token = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(text);
    let keys = [DecryptionKey::from_pkcs8(&document).unwrap()];
    Presented::parse(&token, &keys).map(|own| own.claimed_issuer().to_owned())
}

#[test]
fn the_inside_is_read_by_the_rules_of_the_outside() {
    let plain =
        format!(r#"<Assertion xmlns="{SAML}"><Issuer>https://idp.test</Issuer></Assertion>"#);

    assert_eq!(presented(&plain, 1).unwrap(), "https://idp.test");
    assert_eq!(presented(&plain, 2), Err(Refused::NotAnAssertion));
    assert_eq!(
        presented(&format!("<!DOCTYPE a>{plain}"), 1),
        Err(Refused::DocumentType)
    );
    assert_eq!(
        presented(&format!("{plain}{plain}"), 1),
        Err(Refused::Malformed)
    );
    assert_eq!(presented("<a/>", 1), Err(Refused::NotAnAssertion));
    assert_eq!(
        presented(&"<a>".repeat(40), 1),
        Err(Refused::TooLarge("depth"))
    );
}
