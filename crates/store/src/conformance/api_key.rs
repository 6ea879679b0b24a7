//! How API keys must behave.

use symbolon_protocol::Environment;
use symbolon_token::api_key::Networks;
use symbolon_token::{Digest, Id};

use super::world::{DAY, MINUTE, RACERS, World};
use super::{Broken, Checked, check, same};
use crate::api_key::change::{
    ApiKeyChange, ApiKeyChanged, ApiKeyMade, MakeApiKeys, NewApiKey, RevokeApiKey, RotateApiKey,
    UpdateApiKey,
};
use crate::api_key::list::ListApiKeys;
use crate::api_key::used::NoteApiKeyUses;
use crate::api_key::{ApiKeyDocument, FindApiKey, FindImportedApiKey, KeyOwner, StoredApiKey};
use crate::client::{RevokeClient, SetClientEnabled};
use crate::organization::SetOrganizationEnabled;
use crate::organization::{CreateOrganization, Organization, RemoveMember, SetMember};
use crate::person::SetPersonEnabled;
use crate::purge::PurgeExpired;
use crate::revocation::Target;

fn document() -> Result<ApiKeyDocument, Broken> {
    let scopes = "read:orders".parse();
    let resource = "https://orders.example.com".parse();
    Ok(ApiKeyDocument {
        name: "a key".to_owned(),
        scopes: scopes.map_err(|_| Broken::from("scopes"))?,
        resources: vec![resource.map_err(|_| Broken::from("a resource"))?],
        environment: Environment::Live,
        networks: Networks::default(),
        plan: None,
        imported: false,
        replaces: None,
        named: Default::default(),
    })
}

fn new(world: &World, owner: KeyOwner) -> Result<NewApiKey, Broken> {
    let slot = owner.slot();
    Ok(NewApiKey {
        id: world.id(slot),
        owner,
        document: document()?,
        digest: Digest::from_bytes(world.bytes()),
        mark: world.id(slot),
        enabled: true,
        expires: None,
    })
}

async fn of_client(world: &World) -> Result<KeyOwner, Broken> {
    let create = world.client()?;
    let client = create.client.id.clone();
    world.store.act(create).await?;
    Ok(KeyOwner {
        client,
        person: None,
        organization: None,
    })
}

/// A member of an organization, through a client.
async fn of_member(world: &World) -> Result<KeyOwner, Broken> {
    let owner = of_client(world).await?;
    let create = world.person_named(&world.word());
    let person = create.person.id;
    world.store.act(create).await?;
    let id = world.word();
    let id: symbolon_protocol::OrganizationId =
        id.parse().map_err(|_| Broken::from("organization id"))?;
    let organization = Organization {
        id: id.clone(),
        name: "Acme".to_owned(),
        enabled: true,
    };
    let create = CreateOrganization {
        organization,
        audit: world.audit("organization.create"),
        now: world.now,
    };
    world.store.act(create).await?;
    let owner = KeyOwner {
        person: Some(person),
        organization: Some(id),
        ..owner
    };
    set_roles(world, &owner, &["buyer", "admin"]).await?;
    Ok(owner)
}

async fn set_roles(world: &World, owner: &KeyOwner, roles: &[&str]) -> Checked {
    let (Some(organization), Some(person)) = (owner.organization.clone(), owner.person) else {
        return Err(Broken::from("nobody's organization"));
    };
    let set = SetMember {
        organization,
        person,
        roles: roles.iter().map(|own| (*own).to_owned()).collect(),
        audit: world.audit("organization.set_member"),
        now: world.now,
        horizon: world.horizon(),
    };
    world.store.act(set).await?;
    Ok(())
}

async fn make(world: &World, new: NewApiKey) -> Result<ApiKeyMade, Broken> {
    let act = MakeApiKeys {
        keys: vec![(new, world.audit("api_key.create"))],
        now: world.now,
    };
    let outcomes = world.store.act(act).await?;
    let first = outcomes.into_iter().next();
    first.ok_or_else(|| Broken::from("no outcome"))
}

async fn made(world: &World, owner: KeyOwner) -> Result<StoredApiKey, Broken> {
    let new = new(world, owner)?;
    let id = new.id;
    same(&make(world, new).await?, &ApiKeyMade::Made)?;
    found(world, id).await
}

async fn found(world: &World, id: Id<symbolon_token::ApiKey>) -> Result<StoredApiKey, Broken> {
    let found = world.store.read(FindApiKey { id }).await?;
    found.ok_or_else(|| Broken::from("a key is gone"))
}

async fn is_live(world: &World, key: &StoredApiKey) -> Result<bool, Broken> {
    Ok(found(world, key.id).await?.is_live(world.now))
}

fn change(was: &StoredApiKey) -> ApiKeyChange {
    ApiKeyChange {
        document: was.document.clone(),
        enabled: was.enabled,
        expires: was.expires,
        cut: None,
        was: was.clone(),
    }
}

fn update(world: &World, change: ApiKeyChange) -> UpdateApiKey {
    UpdateApiKey {
        change,
        audit: world.audit("api_key.update"),
        now: world.now,
        horizon: world.horizon(),
    }
}

/// A key comes back as it was made, and only for whoever may act.
pub(crate) async fn a_key_is_made_for_whoever_may_act(world: &World) -> Checked {
    let owner = of_member(world).await?;
    let wanted = new(world, owner.clone())?;
    same(&make(world, wanted.clone()).await?, &ApiKeyMade::Made)?;
    let stored = found(world, wanted.id).await?;
    same(&stored.owner, &owner)?;
    same(&stored.document, &wanted.document)?;
    same(&(stored.digest, stored.mark), &(wanted.digest, wanted.mark))?;
    same(
        &stored.roles,
        &Some(vec!["buyer".to_owned(), "admin".to_owned()]),
    )?;

    let unknown = |change: fn(&mut KeyOwner, &World)| {
        let mut owner = owner.clone();
        change(&mut owner, world);
        new(world, owner)
    };
    let client = unknown(|own, world| {
        if let Ok(id) = world.word().parse() {
            own.client = id;
        }
    })?;
    same(&make(world, client).await?, &ApiKeyMade::NoClient)?;
    let person = unknown(|own, world| own.person = Some(world.id(world.slot())))?;
    same(&make(world, person).await?, &ApiKeyMade::NoPerson)?;
    let organization = unknown(|own, world| own.organization = world.word().parse().ok())?;
    same(
        &make(world, organization).await?,
        &ApiKeyMade::NoOrganization,
    )?;
    let other = world.scene().await?.person;
    let mut stranger = owner.clone();
    stranger.person = Some(other);
    same(
        &make(world, new(world, stranger)?).await?,
        &ApiKeyMade::NoMember,
    )
}

/// A key is dead with whoever it acts for, and stays so when they come back.
pub(crate) async fn a_key_ends_with_whoever_it_acts_for(world: &World) -> Checked {
    let owner = of_member(world).await?;
    let (Some(person), Some(organization)) = (owner.person, owner.organization.clone()) else {
        return Err(Broken::from("nobody's organization"));
    };
    let (audit, now, horizon) = (world.audit("end"), world.now, world.horizon());

    let key = made(world, owner.clone()).await?;
    for enabled in [false, true] {
        let (id, audit) = (person, audit.clone());
        let set = SetPersonEnabled {
            id,
            enabled,
            audit,
            now,
            horizon,
        };
        world.store.act(set).await?;
    }
    check(!is_live(world, &key).await?, "it survives its person")?;

    let key = made(world, owner.clone()).await?;
    for enabled in [false, true] {
        let (id, audit) = (organization.clone(), audit.clone());
        let set = SetOrganizationEnabled {
            id,
            enabled,
            audit,
            now,
            horizon,
        };
        world.store.act(set).await?;
    }
    check(!is_live(world, &key).await?, "it survives its organization")?;

    let key = made(world, owner.clone()).await?;
    for enabled in [false, true] {
        let (id, audit) = (owner.client.clone(), audit.clone());
        let set = SetClientEnabled {
            id,
            enabled,
            audit,
            now,
            horizon,
        };
        world.store.act(set).await?;
    }
    check(!is_live(world, &key).await?, "it survives its client")?;

    let other = of_client(world).await?;
    let key = made(world, other.clone()).await?;
    let revoke = RevokeClient {
        id: other.client,
        audit,
        now,
        horizon,
    };
    world.store.act(revoke).await?;
    check(
        !is_live(world, &key).await?,
        "it survives what was taken back of its client",
    )
}

/// A key acts through a membership, and never with roles that are gone.
pub(crate) async fn a_key_ends_with_the_membership_it_acts_through(world: &World) -> Checked {
    let owner = of_member(world).await?;
    let (Some(person), Some(organization)) = (owner.person, owner.organization.clone()) else {
        return Err(Broken::from("nobody's organization"));
    };
    let (audit, now, horizon) = (world.audit("end"), world.now, world.horizon());

    let key = made(world, owner.clone()).await?;
    set_roles(world, &owner, &["buyer", "admin", "owner"]).await?;
    check(is_live(world, &key).await?, "it dies of another role")?;
    set_roles(world, &owner, &["buyer"]).await?;
    check(!is_live(world, &key).await?, "it survives a role")?;

    let key = made(world, owner.clone()).await?;
    let remove = RemoveMember {
        organization,
        person,
        audit,
        now,
        horizon,
    };
    world.store.act(remove).await?;
    check(!is_live(world, &key).await?, "it survives its membership")
}

/// What makes a key permit less is recorded under its old mark.
pub(crate) async fn a_key_that_is_cut_is_recorded_and_goes_on(world: &World) -> Checked {
    let key = made(world, of_client(world).await?).await?;
    let mut narrower = change(&key);
    narrower.enabled = false;
    narrower.cut = Some(world.id(key.id.slot()));

    let out = world.store.act(update(world, narrower.clone())).await?;

    same(&out, &ApiKeyChanged::Changed)?;
    same(&world.records(&Target::Family(key.mark)).await?.len(), &1)?;
    let after = found(world, key.id).await?;
    check(
        !after.enabled && Some(after.mark) == narrower.cut,
        "it is not cut",
    )?;
    // Whoever had not seen that changes nothing.
    let late = world.store.act(update(world, change(&key))).await?;
    same(&late, &ApiKeyChanged::Otherwise)?;

    let mut again = change(&after);
    again.enabled = true;
    same(
        &world.store.act(update(world, again)).await?,
        &ApiKeyChanged::Changed,
    )?;
    let enabled = found(world, key.id).await?;
    check(
        enabled.position > key.position,
        "what was recorded before hits it",
    )?;
    same(&world.records(&Target::Family(after.mark)).await?.len(), &0)
}

/// Of parallel rotations one makes the next key; the old one is good until the
/// overlap ends.
pub(crate) async fn of_parallel_rotations_of_a_key_one_replaces_it(world: &World) -> Checked {
    let owner = of_client(world).await?;
    let key = made(world, owner.clone()).await?;
    let mut acts = Vec::new();
    for _ in 0..RACERS {
        let mut change = change(&key);
        change.expires = Some(world.now + DAY);
        acts.push(RotateApiKey {
            change,
            next: new(world, owner.clone())?,
            audit: world.audit("api_key.rotate"),
            now: world.now,
            horizon: world.horizon(),
        });
    }

    let outs = world.race(acts).await?;

    let done = |own: &&ApiKeyChanged| **own == ApiKeyChanged::Changed;
    same(&outs.iter().filter(done).count(), &1)?;
    let old = found(world, key.id).await?;
    check(old.is_live(world.now), "the old one is dead at once")?;
    check(!old.is_live(world.now + DAY), "the old one lives on")?;
    let next = old
        .replaced_by
        .ok_or_else(|| Broken::from("nothing replaced it"))?;
    check(
        found(world, next).await?.is_live(world.now + DAY),
        "the next one is dead",
    )?;
    let list = ListApiKeys {
        limit: 10,
        client: Some(owner.client),
        ..ListApiKeys::default()
    };
    same(&world.store.read(list).await?.len(), &2)
}

/// A key is taken back once, and stays so.
pub(crate) async fn a_key_is_taken_back_once(world: &World) -> Checked {
    let key = made(world, of_client(world).await?).await?;
    let revoke = RevokeApiKey {
        id: key.id,
        audit: world.audit("api_key.revoke"),
        now: world.now,
        horizon: world.horizon(),
    };

    let outs = world.race(vec![revoke; RACERS]).await?;

    let done = |own: &&ApiKeyChanged| **own == ApiKeyChanged::Changed;
    same(&outs.iter().filter(done).count(), &1)?;
    check(!is_live(world, &key).await?, "it lives")?;
    same(&world.records(&Target::Family(key.mark)).await?.len(), &1)?;
    let late = world.store.act(update(world, change(&key))).await?;
    same(&late, &ApiKeyChanged::Dead)
}

/// A text from elsewhere is one key, and found by its digest alone.
pub(crate) async fn a_key_from_elsewhere_is_found_by_its_digest(world: &World) -> Checked {
    let owner = of_client(world).await?;
    let mut first = new(world, owner.clone())?;
    first.document.imported = true;
    let mut acts = Vec::new();
    for _ in 0..RACERS {
        let id = world.id(first.id.slot());
        let event = world.audit("api_key.import");
        let new = NewApiKey {
            id,
            ..first.clone()
        };
        acts.push(MakeApiKeys {
            keys: vec![(new, event)],
            now: world.now,
        });
    }

    let outs = world.race(acts).await?.concat();

    let done = |own: &&ApiKeyMade| **own == ApiKeyMade::Made;
    same(&outs.iter().filter(done).count(), &1)?;
    let digests = vec![Digest::from_bytes(world.bytes()), first.digest];
    let found = world.store.read(FindImportedApiKey { digests }).await?;
    check(
        found.is_some_and(|own| own.digest == first.digest),
        "it is not found",
    )?;
    let digests = vec![Digest::from_bytes(world.bytes())];
    let other = world.store.read(FindImportedApiKey { digests }).await?;
    check(other.is_none(), "another text is found")
}

/// When a key was used last is written at most once a minute.
pub(crate) async fn a_use_of_a_key_is_written_at_most_once_a_minute(world: &World) -> Checked {
    let key = made(world, of_client(world).await?).await?;
    let note = |at| NoteApiKeyUses {
        uses: vec![(key.id, at)],
    };

    let first = world.store.act(note(world.now)).await?;
    let soon = world.store.act(note(world.now + MINUTE / 2)).await?;
    let later = world.store.act(note(world.now + MINUTE)).await?;
    let late = world.store.act(note(world.now)).await?;

    same(&(first, soon, later, late), &(1, 0, 1, 0))?;
    same(
        &found(world, key.id).await?.last_used,
        &Some(world.now + MINUTE),
    )
}

/// A key that ended is shown for a month, and then forgotten with its digest.
pub(crate) async fn a_dead_key_is_forgotten_after_a_month(world: &World) -> Checked {
    let mut ended = new(world, of_client(world).await?)?;
    ended.document.imported = true;
    ended.expires = Some(world.now + MINUTE);
    same(&make(world, ended.clone()).await?, &ApiKeyMade::Made)?;
    let lasting = made(world, of_client(world).await?).await?;
    let purge = |now| PurgeExpired { now, limit: 10_000 };

    world.store.act(purge(world.now + DAY * 29)).await?;
    check(
        !is_live(world, &found(world, ended.id).await?).await?,
        "it lives",
    )?;
    world.store.act(purge(world.now + DAY * 32)).await?;

    let id = ended.id;
    let gone = world.store.read(FindApiKey { id }).await?;
    check(gone.is_none(), "it is not forgotten")?;
    let digests = vec![ended.digest];
    let found = world.store.read(FindImportedApiKey { digests }).await?;
    check(found.is_none(), "its digest is not forgotten")?;
    check(is_live(world, &lasting).await?, "another is forgotten")
}
