//! Each thing that can be wrong with a proof, beside the proof that is right.

use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};
use symbolon_protocol::SigningAlgorithm;
use symbolon_testkit::at;

use super::*;
use crate::authority::Thumbprint;
use crate::jose::{Invalid, InvalidKey, SigningKey};

const TARGET: &str = "https://as.example.com/token";
const TOKEN: &str = "an access token";

fn key(algorithm: SigningAlgorithm) -> SigningKey {
    let own = SigningKey::generate(algorithm).unwrap();
    SigningKey::from_pkcs8(algorithm, &own).unwrap()
}

fn header(key: &SigningKey) -> Value {
    json!({"alg": key.algorithm(), "typ": "dpop+jwt", "jwk": key.bare_jwk()})
}

fn claims() -> Value {
    json!({"jti": "e1j3V_bKic8-LAEB", "htm": "POST", "htu": TARGET, "iat": at(0).seconds()})
}

fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
    key.sign_under(&header.to_string(), claims.to_string().as_bytes())
}

fn judged_at(proof: &str, access_token: Option<&str>, seconds: i64) -> Result<Proof, InvalidProof> {
    let expected = Expected {
        method: "POST",
        target: &TARGET.parse().unwrap(),
        access_token,
        now: at(seconds),
        skew: Duration::from_secs(10),
    };
    check(proof, &expected)
}

fn judged(proof: &str) -> Result<Proof, InvalidProof> {
    judged_at(proof, None, 0)
}

/// A proof that is right but for one change of its header.
fn with_header(change: impl FnOnce(&mut Value)) -> Result<Proof, InvalidProof> {
    let key = key(SigningAlgorithm::Es256);
    let mut header = header(&key);
    change(&mut header);
    judged(&signed(&key, &header, &claims()))
}

/// A proof that is right but for one change of its claims.
fn with_claims(change: impl FnOnce(&mut Value)) -> Result<Proof, InvalidProof> {
    let key = key(SigningAlgorithm::Es256);
    let mut claims = claims();
    change(&mut claims);
    judged(&signed(&key, &header(&key), &claims))
}

#[test]
fn a_good_proof_of_every_algorithm_names_its_key_by_thumbprint() {
    for algorithm in [
        SigningAlgorithm::Es256,
        SigningAlgorithm::EdDsa,
        SigningAlgorithm::Rs256,
        SigningAlgorithm::Ps256,
    ] {
        let key = key(algorithm);

        let proof = judged(&signed(&key, &header(&key), &claims())).unwrap();

        assert_eq!(proof.key().to_string(), key.kid());
        assert_eq!(proof.nonce(), None);
    }
}

#[test]
fn a_good_proof_on_p_384_is_good() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(48);
    let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let jwk = json!({"crv": "P-384", "kty": "EC", "x": part(x), "y": part(y)});
    let header = json!({"alg": "ES384", "typ": "dpop+jwt", "jwk": jwk});
    let signed = [header.to_string(), claims().to_string()].map(|own| part(own.as_bytes()));
    let signed = signed.join(".");
    let random = aws_lc_rs::rand::SystemRandom::new();
    let signature = pair.sign(&random, signed.as_bytes()).unwrap();

    let proof = judged(&format!("{signed}.{}", part(signature.as_ref()))).unwrap();

    assert_eq!(proof.key(), Thumbprint::of(jwk.to_string().as_bytes()));
}

#[test]
fn what_a_client_makes_is_good() {
    let key = key(SigningAlgorithm::Es256);
    let made = Claims {
        method: "POST",
        target: TARGET,
        jti: "a",
        issued: at(0),
        access_token: Some(TOKEN),
        nonce: Some("n"),
    };

    let proof = judged_at(&prove(&key, &made), Some(TOKEN), 0).unwrap();

    assert_eq!(proof.nonce(), Some("n"));
}

#[test]
fn the_thumbprint_is_that_of_rfc_7638() {
    let n = concat!(
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP",
        "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY",
        "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f",
        "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    );
    let jwk = json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"});
    let jwk = jwk.as_object().unwrap();

    let (_, found) =
        crate::jose::VerifyingKey::enclosed(jwk, crate::jose::Algorithm::Rs256).unwrap();

    assert_eq!(
        found.to_string(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
}

/// Attack: F174
#[test]
fn another_kind_of_jws_is_no_proof() {
    assert!(with_header(|own| own["typ"] = "DPoP+JWT".into()).is_ok());
    assert!(with_header(|own| own["typ"] = "application/dpop+jwt".into()).is_ok());
    for typ in [
        json!("JWT"),
        json!("at+jwt"),
        json!("dpop"),
        json!(" dpop+jwt"),
        Value::Null,
    ] {
        let got = with_header(|own| own["typ"] = typ);
        assert!(matches!(got, Err(InvalidProof::Signature(_))), "{got:?}");
    }
    let none = with_header(|own| drop(own.as_object_mut().unwrap().remove("typ")));
    assert_eq!(none, Err(Invalid::Type.into()));
}

/// Attack: F174
#[test]
fn an_algorithm_that_is_not_asymmetric_or_not_the_keys_own_is_refused() {
    for name in ["none", "NONE", "HS256", "ES512", "RS1", "es256", ""] {
        let got = with_header(|own| own["alg"] = name.into());
        assert_eq!(got, Err(Invalid::Algorithm.into()), "{name}");
    }
    for name in ["ES384", "RS256", "PS256", "EdDSA"] {
        let got = with_header(|own| own["alg"] = name.into());
        assert_eq!(
            got,
            Err(InvalidProof::Key(InvalidKey::Unsupported)),
            "{name}"
        );
    }
    let claimed = with_header(|own| own["jwk"]["alg"] = "ES384".into());
    assert_eq!(claimed, Err(InvalidProof::Key(InvalidKey::Unsupported)));
    assert!(with_header(|own| own["jwk"]["alg"] = "ES256".into()).is_ok());
}

/// Attack: F175
#[test]
fn a_key_that_is_missing_private_symmetric_or_of_another_use_is_refused() {
    let none = with_header(|own| drop(own.as_object_mut().unwrap().remove("jwk")));
    assert_eq!(none, Err(Invalid::UnknownKey.into()));
    for jwk in [json!("text"), json!([]), Value::Null] {
        let got = with_header(|own| own["jwk"] = jwk);
        assert_eq!(got, Err(Invalid::Header.into()));
    }
    for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
        let got = with_header(|own| own["jwk"][private] = "AAAA".into());
        let refused = InvalidProof::Key(InvalidKey::Unsupported);
        assert_eq!(got, Err(refused), "{private}");
    }
    let oct = with_header(|own| own["jwk"] = json!({"kty": "oct", "kid": "x"}));
    assert_eq!(oct, Err(InvalidProof::Key(InvalidKey::Unsupported)));
    let other_use = with_header(|own| own["jwk"]["use"] = "enc".into());
    assert_eq!(other_use, Err(InvalidProof::Key(InvalidKey::Use)));
    // What WebCrypto exports, and what nobody knows, is passed over.
    let exported = with_header(|own| {
        own["jwk"]["key_ops"] = json!(["verify"]);
        own["jwk"]["ext"] = true.into();
        own["jwk"]["use"] = "sig".into();
        own["jwk"]["made_by"] = "somebody".into();
    });
    assert!(exported.is_ok());
}

/// Attack: F189
#[test]
fn a_key_that_would_be_work_is_refused_before_the_work() {
    let rsa = |bytes: usize, e: &str| {
        let n = BASE64_URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
        with_header(|own| {
            own["alg"] = "RS256".into();
            own["jwk"] = json!({"kty": "RSA", "n": n, "e": e});
        })
    };
    for (bytes, e) in [
        (2048, "AQAB"),
        (513, "AQAB"),
        (128, "AQAB"),
        (256, "AQ"),
        (256, "AAEAAQ"),
    ] {
        let got = rsa(bytes, e);
        assert!(matches!(got, Err(InvalidProof::Key(_))), "{bytes} {got:?}");
    }
    assert_eq!(rsa(512, "AQAB"), Err(Invalid::Signature.into()));
    let long = with_claims(|own| own["pad"] = "x".repeat(MAX_PROOF_BYTES).into());
    assert_eq!(long, Err(Invalid::Form.into()));
}

#[test]
fn a_signature_of_another_key_is_refused() {
    let (own, other) = (key(SigningAlgorithm::Es256), key(SigningAlgorithm::Es256));

    let got = judged(&signed(&own, &header(&other), &claims()));

    assert_eq!(got, Err(Invalid::Signature.into()));
}

/// Attack: F177
/// Attack: F178
#[test]
fn method_and_address_are_those_of_the_request() {
    for method in ["GET", "post", "POST ", "PUT"] {
        let got = with_claims(|own| own["htm"] = method.into());
        assert_eq!(got, Err(InvalidProof::Method), "{method}");
    }
    for target in [
        "https://as.example.com/token/",
        "https://as.example.com/introspect",
        "https://as.example.com:444/token",
        "http://as.example.com/token",
        "https://evil.example.com/token",
        "/token",
    ] {
        let got = with_claims(|own| own["htu"] = target.into());
        assert_eq!(got, Err(InvalidProof::Target), "{target}");
    }
    for target in [
        "https://AS.example.com:443/token?a=b#c",
        "HTTPS://as.example.com/%74oken",
    ] {
        assert!(with_claims(|own| own["htu"] = target.into()).is_ok());
    }
}

#[test]
fn a_claim_that_is_missing_or_of_another_type_is_refused() {
    for name in ["jti", "htm", "htu", "iat"] {
        let refused = Err(InvalidProof::Claim(name));
        let missing = with_claims(|own| drop(own.as_object_mut().unwrap().remove(name)));
        assert_eq!(missing, refused, "{name}");
        for value in [json!(null), json!([]), json!({}), json!(true), json!("")] {
            assert_eq!(with_claims(|own| own[name] = value), refused, "{name}");
        }
    }
    for nonce in [json!(""), json!(7), json!("n".repeat(257))] {
        let got = with_claims(|own| own["nonce"] = nonce);
        assert_eq!(got, Err(InvalidProof::Claim("nonce")));
    }
    let got = with_claims(|own| own["jti"] = "j".repeat(257).into());
    assert_eq!(got, Err(InvalidProof::Claim("jti")));
    assert!(with_claims(|own| own["jti"] = "j".repeat(256).into()).is_ok());
}

/// Attack: F180
#[test]
fn a_proof_is_taken_for_a_minute_and_a_little_of_clock_difference() {
    let made = |seconds: i64| with_claims(|own| own["iat"] = at(seconds).seconds().into());
    for good in [-70, -60, -10, 0, 10] {
        assert!(made(good).is_ok(), "{good}");
    }
    for bad in [-3600, -71, 11, 60, 3600] {
        assert_eq!(made(bad), Err(InvalidProof::Time), "{bad}");
    }
    let odd = with_claims(|own| own["iat"] = json!(at(0).seconds().to_string()));
    assert_eq!(odd, Err(InvalidProof::Claim("iat")));
}

/// Attack: F184
#[test]
fn with_an_access_token_its_hash_is_needed() {
    let key = key(SigningAlgorithm::Es256);
    let judged = |ath: Option<Value>| {
        let mut claims = claims();
        if let Some(ath) = ath {
            claims["ath"] = ath;
        }
        judged_at(&signed(&key, &header(&key), &claims), Some(TOKEN), 0)
    };
    let right = claims::token_hash(TOKEN);

    assert!(judged(Some(right.clone().into())).is_ok());
    assert_eq!(judged(None), Err(InvalidProof::Claim("ath")));
    assert_eq!(judged(Some(json!(7))), Err(InvalidProof::Claim("ath")));
    for wrong in [
        claims::token_hash("another"),
        format!("{right}="),
        TOKEN.into(),
    ] {
        assert_eq!(judged(Some(wrong.into())), Err(InvalidProof::Token));
    }
}

/// Attack: F183
#[test]
fn what_is_remembered_is_key_and_jti_together() {
    let (one, other) = (key(SigningAlgorithm::Es256), key(SigningAlgorithm::Es256));
    let proof = |key: &SigningKey, jti: &str| {
        let mut claims = claims();
        claims["jti"] = jti.into();
        *judged(&signed(key, &header(key), &claims)).unwrap().once()
    };

    assert_eq!(proof(&one, "a"), proof(&one, "a"));
    assert_ne!(proof(&one, "a"), proof(&one, "b"));
    assert_ne!(proof(&one, "a"), proof(&other, "a"));
}

#[test]
fn every_description_can_stand_in_an_answer() {
    for invalid in [
        InvalidProof::Missing,
        InvalidProof::Repeated,
        InvalidProof::Signature(Invalid::Form),
        InvalidProof::Key(InvalidKey::Weak),
        InvalidProof::Claim("jti"),
        InvalidProof::Method,
        InvalidProof::Target,
        InvalidProof::Time,
        InvalidProof::Token,
        InvalidProof::Replayed,
    ] {
        assert!(symbolon_protocol::error::is_description(
            invalid.description()
        ));
    }
}

proptest! {
    #[test]
    fn noise_is_no_proof_and_never_panics(text in "[A-Za-z0-9_.=-]{0,300}|\\PC{0,80}") {
        prop_assert!(judged(&text).is_err());
    }

    #[test]
    fn a_proof_with_any_byte_changed_is_refused(at in any::<prop::sample::Index>(), by in 1..64_u8) {
        let key = key(SigningAlgorithm::EdDsa);
        let mut proof = signed(&key, &header(&key), &claims()).into_bytes();
        let at = at.index(proof.len());
        proof[at] = b' ' + (proof[at] - b' ' + by) % 95;

        prop_assert!(judged(std::str::from_utf8(&proof).unwrap()).is_err());
    }
}
