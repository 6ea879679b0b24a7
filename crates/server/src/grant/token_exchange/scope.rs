//! The scopes of the result: none that the subject token lacks.
//!
//! Spec: RFC 8693 §2.1
//! Spec: RFC 6749 §3.3

use symbolon_protocol::{Client, ResourceIdentifier, Scopes, TokenKind};

use super::opened::Opened;
use super::request::ExchangeRequest;
use crate::cx::Cx;
use crate::failure::Refusal;
use crate::grant::target;

/// The scopes that were asked for, if all of them may be given. Without any,
/// those of the subject token that mean something at the API, save for
/// sensitive ones and the issuer's own, which have to be asked for by name.
pub(super) fn choose(
    cx: &Cx,
    client: &Client,
    request: &ExchangeRequest,
    (subject, audience): (&Opened, &ResourceIdentifier),
) -> Result<Scopes, Refusal> {
    let resource = target::resource(cx, audience);
    let own = &subject.authority;
    let whole = match own.audiences().contains(audience) {
        true => own.scopes_at(audience),
        false => own.scopes().clone(),
    };
    let at_most = target::scopes_at(resource.as_deref(), &whole.intersection(&client.scopes));
    let openid = || "openid".parse().ok();
    let asked = match request.requested {
        // Nothing else can be meant.
        TokenKind::IdToken => request.scopes.clone().or_else(openid),
        _ => request.scopes.clone(),
    };
    let Some(asked) = asked else {
        let quiet = at_most.filtered(|scope| {
            let sensitive = resource
                .as_ref()
                .is_some_and(|own| own.sensitive_scopes.contains(scope));
            !sensitive && !target::is_of_the_issuer(scope)
        });
        if quiet.is_empty() && !whole.is_empty() {
            return Err(Refusal::invalid_scope(
                "none of the scopes of the subject token means anything at that API",
            ));
        }
        return Ok(quiet);
    };
    if asked.contains("offline_access") {
        return Err(Refusal::invalid_scope(
            "no refresh token comes of an exchange",
        ));
    }
    if !asked.is_within(&at_most) {
        return Err(Refusal::invalid_scope(
            "a scope is not in the subject token, or this client or that API may not have it",
        ));
    }
    Ok(asked)
}
