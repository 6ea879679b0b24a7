//! The schemas of what may be exchanged, and of whom is trusted.

use serde_json::{Value, json};
use symbolon_protocol::TokenKind;

use super::schemas::{boolean, object, patch, text, texts, time, words};

/// What a client may exchange.
pub(super) fn policy() -> Value {
    let kinds = || json!({ "type": "array", "items": words(TokenKind::ALL) });
    object(
        &[],
        &[
            ("from", texts()),
            ("to", texts()),
            ("accepts", kinds()),
            ("issues", kinds()),
            ("issuers", texts()),
            ("impersonate", boolean()),
            ("public", boolean()),
        ],
    )
}

/// A trusted issuer as it is created, changed and shown.
pub(super) fn add_trusted_issuers(add: &mut impl FnMut(&str, Value)) {
    let fields = [
        ("issuer", text()),
        ("jwks_uri", text()),
        ("saml_certificate", text()),
        ("resource", text()),
        ("organization", text()),
        ("scopes", texts()),
        ("algorithms", texts()),
        ("audiences", texts()),
    ];
    let needed = ["issuer", "resource"];
    let mut shown = fields.to_vec();
    shown.extend([
        ("trusted", boolean()),
        ("created", time()),
        ("updated", time()),
    ]);
    add("TrustedIssuer", object(&needed, &shown));
    add("NewTrustedIssuer", object(&needed, &fields));
    add("TrustedIssuerPatch", patch(&fields[1..]));
}

#[cfg(test)]
mod tests {
    use symbolon_protocol::ExchangePolicy;

    use super::*;

    #[test]
    fn every_member_of_a_policy_is_described() {
        let policy = policy();
        let own = serde_json::to_value(ExchangePolicy::default()).unwrap();
        for name in own.as_object().unwrap().keys() {
            assert!(policy["properties"].get(name).is_some(), "{name}");
        }
    }
}
