//! What an API key must not be: more than its client may have, or something
//! that no API takes.

use symbolon_protocol::{Client, OrganizationId, Resource, Timestamp, display};
use symbolon_store::{ApiKeyDocument, FindResource, KeyOwner};
use symbolon_token::api_key::MAX_NETWORKS;
use symbolon_token::authority::MAX_AUDIENCES;

use crate::cx::Cx;
use crate::grant::target;

use super::super::clients;
use super::super::failed::{Failed, Refused};

/// How long the name of a key may be, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// How long the name of a plan may be, in bytes.
const MAX_PLAN_BYTES: usize = 64;

/// Refuses a document that cannot be for a key of this owner.
pub(super) async fn document(
    cx: &Cx,
    owner: &KeyOwner,
    document: &ApiKeyDocument,
) -> Result<(), Failed> {
    let client = clients::find(cx, owner.client.clone()).await?.client;
    name(&document.name)?;
    plan(document.plan.as_deref())?;
    scopes(&client, document)?;
    let many = document.resources.len();
    if many == 0 || many > MAX_AUDIENCES {
        let why = format!("names 1 to {MAX_AUDIENCES} resources of the client");
        return Err(Refused::member("resources", why).into());
    }
    let mut known = Vec::new();
    for identifier in &document.resources {
        let named = FindResource {
            name: identifier.as_str().to_owned(),
        };
        let found = cx.store.read(named).await?.map(|own| own.resource);
        let found = found.filter(|own| own.identifier == *identifier);
        let Some(resource) = found else {
            let why = format!("there is no resource `{identifier}`");
            return Err(Refused::member("resources", why).into());
        };
        check_resource(&client, document, (&resource, owner.organization.as_ref()))?;
        known.push(resource);
    }
    let mut scopes = document.scopes.iter().map(symbolon_protocol::Scope::as_str);
    if let Some(scope) = scopes.find(|scope| !known.iter().any(|own| own.scopes.contains(scope))) {
        let why = format!("`{scope}` is a scope of none of the resources");
        return Err(Refused::member("scopes", why).into());
    }
    Ok(())
}

/// A client of one organization acts for no other.
pub(super) fn organization(
    of_client: Option<&OrganizationId>,
    said: Option<&OrganizationId>,
) -> Result<(), Refused> {
    match (of_client, said) {
        (Some(own), Some(other)) if own != other => {
            let why = format!("the client belongs to `{own}`");
            Err(Refused::member("organization", why))
        }
        _ => Ok(()),
    }
}

fn name(name: &str) -> Result<(), Refused> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        let why = format!("has 1 to {MAX_NAME_BYTES} bytes");
        return Err(Refused::member("name", why));
    }
    match display::problem(name) {
        Some(why) => Err(Refused::member("name", why)),
        None => Ok(()),
    }
}

/// The name of a plan is one that a gateway's file can hold.
fn plan(plan: Option<&str>) -> Result<(), Refused> {
    let plain = |own: u8| own.is_ascii_alphanumeric() || b"-_.".contains(&own);
    let fits = |own: &str| (1..=MAX_PLAN_BYTES).contains(&own.len()) && own.bytes().all(plain);
    if plan.is_none_or(fits) {
        return Ok(());
    }
    let why = format!("has letters, digits, `-`, `_` and `.`, and at most {MAX_PLAN_BYTES}");
    Err(Refused::member("plan", why))
}

fn scopes(client: &Client, document: &ApiKeyDocument) -> Result<(), Refused> {
    if document.scopes.is_empty() {
        return Err(Refused::member("scopes", "names what the key permits"));
    }
    if let Some(own) = document
        .scopes
        .iter()
        .find(|own| target::is_of_the_issuer(own.as_str()))
    {
        let why = format!("`{own}` is about who signed in, and a key signs nobody in");
        return Err(Refused::member("scopes", why));
    }
    let extra = document.scopes.without(&client.scopes);
    if !extra.is_empty() {
        let why = format!("the client may not have `{extra}`");
        return Err(Refused::member("scopes", why));
    }
    Ok(())
}

fn check_resource(
    client: &Client,
    document: &ApiKeyDocument,
    (resource, acts_for): (&Resource, Option<&OrganizationId>),
) -> Result<(), Refused> {
    let identifier = &resource.identifier;
    let mut of_client = client.resources.iter();
    let why = if !of_client.any(|own| resource.is_named(own.as_str()))
        || !target::shares_organization(client, resource)
    {
        format!("the client may not ask for `{identifier}`")
    } else if !target::is_of_organization(resource, acts_for) {
        format!("`{identifier}` belongs to another organization than the key acts for")
    } else if resource.require_key_binding {
        format!("`{identifier}` takes only tokens that are bound to a key")
    } else if !resource.api_keys.takes(document.environment) {
        let (taken, own) = (resource.api_keys, document.environment);
        format!("`{identifier}` takes `{taken}` API keys (its `api_keys`), and this one is `{own}`")
    } else {
        return Ok(());
    };
    Err(Refused::member("resources", why))
}

/// Refuses an end that has come already.
pub(super) fn expires(expires: Option<Timestamp>, now: Timestamp) -> Result<(), Refused> {
    if expires.is_some_and(|expires| expires <= now) {
        return Err(Refused::member("expires", "has passed already"));
    }
    Ok(())
}

/// Why a list of networks is refused.
pub(super) fn networks() -> Refused {
    let why = format!(
        "are at most {MAX_NETWORKS} networks with their prefix, as in `10.0.0.0/8` or `2001:db8::/32`"
    );
    Refused::member("networks", why)
}
