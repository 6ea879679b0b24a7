//! Every pair of algorithms there and back, and everything that must not open.

#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

use std::sync::LazyLock;

use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};
use symbolon_protocol::{ContentEncryption, KeyManagement};
use symbolon_testkit::SeededEntropy;
use symbolon_token::jose::jwe::{
    Content, DecryptionKey, EncryptionKey, MAX_JWE_BYTES, Undecryptable, Unopened,
};
use symbolon_token::jose::{InvalidKey, KeySet};
use symbolon_token::{Keyring, Secret};

/// Made once: it takes its time.
static RSA: LazyLock<Vec<u8>> = LazyLock::new(|| {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::{KeyPair, KeySize};

    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
    der.as_ref().to_vec()
});

/// A key pair for each algorithm.
fn pair(algorithm: KeyManagement) -> (EncryptionKey, DecryptionKey) {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::KeyPair;

    let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let (jwk, private) = if algorithm == KeyManagement::RsaOaep256 {
        let pair = KeyPair::from_pkcs8(&RSA).unwrap();
        let public = pair.public_key();
        let n = text(public.modulus().big_endian_without_leading_zero());
        let e = text(public.exponent().big_endian_without_leading_zero());
        let jwk = json!({"kty": "RSA", "n": n, "e": e, "kid": "r", "use": "enc"});
        let private =
            DecryptionKey::from_pkcs8(Some("r".into()), algorithm, &Secret::new(RSA.clone()));
        (jwk, private)
    } else {
        let own =
            aws_lc_rs::agreement::PrivateKey::generate(&aws_lc_rs::agreement::ECDH_P256).unwrap();
        let point = own.compute_public_key().unwrap();
        let (x, y) = point.as_ref()[1..].split_at(32);
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y), "kid": "e"});
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = own.as_der().unwrap();
        let secret = Secret::new(der.as_ref().to_vec());
        (
            jwk,
            DecryptionKey::from_pkcs8(Some("e".into()), algorithm, &secret),
        )
    };
    let public = EncryptionKey::from_jwk(jwk.as_object().unwrap(), algorithm).unwrap();
    (public, private.unwrap())
}

fn sealed(algorithm: KeyManagement, encryption: ContentEncryption) -> (String, DecryptionKey) {
    let (public, private) = pair(algorithm);
    let content = Content::nested("a.b.c");
    let text = public
        .encrypt(encryption, content, &SeededEntropy::new(1))
        .unwrap();
    (text, private)
}

/// The header of a token with one member changed.
fn with_member(text: &str, name: &str, value: Value) -> String {
    let (header, rest) = text.split_once('.').unwrap();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(header).unwrap();
    let mut fields: Value = serde_json::from_slice(&bytes).unwrap();
    fields[name] = value;
    format!(
        "{}.{rest}",
        BASE64_URL_SAFE_NO_PAD.encode(fields.to_string())
    )
}

#[test]
fn what_was_encrypted_is_read_under_every_pair_of_algorithms() {
    for algorithm in KeyManagement::ALL {
        for encryption in ContentEncryption::ALL {
            let (text, key) = sealed(*algorithm, *encryption);

            let read = key.decrypt(&text, ContentEncryption::ALL);

            assert_eq!(
                read.as_deref(),
                Ok(&b"a.b.c"[..]),
                "{algorithm} {encryption}"
            );
        }
    }
}

#[test]
fn a_key_of_x25519_reads_too() {
    let own =
        aws_lc_rs::agreement::PrivateKey::from_private_key(&aws_lc_rs::agreement::X25519, &[7; 32])
            .unwrap();
    let point = own.compute_public_key().unwrap();
    let jwk =
        json!({"kty": "OKP", "crv": "X25519", "x": BASE64_URL_SAFE_NO_PAD.encode(point.as_ref())});
    let algorithm = KeyManagement::EcdhEsA256Kw;
    let public = EncryptionKey::from_jwk(jwk.as_object().unwrap(), algorithm).unwrap();
    let private = DecryptionKey::x25519(None, algorithm, &Secret::new(vec![7; 32])).unwrap();

    let text = public
        .encrypt(
            ContentEncryption::A256Gcm,
            Content::nested("a.b.c"),
            &SeededEntropy::new(1),
        )
        .unwrap();

    assert_eq!(
        private.decrypt(&text, ContentEncryption::ALL).as_deref(),
        Ok(&b"a.b.c"[..])
    );
}

#[test]
fn another_algorithm_key_or_encryption_is_refused_before_any_work() {
    let (text, key) = sealed(KeyManagement::EcdhEsA256Kw, ContentEncryption::A256Gcm);
    let refused = |text: &str| key.decrypt(text, ContentEncryption::ALL).unwrap_err();

    for alg in [
        "RSA1_5",
        "dir",
        "ECDH-ES",
        "PBES2-HS256+A128KW",
        "none",
        "ecdh-es+a256kw",
    ] {
        assert_eq!(
            refused(&with_member(&text, "alg", alg.into())),
            Undecryptable::Algorithm
        );
    }
    for enc in ["A128CBC-HS256", "a256gcm", ""] {
        assert_eq!(
            refused(&with_member(&text, "enc", enc.into())),
            Undecryptable::Algorithm
        );
    }
    assert_eq!(
        refused(&with_member(&text, "kid", "x".into())),
        Undecryptable::OtherKey
    );
    for name in ["zip", "crit", "p2c", "jku", "x5u", "iv"] {
        assert_eq!(
            refused(&with_member(&text, name, "DEF".into())),
            Undecryptable::Header,
            "{name}"
        );
    }
    let narrow = key.decrypt(&text, &[ContentEncryption::A128Gcm]);
    assert_eq!(narrow.unwrap_err(), Undecryptable::Algorithm);
    assert_eq!(refused("a.b.c"), Undecryptable::Form);
    assert_eq!(refused(&"a".repeat(MAX_JWE_BYTES + 1)), Undecryptable::Form);
    assert_eq!(refused(&format!("{text}=")), Undecryptable::Form);
}

/// Names of the parties are bound into the key: other names, another key.
#[test]
fn a_header_with_other_parties_does_not_open() {
    for algorithm in [KeyManagement::EcdhEs, KeyManagement::EcdhEsA256Kw] {
        let (text, key) = sealed(algorithm, ContentEncryption::A256Gcm);
        for value in [
            json!("QWxpY2U"),
            json!(5),
            json!("="),
            json!("A".repeat(300)),
        ] {
            let forged = with_member(&text, "apu", value);
            let read = key.decrypt(&forged, ContentEncryption::ALL);
            assert_eq!(read.unwrap_err(), Undecryptable::Closed);
        }
    }
}

fn ring(seed: u64) -> Keyring {
    Keyring::new(Keyring::generate(&SeededEntropy::new(seed), Vec::new())).unwrap()
}

#[test]
fn who_wrote_it_for_another_can_read_it_again_and_nobody_else() {
    for algorithm in KeyManagement::ALL {
        for encryption in ContentEncryption::ALL {
            let (public, private) = pair(*algorithm);
            let (own, entropy) = (ring(1), SeededEntropy::new(9));
            let content = Content::nested("a.b.c");

            let text = own
                .encrypt(&public, *encryption, content, &entropy)
                .unwrap();

            let read = private.decrypt(&text, &[*encryption]);
            assert_eq!(
                read.as_deref(),
                Ok(&b"a.b.c"[..]),
                "{algorithm} {encryption}"
            );
            assert_eq!(own.decrypt(&text).as_deref(), Some(&b"a.b.c"[..]));
            assert_eq!(ring(2).decrypt(&text), None);
            let foreign = public.encrypt(*encryption, content, &entropy).unwrap();
            assert_eq!(own.decrypt(&foreign), None, "others can encrypt to it too");
            let again = own
                .encrypt(&public, *encryption, content, &entropy)
                .unwrap();
            assert_ne!(text, again);
            for at in (0..text.len()).step_by(7) {
                let mut bytes = text.clone().into_bytes();
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(bytes).unwrap();
                assert!(private.decrypt(&changed, &[*encryption]).is_err(), "{at}");
                assert_eq!(own.decrypt(&changed), None, "{algorithm} {at}");
            }
            for wrapped in ["", "AAAA"] {
                let mut parts: Vec<&str> = text.split('.').collect();
                if parts[1] != wrapped {
                    parts[1] = wrapped;
                    assert_eq!(own.decrypt(&parts.join(".")), None, "{algorithm}");
                }
            }
        }
    }
}

#[test]
fn what_a_key_wrote_that_makes_nothing_any_more_is_still_read() {
    let entropy = SeededEntropy::new(3);
    let mut keys = Keyring::generate(&SeededEntropy::new(1), Vec::new());
    let copies = |keys: &symbolon_token::keyring::Keys| {
        let all = keys.secrets.iter().map(|(purpose, own)| {
            let copy =
                symbolon_token::keyring::WorkingSecret::from_secret(own.id, &own.to_secret());
            (*purpose, copy.unwrap())
        });
        all.collect::<Vec<_>>()
    };
    let before = Keyring::new(symbolon_token::keyring::Keys {
        secrets: copies(&keys),
        ..Default::default()
    });
    let newer = Keyring::generate(&SeededEntropy::new(2), Vec::new());
    keys.opening = std::mem::replace(&mut keys.secrets, newer.secrets);
    let after = Keyring::new(keys).unwrap();
    for algorithm in KeyManagement::ALL {
        let (public, _) = pair(*algorithm);
        let (content, enc) = (Content::nested("a.b.c"), ContentEncryption::A256Gcm);
        let old = before.as_ref().unwrap();

        let text = old.encrypt(&public, enc, content, &entropy).unwrap();

        assert_eq!(after.decrypt(&text).as_deref(), Some(&b"a.b.c"[..]));
        let newest = after.encrypt(&public, enc, content, &entropy).unwrap();
        assert_eq!(old.decrypt(&newest), None);
    }
}

const BOB: &str = r#"{"kty":"EC","crv":"P-256","alg":"ECDH-ES+A256KW","kid":"bob",
    "x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
    "d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}"#;

fn bob() -> (EncryptionKey, DecryptionKey) {
    let mut public: Value = serde_json::from_str(BOB).unwrap();
    public.as_object_mut().unwrap().remove("d");
    let algorithm = KeyManagement::EcdhEsA256Kw;
    let public = EncryptionKey::from_jwk(public.as_object().unwrap(), algorithm).unwrap();
    (public, DecryptionKey::from_jwk(&Secret::from(BOB)).unwrap())
}

#[test]
fn a_private_jwk_reads_and_one_that_is_not_whole_is_refused() {
    let (public, private) = bob();
    let content = Content::nested("a.b.c");
    let text = public.encrypt(ContentEncryption::A256Gcm, content, &SeededEntropy::new(1));
    let read = private.decrypt(&text.unwrap(), ContentEncryption::ALL);
    assert_eq!(read.as_deref(), Ok(&b"a.b.c"[..]));
    let x25519 = r#"{"kty":"OKP","crv":"X25519","alg":"ECDH-ES","use":"enc",
        "x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08","d":"XasIfmJKikt54X-Lg4AO5m87sSkmGLb9HC-LJ_-I4Os"}"#;
    assert!(DecryptionKey::from_jwk(&Secret::from(x25519)).is_ok());
    for (from, to) in [
        ("VEmD", "VEmE"),
        (r#""alg":"ECDH-ES+A256KW","#, ""),
        ("ECDH-ES+A256KW", "RSA1_5"),
        ("ECDH-ES+A256KW", "RSA-OAEP-256"),
        ("P-256", "P-521"),
        (r#""kid":"bob""#, r#""use":"sig""#),
        (r#""kty":"EC""#, r#""kty":"oct""#),
        (r#""d":"#, r#""dd":"#),
    ] {
        let bad = Secret::from(BOB.replace(from, to));
        assert!(DecryptionKey::from_jwk(&bad).is_err(), "{from} {to}");
    }
}

/// Attack: E152
#[test]
fn what_is_inside_has_to_be_signed() {
    let (public, private) = bob();
    let shown = |bytes: &[u8], cty: Option<&str>| {
        let content = Content {
            bytes,
            typ: None,
            cty,
        };
        let text = public.encrypt(ContentEncryption::A256Gcm, content, &SeededEntropy::new(1));
        private.open_nested(&text.unwrap())
    };
    let signed = "eyJhbGciOiJFUzI1NiJ9.e30.AAAA";

    assert_eq!(shown(signed.as_bytes(), Some("JWT")).as_deref(), Ok(signed));

    for (inside, cty) in [
        (&br#"{"sub":"root","scope":"all"}"#[..], Some("JWT")),
        (b"eyJhbGciOiJub25lIn0.e30.", Some("JWT")),
        (signed.as_bytes(), None),
        (signed.as_bytes(), Some("application/json")),
        (&[0xff, 0xfe], Some("JWT")),
        (b"", Some("JWT")),
    ] {
        assert_eq!(shown(inside, cty), Err(Unopened::Unsigned), "{inside:?}");
    }
    assert_eq!(private.open_nested(signed), Err(Unopened::Plain));
    let (other, _) = sealed(KeyManagement::EcdhEsA256Kw, ContentEncryption::A256Gcm);
    let refused = private.open_nested(&other).unwrap_err();
    assert_eq!(refused.code(), "unknown_key");
}

#[test]
fn a_key_for_encryption_is_taken_before_one_for_nothing_in_particular() {
    let mut own: Value = serde_json::from_str(BOB).unwrap();
    own.as_object_mut().unwrap().remove("d");
    let with = |kid: &str, usage: Option<&str>| {
        let mut jwk = own.clone();
        jwk["kid"] = kid.into();
        if let Some(usage) = usage {
            jwk["use"] = usage.into();
        }
        jwk
    };
    let chosen = |keys: &[Value]| {
        let set = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
        let key = set.encryption_key(KeyManagement::EcdhEsA256Kw);
        key.and_then(|key| key.kid().map(str::to_owned))
    };

    assert_eq!(
        chosen(&[with("a", None), with("b", Some("enc"))]).as_deref(),
        Some("b")
    );
    assert_eq!(
        chosen(&[with("a", Some("sig")), with("b", None)]).as_deref(),
        Some("b")
    );
    assert_eq!(chosen(&[with("a", Some("sig"))]), None);
    assert_eq!(chosen(&[]), None);
}

#[test]
fn a_point_off_the_curve_is_refused() {
    let (text, key) = sealed(KeyManagement::EcdhEs, ContentEncryption::A256Gcm);
    let zero = BASE64_URL_SAFE_NO_PAD.encode([0; 32]);
    for epk in [
        json!({"kty": "EC", "crv": "P-256", "x": zero, "y": zero}),
        json!({"kty": "EC", "crv": "P-384", "x": zero, "y": zero}),
        json!({"kty": "OKP", "crv": "X25519", "x": zero}),
        json!("x"),
        Value::Null,
    ] {
        let forged = with_member(&text, "epk", epk);
        let read = key.decrypt(&forged, ContentEncryption::ALL);
        assert_eq!(read.unwrap_err(), Undecryptable::Closed);
    }
}

#[test]
fn keys_of_another_use_or_kind_are_not_encrypted_to() {
    let jwk = |change: &[(&str, Value)]| {
        let mut jwk = json!({"kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
        for (name, value) in change {
            jwk[*name] = value.clone();
        }
        let algorithm = KeyManagement::EcdhEs;
        EncryptionKey::from_jwk(jwk.as_object().unwrap(), algorithm).map(|_| ())
    };

    assert_eq!(jwk(&[]), Ok(()));
    assert_eq!(jwk(&[("use", "sig".into())]), Err(InvalidKey::Use));
    assert_eq!(jwk(&[("key_ops", json!(["verify"]))]), Err(InvalidKey::Use));
    assert_eq!(
        jwk(&[("alg", "ES256".into())]),
        Err(InvalidKey::Unsupported)
    );
    assert_eq!(jwk(&[("d", "AAAA".into())]), Err(InvalidKey::Unsupported));
    assert_eq!(jwk(&[("x", "AAAA".into())]), Err(InvalidKey::Malformed));
    let swapped = ("y", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU".into());
    assert_eq!(jwk(&[swapped]), Err(InvalidKey::Weak));
}

/// RSA maps numbers below its modulus one to one, so another wrapped key opens
/// to another padding, which OAEP refuses. The one other spelling of a number
/// is with the modulus added, and that is no number below it (RFC 8017 §5.1.2).
#[test]
fn no_other_wrapped_key_opens_to_the_same_content_key() {
    let (public, private) = pair(KeyManagement::RsaOaep256);
    let modulus = modulus();
    let mut spelled = 0;
    for seed in 0..64 {
        let content = Content::nested("a.b.c");
        let entropy = SeededEntropy::new(seed);
        let text = public.encrypt(ContentEncryption::ALL[0], content, &entropy);
        let text = text.unwrap();
        assert!(private.decrypt(&text, ContentEncryption::ALL).is_ok());
        let parts: Vec<&str> = text.split('.').collect();
        let wrapped = BASE64_URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
        let with = |wrapped: &[u8]| {
            let mut parts = parts.clone();
            let wrapped = BASE64_URL_SAFE_NO_PAD.encode(wrapped);
            parts[1] = &wrapped;
            private
                .decrypt(&parts.join("."), ContentEncryption::ALL)
                .is_ok()
        };
        let at = usize::try_from(seed).unwrap() * 4;
        let mut changed = wrapped.clone();
        changed[at] ^= 1;
        assert!(!with(&changed), "byte {at}");
        assert!(!with(&[&[0], &*wrapped].concat()), "a zero before it");
        if let Some(same) = plus(&wrapped, &modulus) {
            spelled += 1;
            assert!(!with(&same), "the same number with the modulus added");
        }
    }
    assert!(spelled > 0, "some of them leave room for the modulus");
}

fn modulus() -> Vec<u8> {
    use aws_lc_rs::rsa::KeyPair;
    let pair = KeyPair::from_pkcs8(&RSA).unwrap();
    let public = pair.public_key();
    public.modulus().big_endian_without_leading_zero().to_vec()
}

/// The sum of two numbers, where it has as many bytes as they.
fn plus(one: &[u8], two: &[u8]) -> Option<Vec<u8>> {
    let mut sum = one.to_vec();
    let mut carried = 0;
    for (own, other) in sum.iter_mut().zip(two).rev() {
        let all = u16::from(*own) + u16::from(*other) + carried;
        *own = all.to_le_bytes()[0];
        carried = all >> 8;
    }
    (carried == 0).then_some(sum)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_changed_byte_is_refused(at in 0..10_000_usize, pick in 0..9_usize) {
        let algorithm = KeyManagement::ALL[pick % 3];
        let encryption = ContentEncryption::ALL[pick / 3];
        let (text, key) = sealed(algorithm, encryption);
        let mut bytes = text.into_bytes();
        let at = at % bytes.len();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();

        prop_assert!(key.decrypt(&changed, ContentEncryption::ALL).is_err());
    }
}
