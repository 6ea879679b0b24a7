//! A revocation: what is dead, since which place in the feed, and until when
//! anybody needs to know.
//!
//! Spec: RFC 7009 §2

use std::time::Duration;

use symbolon_protocol::{ClientId, OrganizationId, Timestamp};
use symbolon_token::id::Kind;
use symbolon_token::{Family, Grant, Id, Person, Session, Token};

use crate::act::{Act, Settled, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::dialect::Engine;
use crate::fault::Fault;
use crate::feed::Position;
use crate::row::Row;
use crate::statement::statements;
use crate::token_life;

/// How many live single-token records one client and subject may have. The
/// next is one record that stands for them all.
pub const MAX_TOKEN_RECORDS: usize = 100;
/// How much longer than the last refresh family or token a record lives that could
/// hit one: clocks differ, and what came of it last ends a little later.
const MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

/// What a revocation hits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// One access token.
    Token(Id<Token>),
    /// A refresh family and all that came of it.
    Family(Id<Family>),
    /// A grant.
    Grant(Id<Grant>),
    /// A session.
    Session(Id<Session>),
    /// All of one person.
    Subject(Id<Person>),
    /// All of one client.
    Client(ClientId),
    /// Access tokens of one client for one subject, as the `sub` says it.
    ClientSubject(ClientId, String),
    /// All of one organization.
    Organization(OrganizationId),
    /// What one person has through one organization.
    Membership(OrganizationId, Id<Person>),
    /// What a trusted issuer's tokens were exchanged for.
    Issuer(String),
    /// What one key made.
    Key(String),
    /// What was issued for a resource, by its identifier.
    Resource(String),
}

impl Target {
    /// The stable number of this kind.
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Token(_) => 1,
            Self::Family(_) => 2,
            Self::Grant(_) => 3,
            Self::Session(_) => 4,
            Self::Subject(_) => 5,
            Self::Client(_) => 6,
            Self::ClientSubject(..) => 7,
            Self::Organization(_) => 8,
            Self::Membership(..) => 9,
            Self::Issuer(_) => 10,
            Self::Key(_) => 11,
            Self::Resource(_) => 12,
        }
    }

    /// Whether a record of it can hit a refresh family.
    const fn hits_families(&self) -> bool {
        !matches!(self, Self::Token(_) | Self::ClientSubject(..))
    }

    /// Whether the record alone ends families: the act that makes it need not end
    /// the rows, or not all of them at once.
    const fn leaves_families(&self) -> bool {
        let is_ended = matches!(
            self,
            Self::Family(_) | Self::Grant(_) | Self::Session(_) | Self::Subject(_)
        );
        self.hits_families() && !is_ended
    }

    /// The bytes that, with the kind, name the target.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Token(id) => id.as_bytes().to_vec(),
            Self::Family(id) => id.as_bytes().to_vec(),
            Self::Grant(id) => id.as_bytes().to_vec(),
            Self::Session(id) => id.as_bytes().to_vec(),
            Self::Subject(id) => id.as_bytes().to_vec(),
            Self::Client(client) => client.as_str().as_bytes().to_vec(),
            // Neither identifier can hold a zero byte.
            Self::ClientSubject(client, subject) => {
                [client.as_str().as_bytes(), &[0], subject.as_bytes()].concat()
            }
            Self::Organization(organization) => organization.as_str().as_bytes().to_vec(),
            Self::Membership(organization, person) => {
                [person.as_bytes(), organization.as_str().as_bytes()].concat()
            }
            Self::Issuer(text) | Self::Key(text) | Self::Resource(text) => text.as_bytes().to_vec(),
        }
    }

    /// Reads a target back; `None` for what [`Target::to_bytes`] never wrote.
    pub fn from_parts(kind: u8, bytes: &[u8]) -> Option<Self> {
        let text = || std::str::from_utf8(bytes).ok();
        Some(match kind {
            1 => Self::Token(id(bytes)?),
            2 => Self::Family(id(bytes)?),
            3 => Self::Grant(id(bytes)?),
            4 => Self::Session(id(bytes)?),
            5 => Self::Subject(id(bytes)?),
            6 => Self::Client(text()?.parse().ok()?),
            7 => {
                let (client, subject) = text()?.split_once('\0')?;
                Self::ClientSubject(client.parse().ok()?, subject.to_owned())
            }
            8 => Self::Organization(text()?.parse().ok()?),
            9 => {
                let (person, organization) = bytes.split_at_checked(16)?;
                let organization = std::str::from_utf8(organization).ok()?;
                Self::Membership(organization.parse().ok()?, id(person)?)
            }
            10 => Self::Issuer(text()?.to_owned()),
            11 => Self::Key(text()?.to_owned()),
            12 => Self::Resource(text()?.to_owned()),
            _ => return None,
        })
    }
}

fn id<K: Kind>(bytes: &[u8]) -> Option<Id<K>> {
    Id::from_bytes(bytes.try_into().ok()?)
}

/// One record of the feed. A target's record may be written again with a
/// larger sequence; the smaller one is then gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Its place in the feed.
    pub position: Position,
    /// What it hits.
    pub target: Target,
    /// From when on it can hit nothing any more.
    pub expires: Timestamp,
    /// When it was made.
    pub at: Timestamp,
}

statements! {
    // A head that lost commits goes on after what was seen of it in its epoch.
    @Sqlite TAKE_NUMBER = "UPDATE feed_head SET time = max(time, ?1), sequence =
            max(sequence, CASE WHEN epoch = ?2 THEN ?3 ELSE 0 END) + 1
        WHERE one = 1 RETURNING epoch, sequence";
    @Sqlite INSERT = "INSERT INTO revocation
            (kind, target, epoch, sequence, expires, at, client, subject)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT (kind, target) DO UPDATE SET epoch = excluded.epoch,
            sequence = excluded.sequence, expires = max(revocation.expires, excluded.expires),
            at = excluded.at
        RETURNING epoch, sequence, expires";
    @Postgres RECORD = "WITH head AS (
            UPDATE feed_head SET time = GREATEST(time, ?4), sequence =
                GREATEST(sequence, CASE WHEN epoch = ?7 THEN ?8 ELSE 0 END) + 1
            WHERE one = 1 RETURNING epoch, sequence)
        INSERT INTO revocation (kind, target, epoch, sequence, expires, at, client, subject)
        SELECT ?1, ?2, head.epoch, head.sequence, ?3, ?4, ?5, ?6 FROM head
        ON CONFLICT (kind, target) DO UPDATE SET epoch = excluded.epoch,
            sequence = excluded.sequence,
            expires = GREATEST(revocation.expires, excluded.expires), at = excluded.at
        RETURNING epoch, sequence, expires";
    LONGEST_FAMILY = "SELECT COALESCE(MAX(absolute_ends), 0) FROM family";
    LIVE = "SELECT epoch, sequence, expires, at FROM revocation
        WHERE kind = ?1 AND target = ?2 AND expires > ?3";
    FIND = "SELECT epoch, sequence, expires, at FROM revocation WHERE kind = ?1 AND target = ?2";
    // Two that count at once must not both find room.
    LOCK_HEAD = "SELECT sequence FROM feed_head WHERE one = 1 {for_update}";
    TOKENS_OF = "SELECT expires FROM revocation
        WHERE client = ?1 AND subject = ?2 AND expires > ?3 ORDER BY expires DESC";
    FORGET_TOKENS = "DELETE FROM revocation WHERE client = ?1 AND subject = ?2";
}

/// Writes records: an act's last statements, because from here on every other
/// one that revokes waits for this act's commit. So numbers follow commits.
///
/// One that leaves families outlives every family that there is, and any other
/// that stands for more than one token outlives every token, whatever the caller
/// takes for the longest life: clients have lives of their own, the configuration
/// may have said more before, and says more already to a node that was started
/// with another one.
pub(crate) async fn record(
    tx: &mut Tx<'_>,
    targets: &[(Target, Timestamp)],
    now: Timestamp,
) -> Result<Vec<Revocation>, Fault> {
    record_beyond(tx, targets, now, Target::leaves_families).await
}

/// Writes records again whose acts the database has lost: the families that they
/// ended live there, and are dead by the record alone.
pub(crate) async fn record_again(
    tx: &mut Tx<'_>,
    targets: &[(Target, Timestamp)],
    now: Timestamp,
) -> Result<Vec<Revocation>, Fault> {
    record_beyond(tx, targets, now, Target::hits_families).await
}

async fn record_beyond(
    tx: &mut Tx<'_>,
    targets: &[(Target, Timestamp)],
    now: Timestamp,
    outlives: fn(&Target) -> bool,
) -> Result<Vec<Revocation>, Fault> {
    let longest = match targets.iter().any(|(target, _)| outlives(target)) {
        true => longest_family(tx).await?,
        false => Timestamp::EPOCH,
    };
    let is_one = |target: &Target| matches!(target, Target::Token(_));
    let last = match targets.iter().all(|(target, _)| is_one(target)) {
        true => Timestamp::EPOCH,
        false => token_life::last_ends(tx, now).await? + MARGIN,
    };
    let mut made = Vec::with_capacity(targets.len());
    for (target, expires) in targets {
        let mut expires = *expires;
        if outlives(target) {
            expires = expires.max(longest);
        }
        if !is_one(target) {
            expires = expires.max(last);
        }
        let entry = Entry {
            target,
            expires,
            holder: None,
        };
        made.push(enter(tx, entry, now).await?);
    }
    Ok(made)
}

/// When the last family that there is can hit nothing any more.
async fn longest_family(tx: &mut Tx<'_>) -> Result<Timestamp, Fault> {
    let row = tx.one(&LONGEST_FAMILY, &[]).await?;
    let longest = row.map(|row| row.time(0)).transpose()?;
    Ok(longest.map_or(Timestamp::EPOCH, |longest| longest + MARGIN))
}

struct Entry<'a> {
    target: &'a Target,
    expires: Timestamp,
    /// Client and subject, of a single token.
    holder: Option<(&'a ClientId, &'a str)>,
}

async fn enter(tx: &mut Tx<'_>, entry: Entry<'_>, now: Timestamp) -> Result<Revocation, Fault> {
    let (kind, bytes) = (entry.target.kind(), entry.target.to_bytes());
    let client = entry.holder.map(|(client, _)| client.as_str());
    let subject = entry.holder.map(|(_, subject)| subject);
    let lost = || Fault::broken("the feed has no head");
    let seen = tx.shared.seen.place();
    let row = match tx.engine() {
        Engine::Sqlite => {
            let head = tx
                .one(&TAKE_NUMBER, binds![now, seen.epoch, seen.sequence])
                .await?;
            let head = head.ok_or_else(lost)?;
            let (epoch, sequence) = (head.number(0)?, head.number(1)?);
            let expires = entry.expires;
            let binds = binds![kind, &bytes, epoch, sequence, expires, now, client, subject];
            tx.one(&INSERT, binds).await?
        }
        Engine::Postgres => {
            let (expires, epoch, after) = (entry.expires, seen.epoch, seen.sequence);
            let binds = binds![kind, &bytes, expires, now, client, subject, epoch, after];
            tx.one(&RECORD, binds).await?
        }
    };
    let row = row.ok_or_else(lost)?;
    let revocation = Revocation {
        position: row.position(0)?,
        target: entry.target.clone(),
        expires: row.time(2)?,
        at: now,
    };
    tx.recorded.push(revocation.clone());
    Ok(revocation)
}

/// Whether a record of this target lives. The node knows it before anybody is
/// answered: it may be of this act, whose first attempt nobody heard the end of.
pub(crate) async fn is_recorded(
    tx: &mut Tx<'_>,
    target: &Target,
    now: Timestamp,
) -> Result<bool, Fault> {
    let bytes = target.to_bytes();
    let binds = binds![target.kind(), &bytes, now];
    let Some(row) = tx.one(&LIVE, binds).await? else {
        return Ok(false);
    };
    tx.recorded.push(read(&row, target)?);
    Ok(true)
}

fn read(row: &Row, target: &Target) -> Result<Revocation, Fault> {
    Ok(Revocation {
        position: row.position(0)?,
        target: target.clone(),
        expires: row.time(2)?,
        at: row.time(3)?,
    })
}

/// Finds the records of some targets, whether or not they can hit anything yet:
/// for explaining, by an administrator, what was taken back and when.
#[derive(Clone, Debug)]
pub struct FindRevocations {
    /// What may have been taken back.
    pub targets: Vec<Target>,
}

impl Act for FindRevocations {
    type Out = Vec<Revocation>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Revocation>, Fault> {
        let mut found = Vec::new();
        for target in &self.targets {
            let bytes = target.to_bytes();
            let Some(row) = tx.one(&FIND, binds![target.kind(), &bytes]).await? else {
                continue;
            };
            found.push(read(&row, target)?);
        }
        Ok(found)
    }
}

/// How long past its end by one clock a token may be good by others: those of
/// two nodes are a minute apart, and that of a verifier two more.
pub const APART: Duration = Duration::from_secs(3 * 60);

/// Takes one access token back. One that ended a moment ago, too: it may be good
/// somewhere still.
#[derive(Clone, Debug)]
pub struct RevokeToken {
    /// The token.
    pub token: Id<Token>,
    /// The client it was issued to.
    pub client: ClientId,
    /// Its `sub`.
    pub subject: String,
    /// When it expires.
    pub expires: Timestamp,
    /// When the last of all access tokens that there are has ended.
    pub horizon: Timestamp,
    /// The time.
    pub now: Timestamp,
    /// What to write down, where something is written.
    pub audit: Option<AuditEvent>,
}

impl Act for RevokeToken {
    type Out = Vec<Revocation>;
    const ONLY_TAKES_BACK: bool = true;

    /// A second time finds the record of the first and writes nothing.
    async fn settled(&self, tx: &mut Tx<'_>) -> Result<Settled<Self::Out>, Fault> {
        // Waits for whoever is about to write a record.
        tx.one(&LOCK_HEAD, &[]).await?;
        Ok(Settled::Undone)
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Revocation>, Fault> {
        let target = Target::Token(self.token);
        let ended = self.now - APART;
        if self.expires <= ended || is_recorded(tx, &target, ended).await? {
            return Ok(Vec::new());
        }

        if let Some(event) = &self.audit {
            audit::write(tx, event, self.now).await?;
        }
        if !tx.has_head {
            tx.one(&LOCK_HEAD, &[]).await?;
            tx.has_head = true;
        }
        let (client, subject) = (self.client.as_str(), self.subject.as_str());
        let live = tx
            .all(&TOKENS_OF, binds![client, subject, ended], |row| {
                row.time(0)
            })
            .await?;
        if live.len() < MAX_TOKEN_RECORDS {
            let entry = Entry {
                target: &target,
                expires: self.expires,
                holder: Some((&self.client, subject)),
            };
            return Ok(vec![enter(tx, entry, self.now).await?]);
        }

        // One record hits all that these did, since each of their tokens was
        // made before it. It hits tokens besides, which nobody took back: it
        // lasts until those, too, have ended, or they would come back to life.
        let longest = live.first().copied().unwrap_or(self.expires);
        let longest = longest.max(self.horizon);
        tx.run(&FORGET_TOKENS, binds![client, subject]).await?;
        let all = Target::ClientSubject(self.client.clone(), self.subject.clone());
        record(tx, &[(all, longest.max(self.expires))], self.now).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_reads_back_as_it_was_written() {
        fn made<K: Kind>() -> Id<K> {
            Id::from_bytes([1; 16]).unwrap()
        }
        let client: ClientId = "web".parse().unwrap();
        let organization: OrganizationId = "acme".parse().unwrap();
        let targets = [
            Target::Token(made()),
            Target::Family(made()),
            Target::Grant(made()),
            Target::Session(made()),
            Target::Subject(made()),
            Target::Client(client.clone()),
            Target::ClientSubject(client, "usr_x".to_owned()),
            Target::Organization(organization.clone()),
            Target::Membership(organization, made()),
            Target::Issuer("https://partner.example.net".to_owned()),
            Target::Key("k1".to_owned()),
            Target::Resource("https://api.example.com".to_owned()),
        ];

        for (number, target) in (1..).zip(targets) {
            assert_eq!(target.kind(), number);
            let read = Target::from_parts(number, &target.to_bytes());
            assert_eq!(read.as_ref(), Some(&target));
        }
        assert_eq!(Target::from_parts(13, b"x"), None);
        assert_eq!(Target::from_parts(1, b"short"), None);
    }
}
