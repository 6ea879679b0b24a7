//! A JWT of a trusted issuer as a grant: good once, for one resource and one
//! organization.
//!
//! 1. The JWT is checked with the issuer's keys and rules.
//! 2. Where it says who alone may act, the client has to be that one.
//! 3. Target and scopes are chosen within what the issuer is registered for.
//! 4. The access token is minted, where the caller holds what the JWT is bound
//!    to, and bound to the same.
//! 5. The `jti` is spent: the only write, and the last thing that can refuse.
//!
//! Spec: RFC 6749 §3.3
//! Spec: RFC 7521 §4.1
//! Spec: RFC 7523 §2.1, §3.1
//! Spec: RFC 7800 §3
//! Spec: RFC 8693 §4.4
//! Spec: RFC 10070

use symbolon_protocol::{Client, Parameters, Scopes};

use super::issue::{Issued, Wish};
use super::trusted_issuer::{self, Sent, Vouched};
use super::{acting, may_issue, single_use, target};
use crate::authn::client::AuthenticatedClient;
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};

/// Issues an access token for whom a trusted issuer vouches.
pub(crate) async fn issue(
    cx: &Cx,
    client: &AuthenticatedClient,
    form: &Parameters,
) -> Result<Issued, Failure> {
    let client = client.client();
    let assertion = presented(client, form)?;
    cx.check_fresh()?;
    let vouched = trusted_issuer::verify(cx, client, assertion, Sent::AsGrant).await;
    of_vouched(cx, client, form, vouched).await
}

/// The assertion, of a client that may present any.
pub(super) fn presented<'a>(client: &Client, form: &'a Parameters) -> Result<&'a str, Refusal> {
    if !client.is_confidential() {
        return Err(Refusal::unauthorized_client(
            "this grant is for clients that prove themselves",
        ));
    }
    let assertion = form
        .one("assertion")
        .ok_or(Refusal::invalid_request("assertion is missing"))?;
    // A client that has to ask people does not get around them.
    if client.asks_people() {
        return Err(Refusal::invalid_grant(
            "people are asked before this client gets tokens",
        ));
    }
    Ok(assertion)
}

/// Issues what an issuer vouches for, whichever way it was written down.
pub(super) async fn of_vouched(
    cx: &Cx,
    client: &Client,
    form: &Parameters,
    vouched: Result<Vouched, &'static str>,
) -> Result<Issued, Failure> {
    let vouched = vouched.map_err(|cause| {
        tracing::debug!(request = %cx.request, cause, "assertion");
        cx.recent.unvouched(cx, cause);
        Refusal::invalid_grant("the assertion is not good")
    })?;
    let cx = &cx.as_of(vouched.authority.position());
    if !acting::may_act(cx, &vouched.authority, &acting::client(client)) {
        return Err(Refusal::invalid_grant("the assertion lets somebody else act").into());
    }
    check_target(cx, client, form, &vouched)?;
    let wish = Wish {
        client,
        whole: &vouched.authority,
        audience: vouched.issuer.resource.clone(),
        scopes: scopes(client, form, &vouched)?,
    };
    let issued = may_issue(cx, wish)?.mint(cx, client).await?.into_issued();
    if cx.store.act(single_use::spend(&vouched)).await? {
        Ok(issued)
    } else {
        Err(Refusal::invalid_grant("the assertion was already used").into())
    }
}

/// The one resource of the issuer, whether the request names it or not.
fn check_target(
    cx: &Cx,
    client: &Client,
    form: &Parameters,
    vouched: &Vouched,
) -> Result<(), Refusal> {
    let resource = &vouched.issuer.resource;
    let named = target::requested(cx, client, form)?;
    if named.iter().any(|one| one != resource) || !client.resources.contains(resource) {
        return Err(Refusal::invalid_target(
            "the issuer vouches for another resource",
        ));
    }
    Ok(())
}

/// The scopes asked for, all of which the issuer's registration gives.
fn scopes(
    client: &Client,
    form: &Parameters,
    vouched: &Vouched,
) -> Result<Option<Scopes>, Refusal> {
    if vouched.gives_nothing() {
        return Err(Refusal::invalid_scope(
            "the assertion names none of the scopes that its issuer may give",
        ));
    }
    let Some(text) = form.one("scope") else {
        return Ok(None);
    };
    let asked: Scopes = text
        .parse()
        .map_err(|_| Refusal::invalid_scope("scope is malformed or too long"))?;
    if asked.is_within(vouched.authority.scopes()) && asked.is_within(&client.scopes) {
        Ok(Some(asked))
    } else {
        Err(Refusal::invalid_scope(
            "that is more than the issuer vouches for",
        ))
    }
}
