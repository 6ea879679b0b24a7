//! Encrypted assertions: opened with the right key, in the allowed ways only,
//! and one answer for all that fails.

use std::sync::OnceLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use symbolon_protocol::KeyManagement;
use symbolon_protocol::SigningAlgorithm::{Es256, Rs256};
use symbolon_testkit::{START, SeededEntropy, at};
use symbolon_token::jose::SigningKey;
use symbolon_token::jose::jwe::EncryptionKey;
use symbolon_token::saml::{
    Assertion, Certificate, Cipher, DecryptionKey, KeyTransport, Presented, Recipient, Refused,
    open,
};
use symbolon_token::{Keyring, Secret};

use crate::fixture::{Making, SUBJECT, base64url, expected, key, part, trusted, xml};

fn document() -> &'static Secret {
    static DOCUMENT: OnceLock<Secret> = OnceLock::new();
    DOCUMENT.get_or_init(|| DecryptionKey::generate().unwrap())
}

fn certificate() -> Certificate {
    let key = SigningKey::from_pkcs8(Rs256, document()).unwrap();
    Certificate::self_signed(&key, "as.test", START, at(86_400)).unwrap()
}

fn encrypted(transport: KeyTransport) -> String {
    let recipient = Recipient::new(&certificate(), transport).unwrap();
    let entropy = SeededEntropy::new(9);
    let mut making = Making::new(Es256);
    making.rendering.encrypt_to = Some((&recipient, &entropy));
    xml(&making.mint().unwrap())
}

fn read(xml: &str) -> Result<Assertion, Refused> {
    let keys = [DecryptionKey::from_pkcs8(document()).unwrap()];
    open(&base64url(xml), &keys, &[trusted(&key(Es256))], &expected())
}

#[test]
fn an_encrypted_assertion_is_opened_with_the_key_it_is_for() {
    for transport in [KeyTransport::OaepSha256, KeyTransport::OaepSha1] {
        let text = encrypted(transport);

        assert!(!text.contains(SUBJECT));
        assert_eq!(read(&text).unwrap().subject().value, SUBJECT);
        let none = open(&base64url(&text), &[], &[trusted(&key(Es256))], &expected());
        assert_eq!(none.unwrap_err(), Refused::Encrypted);
        let other = DecryptionKey::from_pkcs8(&DecryptionKey::generate().unwrap()).unwrap();
        let other = open(
            &base64url(&text),
            &[other],
            &[trusted(&key(Es256))],
            &expected(),
        );
        assert_eq!(other.unwrap_err(), Refused::Encrypted);
    }
}

#[test]
fn what_is_encrypted_still_has_to_be_signed_by_the_issuer() {
    let recipient = Recipient::new(&certificate(), KeyTransport::OaepSha256).unwrap();
    let entropy = SeededEntropy::new(9);
    let stranger = SigningKey::from_pkcs8(Es256, &SigningKey::generate(Es256).unwrap()).unwrap();
    let mut making = Making {
        key: stranger,
        ..Making::new(Es256)
    };
    making.rendering.encrypt_to = Some((&recipient, &entropy));

    assert_eq!(
        read(&xml(&making.mint().unwrap())).unwrap_err(),
        Refused::Signature
    );
}

/// Attack: J270
#[test]
fn only_the_allowed_ciphers_and_transports_are_read() {
    let good = encrypted(KeyTransport::OaepSha256);
    let oaep = "http://www.w3.org/2009/xmlenc11#rsa-oaep";
    let old = encrypted(KeyTransport::OaepSha1);
    let old_uri = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
    #[rustfmt::skip]
    let cases = [
        good.replace("xmlenc11#aes256-gcm", "xmlenc11#aes192-gcm"),
        good.replace("http://www.w3.org/2009/xmlenc11#aes256-gcm", "http://www.w3.org/2001/04/xmlenc#aes256-cbc"),
        good.replace("http://www.w3.org/2009/xmlenc11#aes256-gcm", "http://www.w3.org/2001/04/xmlenc#aes128-cbc"),
        good.replace("http://www.w3.org/2009/xmlenc11#aes256-gcm", "http://www.w3.org/2001/04/xmlenc#tripledes-cbc"),
        good.replace("xmlenc11#aes256-gcm", "xmlenc11#aes128-gcm"),
        good.replace(oaep, "http://www.w3.org/2001/04/xmlenc#rsa-1_5"),
        good.replace(oaep, old_uri),
        old.replace(old_uri, "http://www.w3.org/2001/04/xmlenc#rsa-1_5"),
        old.replace(old_uri, oaep),
        old.replace("http://www.w3.org/2000/09/xmldsig#sha1", "http://www.w3.org/2001/04/xmlenc#sha256"),
        good.replace("xmlenc11#mgf1sha256", "xmlenc11#mgf1sha1"),
        good.replace("<xenc:CipherData>", "<xenc:CipherReference URI=\"https://evil.test\"/><xenc:CipherData>"),
        good.replace("xmlenc#Element", "xmlenc#Content"),
    ];
    for (number, own) in cases.into_iter().enumerate() {
        assert!(own != good && own != old, "case {number} changed nothing");
        assert_eq!(read(&own).unwrap_err(), Refused::Encrypted, "case {number}");
    }
    assert!(read(&good).is_ok() && read(&old).is_ok(), "the twins");
}

/// Attack: J270
#[test]
fn any_changed_byte_of_key_or_text_gives_the_same_answer() {
    let good = encrypted(KeyTransport::OaepSha256);
    let key = part(&good, "<xenc:CipherValue>", "</xenc:CipherValue>");
    let rest = &good[good.find(key).unwrap() + key.len()..];
    let text = part(rest, "<xenc:CipherValue>", "</xenc:CipherValue>");
    for value in [key, text] {
        let inside = part(value, ">", "<");
        let inside = &inside[1..inside.len() - 1];
        let bytes = BASE64_STANDARD.decode(inside).unwrap();
        for at in (0..bytes.len())
            .step_by(bytes.len() / 40 + 1)
            .chain([0, 11, 12, bytes.len() - 1])
        {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = good.replace(inside, &BASE64_STANDARD.encode(changed));
            assert_eq!(read(&changed).unwrap_err(), Refused::Encrypted, "byte {at}");
        }
        for cut in [0, 1, 12, 27] {
            let changed = good.replace(inside, &BASE64_STANDARD.encode(&bytes[..cut]));
            assert_eq!(
                read(&changed).unwrap_err(),
                Refused::Encrypted,
                "first {cut}"
            );
        }
    }
}

/// An assertion that is encrypted to a key of an API, as the server does it.
fn for_an_api(cipher: Cipher, ring: &Keyring) -> String {
    let key = SigningKey::from_pkcs8(Rs256, document()).unwrap();
    let jwk = key.bare_jwk().as_object().unwrap().clone();
    let key = EncryptionKey::from_jwk(&jwk, KeyManagement::RsaOaep256).unwrap();
    let recipient = Recipient::registered(key, cipher, ring).unwrap();
    let entropy = SeededEntropy::new(9);
    let mut making = Making::new(Es256);
    making.rendering.encrypt_to = Some((&recipient, &entropy));
    making.mint().unwrap()
}

fn ring(seed: u64) -> Keyring {
    Keyring::new(Keyring::generate(&SeededEntropy::new(seed), Vec::new())).unwrap()
}

#[test]
fn what_is_encrypted_to_an_api_is_read_again_by_whoever_wrote_it_and_by_nobody_else() {
    let own = ring(1);
    for cipher in [Cipher::Aes128Gcm, Cipher::Aes256Gcm] {
        let text = for_an_api(cipher, &own);
        let reopened = |ring: &Keyring| {
            let presented = Presented::parse_at_home(&text, &[], ring)?;
            presented.reopen(&trusted(&key(Es256)), START)
        };

        assert_eq!(reopened(&own).unwrap().subject().value, SUBJECT);
        assert_eq!(reopened(&ring(2)).unwrap_err(), Refused::Encrypted);
        assert_eq!(
            read(&xml(&text)).unwrap().subject().value,
            SUBJECT,
            "its reader"
        );
        assert!(!xml(&text).contains(SUBJECT));
    }
}

/// Attack: J270
#[test]
fn any_changed_byte_of_what_was_encrypted_to_an_api_is_refused_at_home() {
    let own = ring(1);
    let text = for_an_api(Cipher::Aes256Gcm, &own);
    let plain = xml(&text);
    let is_taken = |text: &str| {
        let presented = Presented::parse_at_home(text, &[], &own);
        presented.is_ok_and(|own| own.reopen(&trusted(&key(Es256)), START).is_ok())
    };
    assert!(is_taken(&text), "the twin");
    for at in (0..plain.len()).step_by(3) {
        for other in [b'A', b'<', b' '] {
            let mut bytes = plain.clone().into_bytes();
            if bytes[at] != other {
                bytes[at] = other;
                assert!(!is_taken(&base64url(bytes)), "byte {at}");
            }
        }
    }
    assert!(!is_taken(&format!("{text}=")) && !is_taken(&base64url(format!("{plain}\n"))));
    // Its own reader encrypts it to itself again: not as it was written.
    assert!(!is_taken(&base64url(encrypted(KeyTransport::OaepSha256))));
}

#[test]
fn only_a_strong_rsa_key_is_encrypted_to() {
    let curve = key(Es256).bare_jwk().as_object().unwrap().clone();
    let curve = EncryptionKey::from_jwk(&curve, KeyManagement::EcdhEs).unwrap();
    assert!(Recipient::registered(curve, Cipher::default(), &ring(1)).is_err());
    let elliptic = Certificate::self_signed(&key(Es256), "x", START, at(60)).unwrap();

    assert!(Recipient::new(&elliptic, KeyTransport::OaepSha256).is_err());
    assert!(Recipient::new(&certificate(), KeyTransport::OaepSha256).is_ok());
    assert_eq!(
        format!("{:?}", DecryptionKey::from_pkcs8(document()).unwrap()),
        "DecryptionKey(..)"
    );
}
