//! Tokens that are encrypted to the API.
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]
mod support;

use serde_json::Value;
use support::{API, Issuer, app, at_expiry, opaque, with_token};
use symbolon_protocol::{ContentEncryption, KeyManagement};
use symbolon_testkit::SeededEntropy;
use symbolon_token::jose::jwe::{Content, EncryptionKey};
use symbolon_verify::{Requirement, Verdict, Verifier, Vouched};

const BOB: &str = r#"{"kty":"EC","crv":"P-256","alg":"ECDH-ES+A256KW","kid":"bob",
    "x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
    "d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}"#;
const ALICE: &str = r#"{"kty":"EC","crv":"P-256","alg":"ECDH-ES+A256KW","kid":"alice",
    "x":"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0","y":"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
    "d":"0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo"}"#;

fn sealed(key: &str, inside: &str, cty: Option<&str>) -> String {
    let mut jwk: Value = serde_json::from_str(key).unwrap();
    jwk.as_object_mut().unwrap().remove("d");
    let key = EncryptionKey::from_jwk(jwk.as_object().unwrap(), KeyManagement::EcdhEsA256Kw);
    let content = Content {
        bytes: inside.as_bytes(),
        typ: None,
        cty,
    };
    let text = key
        .unwrap()
        .encrypt(ContentEncryption::A256Gcm, content, &SeededEntropy::new(5));
    text.unwrap()
}

fn nested(inside: &str) -> String {
    sealed(BOB, inside, Some("JWT"))
}

async fn code(verifier: &Verifier, token: &str) -> String {
    match verifier.check(token, &at_expiry()).await {
        Ok(_) => "valid".to_owned(),
        Err(refusal) => refusal.code().to_owned(),
    }
}

#[tokio::test]
async fn an_encrypted_token_is_opened_and_then_checked_like_any_other() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier().decrypt_with(BOB).unwrap();

    let principal = verifier.check(&nested(&issuer.good()), &at_expiry()).await;

    assert_eq!(principal.unwrap().subject(), "usr_1");
    let late = issuer.token(|claims| claims["exp"] = 1.into());
    assert_eq!(code(&verifier, &nested(&late)).await, "expired");
    let other = issuer.token(|claims| claims["aud"] = "https://other.example".into());
    assert_eq!(code(&verifier, &nested(&other)).await, "wrong_audience");
    let route = app(&verifier, at_expiry());
    assert_eq!(
        with_token(&route, &nested(&issuer.good())).await.status,
        200
    );
    assert_eq!(with_token(&route, &issuer.good()).await.status, 401);
}

/// Attack: E152
#[tokio::test]
async fn what_anybody_can_encrypt_opens_nothing() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier().decrypt_with(BOB).unwrap();
    let good = issuer.good();
    assert_eq!(code(&verifier, &nested(&good)).await, "valid");

    let claims = issuer.claims().to_string();
    let unsigned = format!(
        "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{}.",
        good.split('.').nth(1).unwrap()
    );
    let stranger = support::key(symbolon_protocol::SigningAlgorithm::Es256);
    let forged = issuer.token_by(&stranger, |_| ());
    for (inside, cty, expected) in [
        (&claims, Some("JWT"), "not_nested"),
        (&claims, None, "not_nested"),
        (&unsigned, Some("JWT"), "not_nested"),
        (&forged, Some("JWT"), "unknown_key"),
        (&nested(&good), Some("JWT"), "not_nested"),
        (&good, None, "not_nested"),
    ] {
        let shown = sealed(BOB, inside, cty);
        assert_eq!(code(&verifier, &shown).await, expected, "{cty:?}");
    }
}

#[tokio::test]
async fn a_token_in_the_open_is_refused_where_there_is_a_key_and_the_reverse() {
    let issuer = Issuer::start().await;
    let open = issuer.verifier();
    let closed = issuer.verifier().decrypt_with(BOB).unwrap();
    let good = issuer.good();

    assert_eq!(code(&open, &good).await, "valid");
    assert_eq!(code(&closed, &good).await, "not_encrypted");
    assert_eq!(code(&open, &nested(&good)).await, "decryption_key_missing");
    assert_eq!(
        code(&closed, &sealed(ALICE, &good, Some("JWT"))).await,
        "unknown_key"
    );
    // Remembered from inside a good one, and no better in the open.
    assert_eq!(code(&closed, &nested(&good)).await, "valid");
    assert_eq!(code(&closed, &good).await, "not_encrypted");
}

#[tokio::test]
async fn an_id_token_is_no_access_token_however_it_is_wrapped() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier().decrypt_with(BOB).unwrap();
    let id_token = issuer
        .key
        .sign("JWT", issuer.claims().to_string().as_bytes());

    for shown in [nested(&id_token), id_token] {
        assert_eq!(code(&verifier, &shown).await, "not_an_access_token");
    }
}

#[tokio::test]
async fn a_key_that_is_being_replaced_opens_beside_the_new_one() {
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier().decrypt_with(ALICE).unwrap();
    let verifier = verifier.decrypt_with(BOB).unwrap();

    for key in [ALICE, BOB] {
        let shown = sealed(key, &issuer.good(), Some("JWT"));
        assert_eq!(code(&verifier, &shown).await, "valid");
    }
    let five = (0..5).try_fold(issuer.verifier(), |made, _| made.decrypt_with(BOB));
    assert_eq!(five.unwrap_err().code(), "too_many_decryption_keys");
    let bad = issuer.verifier().decrypt_with("{}");
    assert_eq!(bad.unwrap_err().code(), "invalid_decryption_key");
}

#[tokio::test]
async fn the_issuer_is_asked_about_what_is_inside() {
    let issuer = Issuer::start().await;
    let verifier = issuer.asking().decrypt_with(BOB).unwrap();
    let good = issuer.good();

    let asked = verifier
        .check(&nested(&good), &Requirement::all(["read:invoices"]))
        .await;

    assert!(asked.is_ok());
    let (_, form) = issuer
        .behaviour
        .last_question
        .lock()
        .unwrap()
        .clone()
        .unwrap();
    assert!(form.contains(&good), "{form}");
    issuer.says_active(|claims| claims["aud"] = API.into());
    let by_word = verifier
        .check(&opaque(3), &Requirement::all(["read:invoices"]))
        .await;
    assert!(by_word.is_ok(), "an opaque token is nothing to be read");
}

#[tokio::test]
async fn an_explanation_says_what_is_wrong_with_the_wrapping() {
    let issuer = Issuer::start().await;
    let closed = issuer.verifier().decrypt_with(BOB).unwrap();
    let good = issuer.good();

    let told = closed.explain(&nested(&good), &at_expiry()).await;
    assert_eq!((told.verdict, told.rendering), (Verdict::Valid, "jwe"));
    let late = issuer.token(|claims| claims["exp"] = 1.into());
    let told = closed.explain(&nested(&late), &at_expiry()).await;
    assert_eq!((told.code, told.vouched), ("expired", Vouched::Verified));
    assert_eq!(told.claims["exp"], 1, "what is inside is shown");

    for (verifier, token, code, word) in [
        (
            issuer.verifier(),
            nested(&good),
            "decryption_key_missing",
            "private key",
        ),
        (
            closed.clone(),
            good.clone(),
            "not_encrypted",
            "decryption key",
        ),
        (
            closed.clone(),
            sealed(ALICE, &good, Some("JWT")),
            "unknown_key",
            "belong together",
        ),
        (
            closed.clone(),
            sealed(BOB, &good, None),
            "not_nested",
            "signed, then encrypted",
        ),
    ] {
        let told = verifier.explain(&token, &at_expiry()).await;
        assert_eq!((told.verdict, told.code), (Verdict::Refused, code));
        assert!(told.cause.starts_with("signature: "), "{}", told.cause);
        assert!(told.repair.contains(word), "{}", told.repair);
    }
}
