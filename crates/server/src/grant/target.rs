//! Where a token is for: which resource a request means, and which scopes
//! belong there.
//!
//! Spec: RFC 8707 §2
//! Spec: RFC 6749 §3.3

use std::sync::Arc;

use symbolon_protocol::{Client, OrganizationId, Parameters, Resource, ResourceIdentifier, Scopes};
use symbolon_token::{Authority, Position};

use super::issue::was_deleted_since;
use crate::cx::Cx;
use crate::failure::Refusal;

/// Scopes that no resource owns: they are about the person or the session.
const OF_THE_ISSUER: [&str; 6] = [
    "openid",
    "profile",
    "email",
    "address",
    "phone",
    "offline_access",
];

/// How many resources one request may name.
const MAX_RESOURCES: usize = 16;

/// Whether a scope belongs to the issuer itself.
pub(crate) fn is_of_the_issuer(scope: &str) -> bool {
    OF_THE_ISSUER.contains(&scope)
}

/// The resources that a request names, each of which the client may ask for.
pub(crate) fn requested(
    cx: &Cx,
    client: &Client,
    parameters: &Parameters,
) -> Result<Vec<ResourceIdentifier>, Refusal> {
    let names: Vec<&str> = parameters.all("resource").collect();
    named(cx, client, &names)
}

/// The resources behind names. A client that was found names its own by their
/// identifiers, whichever name was registered.
pub(crate) fn named<S: AsRef<str>>(
    cx: &Cx,
    client: &Client,
    names: &[S],
) -> Result<Vec<ResourceIdentifier>, Refusal> {
    if names.len() > MAX_RESOURCES {
        return Err(Refusal::invalid_target("too many resources"));
    }
    let mut found: Vec<ResourceIdentifier> = Vec::new();
    for name in names {
        let identifier = one(cx, client, name.as_ref())?;
        if !found.contains(&identifier) {
            found.push(identifier);
        }
    }
    Ok(found)
}

/// One resource by any of its names. What the client may not ask for is
/// answered like what does not exist.
fn one(cx: &Cx, client: &Client, named: &str) -> Result<ResourceIdentifier, Refusal> {
    let unknown = Refusal::invalid_target("resource is unknown, or this client may not ask for it");
    if named == cx.settings.issuer.as_str() {
        return Ok(ResourceIdentifier::from(&cx.settings.issuer));
    }
    let resource = cx.directory.find_resource(named).ok_or(unknown.clone())?;
    let allowed =
        client.resources.contains(&resource.identifier) && shares_organization(client, &resource);
    if allowed {
        Ok(resource.identifier.clone())
    } else {
        Err(unknown)
    }
}

/// A resource of an organization is for clients of that organization, and for
/// clients that belong to none.
pub(crate) fn shares_organization(client: &Client, resource: &Resource) -> bool {
    match (&client.organization, &resource.organization) {
        (Some(own), Some(other)) => own == other,
        _ => true,
    }
}

/// Whether a client may act for the organization of what it was given, or for
/// none: one that belongs to an organization now acts for no other, whatever it
/// did before.
pub(crate) fn acts_for(client: &Client, organization: Option<&str>) -> bool {
    match (&client.organization, organization) {
        (Some(own), Some(other)) => own.as_str() == other,
        _ => true,
    }
}

/// Where something that was given to a client is good, and for whom it acts.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) audience: &'a str,
    pub(crate) organization: Option<&'a str>,
}

/// What a client may still have, of scopes that it was given for a place: none
/// that was taken from it or from the resource since. Refuses what it may not
/// have at all any more.
pub(crate) fn allowed_now(
    cx: &Cx,
    client: &Client,
    place: Place<'_>,
    given: &Scopes,
) -> Result<Scopes, &'static str> {
    let is_own = |own: &ResourceIdentifier| own.as_str() == place.audience;
    let is_issuer = place.audience == cx.settings.issuer.as_str();
    if !is_issuer && !client.resources.iter().any(is_own) {
        return Err("its client may not ask for this API any more");
    }
    if !acts_for(client, place.organization) {
        return Err("its client belongs to another organization now");
    }
    let resource = cx.directory.find_resource(place.audience);
    let owner = resource.as_ref().and_then(|own| own.organization.as_ref());
    if owner.is_some_and(|own| Some(own.as_str()) != place.organization) {
        return Err("its API belongs to another organization now");
    }
    let of_client = given.intersection(&client.scopes);
    Ok(scopes_at(resource.as_deref(), &of_client))
}

/// Whether another API has the name of one that was meant at a place in the
/// feed: that one was deleted, which may be so long ago that no record tells.
/// Only for what was read from the store: what somebody else vouches for may be
/// older than the API that it is moved to.
pub(crate) fn is_another(cx: &Cx, named: &ResourceIdentifier, meant: Position) -> bool {
    cx.directory.begun(named) > meant || was_deleted_since(cx, named, meant)
}

/// What a client may still have of all that it was granted.
pub(crate) fn left_of(cx: &Cx, client: &Client, granted: &Authority) -> Authority {
    let organization = granted.organization().map(OrganizationId::as_str);
    granted.kept(|audience, given| {
        if is_another(cx, audience, granted.position()) {
            return None;
        }
        let place = Place {
            audience: audience.as_str(),
            organization,
        };
        let left = allowed_now(cx, client, place, given).ok()?;
        Some(match audience.as_str() == cx.settings.issuer.as_str() {
            true => of_the_issuer_alone(granted, audience, &left),
            false => left,
        })
    })
}

/// The issuer's part of what is left for it: what an API means by a scope is gone
/// with the API; what none means is good here.
fn of_the_issuer_alone(granted: &Authority, issuer: &ResourceIdentifier, left: &Scopes) -> Scopes {
    let others = granted.audiences().iter().filter(|own| *own != issuer);
    let others: Vec<Scopes> = others.map(|own| granted.scopes_at(own)).collect();
    let is_others = |scope: &str| others.iter().any(|own| own.contains(scope));
    left.filtered(|scope| is_of_the_issuer(scope) || !is_others(scope))
}

/// Whether a token that carries this organization, or none, may be for a
/// resource: what belongs to an organization is for its own tokens alone.
pub(crate) fn is_of_organization(
    resource: &Resource,
    organization: Option<&OrganizationId>,
) -> bool {
    let owner = resource.organization.as_ref();
    owner.is_none() || owner == organization
}

/// Refuses resources of another organization than tokens will carry.
pub(crate) fn check_organization(
    cx: &Cx,
    resources: &[ResourceIdentifier],
    organization: Option<&OrganizationId>,
) -> Result<(), Refusal> {
    let is_other = |named: &ResourceIdentifier| {
        resource(cx, named).is_some_and(|own| !is_of_organization(&own, organization))
    };
    if resources.iter().any(is_other) {
        return Err(Refusal::invalid_target(
            "resource belongs to another organization",
        ));
    }
    Ok(())
}

/// The scopes that a request asks for, all of which the client may have.
/// Without any, those that are given by default: none that is sensitive, and
/// none of the issuer's own.
pub(crate) fn scopes(cx: &Cx, client: &Client, parameters: &Parameters) -> Result<Scopes, Refusal> {
    let Some(text) = parameters.one("scope") else {
        let resources = cx.directory.resources();
        let sensitive = |scope: &str| {
            resources
                .iter()
                .any(|resource| resource.sensitive_scopes.contains(scope))
        };
        return Ok(client
            .scopes
            .filtered(|scope| !is_of_the_issuer(scope) && !sensitive(scope)));
    };
    let asked: Scopes = text
        .parse()
        .map_err(|_| Refusal::invalid_scope("scope is malformed or too long"))?;
    if asked.is_within(&client.scopes) {
        Ok(asked)
    } else {
        Err(Refusal::invalid_scope(
            "a scope is unknown, or this client may not have it",
        ))
    }
}

/// The scopes that mean something at the resources which a request names, or
/// at the issuer. One that was asked for and means nothing there is refused, so
/// that nobody agrees to what no token of theirs could carry; of those given by
/// default it is left out.
pub(crate) fn scopes_among(
    cx: &Cx,
    resources: &[ResourceIdentifier],
    parameters: &Parameters,
    scopes: Scopes,
) -> Result<Scopes, Refusal> {
    if resources.is_empty() {
        return Ok(scopes);
    }
    let found: Vec<_> = resources.iter().map(|named| resource(cx, named)).collect();
    let kept = scopes.filtered(|scope| {
        is_of_the_issuer(scope)
            || found
                .iter()
                .any(|own| own.as_ref().is_none_or(|own| own.scopes.contains(scope)))
    });
    if kept.len() < scopes.len() && parameters.one("scope").is_some() {
        return Err(Refusal::invalid_scope(
            "a scope belongs to none of the resources that were named",
        ));
    }
    Ok(kept)
}

/// The resource of a token whose request named at most one, among those that
/// were granted: the named one, else the client's default, else the only one
/// whose scopes were granted, else the issuer itself.
pub(crate) fn choose(
    cx: &Cx,
    client: &Client,
    named: &[ResourceIdentifier],
    granted: &Granted<'_>,
) -> Result<ResourceIdentifier, Refusal> {
    match named {
        [one] if granted.allows(one) => return Ok(one.clone()),
        [_] => return Err(Refusal::invalid_target("resource was not granted")),
        [_, ..] => {
            return Err(Refusal::invalid_target(
                "a token has one audience: name one resource",
            ));
        }
        [] => {}
    }
    if let Some(default) = client
        .default_resource
        .as_ref()
        .filter(|default| granted.allows(default))
    {
        return Ok(default.clone());
    }
    let resources = cx.directory.resources();
    let mut fitting = client.resources.iter().filter(|identifier| {
        let resource = resources
            .iter()
            .find(|resource| resource.identifier == **identifier);
        granted.allows(identifier) && resource.is_some_and(|resource| granted.fits(resource))
    });
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(only.clone()),
        _ => Ok(ResourceIdentifier::from(&cx.settings.issuer)),
    }
}

/// What was granted, as far as choosing a resource needs it.
pub(crate) struct Granted<'a> {
    /// The scopes.
    pub(crate) scopes: &'a Scopes,
    /// What they are taken from; `None` where the client's own list is the bound.
    pub(crate) whole: Option<&'a Authority>,
}

impl Granted<'_> {
    fn allows(&self, resource: &ResourceIdentifier) -> bool {
        self.whole
            .is_none_or(|whole| whole.audiences().contains(resource))
    }

    /// Whether any of the scopes is the resource's own, and good there.
    fn fits(&self, resource: &Resource) -> bool {
        let own = resource.scopes.intersection(self.scopes);
        match self.whole {
            None => !own.is_empty(),
            Some(whole) => {
                let good = whole.scopes_at(&resource.identifier);
                !own.intersection(&good).is_empty()
            }
        }
    }
}

/// What is known of an audience: a resource, or nothing for the issuer itself.
pub(crate) fn resource(cx: &Cx, audience: &ResourceIdentifier) -> Option<Arc<Resource>> {
    cx.directory.find_resource(audience.as_str())
}

/// The scopes that mean something at an audience: the resource's own and the
/// issuer's.
pub(crate) fn scopes_at(resource: Option<&Resource>, granted: &Scopes) -> Scopes {
    granted.filtered(|scope| is_scope_at(resource, scope))
}

/// Whether a scope means anything at a resource.
pub(crate) fn is_scope_at(resource: Option<&Resource>, scope: &str) -> bool {
    is_of_the_issuer(scope) || resource.is_none_or(|resource| resource.scopes.contains(scope))
}
