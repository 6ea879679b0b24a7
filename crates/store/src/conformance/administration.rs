//! How clients, resources, people and organizations must behave.

use symbolon_protocol::{OrganizationId, Resource, ResourceIdentifier};
use symbolon_token::Digest;

use super::world::{MINUTE, RACERS, Scene, World};
use super::{Broken, Checked, check, same};
use crate::client::{
    AddClientSecret, Created, DeleteClient, FindClient, ListClients, NewSecret, SetClientEnabled,
    UpdateClient, Updated,
};
use crate::grant::{Consent, Consented, Grant};
use crate::naming::Deleted;
use crate::organization::{
    CreateOrganization, DeleteOrganization, Members, MembershipsOf, Organization, RemoveMember,
    SetMember,
};
use crate::person::{
    CreatePerson, DeletePerson, FindPersonByName, PersonWritten, SetPassword, UpdatePerson,
};
use crate::refresh_family::Rotated;
use crate::resource::{
    AllResources, CreateResource, DeleteResource, FindResource, ResourceWritten, UpdateResource,
};
use crate::revocation::Target;
use crate::{
    AuditFilter, FindGrantById, FindSession, GrantsOf, GrantsOfClient, ListAudit, SetPersonEnabled,
};

/// Created once, read back as written, gone when deleted.
pub(crate) async fn clients_are_created_changed_and_deleted(world: &World) -> Checked {
    let create = world.client()?;
    let mut client = create.client.clone();
    let find = FindClient {
        id: client.id.clone(),
    };
    same(&world.store.act(create.clone()).await?, &Created::Created)?;
    let again = world.store.act(create.clone()).await?;
    same(&again, &Created::Exists)?;
    client.name = "Example Shop".to_owned();
    let was = create.client.clone();
    let update = UpdateClient {
        client: client.clone(),
        was: Some(was.clone()),
        audit: world.audit("client.update"),
        now: world.now + MINUTE,
        horizon: world.now + 2 * MINUTE,
    };

    same(&world.store.act(update.clone()).await?, &Updated::Updated)?;
    same(&world.store.act(update.clone()).await?, &Updated::Changed)?;
    let update = UpdateClient {
        was: None,
        ..update
    };

    let Some(found) = world.store.read(find.clone()).await? else {
        return Err(Broken::from("a client is not found"));
    };
    same(&found.client, &client)?;
    same(&(found.secrets.len(), found.enabled), &(1, true))?;
    let list = ListClients {
        after: None,
        limit: 100_000,
    };
    let listed = world.store.read(list).await?;
    check(listed.contains(&found), "a client is not listed")?;
    let delete = DeleteClient {
        id: client.id.clone(),
        audit: world.audit("client.delete"),
        now: world.now,
        horizon: world.horizon(),
    };
    same(&world.store.act(delete.clone()).await?, &Deleted::Deleted)?;
    same(&world.store.act(delete).await?, &Deleted::Missing)?;
    same(&world.store.act(update).await?, &Updated::Missing)?;
    same(&world.store.read(find).await?, &None)?;
    same(&world.records(&Target::Client(client.id)).await?.len(), &1)
}

/// An old secret lives on as long as told; an expired one is forgotten.
pub(crate) async fn secrets_of_a_client_overlap_as_told(world: &World) -> Checked {
    let create = world.client()?;
    let id = create.client.id.clone();
    world.store.act(create).await?;
    let add = |old_expires, now| AddClientSecret {
        id: id.clone(),
        secret: NewSecret {
            digest: Digest::from_bytes(world.bytes()),
            sealed: Some(vec![1]),
        },
        old_expires,
        audit: world.audit("client.secret"),
        now,
    };

    world
        .store
        .act(add(Some(world.now + MINUTE), world.now))
        .await?;

    let find = FindClient { id: id.clone() };
    let found = world.store.read(find.clone()).await?;
    let secrets = found.map(|client| client.secrets).unwrap_or_default();
    let expiries: Vec<_> = secrets.iter().map(|secret| secret.expires).collect();
    same(&expiries, &vec![Some(world.now + MINUTE), None])?;
    world.store.act(add(None, world.now + MINUTE)).await?;
    let found = world.store.read(find).await?;
    same(&found.map(|client| client.secrets.len()), &Some(2))
}

/// What a disabled client holds is dead, and stays so when it is enabled.
pub(crate) async fn a_disabled_client_loses_its_families(world: &World) -> Checked {
    let scene = world.scene().await?;
    let family = world.family(&scene).await?;
    let set = |enabled| SetClientEnabled {
        id: scene.client.clone(),
        enabled,
        audit: world.audit("client.disable"),
        now: world.now,
        horizon: world.horizon(),
    };

    world.store.act(set(false)).await?;
    world.store.act(set(true)).await?;

    let rotate = world.rotate(&family);
    same(&world.store.act(rotate).await?, &Rotated::Ended)?;
    let list = GrantsOfClient {
        client: scene.client.clone(),
        after: None,
        limit: 10,
    };
    same(&world.store.read(list).await?, &vec![scene.grant])?;
    let target = Target::Client(scene.client);
    same(&world.records(&target).await?.len(), &1)
}

pub(super) fn identifier(world: &World) -> Result<ResourceIdentifier, Broken> {
    let text = format!("https://{}.example.com", world.word());
    text.parse()
        .map_err(|_| Broken::from("resource identifier"))
}

/// A name, alias or not, means at most one resource.
pub(crate) async fn names_of_resources_are_unique(world: &World) -> Checked {
    let (one, two, alias) = (identifier(world)?, identifier(world)?, identifier(world)?);
    let mut first = Resource::new(one.clone());
    first.aliases = vec![alias.clone()];
    let create = |resource: &Resource| CreateResource {
        resource: resource.clone(),
        audit: world.audit("resource.create"),
        now: world.now,
    };
    same(
        &world.store.act(create(&first)).await?,
        &ResourceWritten::Written,
    )?;
    same(
        &world.store.act(create(&first)).await?,
        &ResourceWritten::Exists,
    )?;
    let mut second = Resource::new(two);
    second.aliases = vec![alias.clone()];

    same(
        &world.store.act(create(&second)).await?,
        &ResourceWritten::NameTaken,
    )?;

    first.aliases.clear();
    let update = UpdateResource {
        was: Some(second.clone()),
        resource: first.clone(),
        audit: world.audit("resource.update"),
        now: world.now,
    };
    let outdated = world.store.act(update.clone()).await?;
    same(&outdated, &ResourceWritten::Changed)?;
    let update = UpdateResource {
        was: None,
        ..update
    };
    same(&world.store.act(update).await?, &ResourceWritten::Written)?;
    same(
        &world.store.act(create(&second)).await?,
        &ResourceWritten::Written,
    )?;
    let find = FindResource {
        name: alias.as_str().to_owned(),
    };
    let found = world.store.read(find).await?.map(|found| found.resource);
    same(&found, &Some(second))?;
    let delete = DeleteResource {
        identifier: one.clone(),
        audit: world.audit("resource.delete"),
        now: world.now,
        horizon: world.horizon(),
    };
    same(&world.store.act(delete).await?, &Updated::Updated)?;
    let all = world.store.read(AllResources).await?;
    check(
        all.iter().all(|stored| stored.resource.identifier != one),
        "a deleted resource is listed",
    )
}

/// Many who want one name at once: one gets it, and none is a fault.
pub(crate) async fn login_names_are_unique_in_a_race(world: &World) -> Checked {
    let name = world.word();
    let acts = (0..RACERS / 4).map(|_| world.person_named(&name));

    let outs = world.race(acts.collect::<Vec<_>>()).await?;

    let written = |out: &&PersonWritten| **out == PersonWritten::Written;
    same(&outs.iter().filter(written).count(), &1)?;
    let found = world.store.read(FindPersonByName { name: name.clone() });
    let Some(person) = found.await? else {
        return Err(Broken::from("the one who got the name is not found"));
    };
    let other = world.person_named(&world.word());
    let rename = UpdatePerson {
        id: other.person.id,
        username: name.clone(),
        document: person.document,
        login_names: vec![name],
        was: None,
        audit: world.audit("user.update"),
        now: world.now,
    };
    world.store.act(other).await?;
    same(&world.store.act(rename).await?, &PersonWritten::NameTaken)
}

/// Whatever a stranger types as a name is unknown, and never a fault.
pub(crate) async fn a_name_that_no_engine_can_hold_is_unknown(world: &World) -> Checked {
    for name in ["a\0b", "\0", "\u{fffd}'; --", ""] {
        let find = FindPersonByName {
            name: name.to_owned(),
        };
        same(&world.store.read(find).await?.map(|found| found.id), &None)?;
    }
    Ok(())
}

/// A new password is for the one who was robbed.
pub(crate) async fn a_new_password_ends_what_was_signed_in(world: &World) -> Checked {
    let scene = world.scene().await?;
    let family = world.family(&scene).await?;
    let set = SetPassword {
        id: scene.person,
        phc: Some("$argon2id$v=19$m=1,t=1,p=1$AAAA$AAAA".to_owned()),
        audit: world.audit("user.password"),
        now: world.now,
        horizon: world.horizon(),
    };

    same(&world.store.act(set).await?, &Updated::Updated)?;

    let rotate = world.rotate(&family);
    same(&world.store.act(rotate).await?, &Rotated::Ended)?;
    let session = world.store.read(FindSession { id: scene.session }).await?;
    let ended = session.and_then(|session| session.ended);
    same(&ended, &Some(world.now))?;
    let grants = GrantsOf {
        person: scene.person,
    };
    same(&world.store.read(grants).await?, &vec![scene.grant])?;
    let target = Target::Subject(scene.person);
    same(&world.records(&target).await?.len(), &1)
}

/// Names are free again; nothing of the person lives.
pub(crate) async fn deleting_a_person_leaves_nothing_to_sign_in_to(world: &World) -> Checked {
    let name = world.word();
    let create = world.person_named(&name);
    let delete = DeletePerson {
        id: create.person.id,
        audit: world.audit("user.delete"),
        now: world.now,
        horizon: world.horizon(),
    };
    world.store.act(create).await?;

    same(&world.store.act(delete.clone()).await?, &Updated::Updated)?;

    same(&world.store.act(delete).await?, &Updated::Missing)?;
    let again: CreatePerson = world.person_named(&name);
    same(&world.store.act(again).await?, &PersonWritten::Written)
}

pub(super) async fn organization(world: &World) -> Result<OrganizationId, Broken> {
    let id: OrganizationId = world.word().parse().map_err(|_| Broken::from("id"))?;
    let create = CreateOrganization {
        organization: Organization {
            id: id.clone(),
            name: "Acme".to_owned(),
            enabled: true,
        },
        audit: world.audit("organization.create"),
        now: world.now,
    };
    same(&world.store.act(create).await?, &Created::Created)?;
    Ok(id)
}

fn member(world: &World, organization: &OrganizationId, scene: &Scene, role: &str) -> SetMember {
    SetMember {
        organization: organization.clone(),
        person: scene.person,
        roles: vec![role.to_owned()],
        audit: world.audit("organization.member"),
        now: world.now,
        horizon: world.horizon(),
    }
}

/// A role given writes no record; one taken away does.
pub(crate) async fn a_role_taken_away_is_recorded(world: &World) -> Checked {
    let mut scene = world.scene().await?;
    let id = organization(world).await?;
    let target = Target::Membership(id.clone(), scene.person);
    world.store.act(member(world, &id, &scene, "buyer")).await?;
    same(&world.records(&target).await?.len(), &0)?;
    let private = world.family(&scene).await?;
    scene.grant = granted_for(world, &scene, &id).await?;
    let family = world.family(&scene).await?;

    world
        .store
        .act(member(world, &id, &scene, "seller"))
        .await?;

    let records = world.records(&target).await?;
    same(&records.len(), &1)?;
    let lives = [
        world.is_family_live(family.id).await?,
        world.is_family_live(private.id).await?,
    ];
    same(&lives, &[false, true])?;
    let of = MembershipsOf {
        person: scene.person,
    };
    let roles: Vec<_> = world
        .store
        .read(of)
        .await?
        .into_iter()
        .map(|m| m.roles)
        .collect();
    same(&roles, &vec![vec!["seller".to_owned()]])?;
    let remove = RemoveMember {
        organization: id.clone(),
        person: scene.person,
        audit: world.audit("organization.member"),
        now: world.now,
        horizon: world.horizon(),
    };
    same(&world.store.act(remove.clone()).await?, &Updated::Updated)?;
    same(&world.store.act(remove).await?, &Updated::Missing)?;
    let again = world.records(&target).await?;
    same(&again.len(), &1)?;
    check(
        again.first().map(|r| r.position) > records.first().map(|r| r.position),
        "a record written again kept its number",
    )?;
    let members = Members {
        organization: id,
        after: None,
        limit: 10,
    };
    same(&world.store.read(members).await?, &Vec::new())
}

/// A membership that outlived its organization would be inherited by the next of
/// that id.
pub(crate) async fn nobody_is_a_member_of_an_organization_that_is_deleted_meanwhile(
    world: &World,
) -> Checked {
    let scene = world.scene().await?;
    for _ in 0..10 {
        let id = organization(world).await?;
        let delete = DeleteOrganization {
            id: id.clone(),
            audit: world.audit("organization.delete"),
            now: world.now,
            horizon: world.horizon(),
        };

        let (joined, deleted) = tokio::join!(
            world.store.act(member(world, &id, &scene, "buyer")),
            world.store.act(delete),
        );

        same(&deleted?, &Deleted::Deleted)?;
        joined?;
        let members = Members {
            organization: id,
            after: None,
            limit: 10,
        };
        same(&world.store.read(members).await?, &Vec::new())?;
    }
    Ok(())
}

/// What somebody grants for an organization.
async fn granted_for(
    world: &World,
    scene: &Scene,
    organization: &OrganizationId,
) -> Result<Grant, Broken> {
    let consent = Consent {
        organization: Some(organization.clone()),
        ..world.consent(scene.person, &scene.client, "openid")
    };
    match world.store.act(consent).await? {
        Consented::Granted(grant) => Ok(grant),
        _ => Err(Broken::from("a consent for an organization was refused")),
    }
}

/// Whoever acted for it does not any more.
pub(crate) async fn a_deleted_organization_ends_what_acts_for_it(world: &World) -> Checked {
    let mut scene = world.scene().await?;
    let id = organization(world).await?;
    world.store.act(member(world, &id, &scene, "buyer")).await?;
    let private = world.family(&scene).await?;
    scene.grant = granted_for(world, &scene, &id).await?;
    let family = world.family(&scene).await?;
    let delete = DeleteOrganization {
        id: id.clone(),
        audit: world.audit("organization.delete"),
        now: world.now,
        horizon: world.horizon(),
    };

    same(&world.store.act(delete).await?, &Deleted::Deleted)?;

    same(
        &world.store.act(world.rotate(&family)).await?,
        &Rotated::Ended,
    )?;
    check(
        world.is_family_live(private.id).await?,
        "a family of the person's own was ended",
    )?;
    let grant = FindGrantById { id: scene.grant.id };
    let withdrawn = world
        .store
        .read(grant)
        .await?
        .and_then(|grant| grant.withdrawn);
    same(&withdrawn, &Some(world.now))
}

/// Caches learn of every change by one number.
pub(crate) async fn every_change_raises_the_configuration_version(world: &World) -> Checked {
    let before = world.feed(None).await?.version;
    let create = world.client()?;

    world.store.act(create.clone()).await?;
    let created = world.feed(None).await?.version;
    world.store.act(create).await?;
    let refused = world.feed(None).await?.version;
    let person = world.scene().await?.person;
    let with_person = world.feed(None).await?.version;
    let disable = SetPersonEnabled {
        id: person,
        enabled: false,
        audit: world.audit("user.disable"),
        now: world.now,
        horizon: world.horizon(),
    };
    world.store.act(disable).await?;
    let disabled = world.feed(None).await?.version;

    let rises = created.all > before.all && created.configuration > before.configuration;
    check(rises, "a new client did not raise both")?;
    same(&refused, &created)?;
    check(disabled.all > with_person.all, "a person did not raise it")?;
    same(&disabled.configuration, &with_person.configuration)
}

/// Oldest first, and each page goes on where the last one ended.
pub(crate) async fn audit_rows_are_read_in_order(world: &World) -> Checked {
    let list = |after, limit| ListAudit {
        after,
        limit,
        filter: AuditFilter {
            action: Some("client.create".to_owned()),
            ..AuditFilter::default()
        },
    };
    world.store.act(world.client()?).await?;
    world.store.act(world.client()?).await?;

    let all = world.store.read(list(None, 100_000)).await?.entries;
    let first = world.store.read(list(None, 1)).await?;
    let rest = world.store.read(list(first.next, 100_000)).await?;

    check(
        all.is_sorted_by_key(|entry| entry.place),
        "rows are not in order",
    )?;
    same(&[first.entries, rest.entries].concat(), &all)
}
