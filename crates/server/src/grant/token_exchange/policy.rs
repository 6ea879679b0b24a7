//! Who may exchange what: the policies of the client and of the resource.
//! What neither names is refused.
//!
//! Spec: RFC 8693 §2.1, §4.4, §5
//! Spec: RFC 8707 §2
//! Spec: RFC 9449 §4.3, §5
//! Spec: RFC 8705 §3
//! Spec: OpenID Connect Core 1.0 §8.1

use symbolon_protocol::{
    Client, ErrorCode, ExchangePolicy, OrganizationId, ResourceIdentifier, TokenKind,
};
use symbolon_token::authority::FOREIGN;
use symbolon_token::{Actor, Authority, Subject};

use super::opened::{Holder, Opened, Reach};
use super::request::ExchangeRequest;
use crate::cx::Cx;
use crate::failure::Refusal;
use crate::grant::{acting, subject as names, target};

/// A public client proves nothing about itself: its policy has to name it.
pub(super) fn check_may_exchange(client: &Client, policy: &ExchangePolicy) -> Result<(), Refusal> {
    if client.is_confidential() || policy.public {
        Ok(())
    } else {
        Err(Refusal::unauthorized_client(
            "a public client may not exchange tokens unless its policy says so",
        ))
    }
}

/// Kinds of token that the policy does not name are not looked at.
pub(super) fn check_kinds(
    policy: &ExchangePolicy,
    request: &ExchangeRequest,
) -> Result<(), Refusal> {
    let shown = [Some(&request.subject), request.actor.as_ref()];
    let kinds = shown.into_iter().flatten().map(|shown| shown.kind);
    if kinds
        .into_iter()
        .any(|kind| !policy.accepts.contains(&kind))
    {
        return Err(Refusal::invalid_request(
            "this client may not present tokens of this type",
        ));
    }
    if request.requested == TokenKind::RefreshToken || !policy.issues.contains(&request.requested) {
        return Err(Refusal::invalid_request(
            "this client may not ask for tokens of this type",
        ));
    }
    Ok(())
}

/// A key signs nobody in: neither it nor what came of it says who did.
pub(super) fn check_key(request: &ExchangeRequest, subject: &Opened) -> Result<(), Refusal> {
    let is_access = matches!(request.requested, TokenKind::AccessToken | TokenKind::Jwt);
    match subject.reach {
        Reach::OwnApis if !is_access => Err(Refusal::invalid_request(
            "an API key becomes an access token and nothing else",
        )),
        _ => Ok(()),
    }
}

/// What is bound is good only for whoever shows on this very request to hold
/// the key or the certificate, whoever the token was made for.
///
/// The proof is one for the token endpoint: its address is in it, so none that
/// was made for an API fits, and `ath` says nothing here (RFC 9449 §4.3).
pub(super) fn check_proof(
    cx: &Cx,
    subject: &Opened,
    actor: Option<&Opened>,
) -> Result<(), Refusal> {
    [Some(subject), actor]
        .into_iter()
        .flatten()
        .try_for_each(|own| {
            let demanded = own.authority.binding();
            cx.holder().check_as(ErrorCode::InvalidRequest, demanded)
        })
}

/// What is no access token is bound to no key, so nothing bound becomes one.
pub(super) fn check_bindable(
    request: &ExchangeRequest,
    subject: &Opened,
    whole: &Authority,
) -> Result<(), Refusal> {
    let bound = whole.binding().is_bound() || subject.bound_like.is_bound();
    match request.requested {
        TokenKind::AccessToken | TokenKind::Jwt => Ok(()),
        _ if !bound => Ok(()),
        _ => Err(Refusal::invalid_request(
            "what is bound to a key comes only as an access token",
        )),
    }
}

/// Whether the client may present the subject token at all: one that was made
/// for it, for an API that its policy names, or by an issuer that it names.
pub(super) fn check_subject(
    client: &Client,
    policy: &ExchangePolicy,
    subject: &Opened,
) -> Result<(), Refusal> {
    let allowed = match &subject.holder {
        Holder::Client(holder) if *holder == client.id => true,
        Holder::Client(_) => {
            let mut audiences = subject.authority.audiences().iter();
            audiences.any(|audience| policy.from.contains(audience))
        }
        // `trusted_issuer::verify` asked the policy before it asked for keys.
        Holder::Partner(_) => true,
    };
    if !allowed {
        return Err(Refusal::invalid_request(
            "subject_token was made for another client",
        ));
    }
    let organization = subject.authority.organization();
    if !target::acts_for(client, organization.map(OrganizationId::as_str)) {
        return Err(Refusal::invalid_request(
            "subject_token acts for another organization",
        ));
    }
    Ok(())
}

/// Whoever acts does so for the organization of the subject token alone, and
/// one for whom a partner vouches only at the API where it does: as an actor its
/// word opens no more than as a subject.
pub(super) fn check_actor(
    client: &Client,
    (subject, actor): (&Opened, &Opened),
    audience: &ResourceIdentifier,
) -> Result<(), Refusal> {
    let own = actor.authority.organization();
    let others = subject.authority.organization();
    let is_other = own.zip(others).is_some_and(|(own, other)| own != other);
    if is_other || !target::acts_for(client, own.map(OrganizationId::as_str)) {
        return Err(Refusal::invalid_request(
            "actor_token acts for another organization",
        ));
    }
    // So is whatever came of an API key for one of the key's APIs.
    let is_foreign = matches!(actor.authority.subject(), Subject::Foreign(_));
    let stays = is_foreign || actor.reach == Reach::OwnApis;
    if stays && !actor.authority.audiences().contains(audience) {
        return Err(Refusal::invalid_target(
            "actor_token is good at another resource alone",
        ));
    }
    Ok(())
}

/// A person whom one sector knows by a name of its own is not named to another:
/// who holds the token and its successor would have both names side by side,
/// and could tell whoever else knows the second. A token with everybody's name
/// hides nothing, so it may go on to a client with names of its own.
pub(super) fn check_sector(client: &Client, subject: &Opened) -> Result<(), Refusal> {
    let is_person = subject.authority.person().is_some();
    match &subject.sector {
        Some(own) if is_person && names::sector(client).as_ref() != Some(own) => {
            Err(Refusal::invalid_request(
                "subject_token names its person to one sector alone, and this client is not in it",
            ))
        }
        _ => Ok(()),
    }
}

/// Whether the actor is who the client says, and whom the subject token lets
/// act, however often it was exchanged since: an actor token is the client's own, so that nobody acts in a name that
/// they only overheard.
pub(super) fn check_acting(
    cx: &Cx,
    client: &Client,
    subject: &Opened,
    actor: Option<&Opened>,
) -> Result<(), Refusal> {
    if let Some(actor) = actor
        && let Holder::Client(holder) = &actor.holder
        && *holder != client.id
    {
        return Err(Refusal::invalid_request(
            "actor_token was made for another client",
        ));
    }
    let itself = acting::client(client);
    let shown = actor.map_or(&itself, |actor| &actor.name);
    if acting::may_act(cx, &subject.authority, shown) {
        Ok(())
    } else {
        Err(Refusal::invalid_request(
            "subject_token lets somebody else act",
        ))
    }
}

/// Another client's token without an actor means to be its subject: only where
/// the policy says so, and it is logged beside what the token has on record.
pub(super) fn check_impersonation(
    cx: &Cx,
    client: &Client,
    policy: &ExchangePolicy,
    (subject, actor): (&Opened, Option<&Opened>),
) -> Result<(), Refusal> {
    let Holder::Client(holder) = &subject.holder else {
        return Ok(());
    };
    if actor.is_some() || *holder == client.id {
        return Ok(());
    }
    if !policy.impersonate {
        return Err(Refusal::invalid_request(
            "actor_token is missing: this client may not act as another",
        ));
    }
    tracing::info!(request = %cx.request, client = %client.id, of = %holder, "impersonates");
    Ok(())
}

/// The one API of the result. Staying where the token is needs no word; moving
/// it needs the word of both sides.
pub(super) fn target(
    cx: &Cx,
    client: &Client,
    policy: &ExchangePolicy,
    (request, subject): (&ExchangeRequest, &Opened),
) -> Result<ResourceIdentifier, Refusal> {
    let own = subject.authority.audiences();
    let named = target::named(cx, client, &request.targets)?;
    let audience = match (&named[..], own) {
        ([one], _) => one.clone(),
        ([], [only]) => {
            let names = [only.as_str()];
            let found = target::named(cx, client, &names)?;
            found.into_iter().next().unwrap_or_else(|| only.clone())
        }
        ([], []) => {
            return Err(Refusal::invalid_target(
                "name the API that the token is for",
            ));
        }
        _ => {
            let scopes = request
                .scopes
                .as_ref()
                .unwrap_or(subject.authority.scopes());
            let granted = target::Granted {
                scopes,
                whole: Some(&subject.authority),
            };
            target::choose(cx, client, &named, &granted)?
        }
    };
    check_organization(cx, subject, &audience)?;
    if own.contains(&audience) {
        return Ok(audience);
    }
    if subject.reach == Reach::OwnApis {
        return Err(Refusal::invalid_target("the key is for other APIs"));
    }
    // However often it was exchanged since: a partner vouches for one API, as
    // much of who acts as of for whom.
    let is_foreign = |own: &Actor| own.issuer.is_some() || own.subject.starts_with(FOREIGN);
    let acts = subject.authority.actors().iter().any(is_foreign);
    if acts || matches!(subject.authority.subject(), Subject::Foreign(_)) {
        return Err(Refusal::invalid_target(
            "the issuer vouches for another resource",
        ));
    }
    let resource = target::resource(cx, &audience);
    let named = own
        .iter()
        .filter_map(|own| target::resource(cx, own))
        .flat_map(|own| own.aliases.clone());
    let named: Vec<_> = own.iter().cloned().chain(named).collect();
    let takes = resource.is_some_and(|resource| resource.may_take_from(&client.id, &named));
    if takes && policy.to.contains(&audience) {
        Ok(audience)
    } else {
        Err(Refusal::invalid_target(
            "neither side lets this client move the token to that API",
        ))
    }
}

fn check_organization(
    cx: &Cx,
    subject: &Opened,
    audience: &ResourceIdentifier,
) -> Result<(), Refusal> {
    let resource = target::resource(cx, audience);
    let theirs = subject.authority.organization();
    if resource.is_some_and(|own| !target::is_of_organization(&own, theirs)) {
        return Err(Refusal::invalid_target(
            "the API belongs to another organization than the token acts for",
        ));
    }
    Ok(())
}
