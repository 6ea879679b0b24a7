//! A grant: this person let this client do this, at these resources. At most
//! one lives for a person, a client and an organization.
//!
//! Spec: RFC 6749 §1.3

use symbolon_protocol::{Agreement, ClientId, OrganizationId, Timestamp};
use symbolon_token::{Id, Person, Session};

use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::ending;
use crate::fault::Fault;
use crate::feed::Position;
use crate::person;
use crate::revocation::{self, Target};
use crate::row::{Row, document};
use crate::session::Ended;
use crate::statement::statements;

type GrantId = Id<symbolon_token::Grant>;

/// A grant as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// Who granted.
    pub person: Id<Person>,
    /// To which client.
    pub client: ClientId,
    /// For which organization, if for one.
    pub organization: Option<OrganizationId>,
    /// What.
    pub agreement: Agreement,
    /// When first.
    pub created: Timestamp,
    /// When last; it grows with every change.
    pub updated: Timestamp,
    /// When it was withdrawn, if it was.
    pub withdrawn: Option<Timestamp>,
    /// Its place in the feed.
    pub position: Position,
}

/// Writes a person's consent down: a new grant, or the live one replaced by
/// what the caller merged it with. Where that holds less than before, the live
/// grant is withdrawn with all that came of it, and a new one takes its place.
#[derive(Clone, Debug)]
pub struct Consent {
    /// The id of a new grant; a live one that only grows keeps its own.
    pub id: GrantId,
    /// Who grants.
    pub person: Id<Person>,
    /// To which client.
    pub client: ClientId,
    /// Whether that one has to have a row.
    pub client_row: ClientRow,
    /// For which organization, if for one.
    pub organization: Option<OrganizationId>,
    /// The session in which they say so, where they say it in one: it must live.
    pub session: Option<Id<Session>>,
    /// What, as far as it still holds from before and is agreed to now.
    pub agreement: Agreement,
    /// The live grant that the caller read; `None` where it found none.
    pub former: Option<Grant>,
    /// When the last token of the live grant has expired.
    pub horizon: Timestamp,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Whether a client has to have a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientRow {
    /// Without one there is no such client.
    Required,
    /// It describes itself, and has one only where somebody wrote it.
    Optional,
}

/// What became of a consent.
#[derive(Clone, Debug, PartialEq)]
pub enum Consented {
    /// It was written down.
    Granted(Grant),
    /// The live grant is not the one that was read: read and merge again.
    Changed,
    /// The session has ended. Nothing was written.
    SignedOut,
    /// The client is gone, or may not be used. Nothing was written.
    NoClient,
}

/// Withdraws a grant and ends its families.
#[derive(Clone, Debug)]
pub struct WithdrawGrant {
    /// The grant.
    pub id: GrantId,
    /// The time.
    pub now: Timestamp,
    /// When the last token of it has expired.
    pub horizon: Timestamp,
    /// What to write down.
    pub audit: AuditEvent,
}

/// Finds the live grant of a person to a client.
#[derive(Clone, Debug)]
pub struct FindGrant {
    /// The person.
    pub person: Id<Person>,
    /// The client.
    pub client: ClientId,
    /// The organization, if for one.
    pub organization: Option<OrganizationId>,
}

/// Finds a grant, withdrawn or not.
#[derive(Clone, Debug)]
pub struct FindGrantById {
    /// The grant.
    pub id: GrantId,
}

/// Lists the live grants of a person.
#[derive(Clone, Debug)]
pub struct GrantsOf {
    /// The person.
    pub person: Id<Person>,
}

/// Lists the live grants to a client.
#[derive(Clone, Debug)]
pub struct GrantsOfClient {
    /// The client.
    pub client: ClientId,
    /// The last grant that was read.
    pub after: Option<GrantId>,
    /// At most how many.
    pub limit: u32,
}

macro_rules! columns {
    () => {
        "id, person, client, organization, agreement, created, updated, epoch, sequence, withdrawn"
    };
}

statements! {
    // Whoever ends the session, and maybe withdraws what was agreed to in it, waits
    // for this, or is waited for.
    SESSION = "SELECT 1 FROM session WHERE slot = ?1 AND id = ?2 AND ended IS NULL {for_share}";
    // Likewise whoever deletes or disables the client.
    CLIENT = "SELECT enabled FROM client WHERE id = ?1 {for_share}";
    INSERT = concat!("INSERT INTO grants (slot, id, person, client, organization, agreement,
            created, updated, epoch, sequence)
        SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, epoch, sequence
        FROM feed_head WHERE one = 1
        ON CONFLICT (slot, person, client, organization) WHERE withdrawn IS NULL DO NOTHING
        RETURNING ", columns!());
    // It moves to the present place in the feed, because the person is here
    // and said so again.
    REPLACE = concat!("UPDATE grants SET agreement = ?5,
            updated = {greatest}(?6, updated + 1),
            epoch = (SELECT epoch FROM feed_head WHERE one = 1),
            sequence = (SELECT sequence FROM feed_head WHERE one = 1)
        WHERE slot = ?1 AND person = ?2 AND client = ?3 AND organization = ?4
            AND withdrawn IS NULL AND updated = ?7
        RETURNING ", columns!());
    SUPERSEDE = "UPDATE grants SET withdrawn = ?3
        WHERE slot = ?1 AND id = ?2 AND withdrawn IS NULL AND updated = ?4";
    WITHDRAW = "UPDATE grants SET withdrawn = ?3
        WHERE slot = ?1 AND id = ?2 AND withdrawn IS NULL";
    FIND_LIVE = concat!("SELECT ", columns!(), " FROM grants WHERE slot = ?1 AND person = ?2
        AND client = ?3 AND organization = ?4 AND withdrawn IS NULL");
    FIND = concat!("SELECT ", columns!(), " FROM grants WHERE slot = ?1 AND id = ?2");
    OF_PERSON = concat!("SELECT ", columns!(), " FROM grants {by_grantor}
        WHERE slot = ?1 AND person = ?2 AND withdrawn IS NULL ORDER BY client, organization");
    OF_CLIENT = concat!("SELECT ", columns!(), " FROM grants WHERE client = ?1
        AND withdrawn IS NULL AND id > ?2 ORDER BY id LIMIT ?3");
}

fn read(row: &Row) -> Result<Grant, Fault> {
    Ok(Grant {
        id: row.id(0)?,
        person: row.id(1)?,
        client: row.parsed(2)?,
        organization: row.parsed_or_none(3)?,
        agreement: row.json(4)?,
        created: row.time(5)?,
        updated: row.time(6)?,
        position: row.position(7)?,
        withdrawn: row.time_or_none(9)?,
    })
}

fn name(organization: Option<&OrganizationId>) -> &str {
    organization.map_or("", OrganizationId::as_str)
}

impl Act for Consent {
    type Out = Consented;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Consented, Fault> {
        if let Some(session) = &self.session
            && tx
                .one(&SESSION, binds![session.slot(), session])
                .await?
                .is_none()
        {
            return Ok(Consented::SignedOut);
        }
        if !self.has_client(tx).await? {
            return Ok(Consented::NoClient);
        }
        let is_less = |former: &&Grant| !former.agreement.is_within(&self.agreement);
        let superseded = self.former.as_ref().filter(is_less);
        let row = match (&self.former, superseded) {
            (None, _) => self.insert(tx).await?,
            (Some(former), None) => self.replace(tx, former).await?,
            (Some(former), Some(_)) => {
                let binds = binds![former.id.slot(), &former.id, self.now, former.updated];
                if tx.run(&SUPERSEDE, binds).await? == 0 {
                    return Ok(Consented::Changed);
                }
                ending::families_of_grant(tx, &former.id, self.now).await?;
                let row = self.insert(tx).await?;
                // Somebody else's came between the two: all of this again.
                Some(row.ok_or_else(|| Fault::retry("a grant came in between"))?)
            }
        };
        let Some(row) = row else {
            return Ok(Consented::Changed);
        };
        audit::write(tx, &self.audit, self.now).await?;
        if let Some(former) = superseded {
            let record = (Target::Grant(former.id), self.horizon);
            revocation::record(tx, &[record], self.now).await?;
        }
        Ok(Consented::Granted(read(&row)?))
    }
}

impl Consent {
    async fn has_client(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        match tx.one(&CLIENT, binds![self.client.as_str()]).await? {
            Some(row) => row.flag(0),
            None => Ok(self.client_row == ClientRow::Optional),
        }
    }

    async fn insert(&self, tx: &mut Tx<'_>) -> Result<Option<Row>, Fault> {
        let (slot, client) = (self.person.slot(), self.client.as_str());
        let organization = name(self.organization.as_ref());
        let agreement = document(&self.agreement)?;
        let (id, person) = (&self.id, &self.person);
        let binds = binds![slot, id, person, client, organization, &agreement, self.now];
        tx.one(&INSERT, binds).await
    }

    async fn replace(&self, tx: &mut Tx<'_>, former: &Grant) -> Result<Option<Row>, Fault> {
        let (slot, client) = (self.person.slot(), self.client.as_str());
        let organization = name(self.organization.as_ref());
        let agreement = document(&self.agreement)?;
        let (person, expected) = (&self.person, former.updated);
        let binds = binds![
            slot,
            person,
            client,
            organization,
            &agreement,
            self.now,
            expected
        ];
        tx.one(&REPLACE, binds).await
    }
}

impl Act for WithdrawGrant {
    type Out = Ended;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Ended, Fault> {
        let (slot, id) = (self.id.slot(), &self.id);
        // A person before what is theirs, as whoever takes all of theirs back.
        let Some(found) = tx.one(&FIND, binds![slot, id]).await? else {
            return Ok(Ended::Missing);
        };
        person::lock(tx, &read(&found)?.person).await?;
        if tx.run(&WITHDRAW, binds![slot, id, self.now]).await? == 0 {
            return Ok(Ended::Missing);
        }
        ending::families_of_grant(tx, &self.id, self.now).await?;
        audit::write(tx, &self.audit, self.now).await?;
        let record = (Target::Grant(self.id), self.horizon);
        revocation::record(tx, &[record], self.now).await?;
        Ok(Ended::Ended)
    }
}

impl Act for FindGrant {
    type Out = Option<Grant>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Grant>, Fault> {
        let organization = name(self.organization.as_ref());
        let (person, client) = (&self.person, self.client.as_str());
        let binds = binds![person.slot(), person, client, organization];
        tx.one(&FIND_LIVE, binds)
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }
}

impl Act for FindGrantById {
    type Out = Option<Grant>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Grant>, Fault> {
        let row = tx.one(&FIND, binds![self.id.slot(), &self.id]).await?;
        row.as_ref().map(read).transpose()
    }
}

impl Act for GrantsOf {
    type Out = Vec<Grant>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Grant>, Fault> {
        tx.all(&OF_PERSON, binds![self.person.slot(), &self.person], read)
            .await
    }
}

impl Act for GrantsOfClient {
    type Out = Vec<Grant>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Grant>, Fault> {
        let after = self.after.as_ref().map_or(&[][..], |id| id.as_bytes());
        let binds = binds![self.client.as_str(), after, self.limit];
        tx.all(&OF_CLIENT, binds, read).await
    }
}
