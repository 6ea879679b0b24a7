//! Mappings of claims that administrators send: what only this installation can
//! say against them.

use symbolon_protocol::ClaimMappings;

use crate::cx::Cx;

use super::failed::Refused;

/// Refuses to tell what the configuration marks as sensitive.
pub(super) fn check(cx: &Cx, claims: &ClaimMappings) -> Result<(), Refused> {
    match claims.first_sensitive(&cx.settings.sensitive_claims) {
        Some(name) => Err(Refused::member(
            "claims",
            format!("tells `{name}`, which is among `sensitive_claims` of the configuration"),
        )),
        None => Ok(()),
    }
}
