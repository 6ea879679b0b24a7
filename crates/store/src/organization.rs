//! Organizations and who belongs to them, in which roles.

use symbolon_protocol::{OrganizationId, Timestamp};
use symbolon_token::{Id, Person};

use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::client::{Created, Updated};
use crate::ending::{self, Whole};
use crate::fault::Fault;
use crate::feed;
use crate::naming::{self, Deleted};
use crate::person;
use crate::revocation::{self, Target};
use crate::row::{Row, document};
use crate::signal::{self, Signal};
use crate::statement::statements;

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// The name that people are shown.
    pub name: String,
    /// Whether anybody may act for it.
    pub enabled: bool,
}

/// One member of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub person: Id<Person>,
    /// Their user name.
    pub username: String,
    /// In which roles.
    pub roles: Vec<String>,
}

/// One organization that a person belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The organization.
    pub organization: Organization,
    /// In which roles.
    pub roles: Vec<String>,
}

/// Creates an organization.
#[derive(Clone, Debug)]
pub struct CreateOrganization {
    /// The organization.
    pub organization: Organization,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Renames an organization.
#[derive(Clone, Debug)]
pub struct UpdateOrganization {
    /// The organization.
    pub id: OrganizationId,
    /// Its new name.
    pub name: String,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Deletes an organization that nothing names; everything done for it dies.
#[derive(Clone, Debug)]
pub struct DeleteOrganization {
    /// The organization.
    pub id: OrganizationId,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of it has expired.
    pub horizon: Timestamp,
}

/// Enables or disables an organization. Disabling kills its tokens.
#[derive(Clone, Debug)]
pub struct SetOrganizationEnabled {
    /// The organization.
    pub id: OrganizationId,
    /// Whether anybody may act for it.
    pub enabled: bool,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of it has expired.
    pub horizon: Timestamp,
}

/// Takes back all that was done for an organization so far. Whether anybody may
/// act for it stays as it is.
#[derive(Clone, Debug)]
pub struct RevokeOrganization {
    /// The organization.
    pub id: OrganizationId,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of it has expired.
    pub horizon: Timestamp,
}

/// Makes a person a member, or gives a member other roles. A role taken away
/// kills what was issued while it was held.
#[derive(Clone, Debug)]
pub struct SetMember {
    /// The organization.
    pub organization: OrganizationId,
    /// The person.
    pub person: Id<Person>,
    /// In which roles.
    pub roles: Vec<String>,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of the membership has expired.
    pub horizon: Timestamp,
}

/// Ends a membership, and the families that act through it.
#[derive(Clone, Debug)]
pub struct RemoveMember {
    /// The organization.
    pub organization: OrganizationId,
    /// The person.
    pub person: Id<Person>,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of the membership has expired.
    pub horizon: Timestamp,
}

/// Finds an organization.
#[derive(Clone, Debug)]
pub struct FindOrganization {
    /// The organization.
    pub id: OrganizationId,
}

/// Lists organizations by id.
#[derive(Clone, Debug)]
pub struct ListOrganizations {
    /// The last one that was read.
    pub after: Option<OrganizationId>,
    /// At most how many.
    pub limit: u32,
}

/// Lists the members of an organization.
#[derive(Clone, Debug)]
pub struct Members {
    /// The organization.
    pub organization: OrganizationId,
    /// The last one that was read.
    pub after: Option<Id<Person>>,
    /// At most how many.
    pub limit: u32,
}

/// Lists the organizations that a person belongs to.
#[derive(Clone, Debug)]
pub struct MembershipsOf {
    /// The person.
    pub person: Id<Person>,
}

statements! {
    CREATE = "INSERT INTO organization (id, name, enabled, created, updated)
        VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT DO NOTHING";
    UPDATE = "UPDATE organization SET name = ?2, updated = ?3 WHERE id = ?1";
    DELETE = "DELETE FROM organization WHERE id = ?1";
    DELETE_MEMBERS = "DELETE FROM membership WHERE organization = ?1";
    SET_ENABLED = "UPDATE organization SET enabled = ?2, updated = ?3 WHERE id = ?1";
    TOUCH = "UPDATE organization SET updated = ?2 WHERE id = ?1";
    ROLES = "SELECT roles FROM membership WHERE organization = ?1 AND person = ?2 {for_update}";
    SET_MEMBER = "INSERT INTO membership (organization, person, roles) VALUES (?1, ?2, ?3)
        ON CONFLICT (organization, person) DO UPDATE SET roles = excluded.roles";
    REMOVE_MEMBER = "DELETE FROM membership WHERE organization = ?1 AND person = ?2";
    // Held, so that no member is left to whoever gets the organization's id next.
    EXISTS = "SELECT 1 FROM organization WHERE id = ?1 {for_share}";
    FIND = "SELECT id, name, enabled FROM organization WHERE id = ?1";
    LIST = "SELECT id, name, enabled FROM organization WHERE id > ?1 ORDER BY id LIMIT ?2";
    MEMBERS = "SELECT m.person, m.roles, p.username FROM membership m
            LEFT JOIN person p ON p.id = m.person
        WHERE m.organization = ?1 AND m.person > ?2 ORDER BY m.person LIMIT ?3";
    OF_PERSON = "SELECT o.id, o.name, o.enabled, m.roles
        FROM membership m JOIN organization o ON o.id = m.organization
        WHERE m.person = ?1 ORDER BY o.id";
}

fn read(row: &Row) -> Result<Organization, Fault> {
    Ok(Organization {
        id: row.parsed(0)?,
        name: row.string(1)?,
        enabled: row.flag(2)?,
    })
}

/// Tells others that a person is something else in an organization. The person
/// is locked: what is told of one is told in the order in which it was committed.
async fn tell(
    tx: &mut Tx<'_>,
    organization: &OrganizationId,
    member: &Id<Person>,
    audit: &AuditEvent,
    now: Timestamp,
) -> Result<(), Fault> {
    let signal = Signal::Roles(organization.clone());
    signal::tell(tx, member, &signal, audit, now).await
}

impl Act for CreateOrganization {
    type Out = Created;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Created, Fault> {
        let new = &self.organization;
        let binds = binds![new.id.as_str(), &new.name, new.enabled, self.now];
        if tx.run(&CREATE, binds).await? == 0 {
            return Ok(Created::Exists);
        }
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        Ok(Created::Created)
    }
}

impl Act for UpdateOrganization {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        let binds = binds![self.id.as_str(), &self.name, self.now];
        if tx.run(&UPDATE, binds).await? == 0 {
            return Ok(Updated::Missing);
        }
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        Ok(Updated::Updated)
    }
}

impl Act for DeleteOrganization {
    type Out = Deleted;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Deleted, Fault> {
        let own = Whole::Organization(self.id.clone());
        if let Some(refused) = naming::hold_alone(tx, &own).await? {
            return Ok(refused);
        }
        tx.run(&DELETE, binds![self.id.as_str()]).await?;
        tx.run(&DELETE_MEMBERS, binds![self.id.as_str()]).await?;
        ending::grants_of_organization(tx, &self.id, self.now).await?;
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        let record = (Target::Organization(self.id.clone()), self.horizon);
        revocation::record(tx, &[record], self.now).await?;
        Ok(Deleted::Deleted)
    }
}

impl Act for SetOrganizationEnabled {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        let binds = binds![self.id.as_str(), self.enabled, self.now];
        if tx.run(&SET_ENABLED, binds).await? == 0 {
            return Ok(Updated::Missing);
        }
        if !self.enabled {
            ending::families_of_organization(tx, &self.id, self.now).await?;
        }
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        if !self.enabled {
            let record = (Target::Organization(self.id.clone()), self.horizon);
            revocation::record(tx, &[record], self.now).await?;
        }
        Ok(Updated::Updated)
    }
}

impl Act for RevokeOrganization {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        if tx.run(&TOUCH, binds![self.id.as_str(), self.now]).await? == 0 {
            return Ok(Updated::Missing);
        }
        ending::families_of_organization(tx, &self.id, self.now).await?;
        audit::write(tx, &self.audit, self.now).await?;
        let record = (Target::Organization(self.id.clone()), self.horizon);
        revocation::record(tx, &[record], self.now).await?;
        Ok(Updated::Updated)
    }
}

impl Act for SetMember {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        let (id, person) = (self.organization.as_str(), &self.person);
        if tx.one(&EXISTS, binds![id]).await?.is_none() {
            return Ok(Updated::Missing);
        }
        person::lock(tx, person).await?;
        let old: Vec<String> = match tx.one(&ROLES, binds![id, person]).await? {
            Some(row) => row.json(0)?,
            None => Vec::new(),
        };
        let has_gained = self.roles.iter().any(|role| !old.contains(role));
        let has_lost = old.iter().any(|role| !self.roles.contains(role));
        if has_gained || has_lost {
            tell(tx, &self.organization, person, &self.audit, self.now).await?;
        }
        let roles = document(&self.roles)?;
        tx.run(&SET_MEMBER, binds![id, person, &roles]).await?;
        if has_lost {
            ending::families_of_member(tx, &self.organization, person, self.now).await?;
        }
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_people(tx).await?;
        if has_lost {
            let target = Target::Membership(self.organization.clone(), self.person);
            revocation::record(tx, &[(target, self.horizon)], self.now).await?;
        }
        Ok(Updated::Updated)
    }
}

impl Act for RemoveMember {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        let (id, person) = (self.organization.as_str(), &self.person);
        person::lock(tx, person).await?;
        if tx.run(&REMOVE_MEMBER, binds![id, person]).await? == 0 {
            return Ok(Updated::Missing);
        }
        tell(tx, &self.organization, person, &self.audit, self.now).await?;
        ending::families_of_member(tx, &self.organization, person, self.now).await?;
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_people(tx).await?;
        let target = Target::Membership(self.organization.clone(), self.person);
        revocation::record(tx, &[(target, self.horizon)], self.now).await?;
        Ok(Updated::Updated)
    }
}

impl Act for FindOrganization {
    type Out = Option<Organization>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Organization>, Fault> {
        let row = tx.one(&FIND, binds![self.id.as_str()]).await?;
        row.as_ref().map(read).transpose()
    }
}

impl Act for ListOrganizations {
    type Out = Vec<Organization>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Organization>, Fault> {
        let after = self.after.as_ref().map_or("", OrganizationId::as_str);
        tx.all(&LIST, binds![after, self.limit], read).await
    }
}

impl Act for Members {
    type Out = Vec<Member>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Member>, Fault> {
        let after = self.after.as_ref().map_or(&[][..], |id| id.as_bytes());
        let binds = binds![self.organization.as_str(), after, self.limit];
        tx.all(&MEMBERS, binds, |row| {
            Ok(Member {
                person: row.id(0)?,
                roles: row.json(1)?,
                username: row.string_or_none(2)?.unwrap_or_default(),
            })
        })
        .await
    }
}

impl Act for MembershipsOf {
    type Out = Vec<Membership>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Membership>, Fault> {
        tx.all(&OF_PERSON, binds![&self.person], |row| {
            Ok(Membership {
                organization: read(row)?,
                roles: row.json(3)?,
            })
        })
        .await
    }
}
