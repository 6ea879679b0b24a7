//! One token for another, never a wider one.
//!
//! 1. The request is read; kinds that the client's policy does not name are
//!    refused before a token is looked at.
//! 2. Subject and actor token are opened, each by the file of its kind. What
//!    they are bound to has to be shown to be held.
//! 3. The policies of the client and of the resource are asked: may it present
//!    these tokens, act so, and have the result there?
//! 4. The authority is derived: narrower, bound at least as much, and with what
//!    it came from on record.
//! 5. The result is written in the kind that was asked for. Nothing is stored.
//!
//! Spec: RFC 8693 §2
//! Spec: RFC 8707 §2

mod access_token;
mod api_key;
mod derive;
mod id_token;
mod opened;
mod partner;
mod policy;
mod refresh_token;
mod request;
mod result;
#[cfg(feature = "saml")]
mod saml2;
mod scope;

use crate::authn::client::AuthenticatedClient;
use crate::cx::Cx;
use crate::failure::Failure;

use self::opened::{Asking, Role};
use super::issue::Issued;

pub(crate) use self::request::ExchangeRequest;

/// Exchanges a subject token for a token that permits no more.
pub(crate) async fn exchange(
    cx: &Cx,
    client: &AuthenticatedClient,
    request: ExchangeRequest,
) -> Result<Issued, Failure> {
    let client = client.client();
    let policy = client.exchange_policy();
    policy::check_may_exchange(client, &policy)?;
    policy::check_kinds(&policy, &request)?;

    let asking = Asking { cx, client };
    let subject = opened::open(asking, &request.subject, Role::Subject).await?;
    let actor = match &request.actor {
        Some(shown) => Some(opened::open(asking, shown, Role::Actor).await?),
        None => None,
    };
    policy::check_key(&request, &subject)?;
    policy::check_proof(cx, &subject, actor.as_ref())?;
    policy::check_subject(client, &policy, &subject)?;
    policy::check_sector(client, &subject)?;
    policy::check_acting(cx, client, &subject, actor.as_ref())?;
    policy::check_impersonation(cx, client, &policy, (&subject, actor.as_ref()))?;

    // What is known of a partner may be older than the feed, and then so is
    // what is minted from it.
    let known = actor
        .as_ref()
        .map_or(subject.known, |own| own.known.min(subject.known));
    let cx = &cx.as_of(known);
    let audience = policy::target(cx, client, &policy, (&request, &subject))?;
    if let Some(actor) = &actor {
        policy::check_actor(client, (&subject, actor), &audience)?;
    }
    let both = (&subject, actor.as_ref());
    let scopes = scope::choose(cx, client, &request, (both, &audience))?;
    let whole = derive::narrower(&client.id, (&subject, actor), &audience, cx.position)?;
    policy::check_bindable(&request, &subject, &whole)?;
    let narrowed = result::Narrowed {
        whole,
        audience,
        scopes,
        is_own: subject.is_own_of(&client.id),
        bound_like: subject.bound_like,
    };
    result::issue(cx, client, request.requested, narrowed).await
}
