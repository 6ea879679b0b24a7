//! The scopes of the result: none that the subject token lacks, and none that
//! the actor token lacks.
//!
//! Spec: RFC 8693 §2.1
//! Spec: RFC 6749 §3.3, §5.2

use symbolon_protocol::{Client, Resource, ResourceIdentifier, Scopes, TokenKind};

use super::opened::Opened;
use super::request::ExchangeRequest;
use crate::cx::Cx;
use crate::failure::Refusal;
use crate::grant::target;

/// The scopes that were asked for, if all of them may be given. Without any,
/// those that may and mean something at the API, save for sensitive ones and
/// the issuer's own, which have to be asked for by name.
pub(super) fn choose(
    cx: &Cx,
    client: &Client,
    request: &ExchangeRequest,
    (both, audience): ((&Opened, Option<&Opened>), &ResourceIdentifier),
) -> Result<Scopes, Refusal> {
    let resource = target::resource(cx, audience);
    let whole = shared(both, audience);
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
        if quiet.is_empty() && !may_be_without(request.requested, &whole, resource.as_deref()) {
            return Err(Refusal::invalid_scope(
                "none of the scopes of the tokens that were shown means anything at that API",
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
            "a scope is not in the tokens that were shown, or this client or that API may not have it",
        ));
    }
    Ok(asked)
}

/// What subject and actor token both have for an API : whoever acts has the
/// rights of the person that are their own too.
pub(super) fn shared(
    (subject, actor): (&Opened, Option<&Opened>),
    audience: &ResourceIdentifier,
) -> Scopes {
    let whole = subject.scopes_at(audience);
    match actor {
        Some(actor) if actor.says_scopes => whole.intersection(&actor.scopes_at(audience)),
        _ => whole,
    }
}

/// Whether a result without any scope is one. An access token is not, unless
/// its API has no scopes; an assertion of somebody who has none says who that
/// is.
fn may_be_without(requested: TokenKind, whole: &Scopes, resource: Option<&Resource>) -> bool {
    let none_there = resource.is_some_and(|own| own.scopes.is_empty());
    whole.is_empty() && (none_there || requested == TokenKind::Saml2)
}
