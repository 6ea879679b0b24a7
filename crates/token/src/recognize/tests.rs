//! What is recognized, kind by kind and defect by defect.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn compact(header: &serde_json::Value, claims: &serde_json::Value) -> String {
    let part = |own: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(own.to_string());
    format!("{}.{}.{}", part(header), part(claims), "A".repeat(86))
}

fn access() -> String {
    compact(
        &json!({ "typ": "at+jwt", "alg": "ES256" }),
        &json!({ "sub": "a" }),
    )
}

#[test]
fn a_bare_token_has_no_defect() {
    let shown = Recognized::of(&access());
    assert_eq!((shown.what, &*shown.defects), (What::AccessToken, &[][..]));
    assert_eq!(shown.repaired(), None);
}

#[test]
fn what_surrounds_a_token_is_named_and_taken_away() {
    let token = access();
    let cases = [
        (format!("Bearer {token}"), Defect::Scheme),
        (format!("bearer {token}"), Defect::Scheme),
        (format!("\"{token}\""), Defect::Quotes),
        (format!("{token}\n"), Defect::Blanks),
        (token.replacen('.', ".\n", 1), Defect::LineBreak),
        (token.replace('.', "%2E"), Defect::PercentEncoding),
        (format!("{token}=="), Defect::Padding),
        (format!("{token}."), Defect::TrailingDot),
        (
            json!({ "access_token": token, "token_type": "Bearer" }).to_string(),
            Defect::Answer,
        ),
        (format!("Authorization:{token}"), Defect::HeaderName),
    ];
    for (text, defect) in cases {
        let shown = Recognized::of(&text);
        assert_eq!(shown.defects, [defect], "{text}");
        assert_eq!(shown.repaired(), Some(&*token), "{text}");
        assert_eq!(shown.what, What::AccessToken, "{text}");
    }
}

#[test]
fn what_is_lost_is_named_and_not_made_up() {
    let token = access();
    let cases = [
        (format!("{token}{token}"), Defect::Two),
        (format!("{token},{token}"), Defect::Two),
        (format!("{token} {token}"), Defect::Two),
        (token[..token.len() - 9].to_owned(), Defect::CutOff),
        (token[..40].to_owned(), Defect::CutOff),
        (format!("{}...", &token[..30]), Defect::CutOff),
        ("eyJh***".to_owned(), Defect::Masked),
        ("[REDACTED]".to_owned(), Defect::Masked),
        ("sym_at_AAAA".to_owned(), Defect::Checksum),
        (
            json!({ "payload": "e30", "signatures": [] }).to_string(),
            Defect::JsonForm,
        ),
        ("A".repeat(MAX_SHOWN_BYTES + 1), Defect::TooLong),
    ];
    for (text, defect) in cases {
        let shown = Recognized::of(&text);
        assert_eq!(shown.defects, [defect], "{}", &text[..text.len().min(90)]);
        assert_eq!(shown.repaired(), None);
    }
}

#[test]
fn every_kind_is_told_by_its_form() {
    let typed = |typ: &str| compact(&json!({ "typ": typ, "alg": "ES256" }), &json!({}));
    let plain =
        |claims: serde_json::Value| compact(&json!({ "typ": "JWT", "alg": "RS256" }), &claims);
    let assertion = "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">";
    let cases = [
        (typed("application/at+jwt"), What::AccessToken),
        (typed("logout+jwt"), What::LogoutToken),
        (typed("dpop+jwt"), What::DpopProof),
        (typed("client-authentication+jwt"), What::ClientAssertion),
        (typed("token-introspection+jwt"), What::SignedResponse),
        (typed("oauth-authz-req+jwt"), What::SignedRequest),
        (typed("secevent+jwt"), What::SecurityEvent),
        (typed("x+jwt"), What::OtherJwt),
        (plain(json!({ "nonce": "n", "aud": "web" })), What::IdToken),
        (plain(json!({ "events": {} })), What::LogoutToken),
        (
            plain(json!({ "iss": "web", "sub": "web" })),
            What::ClientAssertion,
        ),
        (plain(json!({ "scope": "a" })), What::PlainJwt),
        (
            compact(
                &json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM" }),
                &json!({}),
            ),
            What::Encrypted,
        ),
        ("sym_rt_abc".into(), What::RefreshToken),
        ("sym_ac_abc".into(), What::AuthorizationCode),
        ("sym_dc_abc".into(), What::DeviceCode),
        ("sym_cs_abc".into(), What::ClientSecret),
        ("sym_key_abc".into(), What::ApiKey),
        ("sym_ss_abc".into(), What::SessionCookie),
        ("sym_reg_abc".into(), What::Registration),
        ("sym_adm_abc".into(), What::Administration),
        ("sym_tx_abc".into(), What::Transaction),
        ("acme_at_0123456789".into(), What::OtherMark),
        ("ghp_0123456789".into(), What::OtherService),
        (BASE64_URL_SAFE_NO_PAD.encode(assertion), What::Assertion),
        (assertion.into(), What::AssertionXml),
        ("eyJhbGci".into(), What::PartOfJwt),
        ("hello".into(), What::Nothing),
        (BASE64_STANDARD.encode("user:password"), What::Nothing),
        (String::new(), What::Nothing),
    ];
    for (text, what) in cases {
        assert_eq!(Recognized::of(&text).what, what, "{text}");
    }
}

#[test]
fn every_kind_has_words_and_a_code_of_its_own() {
    let codes: std::collections::BTreeSet<_> = What::all().map(What::code).collect();
    assert_eq!(codes.len(), What::all().count());
    for what in What::all() {
        assert!(!what.words().is_empty());
        assert_eq!(
            what.instead().is_empty(),
            what.is_access_token(),
            "{what:?}"
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_looked_at_without_harm(text in ".{0,200}") {
        let shown = Recognized::of(&text);
        prop_assert!(shown.defects.len() <= MAX_DEFECTS + 1);
    }

    #[test]
    fn a_wrapped_token_is_found_again_through_two_layers(outer in 0_usize..5, inner in 0_usize..5) {
        let token = access();
        let wrap = |text: String, with: usize| match with {
            0 => format!("Bearer {text}"),
            1 => format!("\"{text}\""),
            2 => format!(" {text}\n"),
            3 => format!("'{text}'"),
            _ => text,
        };
        let shown = Recognized::of(&wrap(wrap(token.clone(), inner), outer));
        prop_assert_eq!(shown.bare(), &*token);
    }
}
