//! Good tokens to which something happened on their way.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;

use super::{Case, Given, Shown, parts, unsigned as case};

/// A good token in which a letter of the other alphabet of base64 stands.
fn in_other_alphabet(g: &Given) -> String {
    let token = g.with(|c| c["sub"] = "\u{3ff}\u{3ff}?>?>\u{fff}~~~".into());
    token.replace('-', "+").replace('_', "/")
}

#[rustfmt::skip]
pub(super) fn all() -> Vec<Case> {
    let library = |c: Case| Case { shown: Shown::ToTheLibrary, ..c };
    vec![
        library(case("the scheme stands before it", |g| format!("Bearer {}", g.good()), "scheme_twice", "each word once")),
        case("the scheme stands before it twice", |g| format!("Bearer Bearer {}", g.good()), "scheme_twice", "each word once"),
        case("quotes", |g| format!("\"{}\"", g.good()), "quotes", "take the quotes away"),
        library(case("a line break behind it", |g| format!("{}\n", g.good()), "blanks_around", "trim it")),
        case("a line break in it", |g| g.good().replacen('.', ".\n", 1), "line_break", "join its lines"),
        case("a blank in it", |g| { let t = g.good(); format!("{} {}", &t[..40], &t[40..]) }, "line_break", "join its lines"),
        case("encoded for an address", |g| g.good().replace('.', "%2E"), "percent_encoded", "decode it once"),
        case("padded", |g| { let [h, p, s] = parts(&g.good()); format!("{h}.{p}=.{s}==") }, "base64_padding", "RFC 7515"),
        case("in the other alphabet", in_other_alphabet, "base64_alphabet", "do not encode it again"),
        case("a full stop behind it", |g| format!("{}.", g.good()), "trailing_dot", "take the full stop away"),
        case("the whole answer", |g| json!({ "access_token": g.good(), "token_type": "Bearer", "expires_in": 600 }).to_string(), "whole_answer", "read `access_token`"),
        case("two of them", |g| format!("{}{}", g.good(), g.good()), "two_tokens", "send one token"),
        case("two with a comma", |g| format!("{},{}", g.good(), g.good()), "two_tokens", "send one token"),
        case("the signature is cut off", |g| { let t = g.good(); t[..t.len() - 20].to_owned() }, "cut_off", "send it whole"),
        case("no signature", |g| { let [h, p, _] = parts(&g.good()); format!("{h}.{p}") }, "cut_off", "send it whole"),
        case("the header alone", |g| parts(&g.good())[0].clone(), "cut_off", "send it whole"),
        case("cut short by a log", |g| format!("{}...", &g.good()[..50]), "cut_off", "send it whole"),
        case("masked", |g| format!("{}***", &g.good()[..20]), "masked", "logs hold none"),
        case("four parts", |g| format!("{}.AAAA", g.good()), "parts", "exactly as it was issued"),
        case("a character that base64url has not", |g| { let [h, p, s] = parts(&g.good()); format!("{h}.{p}!.{s}") }, "not_base64url", "exactly as it was issued"),
        case("a claim twice", |g| {
            let text = g.claims().to_string().replacen("\"aud\":", "\"aud\":\"https://other.example\",\"aud\":", 1);
            g.key.sign("at+jwt", text.as_bytes())
        }, "duplicate_member", "each member once"),
        case("a member of the header twice", |g| g.key.sign_under(&format!(r#"{{"alg":"ES256","alg":"none","typ":"at+jwt","kid":"{}"}}"#, g.key.kid()), g.claims().to_string().as_bytes()), "duplicate_member", "each member once"),
        case("a payload that is no JSON", |g| g.key.sign("at+jwt", b"hello"), "payload_malformed", "exactly as it was issued"),
        case("the JSON form", |g| { let [h, p, s] = parts(&g.good()); json!({ "payload": p, "signatures": [{ "protected": h, "signature": s }] }).to_string() }, "json_form", "the compact form"),
        case("an opaque token with a wrong checksum", |_| format!("sym_at_{}", BASE64_URL_SAFE_NO_PAD.encode([9; 120])), "checksum", "exactly as it was issued"),
    ]
}
