//! Names that a claim of one's own may have.
//!
//! A name is free if no specification has given it a meaning, and if nothing
//! that reads names without regard to case could take it for one that has.
//!
//! Spec: RFC 7519 §4.1, §4.2, §10.1
//! Spec: RFC 7662 §2.2
//! Spec: RFC 9068 §2.2
//! Spec: RFC 8693 §4

use crate::claims::scope_of_claim;

/// How long a name may be, in bytes.
pub const MAX_CLAIM_NAME_BYTES: usize = 128;

/// Names with a meaning in this server's tokens and answers.
const OF_THIS_SERVER: [&str; 10] = [
    "rev",
    "rev#",
    "userinfo",
    "active",
    "token_type",
    "username",
    "uses_left",
    "error",
    "error_description",
    "token",
];

/// The registry of JWT claims but for what is told of a person (OpenID Connect
/// Core §5.1, and `groups` and `entitlements` of RFC 9068 §2.2.3.1).
const REGISTERED: [&str; 104] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "azp",
    "nonce",
    "auth_time",
    "at_hash",
    "c_hash",
    "s_hash",
    "acr",
    "amr",
    "sub_jwk",
    "cnf",
    "sip_from_tag",
    "sip_date",
    "sip_callid",
    "sip_cseq_num",
    "sip_via_branch",
    "orig",
    "dest",
    "mky",
    "events",
    "toe",
    "txn",
    "rph",
    "sid",
    "vot",
    "vtm",
    "attest",
    "origid",
    "act",
    "scope",
    "client_id",
    "may_act",
    "jcard",
    "at_use_nbr",
    "div",
    "opt",
    "vc",
    "vp",
    "sph",
    "ace_profile",
    "cnonce",
    "exi",
    "token_introspection",
    "ueid",
    "sueids",
    "oemid",
    "hwmodel",
    "hwversion",
    "oemboot",
    "dbgstat",
    "location",
    "eat_profile",
    "submods",
    "uptime",
    "bootcount",
    "bootseed",
    "dloas",
    "swname",
    "swversion",
    "manifests",
    "measurements",
    "measres",
    "intuse",
    "eat_nonce",
    "cdniv",
    "cdnicrit",
    "cdniip",
    "cdniuc",
    "cdniets",
    "cdnistt",
    "cdnistd",
    "sig_val_claims",
    "authorization_details",
    "verified_claims",
    "htm",
    "htu",
    "ath",
    "atc",
    "sub_id",
    "rcd",
    "rcdi",
    "crn",
    "msgi",
    "rdap_allowed_purposes",
    "rdap_dnt_allowed",
    "status",
    "vct",
    "vct#integrity",
    "sd_hash",
    "consumerplmnid",
    "consumersnpnid",
    "producerplmnid",
    "producersnpnid",
    "producernsilist",
    "trust_anchors",
    "metadata",
    "jwks",
    "kid",
];

/// Why a text cannot be the name of a claim of one's own; nothing where it can.
pub fn problem_of_name(name: &str) -> Option<&'static str> {
    let is_bearable = (1..=MAX_CLAIM_NAME_BYTES).contains(&name.len());
    // Letters outside of ASCII would be folded by some readers and not by others.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/#~".contains(&byte);
    if !is_bearable || !name.bytes().all(is_plain) {
        return Some("has 1 to 128 letters, digits or `_ - . : / # ~`");
    }
    // `_claim_names`, `_claim_sources`, `_sd`, `_sd_alg` and what may follow.
    let is_taken = |taken: &&str| taken.eq_ignore_ascii_case(name);
    if name.starts_with('_') || REGISTERED.iter().chain(&OF_THIS_SERVER).any(is_taken) {
        return Some("has a meaning of its own in tokens, which no mapping may set");
    }
    if crate::credential::is_named_like_one(name) {
        return Some("is named like a credential, and tokens are read by others");
    }
    None
}

/// The one claim about the person, or of the token itself, that a name means.
/// A mapping under such a name takes that claim, or none.
pub fn meaning_of(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    ["organization", "roles"]
        .into_iter()
        .find(|own| *own == lower)
        .or_else(|| standard(&lower))
}

/// The name of a standard claim about a person.
pub fn standard(name: &str) -> Option<&'static str> {
    let scope = scope_of_claim(name)?;
    let own = crate::claims::claims_of_scope(scope).iter();
    own.copied().find(|own| *own == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: C105
    #[test]
    fn what_a_token_says_itself_is_nobodys_to_name() {
        for taken in [
            "iss",
            "sub",
            "aud",
            "exp",
            "nbf",
            "iat",
            "jti",
            "act",
            "may_act",
            "cnf",
            "scope",
            "client_id",
            "sid",
            "azp",
            "acr",
            "amr",
            "auth_time",
            "nonce",
            "at_hash",
            "events",
            "rev",
            "userinfo",
            "active",
            "_claim_names",
            "_sd",
            "authorization_details",
        ] {
            let capitals = taken.to_ascii_uppercase();
            let mut first = taken.to_owned();
            first[..1].make_ascii_uppercase();
            for spelled in [taken, &capitals, &first] {
                assert!(problem_of_name(spelled).is_some(), "{spelled}");
            }
        }
        for strange in [
            "",
            "a b",
            "\u{17f}ub",
            "i\0ss",
            "ìss",
            "a\"b",
            &"a".repeat(129),
        ] {
            assert!(problem_of_name(strange).is_some(), "{strange}");
        }
    }

    #[test]
    fn a_name_without_a_meaning_is_free() {
        for free in [
            "department",
            "email",
            "groups",
            "entitlements",
            "https://example.com/department",
            "costCenter",
            "organization",
            "roles",
        ] {
            assert_eq!(problem_of_name(free), None, "{free}");
        }
        assert_eq!(meaning_of("Email"), Some("email"));
        assert_eq!(meaning_of("roles"), Some("roles"));
        assert_eq!(meaning_of("department"), None);
    }
}
