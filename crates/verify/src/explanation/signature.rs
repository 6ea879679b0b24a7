//! Why a signature is not good, by what was done to the token.
//!
//! Spec: RFC 7515 §4.1, §5.2
//! Spec: RFC 8725 §2.1, §3.1

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use symbolon_protocol::Timestamp;
use symbolon_token::explain::Refused;
use symbolon_token::jose::{Algorithm, Invalid};

use super::finding::{Finding, Seen};
use super::key::Edit;

const AS_ISSUED: &str =
    "send the token exactly as it was issued: a changed scope or end makes it worthless";

/// The edit that was made to a token, where its signature confirms one.
pub(super) fn edited(seen: &Seen<'_>) -> Option<Finding> {
    let edit = seen.found?.edit.as_ref()?;
    Some(of_edit(seen, edit))
}

/// What a signature fails by, where no edit could be confirmed.
pub(super) fn finding(seen: &Seen<'_>, invalid: Invalid) -> Finding {
    match invalid {
        Invalid::Signature | Invalid::UnknownKey if !is_base64url(seen.text) => of_form(seen.text),
        Invalid::Form => of_form(seen.text),
        Invalid::Header => of_json(seen.text, 0),
        Invalid::Payload => of_json(seen.text, 1),
        Invalid::Algorithm => of_algorithm(seen),
        Invalid::Critical => Finding::new(
            "critical_extension",
            "signature: the header demands an extension (`crit`, `b64`) that is not understood"
                .into(),
            "have the issuer sign plain JWTs",
        ),
        Invalid::UnknownKey => of_unknown_key(seen),
        Invalid::Signature => of_mismatch(seen),
        other => plain(other.code(), other),
    }
}

fn plain(root: &'static str, invalid: Invalid) -> Finding {
    let refused = Refused::Signature(invalid);
    Finding::new(root, refused.cause(), refused.repair())
}

fn of_edit(seen: &Seen<'_>, edit: &Edit) -> Finding {
    let key = seen.found.map_or("", |found| &found.kid);
    match edit {
        Edit::Header => Finding::new(
            "header_changed",
            format!("signature: the header was changed after it was signed; with the header of the issuer, key `{key}` verifies it"),
            AS_ISSUED,
        ),
        Edit::KeyName => Finding::new(
            "key_name_changed",
            format!("signature: the header names another key than the one that signed; key `{key}` verifies it"),
            "send the token exactly as it was issued: `kid` is part of what is signed",
        ),
        Edit::Scope(was) => Finding::new(
            "scope_changed",
            format!(
                "signature: `scope` was changed after it was signed: it was `{was}`, now it is `{}`",
                said(seen, "scope")
            ),
            "ask the issuer for the scope that is needed; whoever writes it into the token makes it worthless",
        ),
        Edit::Expiry(was) => Finding::new(
            "expiry_changed",
            format!(
                "signature: `exp` was changed after it was signed: it was {}, now it is {}",
                Timestamp::from_seconds(*was),
                Timestamp::from_seconds(seen.claims.get("exp").and_then(Value::as_i64).unwrap_or(0))
            ),
            "renew it with the refresh token, or ask for a new one; whoever writes a later end into it makes it worthless",
        ),
        Edit::Both(scope, end) => Finding::new(
            "scope_and_expiry_changed",
            format!(
                "signature: `scope` and `exp` were changed after it was signed: they were `{scope}` and {}, now they are `{}` and {}",
                Timestamp::from_seconds(*end),
                said(seen, "scope"),
                Timestamp::from_seconds(seen.claims.get("exp").and_then(Value::as_i64).unwrap_or(0))
            ),
            "ask the issuer for the scope that is needed, or for a new one; whoever writes either into the token makes it worthless",
        ),
        Edit::Name(name, was) => Finding::new(
            match *name {
                "aud" => "audience_changed",
                "sub" => "subject_changed",
                _ => "client_changed",
            },
            format!(
                "signature: `{name}` was changed after it was signed: it was `{}`, now it is `{}`",
                super::printable(was),
                said(seen, name)
            ),
            "ask the issuer for a token for that API, subject and client; whoever writes a name into the token makes it worthless",
        ),
        Edit::Rewritten => Finding::new(
            "payload_rewritten",
            "signature: the claims are what was signed, written in another way (blanks between them)".into(),
            "send the token as it was issued: do not decode and write it again",
        ),
    }
}

fn said(seen: &Seen<'_>, name: &str) -> String {
    let text = seen.claims.get(name).and_then(Value::as_str);
    super::printable(text.unwrap_or_default())
}

fn of_form(text: &str) -> Finding {
    match text.split('.').count() {
        3 => Finding::new(
            "not_base64url",
            "signature: a part of it is empty or holds characters that base64url has not".into(),
            AS_ISSUED,
        ),
        parts if text.starts_with("eyJ") => Finding::new(
            "parts",
            format!("signature: a JWT has three parts with dots between, this has {parts}"),
            AS_ISSUED,
        ),
        _ => Finding::new(
            "not_a_token",
            "signature: this is no token at all".into(),
            "ask the issuer for an access token for this API",
        ),
    }
}

fn is_base64url(text: &str) -> bool {
    let letter = |own: u8| own.is_ascii_alphanumeric() || matches!(own, b'-' | b'_' | b'.');
    text.bytes().all(letter)
}

/// JSON that other readers take: a member that is there twice is read as the
/// first by one and as the last by another.
fn of_json(text: &str, at: usize) -> Finding {
    let part = text.split('.').nth(at).unwrap_or_default();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
    let name = if at == 0 { "header" } else { "payload" };
    let lenient: Result<Value, _> = serde_json::from_slice(&bytes);
    if lenient.is_ok_and(|own| own.is_object()) {
        return Finding::new(
            "duplicate_member",
            format!("signature: the {name} has a member twice, or is nested too deep"),
            "have the issuer write each member once (RFC 7515 §4)",
        );
    }
    let root = if at == 0 {
        "header_malformed"
    } else {
        "payload_malformed"
    };
    Finding::new(
        root,
        format!("signature: the {name} is not a JSON object"),
        AS_ISSUED,
    )
}

fn of_algorithm(seen: &Seen<'_>) -> Finding {
    let named = seen.token.map_or("", |token| token.claimed_algorithm());
    let shown = super::printable(named);
    if named.eq_ignore_ascii_case("none") {
        return Finding::new(
            "unsigned",
            format!(
                "signature: the header says `{shown}`: nobody signed this, anybody can write it"
            ),
            "ask the issuer for a token; one without a signature is never taken",
        );
    }
    if named.to_ascii_uppercase().starts_with("HS") {
        return Finding::new(
            "mac_algorithm",
            format!(
                "signature: `{shown}` is a MAC by a shared secret; a public key is none, and whoever knows it could have written this"
            ),
            "ask the issuer for a token; APIs take signatures alone",
        );
    }
    match (Algorithm::named(named), seen.found) {
        (Some(_), Some(found)) => Finding::new(
            "algorithm_not_allowed",
            format!(
                "signature: key `{}` verifies it, but `{shown}` is not allowed at this API",
                found.kid
            ),
            "allow the algorithm at the API, or choose another `signing_alg` for the resource",
        ),
        (Some(_), None) => Finding::new(
            "algorithm_of_other_key",
            format!(
                "signature: no key of the issuer signs under `{shown}`, or it is not allowed here"
            ),
            "ask the issuer for a token; the key decides the algorithm, not the header",
        ),
        (None, _) => Finding::new(
            "algorithm_unknown",
            format!("signature: `{shown}` is no algorithm that is taken here"),
            "have the issuer sign under ES256, EdDSA, RS256 or PS256",
        ),
    }
}

fn of_unknown_key(seen: &Seen<'_>) -> Finding {
    let kid = seen.token.and_then(|token| token.claimed_kid());
    let shown = super::printable(kid.unwrap_or_default());
    let claimed = seen.claims.get("iss").and_then(Value::as_str);
    if let Some(found) = seen.found {
        return Finding::new(
            "key_name_wrong",
            format!(
                "signature: the header names key `{shown}`, which nobody has; key `{}` verifies it",
                found.kid
            ),
            "have the issuer name the key that it signs with",
        );
    }
    if let Some(claimed) = claimed.filter(|own| *own != seen.issuer) {
        let issuer = Refused::Issuer {
            expected: seen.issuer.to_owned(),
            found: claimed.to_owned(),
        };
        return Finding::new(
            "foreign_issuer",
            format!(
                "signature: no key of that name is known here: the token claims issuer `{}`, this verifier trusts `{}`",
                super::printable(claimed),
                seen.issuer
            ),
            super::printable(&issuer.repair()),
        );
    }
    if kid.is_some_and(|kid| kid.contains(['/', '\\', '\'', '"', ';', '\0', '|', '$', ' '])) {
        return Finding::new(
            "key_name_is_path",
            format!(
                "signature: the header names key `{shown}`, which is a path, an address or a command and no name that an issuer gives"
            ),
            "refuse whoever sends it: keys are found by name in the issuer's set, and nowhere else",
        );
    }
    Finding::new(
        "unknown_key",
        format!(
            "signature: the issuer publishes no key `{shown}`, and none of its keys verifies it"
        ),
        "ask for a new token; if new ones fail too, check that issuer and key set address belong together",
    )
}

fn of_mismatch(seen: &Seen<'_>) -> Finding {
    match (seen.found, seen.token.and_then(|token| token.claimed_kid())) {
        (Some(found), Some(kid)) => Finding::new(
            "key_name_wrong",
            format!(
                "signature: the header names key `{}`, but key `{}` signed it",
                super::printable(kid),
                found.kid
            ),
            "have the issuer name the key that it signs with",
        ),
        (_, None) => Finding::new(
            "signature_mismatch",
            "signature: it does not match; the header names no key, and none of the issuer's verifies it".into(),
            AS_ISSUED,
        ),
        _ => Finding::new(
            "signature_mismatch",
            "signature: it does not match: header, payload or signature was changed after it was signed, or another key of that name signed it".into(),
            tried_by_everyone(seen),
        ),
    }
}

/// The two edits that everyone tries, where no guess confirms one: what was
/// written over another scope cannot be undone from here.
fn tried_by_everyone(seen: &Seen<'_>) -> String {
    let end = seen.claims.get("exp").and_then(Value::as_i64);
    let end = end.map(Timestamp::from_seconds);
    let mut told = Vec::new();
    if seen.claims.contains_key("scope") {
        told.push(format!("`scope` (now `{}`)", said(seen, "scope")));
    }
    told.extend(end.map(|end| format!("`exp` (now {end})")));
    if told.is_empty() {
        return AS_ISSUED.to_owned();
    }
    format!(
        "{AS_ISSUED}; compare first {} with what the issuer gave, and ask it for what is needed",
        told.join(" and ")
    )
}
