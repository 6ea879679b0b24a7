//! Hostile tokens and keys, each beside the good one that it was made from.
//!
//! Spec: RFC 8725 §2, §3
//! Spec: RFC 7515 §4, §5.2
//! Spec: RFC 9068 §4
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

use std::time::Duration;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use symbolon_protocol::SigningAlgorithm;
use symbolon_testkit::{START, at};
use symbolon_token::Secret;
use symbolon_token::explain::{Refused, Shown};
use symbolon_token::jose::{
    Algorithm, Invalid, KeySet, SigningKey, Unverified, VerifyingKey, hmac_sha256,
};
use symbolon_token::jwt::{AccessToken, Expected, check_claims, check_type};

fn key(algorithm: SigningAlgorithm) -> SigningKey {
    let document = SigningKey::generate(algorithm).unwrap();
    SigningKey::from_pkcs8(algorithm, &document).unwrap()
}

fn verifying(key: &SigningKey) -> VerifyingKey {
    VerifyingKey::from_jwk(key.public_jwk().as_object().unwrap()).unwrap()
}

fn part(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn claims() -> Value {
    json!({"iss": "https://as.test", "sub": "usr_1", "aud": "https://api.test", "client_id": "web",
        "exp": START.seconds() + 600, "iat": START.seconds(), "jti": "t1", "scope": "read"})
}

fn good(key: &SigningKey) -> String {
    key.sign("at+jwt", claims().to_string().as_bytes())
}

fn verify(token: &str, key: &SigningKey) -> Result<Map<String, Value>, Invalid> {
    Unverified::parse(token)?.verify(&verifying(key))
}

/// A token with another header, the signature of the good one under it.
fn headed(header: &str, key: &SigningKey) -> String {
    let good = good(key);
    let (_, rest) = good.split_once('.').unwrap();
    format!("{}.{rest}", part(header))
}

/// A token that `key` itself signed over another header.
fn signed(header: &str, payload: &str, secret: &[u8]) -> String {
    let signed = format!("{}.{}", part(header), part(payload));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let mac = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", part(mac))
}

fn judged(change: impl FnOnce(&mut Value), now: i64) -> Result<AccessToken, Refused> {
    let mut claims = claims();
    change(&mut claims);
    let Value::Object(claims) = claims else {
        return Err(Refused::Inactive);
    };
    let expected = Expected {
        issuer: "https://as.test",
        audiences: &["https://api.test".to_owned()],
        skew: Duration::from_secs(10),
        now: at(now),
    };
    check_claims(claims, Some("k"), expected)
}

#[test]
fn a_good_token_of_every_algorithm_is_good() {
    for algorithm in SigningAlgorithm::ALL {
        let key = key(*algorithm);
        assert_eq!(verify(&good(&key), &key).unwrap()["sub"], "usr_1");
        let header = good(&key);
        let header = Unverified::parse(&header).unwrap();
        assert_eq!(header.claimed_algorithm(), algorithm.as_str());
        assert_eq!(key.public_jwk()["alg"], algorithm.as_str());
    }
}

/// Attack: E127, E154, E155
#[test]
fn a_key_that_states_one_name_of_ed25519_takes_that_name_alone() {
    for (own, other) in [
        (SigningAlgorithm::EdDsa, SigningAlgorithm::Ed25519),
        (SigningAlgorithm::Ed25519, SigningAlgorithm::EdDsa),
    ] {
        let document = SigningKey::generate(own).unwrap();
        let signer = SigningKey::from_pkcs8(own, &document).unwrap();
        let renamed = SigningKey::from_pkcs8(other, &document).unwrap();

        assert!(verify(&good(&signer), &signer).is_ok());
        assert_eq!(verify(&good(&renamed), &signer), Err(Invalid::Algorithm));
        let set = json!({ "keys": [signer.public_jwk()] });
        let set = KeySet::parse(set.to_string().as_bytes()).unwrap();
        assert_eq!(set.candidates(None, own.into()).count(), 1);
        assert_eq!(set.candidates(None, other.into()).count(), 0);
    }
}

#[test]
fn a_key_that_states_no_name_of_ed25519_takes_both() {
    let document = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap();
    for name in [SigningAlgorithm::EdDsa, SigningAlgorithm::Ed25519] {
        let signer = SigningKey::from_pkcs8(name, &document).unwrap();
        let mut jwk = signer.public_jwk();
        jwk.as_object_mut().unwrap().remove("alg");
        let key = VerifyingKey::from_jwk(jwk.as_object().unwrap()).unwrap();

        let token = good(&signer);
        assert!(Unverified::parse(&token).unwrap().verify(&key).is_ok());
    }
}

#[test]
fn a_post_quantum_key_names_its_algorithm_and_shows_no_private_part() {
    let own = key(SigningAlgorithm::MlDsa65);
    let mut jwk = own.public_jwk();
    assert_eq!(
        (&jwk["kty"], &jwk["alg"]),
        (&json!("AKP"), &json!("ML-DSA-65"))
    );
    assert!(VerifyingKey::from_jwk(jwk.as_object().unwrap()).is_ok());

    for (name, value) in [
        ("alg", Value::Null),
        ("alg", json!("ML-DSA-44")),
        ("pub", json!("AAAA")),
        ("priv", json!("AAAA")),
    ] {
        let mut bad = jwk.clone();
        match value {
            Value::Null => drop(bad.as_object_mut().unwrap().remove(name)),
            value => bad[name] = value,
        }
        assert!(
            VerifyingKey::from_jwk(bad.as_object().unwrap()).is_err(),
            "{name}"
        );
    }
    jwk["use"] = "enc".into();
    assert!(VerifyingKey::from_jwk(jwk.as_object().unwrap()).is_err());
}

#[test]
fn none_is_no_algorithm_however_it_is_spelled() {
    let key = key(SigningAlgorithm::Es256);
    for spelling in [
        "none",
        "None",
        "nOnE",
        "NONE",
        "",
        " none",
        "HS256",
        "es256",
        "PBES2-HS256+A128KW",
        "RSA1_5",
    ] {
        let header = format!(r#"{{"alg":"{spelling}","typ":"at+jwt","p2c":2147483648}}"#);
        let (header, payload) = (part(header), part(claims().to_string()));
        for token in [
            format!("{header}.{payload}."),
            format!("{header}.{payload}.AAAA"),
        ] {
            assert_eq!(verify(&token, &key), Err(Invalid::Algorithm), "{spelling}");
            assert_eq!(Unverified::parse(&token).unwrap().algorithm(), None);
        }
        assert_eq!(
            verify(&format!("{header}.{payload}"), &key),
            Err(Invalid::Form)
        );
    }
}

/// Attack: E128
#[test]
fn a_public_key_is_never_taken_for_a_secret() {
    for algorithm in [
        SigningAlgorithm::Es256,
        SigningAlgorithm::EdDsa,
        SigningAlgorithm::Rs256,
    ] {
        let key = key(algorithm);
        let jwk = key.public_jwk();
        let raw = jwk["n"].as_str().or(jwk["x"].as_str()).unwrap();
        let der = BASE64_URL_SAFE_NO_PAD.decode(raw).unwrap();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            BASE64_STANDARD.encode(&der)
        );
        for secret in [
            jwk.to_string().into_bytes(),
            pem.into_bytes(),
            der,
            raw.as_bytes().to_vec(),
            Vec::new(),
        ] {
            let header = format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{}"}}"#, key.kid());
            let token = signed(&header, &claims().to_string(), &secret);
            assert_eq!(verify(&token, &key), Err(Invalid::Algorithm));
        }
    }
}

/// Attack: E130, E131
#[test]
fn a_secret_that_is_empty_or_short_checks_no_mac() {
    for (length, is_taken) in [(0, false), (1, false), (31, false), (32, true), (64, true)] {
        let secret = vec![7; length];
        let token = signed(r#"{"alg":"HS256"}"#, "{}", &secret);
        let (text, mac) = token.rsplit_once('.').unwrap();
        let mac = BASE64_URL_SAFE_NO_PAD.decode(mac).unwrap();
        assert_eq!(
            hmac_sha256(&Secret::new(secret), text.as_bytes(), &mac),
            is_taken,
            "{length}"
        );
    }
}

#[test]
fn one_algorithm_of_a_key_is_not_another() {
    let rs = key(SigningAlgorithm::Rs256);
    let header = format!(r#"{{"alg":"PS256","typ":"at+jwt","kid":"{}"}}"#, rs.kid());
    assert_eq!(verify(&headed(&header, &rs), &rs), Err(Invalid::Algorithm));
    let es = key(SigningAlgorithm::Es256);
    let header = format!(r#"{{"alg":"ES384","typ":"at+jwt","kid":"{}"}}"#, es.kid());
    assert_eq!(verify(&headed(&header, &es), &es), Err(Invalid::Algorithm));
}

/// Attack: E133
#[test]
fn keys_that_come_with_the_token_are_ignored() {
    let (own, stranger) = (key(SigningAlgorithm::Es256), key(SigningAlgorithm::Es256));
    for more in [
        format!(r#""jwk":{}"#, stranger.public_jwk()),
        r#""jku":"https://evil.test/jwks""#.to_owned(),
        r#""x5u":"https://evil.test/x5u""#.to_owned(),
        r#""x5c":["AAAA"]"#.to_owned(),
    ] {
        let header = format!(r#"{{"alg":"ES256","typ":"at+jwt",{more}}}"#);
        assert_eq!(
            verify(&headed(&header, &stranger), &own),
            Err(Invalid::Signature)
        );
    }
}

/// Attack: E134
#[test]
fn a_kid_is_a_name_and_nothing_else() {
    let own = key(SigningAlgorithm::Es256);
    let set = KeySet::parse(json!({"keys": [own.public_jwk()]}).to_string().as_bytes()).unwrap();
    assert!(set.names(own.kid()));
    for odd in ["../../dev/null", "' UNION SELECT 1--", "", "*", "\u{0}"] {
        assert_eq!(set.candidates(Some(odd), Algorithm::Es256).count(), 0);
    }
    let long = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(257));
    let parsed = Unverified::parse(&headed(&long, &own))
        .map(|_| ())
        .unwrap_err();
    assert_eq!(parsed, Invalid::UnknownKey);
    let huge = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(10_000_000));
    assert_eq!(verify(&headed(&huge, &own), &own), Err(Invalid::Form));
    let number = headed(r#"{"alg":"ES256","kid":7}"#, &own);
    assert_eq!(verify(&number, &own), Err(Invalid::Header));
}

/// Attack: E139, E140
#[test]
fn no_signature_is_good_for_every_message() {
    let own = key(SigningAlgorithm::Es256);
    let token = good(&own);
    let (text, signature) = token.rsplit_once('.').unwrap();
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order: Vec<u8> = (0..32)
        .map(|n| u8::from_str_radix(&order[2 * n..2 * n + 2], 16).unwrap())
        .collect();
    let mut one = [0; 32];
    one[31] = 1;
    let mut below = order.clone();
    below[31] -= 1;
    let numbers = [[0; 32].to_vec(), one.to_vec(), below, order, vec![0xff; 32]];
    for r in &numbers {
        for s in &numbers {
            let forged = format!("{text}.{}", part([&r[..], &s[..]].concat()));
            assert_eq!(verify(&forged, &own), Err(Invalid::Signature));
        }
    }
    let raw = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let der = [
        &[0x30, 68, 0x02, 32][..],
        &raw[..32],
        &[0x02, 32],
        &raw[32..],
    ]
    .concat();
    for wrong in [
        der,
        raw[..63].to_vec(),
        [&raw[..], &[0]].concat(),
        vec![1; 16_000],
        Vec::new(),
    ] {
        assert!(verify(&format!("{text}.{}", part(wrong)), &own).is_err());
    }
    assert!(verify(&token, &own).is_ok());
}

#[test]
fn no_flipped_character_is_good_and_one_encoding_is() {
    let own = key(SigningAlgorithm::EdDsa);
    let token = good(&own);
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert!(
            verify(std::str::from_utf8(&bytes).unwrap(), &own).is_err(),
            "{at}"
        );
    }
    for more in [
        format!("{token}="),
        format!("{token}\n"),
        format!(" {token}"),
        format!("{token}."),
    ] {
        assert_eq!(verify(&more, &own).unwrap_err(), Invalid::Form);
    }
}

/// Attack: E142, E143, E145, N370
#[test]
fn keys_off_their_curve_weak_or_for_something_else_are_not_loaded() {
    let es = key(SigningAlgorithm::Es256).public_jwk();
    let rs = key(SigningAlgorithm::Rs256).public_jwk();
    let refused = |jwk: &Value, name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        VerifyingKey::from_jwk(jwk.as_object().unwrap()).is_err()
    };
    assert!(!refused(&es, "use", "sig".into()) && !refused(&rs, "e", "AQAB".into()));
    for (jwk, name, value) in [
        (&es, "y", json!(part([1; 32]))),
        (&es, "x", json!(part([0; 32]))),
        (&es, "crv", "P-384".into()),
        (&es, "crv", "secp256k1".into()),
        (&es, "alg", "ES384".into()),
        (&es, "alg", "HS256".into()),
        (&es, "alg", "none".into()),
        (&es, "use", "enc".into()),
        (&es, "key_ops", json!(["sign"])),
        (&es, "d", json!(part([1; 32]))),
        (&es, "kty", "oct".into()),
        (&es, "kid", 7.into()),
        (&rs, "e", "AQ".into()),
        (&rs, "e", "Aw".into()),
        (&rs, "n", json!(part([0xff; 128]))),
        (&rs, "n", json!(part([0xff; 2048]))),
        (&rs, "use", "enc".into()),
    ] {
        assert!(refused(jwk, name, value.clone()), "{name} {value}");
    }
}

/// RFC 7517 §4.4: which algorithm an RSA key is for need not be said.
#[test]
fn an_rsa_key_that_names_no_algorithm_checks_both_and_counts_once() {
    let document = SigningKey::generate(SigningAlgorithm::Rs256).unwrap();
    let set = |named: bool| {
        let own = SigningKey::from_pkcs8(SigningAlgorithm::Rs256, &document).unwrap();
        let mut jwk = own.public_jwk();
        if !named {
            jwk.as_object_mut().unwrap().remove("alg");
        }
        KeySet::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap()
    };
    for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Ps256] {
        let signer = SigningKey::from_pkcs8(algorithm, &document).unwrap();
        let token = good(&signer);
        let unverified = Unverified::parse(&token).unwrap();
        let is_good = |set: &KeySet| {
            let mut keys = set.candidates(Some(signer.kid()), algorithm.into());
            keys.any(|key| unverified.verify(key).is_ok())
        };
        assert!(is_good(&set(false)), "{algorithm}");
        assert_eq!(
            is_good(&set(true)),
            algorithm == SigningAlgorithm::Rs256,
            "{algorithm}"
        );
    }
    assert_eq!(set(false).len(), 1);
}

/// Attack: E146
#[test]
fn two_keys_of_one_name_are_both_useless() {
    let (one, mut two) = (
        key(SigningAlgorithm::Es256),
        key(SigningAlgorithm::Es256).public_jwk(),
    );
    two["kid"] = one.kid().into();
    let set = |keys: Value| KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
    assert_eq!(set(json!([one.public_jwk(), two])).len(), 0);
    assert_eq!(set(json!([one.public_jwk()])).len(), 1);
}

/// Attack: E148
#[test]
fn demanded_extensions_are_refused() {
    let own = key(SigningAlgorithm::Es256);
    for more in [
        r#""crit":["b64"],"b64":false"#,
        r#""b64":false"#,
        r#""crit":[]"#,
        r#""crit":["exp"]"#,
    ] {
        let header = format!(r#"{{"alg":"ES256",{more}}}"#);
        assert_eq!(
            verify(&headed(&header, &own), &own),
            Err(Invalid::Critical),
            "{more}"
        );
    }
}

/// Attack: E149
#[test]
fn repeated_members_are_refused_in_header_and_payload() {
    let own = key(SigningAlgorithm::Es256);
    let header = r#"{"alg":"none","alg":"ES256"}"#;
    assert_eq!(verify(&headed(header, &own), &own), Err(Invalid::Header));
    let twice = own.sign("at+jwt", br#"{"sub":"a","sub":"b"}"#);
    assert_eq!(verify(&twice, &own), Err(Invalid::Payload));
    assert!(verify(&own.sign("at+jwt", br#"{"sub":"a"}"#), &own).is_ok());
}

/// Attack: E151, E152, E157
#[test]
fn only_the_compact_form_is_a_token() {
    let own = key(SigningAlgorithm::Es256);
    let token = good(&own);
    let parts: Vec<_> = token.split('.').collect();
    let flat = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]});
    let hiding = format!(r#"{{"a":".{token}."}}"#);
    let jwe = format!(
        "{}.{}.{}.{}.{}",
        parts[0], parts[1], parts[2], parts[1], parts[2]
    );
    let dots = ".".repeat(1_000_000);
    for bad in [
        flat.to_string(),
        hiding,
        jwe,
        dots,
        "..".into(),
        String::new(),
        "a.b".into(),
        "....".into(),
    ] {
        assert_eq!(verify(&bad, &own), Err(Invalid::Form));
    }
}

/// Attack: E158
#[test]
fn deep_wide_and_long_payloads_are_refused() {
    let own = key(SigningAlgorithm::Es256);
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(
        verify(&own.sign("at+jwt", deep.as_bytes()), &own),
        Err(Invalid::Payload)
    );
    let wide = format!(
        "{{{}}}",
        (0..100_000)
            .map(|n| format!("\"{n}\":0"))
            .collect::<Vec<_>>()
            .join(",")
    );
    assert_eq!(
        verify(&own.sign("at+jwt", wide.as_bytes()), &own),
        Err(Invalid::Form)
    );
    let number = format!(r#"{{"a":{}}}"#, "9".repeat(1_000_000));
    assert_eq!(
        verify(&own.sign("at+jwt", number.as_bytes()), &own),
        Err(Invalid::Form)
    );
    for not_an_object in ["[]", "1", "null", "\"{}\"", "{} {}", ""] {
        assert!(verify(&own.sign("at+jwt", not_an_object.as_bytes()), &own).is_err());
    }
}

/// Attack: E160
#[test]
fn times_are_numbers_in_range_and_expiry_is_there() {
    assert!(judged(|_| (), 0).is_ok());
    for name in ["exp", "iat"] {
        assert_eq!(
            judged(
                |claims| {
                    claims.as_object_mut().unwrap().remove(name);
                },
                0
            )
            .unwrap_err(),
            Refused::Claim(name)
        );
    }
    for name in ["exp", "iat", "nbf"] {
        for odd in [
            json!("1700000000"),
            json!(-1),
            Value::Null,
            json!(true),
            json!(u64::MAX),
            json!([1]),
            json!(1e300),
        ] {
            let refused = judged(|claims| claims[name] = odd.clone(), 0).unwrap_err();
            assert_eq!(refused, Refused::Claim(name), "{odd}");
        }
    }
    assert!(
        judged(
            |claims| claims["exp"] = json!(START.seconds() as f64 + 5.5),
            0
        )
        .is_ok()
    );
}

/// Attack: E161
#[test]
fn a_token_ends_at_its_end_plus_skew_and_begins_at_its_beginning_minus_skew() {
    for (now, is_good) in [
        (599, true),
        (600, true),
        (609, true),
        (610, false),
        (611, false),
    ] {
        assert_eq!(judged(|_| (), now).is_ok(), is_good, "{now}");
    }
    let begins = |claims: &mut Value| claims["nbf"] = (START.seconds() + 100).into();
    assert!(judged(begins, 89).is_err() && judged(begins, 90).is_ok());
    assert!(judged(|_| (), -11).is_err() && judged(|_| (), -10).is_ok());
}

/// Attack: E163
#[test]
fn issuer_and_audience_are_compared_byte_by_byte() {
    for odd in [
        "https://as.test/",
        "https://AS.test",
        "https://as.test\0",
        " https://as.test",
        "https://as.tes",
        "https://as.test.evil",
    ] {
        assert!(
            matches!(
                judged(|claims| claims["iss"] = odd.into(), 0),
                Err(Refused::Issuer { .. })
            ),
            "{odd}"
        );
    }
    for odd in [
        json!("https://api.test/"),
        json!(["https://API.test"]),
        json!([]),
    ] {
        assert!(
            matches!(
                judged(|claims| claims["aud"] = odd.clone(), 0),
                Err(Refused::Audience { .. })
            ),
            "{odd}"
        );
    }
    for odd in [json!(7), json!([7]), Value::Null, json!({"a": 1})] {
        assert_eq!(
            judged(|claims| claims["aud"] = odd.clone(), 0).unwrap_err(),
            Refused::Claim("aud")
        );
    }
    assert!(
        judged(
            |claims| claims["aud"] = json!(["https://x.test", "https://api.test"]),
            0
        )
        .is_ok()
    );
}

/// Attack: E167
#[test]
fn names_are_neither_trimmed_nor_cut_at_a_control_character() {
    let subject = |text: &str| {
        judged(|claims| claims["sub"] = text.into(), 0)
            .unwrap()
            .subject
    };
    for text in ["admin\0x", "admin ", "\u{202e}nimda"] {
        assert_eq!(subject(text), text);
    }
}

/// Attack: E164
#[test]
fn another_kind_of_token_is_refused_and_named() {
    let own = key(SigningAlgorithm::Es256);
    let kind = |typ: &str| {
        let token = own.sign(typ, claims().to_string().as_bytes());
        check_type(&Unverified::parse(&token).unwrap())
    };
    for good in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        assert_eq!(kind(good), Ok(()));
    }
    for (typ, shown) in [
        ("JWT", Shown::IdToken),
        ("logout+jwt", Shown::LogoutToken),
        ("dpop+jwt", Shown::Unknown),
    ] {
        assert_eq!(kind(typ), Err(Refused::NotAnAccessToken(shown)), "{typ}");
    }
}

/// Attack: E166
#[test]
fn an_expired_token_with_a_bad_signature_gives_no_claims_at_all() {
    let (own, stranger) = (key(SigningAlgorithm::Es256), key(SigningAlgorithm::Es256));
    let mut old = claims();
    old["exp"] = 1.into();
    let token = stranger.sign("at+jwt", old.to_string().as_bytes());
    assert_eq!(verify(&token, &own).unwrap_err(), Invalid::Signature);
}
