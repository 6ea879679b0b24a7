//! How what names something and what is named must behave.

use symbolon_protocol::{Client, ClientId, OrganizationId, Resource, TrustedIssuer};

use super::administration::{identifier, organization};
use super::world::World;
use super::{Broken, Checked, same};
use crate::client::{CreateClient, Created, DeleteClient, UpdateClient, Updated};
use crate::naming::{Deleted, Namers};
use crate::organization::DeleteOrganization;
use crate::resource::{CreateResource, ResourceWritten, UpdateResource};
use crate::trusted_issuer::{CreateTrustedIssuer, DeleteTrustedIssuer, UpdateTrustedIssuer};

/// How often each race is run.
const ROUNDS: usize = 12;

fn delete_organization(world: &World, id: &OrganizationId) -> DeleteOrganization {
    DeleteOrganization {
        id: id.clone(),
        audit: world.audit("organization.delete"),
        now: world.now,
        horizon: world.horizon(),
    }
}

fn delete_client(world: &World, id: &ClientId) -> DeleteClient {
    DeleteClient {
        id: id.clone(),
        audit: world.audit("client.delete"),
        now: world.now,
        horizon: world.horizon(),
    }
}

/// A client of an organization that is not stored yet.
fn client_of(world: &World, id: &OrganizationId) -> Result<CreateClient, Broken> {
    let mut create = world.client()?;
    create.client.organization = Some(id.clone());
    Ok(create)
}

fn update_client(world: &World, client: &Client) -> UpdateClient {
    UpdateClient {
        client: client.clone(),
        was: None,
        audit: world.audit("client.update"),
        now: world.now,
        horizon: world.horizon(),
    }
}

fn create_resource(world: &World, resource: &Resource) -> CreateResource {
    CreateResource {
        resource: resource.clone(),
        audit: world.audit("resource.create"),
        now: world.now,
    }
}

fn update_resource(world: &World, resource: &Resource) -> UpdateResource {
    UpdateResource {
        resource: resource.clone(),
        was: None,
        audit: world.audit("resource.update"),
        now: world.now,
    }
}

async fn issuer_of(world: &World, id: &OrganizationId) -> Result<CreateTrustedIssuer, Broken> {
    let issuer: TrustedIssuer = serde_json::from_value(serde_json::json!({
        "issuer": format!("https://{}.example.net", world.word()),
        "jwks_uri": "https://partner.example.net/jwks",
        "resource": "https://api.example.com",
        "organization": id,
    }))
    .map_err(|_| Broken::from("a trusted issuer cannot be written down"))?;
    Ok(CreateTrustedIssuer {
        issuer,
        trusted: true,
        audit: world.audit("trusted_issuer.create"),
        now: world.now,
    })
}

async fn stored_client(world: &World) -> Result<ClientId, Broken> {
    let create = world.client()?;
    let id = create.client.id.clone();
    world.store.act(create).await?;
    Ok(id)
}

/// An organization, or a client that introspects, goes once nothing names it.
pub(crate) async fn what_is_named_is_not_deleted(world: &World) -> Checked {
    let id = organization(world).await?;
    let create = client_of(world, &id)?;
    let mut client = create.client.clone();
    same(&world.store.act(create).await?, &Created::Created)?;
    let reader = stored_client(world).await?;
    let mut resource = Resource::new(identifier(world)?);
    resource.organization = Some(id.clone());
    resource.introspection_clients = vec![reader.clone()];
    let written = world.store.act(create_resource(world, &resource)).await?;
    same(&written, &ResourceWritten::Written)?;
    let create = issuer_of(world, &id).await?;
    let issuer = create.issuer.issuer.clone();
    same(&world.store.act(create).await?, &Created::Created)?;

    let refused = world.store.act(delete_organization(world, &id)).await?;
    let kept = world.store.act(delete_client(world, &reader)).await?;

    let namers = Namers {
        clients: vec![client.id.clone()],
        resources: vec![resource.identifier.clone()],
        trusted_issuers: vec![issuer.clone()],
    };
    same(&refused, &Deleted::Named(namers))?;
    let namers = Namers {
        resources: vec![resource.identifier.clone()],
        ..Namers::default()
    };
    same(&kept, &Deleted::Named(namers))?;
    client.organization = None;
    world.store.act(update_client(world, &client)).await?;
    resource.organization = None;
    resource.introspection_clients.clear();
    world.store.act(update_resource(world, &resource)).await?;
    let delete = DeleteTrustedIssuer {
        issuer,
        audit: world.audit("trusted_issuer.delete"),
        now: world.now,
        horizon: world.horizon(),
    };
    world.store.act(delete).await?;
    let gone = world.store.act(delete_organization(world, &id)).await?;
    let reader_gone = world.store.act(delete_client(world, &reader)).await?;
    same(&(gone, reader_gone), &(Deleted::Deleted, Deleted::Deleted))
}

/// Neither what is made nor what is changed comes to name what is not there.
pub(crate) async fn nothing_names_what_is_gone(world: &World) -> Checked {
    let id = organization(world).await?;
    same(
        &world.store.act(delete_organization(world, &id)).await?,
        &Deleted::Deleted,
    )?;
    let create = client_of(world, &id)?;
    let mut client = world.client()?.client;
    client.id = stored_client(world).await?;
    client.organization = Some(id.clone());
    let mut resource = Resource::new(identifier(world)?);
    world.store.act(create_resource(world, &resource)).await?;
    resource.organization = Some(id.clone());
    let mut reader_of = resource.clone();
    reader_of.organization = None;
    reader_of.introspection_client = Some(create.client.id.clone());
    let mut other = resource.clone();
    other.identifier = identifier(world)?;
    let mut issuer = issuer_of(world, &id).await?;

    let made = [
        world.store.act(create).await?,
        world.store.act(issuer.clone()).await?,
    ];
    same(&made, &[Created::Changed; 2])?;
    let resources = [
        world.store.act(create_resource(world, &other)).await?,
        world.store.act(update_resource(world, &resource)).await?,
        world.store.act(update_resource(world, &reader_of)).await?,
    ];
    same(&resources, &[ResourceWritten::Changed; 3])?;
    issuer.issuer.organization = None;
    world.store.act(issuer.clone()).await?;
    issuer.issuer.organization = Some(id);
    let update = UpdateTrustedIssuer {
        issuer: issuer.issuer,
        was: None,
        audit: world.audit("trusted_issuer.update"),
        now: world.now,
    };
    let changed = [
        world.store.act(update_client(world, &client)).await?,
        world.store.act(update).await?,
    ];
    same(&changed, &[Updated::Changed; 2])
}

/// A name and the end of what it means at once: whichever is first.
pub(crate) async fn nothing_comes_to_name_what_is_deleted_meanwhile(world: &World) -> Checked {
    for round in 0..ROUNDS {
        let id = organization(world).await?;
        let reader = stored_client(world).await?;
        let create = client_of(world, &id)?;
        let mut resource = Resource::new(identifier(world)?);
        world.store.act(create_resource(world, &resource)).await?;
        resource.introspection_client = Some(reader.clone());
        let (one, two) = (
            delete_organization(world, &id),
            delete_client(world, &reader),
        );
        let store = &world.store;

        let (made, deleted, named, ended) = if round % 2 == 0 {
            tokio::join!(
                store.act(create),
                store.act(one),
                store.act(update_resource(world, &resource)),
                store.act(two),
            )
        } else {
            let (deleted, made, ended, named) = tokio::join!(
                store.act(one),
                store.act(create),
                store.act(two),
                store.act(update_resource(world, &resource)),
            );
            (made, deleted, named, ended)
        };

        let is_kept = matches!(deleted?, Deleted::Named(_));
        same(&(made? == Created::Created), &is_kept)?;
        let is_kept = matches!(ended?, Deleted::Named(_));
        same(&(named? == ResourceWritten::Written), &is_kept)?;
    }
    Ok(())
}
