//! Resources: a document under an identifier, and every name it answers to.
//!
//! Spec: RFC 8707 §2

use symbolon_protocol::{Resource, ResourceIdentifier, Timestamp};
use symbolon_token::Position;

use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::client::Updated;
use crate::fault::Fault;
use crate::feed;
use crate::naming;
use crate::revocation::{self, Target};
use crate::row::{Row, document};
use crate::statement::statements;
use crate::token_life;

/// A resource as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredResource {
    /// What was registered.
    pub resource: Resource,
    /// When it was created.
    pub created: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
    /// Where the feed stood when it was created: what was granted before was
    /// granted at another one of that name. The begin, where that is not known.
    pub since: Position,
}

/// What writing a resource found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceWritten {
    /// It was written.
    Written,
    /// Creating: there is one already. Nothing was written.
    Exists,
    /// Updating: there is none. Nothing was written.
    Missing,
    /// It is no longer what the change was made from, or something that it names
    /// from now on is gone. Nothing was written.
    Changed,
    /// Another resource answers to one of its names. Nothing was written.
    NameTaken,
}

/// Creates a resource.
#[derive(Clone, Debug)]
pub struct CreateResource {
    /// The resource.
    pub resource: Resource,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Replaces a resource's document and names. What was issued under what it said
/// before lives on.
#[derive(Clone, Debug)]
pub struct UpdateResource {
    /// The resource.
    pub resource: Resource,
    /// What the document was made from, where it was: if somebody else has
    /// changed the resource since, nothing is written.
    pub was: Option<Resource>,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Deletes a resource. Its tokens are refused from then on, also where one of
/// the same identifier is created again.
#[derive(Clone, Debug)]
pub struct DeleteResource {
    /// The resource.
    pub identifier: ResourceIdentifier,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token for it has expired.
    pub horizon: Timestamp,
}

/// Finds the resource that a name means: its identifier or an alias.
#[derive(Clone, Debug)]
pub struct FindResource {
    /// The name, exactly as it was sent.
    pub name: String,
}

/// Lists resources by identifier.
#[derive(Clone, Debug)]
pub struct ListResources {
    /// The last one that was read.
    pub after: Option<ResourceIdentifier>,
    /// At most how many.
    pub limit: u32,
}

/// Reads every resource: they are few.
#[derive(Clone, Copy, Debug)]
pub struct AllResources;

statements! {
    CREATE = "INSERT INTO resource (identifier, document, created, updated, epoch, sequence)
        SELECT ?1, ?2, ?3, ?3, epoch, sequence FROM feed_head WHERE one = 1
        ON CONFLICT DO NOTHING";
    CURRENT = "SELECT document FROM resource WHERE identifier = ?1 {for_update}";
    UPDATE = "UPDATE resource SET document = ?2, updated = ?3 WHERE identifier = ?1";
    DELETE = "DELETE FROM resource WHERE identifier = ?1";
    NAME_OWNER = "SELECT identifier FROM resource_name WHERE name = ?1";
    ADD_NAME = "INSERT INTO resource_name (name, identifier) VALUES (?1, ?2)
        ON CONFLICT DO NOTHING";
    DELETE_NAMES = "DELETE FROM resource_name WHERE identifier = ?1";
    EXISTS = "SELECT created FROM resource WHERE identifier = ?1";
    FIND = "SELECT r.document, r.created, r.updated, r.epoch, r.sequence
        FROM resource_name n JOIN resource r ON r.identifier = n.identifier WHERE n.name = ?1";
    LIST = "SELECT document, created, updated, epoch, sequence FROM resource
        WHERE identifier > ?1 ORDER BY identifier LIMIT ?2";
    ALL = "SELECT document, created, updated, epoch, sequence FROM resource
        ORDER BY identifier";
}

fn read(row: &Row) -> Result<StoredResource, Fault> {
    Ok(StoredResource {
        resource: row.json(0)?,
        created: row.time(1)?,
        updated: row.time(2)?,
        since: row.position(3)?,
    })
}

fn names(resource: &Resource) -> impl Iterator<Item = &str> {
    let aliases = resource.aliases.iter().map(ResourceIdentifier::as_str);
    std::iter::once(resource.identifier.as_str()).chain(aliases)
}

async fn is_name_taken(tx: &mut Tx<'_>, resource: &Resource) -> Result<bool, Fault> {
    let own = resource.identifier.as_str();
    for name in names(resource) {
        let owner = tx.one(&NAME_OWNER, binds![name]).await?;
        if owner.is_some_and(|row| row.text(0).is_ok_and(|owner| owner != own)) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn write_names(tx: &mut Tx<'_>, resource: &Resource) -> Result<(), Fault> {
    let own = resource.identifier.as_str();
    tx.run(&DELETE_NAMES, binds![own]).await?;
    let mut written = std::collections::BTreeSet::new();
    for name in names(resource).filter(|name| written.insert(*name)) {
        if tx.run(&ADD_NAME, binds![name, own]).await? == 0 {
            // Somebody took it since it was looked up: look again.
            return Err(Fault::retry("a resource's name was taken meanwhile"));
        }
    }
    Ok(())
}

/// Whether what a resource names from now on is there.
async fn has_named(
    tx: &mut Tx<'_>,
    resource: &Resource,
    before: Option<&Resource>,
) -> Result<bool, Fault> {
    if !naming::has_readers(tx, resource, before).await? {
        return Ok(false);
    }
    let named = resource.organization.as_ref();
    if before.is_some_and(|before| before.organization.as_ref() == named) {
        return Ok(true);
    }
    naming::has_organization(tx, named).await
}

/// Notes the longest life that any of these gives its tokens. Where none says,
/// nodes note what they give.
async fn note_life(tx: &mut Tx<'_>, resources: &[&Resource], now: Timestamp) -> Result<(), Fault> {
    let lives = resources.iter().filter_map(|own| own.access_token_lifetime);
    match lives.max() {
        Some(longest) => token_life::note(tx, longest, now).await,
        None => Ok(()),
    }
}

impl Act for CreateResource {
    type Out = ResourceWritten;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<ResourceWritten, Fault> {
        let (identifier, document) = (self.resource.identifier.as_str(), document(&self.resource)?);
        if tx.one(&EXISTS, binds![identifier]).await?.is_some() {
            return Ok(ResourceWritten::Exists);
        }
        if is_name_taken(tx, &self.resource).await? {
            return Ok(ResourceWritten::NameTaken);
        }
        if !has_named(tx, &self.resource, None).await? {
            return Ok(ResourceWritten::Changed);
        }
        let binds = binds![identifier, &document, self.now];
        if tx.run(&CREATE, binds).await? == 0 {
            return Ok(ResourceWritten::Exists);
        }
        write_names(tx, &self.resource).await?;
        note_life(tx, &[&self.resource], self.now).await?;
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        Ok(ResourceWritten::Written)
    }
}

impl Act for UpdateResource {
    type Out = ResourceWritten;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<ResourceWritten, Fault> {
        let (identifier, document) = (self.resource.identifier.as_str(), document(&self.resource)?);
        let Some(row) = tx.one(&CURRENT, binds![identifier]).await? else {
            return Ok(ResourceWritten::Missing);
        };
        let before: Resource = row.json(0)?;
        if self.was.as_ref().is_some_and(|was| *was != before) {
            return Ok(ResourceWritten::Changed);
        }
        if is_name_taken(tx, &self.resource).await? {
            return Ok(ResourceWritten::NameTaken);
        }
        if !has_named(tx, &self.resource, Some(&before)).await? {
            return Ok(ResourceWritten::Changed);
        }
        let binds = binds![identifier, &document, self.now];
        if tx.run(&UPDATE, binds).await? == 0 {
            return Ok(ResourceWritten::Missing);
        }
        write_names(tx, &self.resource).await?;
        note_life(tx, &[&before, &self.resource], self.now).await?;
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        Ok(ResourceWritten::Written)
    }
}

impl Act for DeleteResource {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        let identifier = self.identifier.as_str();
        if tx.run(&DELETE, binds![identifier]).await? == 0 {
            return Ok(Updated::Missing);
        }
        tx.run(&DELETE_NAMES, binds![identifier]).await?;
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        let record = (Target::Resource(identifier.to_owned()), self.horizon);
        revocation::record(tx, &[record], self.now).await?;
        Ok(Updated::Updated)
    }
}

impl Act for FindResource {
    type Out = Option<StoredResource>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<StoredResource>, Fault> {
        let row = tx.one(&FIND, binds![&self.name]).await?;
        row.as_ref().map(read).transpose()
    }
}

impl Act for ListResources {
    type Out = Vec<StoredResource>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<StoredResource>, Fault> {
        let after = self.after.as_ref().map_or("", ResourceIdentifier::as_str);
        tx.all(&LIST, binds![after, self.limit], read).await
    }
}

impl Act for AllResources {
    type Out = Vec<StoredResource>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<StoredResource>, Fault> {
        tx.all(&ALL, &[], read).await
    }
}
