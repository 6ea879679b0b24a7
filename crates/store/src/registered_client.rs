//! What is kept of clients that nobody here configured: that they registered
//! themselves, or that an administrator stopped one which has no row.
//!
//! Registering tells no other node: an identifier proves by itself that it was
//! given out, so whoever is shown one reads its row. What is changed or ended
//! tells all of them, as with any client.
//!
//! Spec: RFC 7591 §3
//! Spec: RFC 7592 §2, §3

use symbolon_protocol::{Client, ClientId, Timestamp};
use symbolon_token::Digest;

use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::client::{CreateClient, NewSecret, Updated};
use crate::ending;
use crate::fault::Fault;
use crate::feed;
use crate::revocation::{self, Target};
use crate::row::{Row, document};
use crate::statement::statements;

/// How a client came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientOrigin {
    /// It registered itself, and has a row for as long as it is used.
    Registered,
    /// It did, and an administrator has changed since what it says of itself.
    Administered,
    /// It describes itself, and has a row because it was stopped.
    Stopped,
}

impl ClientOrigin {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Administered => "administered",
            Self::Stopped => "stopped",
        }
    }
}

/// What is known of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// How the client came here.
    pub origin: ClientOrigin,
    /// The digest of the token that may change it, where there is one.
    pub token: Option<Digest>,
    /// When it came.
    pub registered: Timestamp,
}

/// Registers a client that nobody configured.
#[derive(Clone, Debug)]
pub struct RegisterClient {
    /// The client.
    pub client: Client,
    /// Its secret.
    pub secret: Option<NewSecret>,
    /// The digest of the token that may change it.
    pub token: Option<Digest>,
    /// How many may register after `since`.
    pub limit: u32,
    /// From when on they are counted.
    pub since: Timestamp,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// What registering found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// It is there now.
    Registered,
    /// It was there already, the same. Nothing was written.
    Again,
    /// Too many have registered lately. Nothing was written.
    Full,
}

/// Finds a registration.
#[derive(Clone, Debug)]
pub struct FindRegistration {
    /// The client.
    pub id: ClientId,
}

/// Replaces what a registered client says of itself, and the token that may. A
/// token that opens nothing any more, and a client that is stopped, find none.
#[derive(Clone, Debug)]
pub struct ReplaceRegistration {
    /// The client.
    pub client: Client,
    /// What it was made from: if somebody else has changed the client since,
    /// nothing is written.
    pub was: Client,
    /// The token that was shown, and the one that takes its place.
    pub tokens: (Digest, Digest),
    /// Whether people have to be asked again: answers go elsewhere now.
    pub asks_again: bool,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of it has expired.
    pub horizon: Timestamp,
}

/// Stops a client that has no row: it gets one, which says that it is stopped.
#[derive(Clone, Debug)]
pub struct StopClient {
    /// The client, as it describes itself.
    pub client: Client,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of it has expired.
    pub horizon: Timestamp,
}

/// Lets a client go on that was stopped and describes itself.
#[derive(Clone, Debug)]
pub struct LetClientGoOn {
    /// The client.
    pub id: ClientId,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Takes back all that a client without a row was given so far.
#[derive(Clone, Debug)]
pub struct RevokeUnlistedClient {
    /// The client.
    pub id: ClientId,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of it has expired.
    pub horizon: Timestamp,
}

/// Looks at some registrations, the oldest first, and ends those that nobody
/// uses. What is used stays where it is, so whoever looks again goes on behind.
#[derive(Clone, Debug)]
pub struct EndUnusedClients {
    /// Those that registered before.
    pub before: Timestamp,
    /// The last one that was looked at; none at first.
    pub after: Option<(Timestamp, ClientId)>,
    /// At most how many are looked at.
    pub limit: u32,
}

/// What a look at some registrations came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedUnused {
    /// How many were ended.
    pub ended: u64,
    /// The last one that was looked at, where there may be more behind it.
    pub last: Option<(Timestamp, ClientId)>,
}

statements! {
    ENTER = "INSERT INTO registered_client (id, origin, token, registered)
        VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    ONE_OF_MANY = "SELECT registered FROM registered_client WHERE registered > ?1
        ORDER BY registered LIMIT 1 OFFSET ?2";
    FIND = "SELECT origin, token, registered FROM registered_client WHERE id = ?1";
    ROTATE = "UPDATE registered_client SET token = ?3 WHERE id = ?1 AND token = ?2";
    CURRENT = "SELECT document FROM client WHERE id = ?1 AND enabled = 1 {for_update}";
    REPLACE = "UPDATE client SET document = ?2, updated = ?3 WHERE id = ?1";
    ADMINISTER = "UPDATE registered_client SET origin = 'administered'
        WHERE id = ?1 AND origin = 'registered'";
    FORGET = "DELETE FROM registered_client WHERE id = ?1";
    FORGET_STOPPED = "DELETE FROM registered_client WHERE id = ?1 AND origin = 'stopped'";
    DELETE = "DELETE FROM client WHERE id = ?1";
    DELETE_SECRETS = "DELETE FROM client_secret WHERE client = ?1";
    LOCK = "SELECT 1 FROM client WHERE id = ?1 {for_update}";
    DELETE_UNUSED = "DELETE FROM client WHERE id = ?1
        AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.client = ?1)
        AND NOT EXISTS (SELECT 1 FROM api_key k WHERE k.client = ?1)";
    LOOK = "SELECT r.id, r.registered, CAST(CASE WHEN r.origin <> 'stopped'
                AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.client = r.id)
                AND NOT EXISTS (SELECT 1 FROM api_key k WHERE k.client = r.id)
            THEN 1 ELSE 0 END AS BIGINT)
        FROM registered_client r
        WHERE r.registered <= ?1 AND (r.registered, r.id) > (?2, ?3)
        ORDER BY r.registered, r.id LIMIT ?4";
}

/// A registration, as far as ending it is decided by it.
struct Looked {
    id: ClientId,
    registered: Timestamp,
    is_unused: bool,
}

fn read_look(row: &Row) -> Result<Looked, Fault> {
    Ok(Looked {
        id: row.parsed(0)?,
        registered: row.time(1)?,
        is_unused: row.flag(2)?,
    })
}

/// Notes that an administrator has changed what a client says of itself.
pub(crate) async fn administer(tx: &mut Tx<'_>, id: &ClientId) -> Result<(), Fault> {
    tx.run(&ADMINISTER, binds![id.as_str()]).await?;
    Ok(())
}

/// Whether a client registered itself, or was stopped and describes itself.
pub(crate) async fn is_known(tx: &mut Tx<'_>, id: &ClientId) -> Result<bool, Fault> {
    Ok(tx.one(&FIND, binds![id.as_str()]).await?.is_some())
}

/// Forgets how a client came here.
pub(crate) async fn forget(tx: &mut Tx<'_>, id: &ClientId) -> Result<(), Fault> {
    tx.run(&FORGET, binds![id.as_str()]).await?;
    Ok(())
}

impl Act for RegisterClient {
    type Out = Registered;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Registered, Fault> {
        let id = self.client.id.as_str();
        if tx.one(&FIND, binds![id]).await?.is_some() {
            return Ok(Registered::Again);
        }
        let lately = binds![self.since, self.limit];
        if tx.one(&ONE_OF_MANY, lately).await?.is_some() {
            return Ok(Registered::Full);
        }
        let origin = ClientOrigin::Registered.as_str();
        let token = self.token.as_ref().map(|own| own.as_bytes().as_slice());
        let binds = binds![id, origin, token, self.now];
        if tx.run(&ENTER, binds).await? == 0 {
            return Ok(Registered::Again);
        }
        let client = CreateClient {
            client: self.client.clone(),
            secret: self.secret.clone(),
            enabled: true,
            audit: self.audit.clone(),
            now: self.now,
        };
        client.enter(tx).await?;
        Ok(Registered::Registered)
    }
}

impl Act for FindRegistration {
    type Out = Option<Registration>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Registration>, Fault> {
        let Some(row) = tx.one(&FIND, binds![self.id.as_str()]).await? else {
            return Ok(None);
        };
        Ok(Some(Registration {
            origin: match row.text(0)? {
                "registered" => ClientOrigin::Registered,
                "administered" => ClientOrigin::Administered,
                _ => ClientOrigin::Stopped,
            },
            token: row.array_or_none::<32>(1)?.map(Digest::from_bytes),
            registered: row.time(2)?,
        }))
    }
}

impl Act for ReplaceRegistration {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        let id = &self.client.id;
        let (shown, next) = &self.tokens;
        let Some(current) = tx.one(&CURRENT, binds![id.as_str()]).await? else {
            return Ok(Updated::Missing);
        };
        if current.json::<Client>(0)? != self.was {
            return Ok(Updated::Changed);
        }
        // One statement decides: of two that were shown the same token, one changes.
        if tx.run(&ROTATE, binds![id.as_str(), shown, next]).await? == 0 {
            return Ok(Updated::Missing);
        }
        let document = document(&self.client)?;
        let replace = binds![id.as_str(), &document, self.now];
        tx.run(&REPLACE, replace).await?;
        if self.asks_again {
            ending::families_of_client(tx, id, self.now).await?;
            ending::grants_of_client(tx, id, self.now).await?;
        }
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        if self.asks_again {
            let record = (Target::Client(id.clone()), self.horizon);
            revocation::record(tx, &[record], self.now).await?;
        }
        Ok(Updated::Updated)
    }
}

impl Act for StopClient {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        let id = &self.client.id;
        let origin = ClientOrigin::Stopped.as_str();
        let none: Option<&[u8]> = None;
        let binds = binds![id.as_str(), origin, none, self.now];
        if tx.run(&ENTER, binds).await? == 0 {
            return Ok(Updated::Changed);
        }
        let client = CreateClient {
            client: self.client.clone(),
            secret: None,
            enabled: false,
            audit: self.audit.clone(),
            now: self.now,
        };
        client.enter(tx).await?;
        ending::families_of_client(tx, id, self.now).await?;
        feed::bump_configuration(tx).await?;
        let record = (Target::Client(id.clone()), self.horizon);
        revocation::record(tx, &[record], self.now).await?;
        Ok(Updated::Updated)
    }
}

impl Act for LetClientGoOn {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        let id = self.id.as_str();
        if tx.run(&FORGET_STOPPED, binds![id]).await? == 0 {
            return Ok(Updated::Missing);
        }
        tx.run(&DELETE, binds![id]).await?;
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        Ok(Updated::Updated)
    }
}

impl Act for RevokeUnlistedClient {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        ending::families_of_client(tx, &self.id, self.now).await?;
        audit::write(tx, &self.audit, self.now).await?;
        let record = (Target::Client(self.id.clone()), self.horizon);
        revocation::record(tx, &[record], self.now).await?;
        Ok(())
    }
}

impl Act for EndUnusedClients {
    type Out = EndedUnused;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<EndedUnused, Fault> {
        let (at, id) = match &self.after {
            Some((at, id)) => (*at, id.as_str()),
            None => (Timestamp::from_millis(i64::MIN), ""),
        };
        let binds = binds![self.before, at, id, self.limit];
        let looked = tx.all(&LOOK, binds, read_look).await?;
        let unused = looked.iter().filter(|own| own.is_unused);
        let mut ended = 0;
        for Looked { id, .. } in unused {
            // Somebody may be agreeing to it just now: once they are done, it is used.
            tx.one(&LOCK, binds![id.as_str()]).await?;
            if tx.run(&DELETE_UNUSED, binds![id.as_str()]).await? == 0 {
                continue;
            }
            tx.run(&DELETE_SECRETS, binds![id.as_str()]).await?;
            forget(tx, id).await?;
            ended += 1;
        }
        if ended > 0 {
            feed::bump_configuration(tx).await?;
        }
        let is_full = looked.len() >= self.limit as usize;
        let last = looked.into_iter().next_back().filter(|_| is_full);
        Ok(EndedUnused {
            ended,
            last: last.map(|own| (own.registered, own.id)),
        })
    }
}
