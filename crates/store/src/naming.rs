//! Who names whom: a client, a resource and a trusted issuer may name an
//! organization, a resource its introspection clients. What is named is not
//! deleted, so that a name never means somebody who took it later.
//!
//! Whoever writes a name shares the lock of what it means, and asks whether that
//! is there. Whoever deletes takes the same lock alone before it looks for names.

use symbolon_protocol::{
    Client, ClientId, ForeignIssuer, OrganizationId, Resource, ResourceIdentifier, TrustedIssuer,
};

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::ending::Whole;
use crate::fault::Fault;
use crate::row::document;
use crate::statement::statements;

/// What names a client or an organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namers {
    /// Clients that belong to the organization.
    pub clients: Vec<ClientId>,
    /// Resources that belong to the organization, or whose tokens the client may
    /// introspect.
    pub resources: Vec<ResourceIdentifier>,
    /// Trusted issuers whose JWTs open the organization.
    pub trusted_issuers: Vec<ForeignIssuer>,
}

/// What deleting something that can be named found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Deleted,
    /// There is none. Nothing was written.
    Missing,
    /// These name it. Nothing was written.
    Named(Namers),
}

/// Finds what names a client or an organization.
#[derive(Clone, Debug)]
pub struct NamersOf {
    /// What is named.
    pub named: Whole,
}

statements! {
    // What is rare reads a table whole: the text is found first, then read.
    CLIENTS = "SELECT document FROM client WHERE {position}(document, ?1) > 0 ORDER BY id";
    RESOURCES = "SELECT document FROM resource
        WHERE {position}(document, ?1) > 0 ORDER BY identifier";
    ISSUERS = "SELECT document FROM trusted_issuer
        WHERE {position}(document, ?1) > 0 ORDER BY issuer";
    ORGANIZATION = "SELECT 1 FROM organization WHERE id = ?1 {for_share}";
    // A client that registered itself ends when it likes.
    CLIENT = "SELECT 1 FROM client WHERE id = ?1
            AND NOT EXISTS (SELECT 1 FROM registered_client r WHERE r.id = ?1) {for_share}";
    LOCK_ORGANIZATION = "SELECT 1 FROM organization WHERE id = ?1 {for_update}";
    LOCK_CLIENT = "SELECT 1 FROM client WHERE id = ?1 {for_update}";
}

impl Namers {
    /// Whether nothing does.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.resources.is_empty() && self.trusted_issuers.is_empty()
    }
}

/// Whether an organization that is named is there, and stays until the act is
/// stored.
pub(crate) async fn has_organization(
    tx: &mut Tx<'_>,
    named: Option<&OrganizationId>,
) -> Result<bool, Fault> {
    match named {
        None => Ok(true),
        Some(id) => Ok(tx.one(&ORGANIZATION, binds![id.as_str()]).await?.is_some()),
    }
}

/// Whether the introspection clients of a resource that `before` does not name
/// are there, and stay until the act is stored.
pub(crate) async fn has_readers(
    tx: &mut Tx<'_>,
    resource: &Resource,
    before: Option<&Resource>,
) -> Result<bool, Fault> {
    for id in resource.readers() {
        if before.is_some_and(|before| before.may_introspect(id)) {
            continue;
        }
        if tx.one(&CLIENT, binds![id.as_str()]).await?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Locks what is to be deleted, and says what is in the way, if anything.
pub(crate) async fn hold_alone(tx: &mut Tx<'_>, named: &Whole) -> Result<Option<Deleted>, Fault> {
    let found = match named {
        Whole::Client(id) => tx.one(&LOCK_CLIENT, binds![id.as_str()]).await?,
        Whole::Organization(id) => tx.one(&LOCK_ORGANIZATION, binds![id.as_str()]).await?,
    };
    if found.is_none() {
        return Ok(Some(Deleted::Missing));
    }
    let namers = find(tx, named).await?;
    Ok((!namers.is_empty()).then_some(Deleted::Named(namers)))
}

async fn find(tx: &mut Tx<'_>, named: &Whole) -> Result<Namers, Fault> {
    let mut namers = Namers::default();
    match named {
        Whole::Client(id) => {
            let text = document(id)?;
            tx.each(&RESOURCES, binds![&text], |row| {
                let own: Resource = row.json(0)?;
                let is_named = own.may_introspect(id);
                namers.resources.extend(is_named.then_some(own.identifier));
                Ok(())
            })
            .await?;
        }
        Whole::Organization(id) => {
            let text = format!("\"organization\":{}", document(id)?);
            let is_named = |own: &Option<OrganizationId>| own.as_ref() == Some(id);
            tx.each(&CLIENTS, binds![&text], |row| {
                let own: Client = row.json(0)?;
                let id = is_named(&own.organization).then_some(own.id);
                namers.clients.extend(id);
                Ok(())
            })
            .await?;
            tx.each(&RESOURCES, binds![&text], |row| {
                let own: Resource = row.json(0)?;
                let identifier = is_named(&own.organization).then_some(own.identifier);
                namers.resources.extend(identifier);
                Ok(())
            })
            .await?;
            tx.each(&ISSUERS, binds![&text], |row| {
                let own: TrustedIssuer = row.json(0)?;
                let issuer = is_named(&own.organization).then_some(own.issuer);
                namers.trusted_issuers.extend(issuer);
                Ok(())
            })
            .await?;
        }
    }
    Ok(namers)
}

impl Act for NamersOf {
    type Out = Namers;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Namers, Fault> {
        find(tx, &self.named).await
    }
}
