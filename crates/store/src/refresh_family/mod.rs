//! A refresh family: one narrow row that each refresh rewrites, and its
//! authority beside it, written once.
//!
//! Spec: RFC 6749 §6
//! Spec: RFC 9700 §4.14

pub(crate) mod list;
pub(crate) mod present;
mod revoke;
pub(crate) mod rotation;
pub(crate) mod used;

pub use list::{FamiliesOf, FamilyLine};
pub use present::{Present, PresentedAs};
pub use revoke::RevokeFamily;
pub use rotation::{Live, Renew, Rotate, Rotated};
pub use used::{GrantUse, GrantUsesOf};

use symbolon_protocol::{ClientId, Timestamp};
use symbolon_token::{Family, Grant, Id, Person, Session};

use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::dialect::Engine;
use crate::fault::Fault;
use crate::feed::Position;
use crate::revocation::{self, Target};
use crate::row::Row;
use crate::session::Ended;
use crate::statement::statements;

/// The first sixteen bytes of the digest of a refresh secret. Enough: what is
/// looked for is a second preimage of 192 random bits.
pub type Digest16 = [u8; 16];

/// The generation of the refresh token that a new family begins with.
pub const FIRST_GENERATION: u32 = 1;

/// A family to be opened.
#[derive(Clone, Debug)]
pub struct NewFamily {
    /// Its id.
    pub id: Id<Family>,
    /// The digest of the first refresh secret.
    pub current: Digest16,
    /// The number of the key under which the next secret is derived.
    pub key: u32,
    /// When it ends where it is not used.
    pub idle_ends: Timestamp,
    /// When it ends in any case.
    pub absolute_ends: Timestamp,
    /// The grant it stands on.
    pub grant: Id<Grant>,
    /// The session it ends with, if it does.
    pub session: Option<Id<Session>>,
    /// The client it belongs to.
    pub client: ClientId,
    /// Who granted.
    pub person: Id<Person>,
    /// The authority, as the caller writes it.
    pub document: Vec<u8>,
}

/// What a family may do: written once, with it.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyAuthority {
    /// The grant it stands on.
    pub grant: Id<Grant>,
    /// The session it ends with, if it does.
    pub session: Option<Id<Session>>,
    /// The client it belongs to.
    pub client: ClientId,
    /// Who granted.
    pub person: Id<Person>,
    /// The authority, as the caller wrote it.
    pub document: Vec<u8>,
    /// The family's place in the feed.
    pub position: Position,
    /// When it was opened.
    pub created: Timestamp,
}

/// A family as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct RefreshFamily {
    /// Its id.
    pub id: Id<Family>,
    /// How many refresh tokens it has had.
    pub generation: u32,
    /// The digest of the current secret.
    pub current: Digest16,
    /// The digest of the one before.
    pub previous: Option<Digest16>,
    /// The number of the key that the statement that rotated it last wrote.
    pub key: u32,
    /// When it was rotated last.
    pub rotated: Timestamp,
    /// When it ends where it is not used.
    pub idle_ends: Timestamp,
    /// When it ends in any case.
    pub absolute_ends: Timestamp,
    /// When it was ended, if it was.
    pub ended: Option<Timestamp>,
    /// Whether its grant was withdrawn or its session ended.
    pub is_orphaned: bool,
    /// What it may do.
    pub authority: FamilyAuthority,
}

impl RefreshFamily {
    /// Whether it may still be refreshed.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended.is_none()
            && !self.is_orphaned
            && now < self.idle_ends
            && now < self.absolute_ends
    }
}

/// Finds a family, ended or not.
#[derive(Clone, Debug)]
pub struct FindFamily {
    /// The family.
    pub id: Id<Family>,
}

/// Ends a family.
#[derive(Clone, Debug)]
pub struct EndFamily {
    /// The family.
    pub id: Id<Family>,
    /// Where given, only if it belongs to this client.
    pub client: Option<ClientId>,
    /// The time.
    pub now: Timestamp,
    /// When the last token of it has expired.
    pub horizon: Timestamp,
    /// What to write down.
    pub audit: AuditEvent,
}

macro_rules! find {
    ($lock:literal) => {
        concat!(
            "SELECT f.id, f.generation, f.current_secret, f.previous_secret, f.working_key,
                f.rotated, f.idle_ends, f.absolute_ends, f.ended, g.id, g.withdrawn, s.ended,
                a.grant_id, a.session_id, a.client, a.person, a.document, a.epoch, a.sequence,
                a.created
            FROM family f
                JOIN family_authority a ON a.slot = f.slot AND a.id = f.id
                LEFT JOIN grants g ON g.slot = a.slot AND g.id = a.grant_id
                LEFT JOIN session s ON s.slot = a.slot AND s.id = a.session_id
            WHERE f.slot = ?1 AND f.id = ?2 ",
            $lock
        )
    };
}

statements! {
    @Sqlite INSERT = "INSERT INTO family (slot, id, generation, current_secret, working_key,
            rotated, idle_ends, absolute_ends)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    @Sqlite INSERT_AUTHORITY = "INSERT INTO family_authority (slot, id, grant_id, session_id, client,
            person, created, document, epoch, sequence)
        SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, epoch, sequence FROM feed_head WHERE one = 1";
    @Postgres INSERT_BOTH = "WITH family_row AS (
            INSERT INTO family (slot, id, generation, current_secret, working_key,
                rotated, idle_ends, absolute_ends)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8))
        INSERT INTO family_authority (slot, id, grant_id, session_id, client,
            person, created, document, epoch, sequence)
        SELECT ?1, ?2, ?9, ?10, ?11, ?12, ?6, ?13, epoch, sequence FROM feed_head WHERE one = 1";
    FIND = find!("");
    FIND_LOCKED = find!("{for_update_f}");
    END = "UPDATE family SET ended = ?3 WHERE slot = ?1 AND id = ?2 AND ended IS NULL";
    END_OF_CLIENT = "UPDATE family SET ended = ?3 WHERE slot = ?1 AND id = ?2 AND ended IS NULL
        AND EXISTS (SELECT 1 FROM family_authority a
            WHERE a.slot = ?1 AND a.id = ?2 AND a.client = ?4)";
}

pub(crate) fn read(row: &Row) -> Result<RefreshFamily, Fault> {
    Ok(RefreshFamily {
        id: row.id(0)?,
        generation: row.count(1)?,
        current: row.array(2)?,
        previous: row.array_or_none(3)?,
        key: row.count(4)?,
        rotated: row.time(5)?,
        idle_ends: row.time(6)?,
        absolute_ends: row.time(7)?,
        ended: row.time_or_none(8)?,
        // A session whose row is gone ran out, and that ends no family.
        is_orphaned: row.bytes_or_none(9)?.is_none()
            || row.number_or_none(10)?.is_some()
            || row.number_or_none(11)?.is_some(),
        authority: read_authority(row, 12)?,
    })
}

/// Eight columns: grant, session, client, person, document, place, created.
fn read_authority(row: &Row, at: usize) -> Result<FamilyAuthority, Fault> {
    Ok(FamilyAuthority {
        grant: row.id(at)?,
        session: row.id_or_none(at + 1)?,
        client: row.parsed(at + 2)?,
        person: row.id(at + 3)?,
        document: row.bytes(at + 4)?.to_vec(),
        position: row.position(at + 5)?,
        created: row.time(at + 7)?,
    })
}

/// Opens a family, within the act that redeems what it comes of.
pub(crate) async fn open(tx: &mut Tx<'_>, family: &NewFamily, now: Timestamp) -> Result<(), Fault> {
    let (slot, id) = (family.id.slot(), &family.id);
    let (current, key) = (&family.current, family.key);
    let (idle, absolute) = (family.idle_ends, family.absolute_ends);
    let (grant, session) = (&family.grant, family.session.as_ref());
    let (client, person) = (family.client.as_str(), &family.person);
    let (first, document) = (FIRST_GENERATION, &family.document);
    match tx.engine() {
        Engine::Sqlite => {
            let binds = binds![slot, id, first, current, key, now, idle, absolute];
            tx.run(&INSERT, binds).await?;
            let binds = binds![slot, id, grant, session, client, person, now, document];
            tx.run(&INSERT_AUTHORITY, binds).await?;
        }
        Engine::Postgres => {
            #[rustfmt::skip]
            let binds = binds![
                slot, id, first, current, key, now, idle, absolute,
                grant, session, client, person, document,
            ];
            tx.run(&INSERT_BOTH, binds).await?;
        }
    }
    Ok(())
}

/// Ends a family; whether it lived.
pub(crate) async fn end(
    tx: &mut Tx<'_>,
    family: &Id<Family>,
    now: Timestamp,
) -> Result<bool, Fault> {
    Ok(tx.run(&END, binds![family.slot(), family, now]).await? > 0)
}

impl Act for FindFamily {
    type Out = Option<RefreshFamily>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<RefreshFamily>, Fault> {
        let row = tx.one(&FIND, binds![self.id.slot(), &self.id]).await?;
        row.as_ref().map(read).transpose()
    }
}

impl Act for EndFamily {
    type Out = Ended;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Ended, Fault> {
        let (slot, id) = (self.id.slot(), &self.id);
        let lived = match &self.client {
            None => end(tx, id, self.now).await?,
            Some(client) => {
                let binds = binds![slot, id, self.now, client.as_str()];
                tx.run(&END_OF_CLIENT, binds).await? > 0
            }
        };
        let target = Target::Family(self.id);
        if !lived {
            // Where it has ended already, whoever asked may ask this node next.
            revocation::is_recorded(tx, &target, self.now).await?;
            return Ok(Ended::Missing);
        }
        audit::write(tx, &self.audit, self.now).await?;
        revocation::record(tx, &[(target, self.horizon)], self.now).await?;
        Ok(Ended::Ended)
    }
}
