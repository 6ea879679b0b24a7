//! Clients: a document, secrets beside it, enabled or not.
//!
//! Spec: RFC 7591 §2

use symbolon_protocol::{Client, ClientId, Timestamp, planted};
use symbolon_token::Digest;

use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::ending::{self, Whole};
use crate::fault::Fault;
use crate::feed;
use crate::naming::{self, Deleted};
use crate::registered_client;
use crate::revocation::{self, Target};
use crate::row::{Row, document};
use crate::signal_stream;
use crate::statement::statements;

/// A client as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredClient {
    /// What was registered.
    pub client: Client,
    /// Whether it may be used.
    pub enabled: bool,
    /// Its secrets, oldest first; those that have expired may be among them.
    pub secrets: Vec<ClientSecret>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
}

/// One secret of a client, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSecret {
    /// Its number.
    pub id: i64,
    /// Its keyed digest.
    pub digest: Digest,
    /// The secret, sealed, where it is needed again (`client_secret_jwt`).
    pub sealed: Option<Vec<u8>>,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is not accepted any more.
    pub expires: Option<Timestamp>,
}

/// A secret to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSecret {
    /// Its keyed digest.
    pub digest: Digest,
    /// The secret, sealed, where it is needed again.
    pub sealed: Option<Vec<u8>>,
}

/// What creating found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// There was none, and now there is.
    Created,
    /// There is one of this name already. Nothing was written.
    Exists,
    /// Something that it names is gone. Nothing was written.
    Changed,
}

/// What changing found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updated {
    /// It was changed.
    Updated,
    /// There is none. Nothing was written.
    Missing,
    /// It is no longer what the change was made from, or something that it names
    /// from now on is gone. Nothing was written.
    Changed,
}

/// Creates a client.
#[derive(Clone, Debug)]
pub struct CreateClient {
    /// The client.
    pub client: Client,
    /// Its first secret.
    pub secret: Option<NewSecret>,
    /// Whether it may be used.
    pub enabled: bool,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Replaces a client's document. Secrets stay. Where it knows people by other
/// names than before, all that it was given dies: what is taken back of a person
/// finds a token by the name in it.
#[derive(Clone, Debug)]
pub struct UpdateClient {
    /// The client.
    pub client: Client,
    /// What the document was made from, where it was: if somebody else has
    /// changed the client since, nothing is written.
    pub was: Option<Client>,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of it has expired.
    pub horizon: Timestamp,
}

/// Deletes a client that no resource names; everything of it dies.
#[derive(Clone, Debug)]
pub struct DeleteClient {
    /// The client.
    pub id: ClientId,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of it has expired.
    pub horizon: Timestamp,
}

/// Enables or disables a client. Disabling kills its tokens and families.
#[derive(Clone, Debug)]
pub struct SetClientEnabled {
    /// The client.
    pub id: ClientId,
    /// Whether it may be used.
    pub enabled: bool,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of it has expired.
    pub horizon: Timestamp,
}

/// Takes back all that a client was given so far. Whether it may be used stays
/// as it is.
#[derive(Clone, Debug)]
pub struct RevokeClient {
    /// The client.
    pub id: ClientId,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of it has expired.
    pub horizon: Timestamp,
}

/// Gives a client another secret. Those that expired long ago are forgotten.
#[derive(Clone, Debug)]
pub struct AddClientSecret {
    /// The client.
    pub id: ClientId,
    /// The secret.
    pub secret: NewSecret,
    /// When the others stop being accepted; `None` leaves them as they are.
    pub old_expires: Option<Timestamp>,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Finds a client.
#[derive(Clone, Debug)]
pub struct FindClient {
    /// The client.
    pub id: ClientId,
}

/// Lists the identifiers of clients, and nothing else of them.
#[derive(Clone, Debug)]
pub struct ClientIds {
    /// The last one that was read.
    pub after: Option<ClientId>,
    /// At most how many.
    pub limit: u32,
}

/// Lists clients by id.
#[derive(Clone, Debug)]
pub struct ListClients {
    /// The last one that was read.
    pub after: Option<ClientId>,
    /// At most how many.
    pub limit: u32,
}

statements! {
    CREATE = "INSERT INTO client (id, document, enabled, created, updated)
        VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT DO NOTHING";
    ADD_SECRET = "INSERT INTO client_secret (client, digest, sealed, created)
        VALUES (?1, ?2, ?3, ?4)";
    CURRENT = "SELECT document FROM client WHERE id = ?1 {for_update}";
    UPDATE = "UPDATE client SET document = ?2, updated = ?3 WHERE id = ?1";
    DELETE = "DELETE FROM client WHERE id = ?1";
    DELETE_SECRETS = "DELETE FROM client_secret WHERE client = ?1";
    SET_ENABLED = "UPDATE client SET enabled = ?2, updated = ?3 WHERE id = ?1";
    TOUCH = "UPDATE client SET updated = ?2 WHERE id = ?1";
    EXPIRE_SECRETS = "UPDATE client_secret SET expires = ?2
        WHERE client = ?1 AND (expires IS NULL OR expires > ?2)";
    FORGET_SECRETS = "DELETE FROM client_secret WHERE client = ?1 AND expires <= ?2";
    FIND = "SELECT c.document, c.enabled, c.created, c.updated,
            s.id, s.digest, s.sealed, s.created, s.expires
        FROM client c LEFT JOIN client_secret s ON s.client = c.id
        WHERE c.id = ?1 ORDER BY s.id";
    IDS = "SELECT id FROM client WHERE id > ?1 ORDER BY id LIMIT ?2";
    LIST = "SELECT c.document, c.enabled, c.created, c.updated,
            s.id, s.digest, s.sealed, s.created, s.expires
        FROM client c LEFT JOIN client_secret s ON s.client = c.id
        WHERE c.id IN (SELECT id FROM client WHERE id > ?1 ORDER BY id LIMIT ?2)
        ORDER BY c.id, s.id";
}

/// Adds a row to the client it belongs to: rows of one client come together.
fn add(clients: &mut Vec<StoredClient>, row: &Row) -> Result<(), Fault> {
    let secret = match row.number_or_none(4)? {
        None => None,
        Some(id) => Some(ClientSecret {
            id,
            digest: row.digest(5)?,
            sealed: row.bytes_or_none(6)?.map(<[u8]>::to_vec),
            created: row.time(7)?,
            expires: row.time_or_none(8)?,
        }),
    };
    let client: Client = row.json(0)?;
    if let Some(last) = clients.last_mut()
        && last.client.id == client.id
    {
        last.secrets.extend(secret);
        return Ok(());
    }
    clients.push(StoredClient {
        client,
        enabled: row.flag(1)?,
        created: row.time(2)?,
        updated: row.time(3)?,
        secrets: secret.into_iter().collect(),
    });
    Ok(())
}

async fn add_secret(
    tx: &mut Tx<'_>,
    client: &ClientId,
    secret: &NewSecret,
    now: Timestamp,
) -> Result<(), Fault> {
    let sealed = secret.sealed.as_deref();
    let binds = binds![client.as_str(), &secret.digest, sealed, now];
    tx.run(&ADD_SECRET, binds).await?;
    Ok(())
}

impl CreateClient {
    /// Enters it, as a part of a larger act: what nobody is told of.
    pub(crate) async fn enter(&self, tx: &mut Tx<'_>) -> Result<Created, Fault> {
        let (id, document) = (&self.client.id, document(&self.client)?);
        let binds = binds![id.as_str(), &document, self.enabled, self.now];
        if tx.run(&CREATE, binds).await? == 0 {
            return Ok(Created::Exists);
        }
        if let Some(secret) = &self.secret {
            add_secret(tx, id, secret, self.now).await?;
        }
        audit::write(tx, &self.audit, self.now).await?;
        Ok(Created::Created)
    }
}

impl Act for CreateClient {
    type Out = Created;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Created, Fault> {
        let organization = self.client.organization.as_ref();
        if !naming::has_organization(tx, organization).await? {
            return Ok(Created::Changed);
        }
        let created = self.enter(tx).await?;
        if created == Created::Created {
            feed::bump_configuration(tx).await?;
        }
        Ok(created)
    }
}

impl Act for UpdateClient {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        let id = self.client.id.as_str();
        let Some(row) = tx.one(&CURRENT, binds![id]).await? else {
            return Ok(Updated::Missing);
        };
        let current: Client = row.json(0)?;
        let was = self.was.as_ref().filter(|_| !planted(1));
        if was.is_some_and(|was| *was != current) {
            return Ok(Updated::Changed);
        }
        let organization = self.client.organization.as_ref();
        if current.organization.as_ref() != organization
            && !naming::has_organization(tx, organization).await?
        {
            return Ok(Updated::Changed);
        }
        let document = document(&self.client)?;
        let binds = binds![id, &document, self.now];
        tx.run(&UPDATE, binds).await?;
        if current.is_described_otherwise(&self.client) {
            registered_client::administer(tx, &self.client.id).await?;
        }
        let is_renaming = current.names_in() != self.client.names_in();
        if is_renaming {
            ending::families_of_client(tx, &self.client.id, self.now).await?;
        }
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        if is_renaming {
            let record = (Target::Client(self.client.id.clone()), self.horizon);
            revocation::record(tx, &[record], self.now).await?;
        }
        Ok(Updated::Updated)
    }
}

impl Act for DeleteClient {
    type Out = Deleted;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Deleted, Fault> {
        match naming::hold_alone(tx, &Whole::Client(self.id.clone())).await? {
            Some(Deleted::Missing) => return Ok(Deleted::Missing),
            // Nobody is given the id again of a client that registered itself.
            Some(named) if !registered_client::is_known(tx, &self.id).await? => return Ok(named),
            _ => {}
        }
        tx.run(&DELETE, binds![self.id.as_str()]).await?;
        tx.run(&DELETE_SECRETS, binds![self.id.as_str()]).await?;
        registered_client::forget(tx, &self.id).await?;
        ending::grants_of_client(tx, &self.id, self.now).await?;
        signal_stream::forget_client(tx, &self.id).await?;
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        let record = (Target::Client(self.id.clone()), self.horizon);
        revocation::record(tx, &[record], self.now).await?;
        Ok(Deleted::Deleted)
    }
}

impl Act for SetClientEnabled {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        let binds = binds![self.id.as_str(), self.enabled, self.now];
        if tx.run(&SET_ENABLED, binds).await? == 0 {
            return Ok(Updated::Missing);
        }
        if !self.enabled {
            ending::families_of_client(tx, &self.id, self.now).await?;
        }
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        if !self.enabled && !planted(22) {
            let record = (Target::Client(self.id.clone()), self.horizon);
            revocation::record(tx, &[record], self.now).await?;
        }
        Ok(Updated::Updated)
    }
}

impl Act for RevokeClient {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        if tx.run(&TOUCH, binds![self.id.as_str(), self.now]).await? == 0 {
            return Ok(Updated::Missing);
        }
        ending::families_of_client(tx, &self.id, self.now).await?;
        audit::write(tx, &self.audit, self.now).await?;
        let record = (Target::Client(self.id.clone()), self.horizon);
        revocation::record(tx, &[record], self.now).await?;
        Ok(Updated::Updated)
    }
}

impl Act for AddClientSecret {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        let id = self.id.as_str();
        if tx.run(&TOUCH, binds![id, self.now]).await? == 0 {
            return Ok(Updated::Missing);
        }
        tx.run(&FORGET_SECRETS, binds![id, self.now]).await?;
        if let Some(expires) = self.old_expires {
            tx.run(&EXPIRE_SECRETS, binds![id, expires]).await?;
        }
        add_secret(tx, &self.id, &self.secret, self.now).await?;
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        Ok(Updated::Updated)
    }
}

impl Act for FindClient {
    type Out = Option<StoredClient>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<StoredClient>, Fault> {
        let mut clients = Vec::with_capacity(1);
        let binds = binds![self.id.as_str()];
        tx.each(&FIND, binds, |row| add(&mut clients, &row)).await?;
        Ok(clients.pop())
    }
}

impl Act for ClientIds {
    type Out = Vec<ClientId>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<ClientId>, Fault> {
        let after = self.after.as_ref().map_or("", ClientId::as_str);
        let binds = binds![after, self.limit];
        tx.all(&IDS, binds, |row| row.parsed(0)).await
    }
}

impl Act for ListClients {
    type Out = Vec<StoredClient>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<StoredClient>, Fault> {
        let mut clients = Vec::new();
        let after = self.after.as_ref().map_or("", ClientId::as_str);
        let binds = binds![after, self.limit];
        tx.each(&LIST, binds, |row| add(&mut clients, &row)).await?;
        Ok(clients)
    }
}
