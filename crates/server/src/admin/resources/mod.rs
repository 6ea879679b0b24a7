//! Resources.

mod advise;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};
use symbolon_protocol::{Client, Lifetime, Resource, ResourceIdentifier};
use symbolon_store::{
    CreateResource, DeleteResource, FindClient, FindOrganization, FindRegistration, FindResource,
    ListClients, ListResources, ResourceWritten, StoredResource, UpdateResource, Updated,
};

use crate::cx::Cx;
use crate::encryption;
use crate::failure::Broken;
use crate::respond;

use super::body;
use super::call::Call;
use super::clients::check::keys as check_registered;
use super::failed::{Failed, Outcome, Refused};
use super::{MERGES, event, follow};

pub(super) use self::advise::advise;

/// Scopes that belong to OpenID Connect.
const RESERVED_SCOPES: [&str; 6] = [
    "openid",
    "profile",
    "email",
    "address",
    "phone",
    "offline_access",
];

/// How many clients are read at once.
const PAGE_OF_CLIENTS: u32 = 500;

/// Members that a patch cannot change.
const FIXED: [(&str, &str); 3] = [
    ("identifier", "cannot be changed: tokens carry it"),
    ("created", "cannot be changed"),
    ("updated", "cannot be changed"),
];

pub(super) async fn list(cx: Cx, call: Call) -> Outcome {
    let page = call.page::<ResourceIdentifier>()?;
    let read = ListResources {
        after: page.after.clone(),
        limit: page.limit,
    };
    let found = cx.store.read(read).await?;
    page.answer(
        &found,
        |stored| stored.resource.identifier.to_string(),
        shown,
    )
}

pub(super) async fn create(cx: Cx, call: Call) -> Outcome {
    let resource: Resource = call.document()?;
    check(&cx, &resource, None).await?;
    let identifier = resource.identifier.clone();
    let mut audit = event(&cx, "resource.create");
    audit.detail = json!({ "resource": identifier });
    let act = CreateResource {
        resource,
        audit,
        now: cx.now,
    };
    written(cx.store.act(act).await?, identifier.as_str())?;
    follow(&cx).await;
    answer(&cx, identifier.as_str(), StatusCode::CREATED).await
}

pub(super) async fn get(cx: Cx, call: Call) -> Outcome {
    let found = find(&cx, call.text_part("identifier")).await?;
    Ok(respond::json(StatusCode::OK, &shown(&found)))
}

pub(super) async fn update(cx: Cx, call: Call) -> Outcome {
    for _ in 0..MERGES {
        if let Some(response) = merge(&cx, &call).await? {
            return Ok(response);
        }
    }
    Err(Refused::crowded().into())
}

/// Writes the stored document with the patch in it; nothing where somebody else
/// wrote in between, whose change would be lost.
async fn merge(cx: &Cx, call: &Call) -> Result<Option<Response>, Failed> {
    let stored = find(cx, call.text_part("identifier")).await?;
    let patch = call.object()?;
    body::check_fixed(&patch, &FIXED)?;
    let changed: Vec<String> = patch.keys().cloned().collect();
    let mut document = body::object_of(&stored.resource);
    body::merge(&mut document, patch);
    let resource: Resource = body::read(&document)?;
    check(cx, &resource, Some(&stored.resource)).await?;
    let identifier = resource.identifier.clone();
    if resource != stored.resource {
        let mut audit = event(cx, "resource.update");
        audit.detail = json!({ "resource": identifier, "changed": changed });
        let act = UpdateResource {
            resource,
            was: Some(stored.resource),
            audit,
            now: cx.now,
        };
        let outcome = cx.store.act(act).await?;
        if outcome == ResourceWritten::Changed {
            return Ok(None);
        }
        written(outcome, identifier.as_str())?;
        follow(cx).await;
    }
    answer(cx, identifier.as_str(), StatusCode::OK)
        .await
        .map(Some)
}

pub(super) async fn delete(cx: Cx, call: Call) -> Outcome {
    let identifier = find(&cx, call.text_part("identifier"))
        .await?
        .resource
        .identifier;
    let mut audit = event(&cx, "resource.delete");
    audit.detail = json!({ "resource": identifier });
    let act = DeleteResource {
        identifier: identifier.clone(),
        audit,
        now: cx.now,
        horizon: cx.horizon(cx.now),
    };
    if cx.store.act(act).await? == Updated::Missing {
        return Err(missing(identifier.as_str()).into());
    }
    follow(&cx).await;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// By identifier or alias.
async fn find(cx: &Cx, name: &str) -> Result<StoredResource, Failed> {
    let found = cx
        .store
        .read(FindResource {
            name: name.to_owned(),
        })
        .await?;
    found.ok_or_else(|| missing(name).into())
}

fn missing(name: &str) -> Refused {
    Refused::not_found(format!("there is no resource `{name}`"))
}

fn written(outcome: ResourceWritten, name: &str) -> Result<(), Refused> {
    match outcome {
        ResourceWritten::Written => Ok(()),
        ResourceWritten::Missing => Err(missing(name)),
        ResourceWritten::Changed => Err(Refused::crowded()),
        ResourceWritten::Exists => Err(Refused::conflict(format!(
            "there is a resource `{name}` already"
        ))),
        ResourceWritten::NameTaken => Err(Refused::conflict(
            "another resource has this identifier or one of these aliases",
        )),
    }
}

/// What `before` names already may be at odds with others by now: that is for a
/// change of those names.
async fn check(cx: &Cx, resource: &Resource, before: Option<&Resource>) -> Result<(), Failed> {
    alone(resource)?;
    // A name does not change, and an earlier version took others.
    if before.is_none()
        && let Some(problem) = resource.name_problem()
    {
        return Err(Refused::member(&problem.field, problem.message).into());
    }
    check_issuer(cx.settings.issuer.as_str(), resource)?;
    check_keys(cx, resource)?;
    super::claims::check(cx, &resource.claims)?;
    check_readers(cx, resource, before).await?;
    if resource.signing_alg.is_experimental() && !cx.settings.keys.experimental_ml_dsa {
        return Err(Refused::member(
            "signing_alg",
            "is an experiment that is switched off; `[keys]` has the switch",
        )
        .into());
    }
    let names = |own: &Resource| (own.organization.clone(), own.aliases.clone());
    if before.is_some_and(|before| names(before) == names(resource)) {
        return Ok(());
    }
    check_clients(cx, resource).await?;
    if let Some(id) = &resource.organization {
        let found = cx.store.read(FindOrganization { id: id.clone() }).await?;
        if found.is_none() {
            return Err(Refused::member(
                "organization",
                format!("there is no organization `{id}`"),
            )
            .into());
        }
    }
    Ok(())
}

/// The issuer is the audience of what names no API. A resource of that name
/// would have it, and take it all back where it is deleted.
fn check_issuer(issuer: &str, resource: &Resource) -> Result<(), Refused> {
    let is_issuer = |own: &ResourceIdentifier| own.as_str().trim_end_matches('/') == issuer;
    let why = "is the issuer itself; name the API by an address of its own";
    if is_issuer(&resource.identifier) {
        return Err(Refused::member("identifier", why));
    }
    match resource.aliases.iter().find(|own| is_issuer(own)) {
        Some(own) => Err(Refused::member("aliases", format!("`{own}` {why}"))),
        None => Ok(()),
    }
}

/// Who reads tokens was created here: an identifier that nobody has could be
/// anybody's tomorrow, and who registered itself ends when it likes.
async fn check_readers(
    cx: &Cx,
    resource: &Resource,
    before: Option<&Resource>,
) -> Result<(), Failed> {
    for id in resource.readers() {
        if before.is_some_and(|before| before.may_introspect(id)) {
            continue;
        }
        let member = match &resource.introspection_client {
            Some(own) if own == id => "introspection_client",
            _ => "introspection_clients",
        };
        let find = FindRegistration { id: id.clone() };
        if cx.store.read(find).await?.is_some() {
            let why = format!("`{id}` registered itself: name a client that was created here");
            return Err(Refused::member(member, why).into());
        }
        let find = FindClient { id: id.clone() };
        if cx.store.read(find).await?.is_none() {
            let why = format!("there is no client `{id}`");
            return Err(Refused::member(member, why).into());
        }
    }
    Ok(())
}

/// Keys that are to be encrypted to have to be there, and to be public.
fn check_keys(cx: &Cx, resource: &Resource) -> Result<(), Refused> {
    let keys = resource.registered_keys();
    check_registered(keys, cx.settings.issuer.is_plain_http())?;
    match resource.encryption() {
        Some(wanted) if encryption::lack(keys, wanted.alg) => Err(Refused::member(
            "access_token_encrypted_response_alg",
            encryption::lacking(wanted.alg),
        )),
        _ => Ok(()),
    }
}

/// A resource that gets an organization must not have clients of another, or
/// of none: a token carries at most one, so the two could never meet.
async fn check_clients(cx: &Cx, resource: &Resource) -> Result<(), Failed> {
    if resource.organization.is_none() {
        return Ok(());
    }
    let mut after = None;
    loop {
        let limit = PAGE_OF_CLIENTS;
        let page = cx.store.read(ListClients { after, limit }).await?;
        let is_other = |client: &&Client| {
            let mut own = client.resources.iter();
            own.any(|own| resource.is_named(own.as_str()))
                && client.organization != resource.organization
        };
        let mut clients = page.iter().map(|stored| &stored.client);
        if let Some(client) = clients.find(is_other) {
            let id = &client.id;
            let why = format!("client `{id}` has this resource and another organization, or none");
            return Err(Refused::member("organization", why).into());
        }
        if page.len() < limit as usize {
            return Ok(());
        }
        after = page.last().map(|stored| stored.client.id.clone());
    }
}

fn alone(resource: &Resource) -> Result<(), Refused> {
    if let Some(problem) = resource.problems().into_iter().next() {
        return Err(Refused::member(&problem.field, problem.message));
    }
    if let Some(scope) = RESERVED_SCOPES
        .iter()
        .find(|scope| resource.scopes.contains(scope))
    {
        return Err(Refused::member(
            "scopes",
            format!("`{scope}` belongs to OpenID Connect"),
        ));
    }
    if resource.access_token_lifetime == Some(Lifetime::seconds(0)) {
        return Err(Refused::member(
            "access_token_lifetime",
            "would be over before it was used",
        ));
    }
    Ok(())
}

async fn answer(cx: &Cx, name: &str, status: StatusCode) -> Outcome {
    let stored = cx
        .store
        .read(FindResource {
            name: name.to_owned(),
        })
        .await?;
    let stored = stored.ok_or(Broken::Impossible(
        "a resource is gone that was just written",
    ))?;
    Ok(respond::json(status, &shown(&stored)))
}

fn shown(stored: &StoredResource) -> Value {
    let mut body = body::object_of(&stored.resource);
    body.insert("created".into(), stored.created.to_string().into());
    body.insert("updated".into(), stored.updated.to_string().into());
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_is_no_resource() {
        let issuer = "https://login.example.com/tenant";
        let refused = |identifier: &str, aliases: &[&str]| {
            let mut resource = Resource::new(identifier.parse().unwrap());
            resource.aliases = aliases.iter().map(|own| own.parse().unwrap()).collect();
            let refused = check_issuer(issuer, &resource).err();
            refused.map(|refused| refused.description().to_owned())
        };
        let api = "https://login.example.com/api";
        assert_eq!(refused(api, &["https://login.example.com/"]), None);
        for own in [issuer, &format!("{issuer}/")] {
            let why = refused(own, &[]).unwrap();
            assert!(why.starts_with("`identifier`"), "{why}");
            let why = refused(api, &[own]).unwrap();
            assert!(why.starts_with("`aliases`"), "{why}");
        }
    }

    #[test]
    fn scopes_of_openid_connect_belong_to_no_resource() {
        let mut resource = Resource::new("https://api.example".parse().unwrap());
        assert!(alone(&resource).is_ok());
        resource.scopes = "read:a email".parse().unwrap();
        assert!(
            alone(&resource)
                .unwrap_err()
                .description()
                .starts_with("`scopes`")
        );
    }
}
