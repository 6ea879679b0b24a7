//! Every pair of algorithms there and back, and everything that must not open.

#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};
use symbolon_protocol::{ContentEncryption, KeyManagement};
use symbolon_testkit::SeededEntropy;
use symbolon_token::Secret;
use symbolon_token::jose::InvalidKey;
use symbolon_token::jose::jwe::{
    Content, DecryptionKey, EncryptionKey, MAX_JWE_BYTES, Undecryptable,
};

/// A key pair for each algorithm, made once: RSA takes its time.
fn pair(algorithm: KeyManagement) -> (EncryptionKey, DecryptionKey) {
    use std::sync::LazyLock;

    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    static RSA: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
        der.as_ref().to_vec()
    });
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
    for name in ["zip", "crit", "apu", "p2c", "jku", "x5u", "iv"] {
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
