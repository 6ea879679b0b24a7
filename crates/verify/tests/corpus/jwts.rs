//! JWTs: edits, keys, algorithms, and claims one by one.

use serde_json::{Value, json};

use super::{API, Case, Given, Shown, edited, encoded, headed, parts};

const fn case(
    name: &'static str,
    broken: fn(&Given) -> String,
    root: &'static str,
    check: &'static str,
    repair: &'static str,
) -> Case {
    Case {
        name,
        broken,
        root,
        check,
        repair,
        shown: Shown::ToBoth,
    }
}

fn remove(claims: &mut Value, name: &str) {
    claims.as_object_mut().unwrap().remove(name);
}

#[rustfmt::skip]
pub(super) fn all() -> Vec<Case> {
    let mut all = edits();
    all.extend(keys());
    all.extend(claims());
    all
}

#[rustfmt::skip]
fn edits() -> Vec<Case> {
    vec![
        case("a scope was added", |g| edited(&g.good(), |c| c["scope"] = "read:invoices delete:invoices".into()), "scope_changed", "signature", "ask the issuer for the scope"),
        case("the scope was replaced", |g| edited(&g.good(), |c| c["scope"] = "delete:invoices".into()), "scope_changed", "signature", "ask the issuer for the scope"),
        case("the scope was replaced by one of another kind", |g| edited(&g.good(), |c| c["scope"] = "superuser".into()), "scope_changed", "signature", "ask the issuer for the scope"),
        case("the scope was replaced by two others", |g| edited(&g.good(), |c| c["scope"] = "admin root".into()), "scope_changed", "signature", "ask the issuer for the scope"),
        case("scopes that nobody guesses were replaced", |g| edited(&g.with(|c| c["scope"] = "a:b c:d read:invoices".into()), |c| c["scope"] = "admin".into()), "signature_mismatch", "signature", "`scope` (now `admin`)"),
        case("scope and end were changed together", |g| edited(&g.good(), |c| { c["scope"] = "read:invoices delete:invoices".into(); c["exp"] = (g.now.seconds() + 86_400 * 365).into(); }), "scope_and_expiry_changed", "signature", "ask the issuer for the scope"),
        case("the audience was changed", |g| edited(&g.good(), |c| c["aud"] = "https://other.example.com".into()), "audience_changed", "signature", "for that API"),
        case("the subject of a machine was changed", |g| edited(&g.with(|c| c["sub"] = "web".into()), |c| c["sub"] = "admin".into()), "subject_changed", "signature", "for that API"),
        case("the client of a machine was changed", |g| edited(&g.with(|c| c["sub"] = "web".into()), |c| c["client_id"] = "admin".into()), "client_changed", "signature", "for that API"),
        case("the end was moved", |g| edited(&g.good(), |c| c["exp"] = (g.now.seconds() + 86_400 * 365).into()), "expiry_changed", "signature", "renew it"),
        case("the end of an expired token was moved", |g| {
            let old = g.with(|c| { c["iat"] = (g.now.seconds() - 7200).into(); c["exp"] = (g.now.seconds() - 3600).into(); });
            edited(&old, |c| c["exp"] = (g.now.seconds() + 3600).into())
        }, "expiry_changed", "signature", "renew it"),
        case("the subject was changed", |g| edited(&g.good(), |c| c["sub"] = "admin".into()), "signature_mismatch", "signature", "exactly as it was issued"),
        case("a role was added", |g| edited(&g.good(), |c| c["roles"] = json!(["admin"])), "signature_mismatch", "signature", "exactly as it was issued"),
        case("a character of the signature was changed", |g| {
            let [header, payload, signature] = parts(&g.good());
            let other = if signature.starts_with('A') { "B" } else { "A" };
            format!("{header}.{payload}.{other}{}", &signature[1..])
        }, "signature_mismatch", "signature", "exactly as it was issued"),
        case("the claims were written anew with blanks", |g| {
            let [header, _, signature] = parts(&g.good());
            let text = g.claims().to_string().replace("\",\"", "\", \"").replace("\":", "\": ");
            use base64::Engine;
            format!("{header}.{}.{signature}", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(text))
        }, "payload_rewritten", "signature", "do not decode and write it again"),
        case("the type was changed to JWT", |g| headed(&g.good(), |h| h["typ"] = "JWT".into()), "header_changed", "signature", "exactly as it was issued"),
        case("an ID token's type was changed to at+jwt", |g| headed(&g.key.sign("JWT", g.claims().to_string().as_bytes()), |h| h["typ"] = "at+jwt".into()), "header_changed", "signature", "exactly as it was issued"),
        case("the algorithm was changed", |g| headed(&g.good(), |h| h["alg"] = "RS256".into()), "header_changed", "signature", "exactly as it was issued"),
    ]
}

#[rustfmt::skip]
fn keys() -> Vec<Case> {
    vec![
        case("the key's name was swapped", |g| headed(&g.good(), |h| h["kid"] = g.other.kid().into()), "key_name_changed", "signature", "`kid` is part of what is signed"),
        case("the key's name was changed to an unknown one", |g| headed(&g.good(), |h| h["kid"] = "nobody".into()), "key_name_changed", "signature", "`kid` is part of what is signed"),
        case("the key's name was taken out", |g| headed(&g.good(), |h| remove(h, "kid")), "key_name_changed", "signature", "`kid` is part of what is signed"),
        case("the issuer named another key than it signed with", |g| g.under(&g.other, &json!({ "alg": "ES256", "typ": "at+jwt", "kid": g.key.kid() })), "key_name_wrong", "signature", "name the key that it signs with"),
        case("the issuer named a key that nobody has", |g| g.under(&g.key, &json!({ "alg": "ES256", "typ": "at+jwt", "kid": "of last year" })), "key_name_wrong", "signature", "name the key that it signs with"),
        case("a stranger signed it", |g| g.stranger.sign("at+jwt", g.claims().to_string().as_bytes()), "unknown_key", "signature", "ask for a new token"),
        case("a stranger signed it in the name of a known key", |g| g.under(&g.stranger, &json!({ "alg": "ES256", "typ": "at+jwt", "kid": g.key.kid() })), "signature_mismatch", "signature", "exactly as it was issued"),
        case("a stranger signed it without a name", |g| g.under(&g.stranger, &json!({ "alg": "ES256", "typ": "at+jwt" })), "signature_mismatch", "signature", "exactly as it was issued"),
        case("the key's name is a path", |g| g.under(&g.stranger, &json!({ "alg": "ES256", "typ": "at+jwt", "kid": "../../dev/null" })), "key_name_is_path", "signature", "found by name"),
        case("nobody signed it", |g| format!("{}.{}.", encoded(&json!({ "alg": "none", "typ": "at+jwt" })), encoded(&g.claims())), "unsigned", "signature", "without a signature is never taken"),
        case("nobody signed it, in capitals", |g| format!("{}.{}.", encoded(&json!({ "alg": "NoNe", "typ": "at+jwt", "kid": g.key.kid() })), encoded(&g.claims())), "unsigned", "signature", "without a signature is never taken"),
        case("the public key was used as a secret", |g| {
            let secret = symbolon_token::Secret::from(g.key.public_jwk().to_string());
            let signed = format!("{}.{}", encoded(&json!({ "alg": "HS256", "typ": "at+jwt", "kid": g.key.kid() })), encoded(&g.claims()));
            let tag = symbolon_token::Digest::of(&[secret.expose(), signed.as_bytes()].concat());
            use base64::Engine;
            format!("{signed}.{}", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(tag.as_bytes()))
        }, "mac_algorithm", "signature", "signatures alone"),
        case("a published key of an algorithm that the API does not take", |g| g.large.sign("at+jwt", g.claims().to_string().as_bytes()), "algorithm_not_allowed", "signature", "allow the algorithm at the API"),
        case("an algorithm that nobody takes", |g| g.under(&g.key, &json!({ "alg": "ES256", "typ": "at+jwt", "kid": g.key.kid() })).replacen(&encoded(&json!({ "alg": "ES256", "typ": "at+jwt", "kid": g.key.kid() })), &encoded(&json!({ "alg": "ES256K", "typ": "at+jwt", "kid": "x" })), 1).split('.').take(2).chain(["AAAA"]).collect::<Vec<_>>().join("."), "algorithm_unknown", "signature", "ES256"),
        case("an extension that nobody understands", |g| g.under(&g.key, &json!({ "alg": "ES256", "typ": "at+jwt", "kid": g.key.kid(), "crit": ["x"], "x": 1 })), "critical_extension", "signature", "plain JWTs"),
    ]
}

#[rustfmt::skip]
fn claims() -> Vec<Case> {
    let late = |c: Case| Case { shown: Shown::ToTheLibrary, ..c };
    vec![
        case("a slash behind the issuer", |g| g.with(|c| c["iss"] = format!("{}/", g.url).into()), "issuer_spelling", "issuer", "get a token from"),
        case("https in place of http", |g| g.with(|c| c["iss"] = g.url.replacen("http:", "https:", 1).into()), "issuer_spelling", "issuer", "get a token from"),
        case("another issuer's name under a known key", |g| g.with(|c| c["iss"] = "https://other.example".into()), "other_issuer", "issuer", "get a token from"),
        case("another issuer's token", |g| { let mut c = g.claims(); c["iss"] = "https://other.example".into(); g.stranger.sign("at+jwt", c.to_string().as_bytes()) }, "foreign_issuer", "signature", "get a token from"),
        case("an expired token of another issuer", |g| { let mut c = g.claims(); c["iss"] = "https://other.example".into(); c["exp"] = (g.now.seconds() - 3600).into(); g.stranger.sign("at+jwt", c.to_string().as_bytes()) }, "foreign_issuer", "signature", "get a token from"),
        case("no issuer", |g| g.with(|c| remove(c, "iss")), "claim_missing", "signature", "RFC 9068"),
        case("a slash behind the audience", |g| g.with(|c| c["aud"] = format!("{API}/").into()), "audience_spelling", "audience", "`aliases`"),
        case("the audience under an alias that the API does not know", |g| g.with(|c| c["aud"] = "https://api.example/v2".into()), "audience_spelling", "audience", "`aliases`"),
        case("another audience", |g| g.with(|c| c["aud"] = "https://other.example".into()), "other_audience", "audience", "resource=https://api.example/v1"),
        case("a list of other audiences", |g| g.with(|c| c["aud"] = json!(["https://a.example", "https://b.example"])), "other_audience", "audience", "resource=https://api.example/v1"),
        case("no audience", |g| g.with(|c| remove(c, "aud")), "claim_missing", "signature", "RFC 9068"),
        case("the client as audience", |g| g.with(|c| c["aud"] = "web".into()), "audience_is_client", "audience", "resource=https://api.example/v1"),
        case("the issuer as audience", |g| g.with(|c| c["aud"] = g.url.clone().into()), "audience_is_issuer", "audience", "resource=https://api.example/v1"),
        case("no scope", |g| g.with(|c| remove(c, "scope")), "scope_missing", "scope", "scope=read:invoices"),
        case("another scope", |g| g.with(|c| c["scope"] = "write:invoices".into()), "scope_lacking", "scope", "scope=read:invoices"),
        case("commas between scopes", |g| g.with(|c| c["scope"] = "read:invoices,write:invoices".into()), "scope_separator", "scope", "one space between"),
        case("plus signs between scopes", |g| g.with(|c| c["scope"] = "write:invoices+read:invoices".into()), "scope_separator", "scope", "one space between"),
        case("a scope in capitals", |g| g.with(|c| c["scope"] = "Read:Invoices".into()), "scope_spelling", "scope", "scope=read:invoices"),
        case("a list of scopes", |g| g.with(|c| c["scope"] = json!(["read:invoices"])), "scope_list", "signature", "as one text"),
        case("scopes in another claim", |g| g.with(|c| { remove(c, "scope"); c["scp"] = json!(["read:invoices"]); }), "scope_in_other_claim", "scope", "into `scope`"),
        case("it has ended", |g| g.with(|c| { c["iat"] = (g.now.seconds() - 7200).into(); c["exp"] = (g.now.seconds() - 3600).into(); }), "expired", "expiry", "renew it"),
        late(case("it ended just now, clock difference included", |g| g.with(|c| c["exp"] = (g.now.seconds() - 10).into()), "expired", "expiry", "renew it")),
        case("it has not begun", |g| g.with(|c| c["nbf"] = (g.now.seconds() + 3600).into()), "not_yet_valid", "expiry", "wait until it begins"),
        case("it was issued in the future", |g| g.with(|c| { c["iat"] = (g.now.seconds() + 3600).into(); c["exp"] = (g.now.seconds() + 7200).into(); }), "issued_in_future", "expiry", "set the clocks"),
        case("the end is text", |g| g.with(|c| c["exp"] = (g.now.seconds() + 600).to_string().into()), "time_as_text", "signature", "without quotes"),
        case("the end is in milliseconds", |g| g.with(|c| c["exp"] = ((g.now.seconds() + 600) * 1000).into()), "time_in_milliseconds", "signature", "divide by 1000"),
        case("no end", |g| g.with(|c| remove(c, "exp")), "claim_missing", "signature", "RFC 9068"),
        case("the end is true", |g| g.with(|c| c["exp"] = true.into()), "claim_malformed", "signature", "seconds since 1970"),
        case("the subject is a number", |g| g.with(|c| c["sub"] = 7.into()), "claim_malformed", "signature", "RFC 9068"),
        case("no client", |g| g.with(|c| remove(c, "client_id")), "claim_missing", "signature", "RFC 9068"),
        case("bound in a way that nobody understands", |g| g.with(|c| c["cnf"] = json!({ "jwk": {} })), "binding_unknown", "signature", "`jkt`"),
    ]
}
