//! API keys: what each permits and for whom, a digest of its text, and until
//! when. What is made of a key carries its mark, which is the name of a family:
//! one record of that family kills all of it, and so takes a key back.
//!
//! A key acts through one client, which bounds it as it bounds every token: for
//! the client itself, for a person, or for an organization. Its slot is that of
//! whoever it acts for.
//!
//! Spec: RFC 7662 §2.2

pub(crate) mod change;
pub(crate) mod list;
pub(crate) mod used;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use symbolon_protocol::{
    ClientId, Environment, OrganizationId, ResourceIdentifier, Scopes, Timestamp,
};
use symbolon_token::api_key::Networks;
use symbolon_token::{ApiKey as Key, Digest, Family, Id, Person, Slot};

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::feed::Position;
use crate::row::Row;
use crate::statement::statements;

/// What an administrator says of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyDocument {
    /// What people call it.
    pub name: String,
    /// What it permits, at most.
    pub scopes: Scopes,
    /// Where.
    pub resources: Vec<ResourceIdentifier>,
    /// For real work, or for trying out.
    pub environment: Environment,
    /// From where; from everywhere, where none is named.
    #[serde(default, skip_serializing_if = "Networks::is_everywhere")]
    pub networks: Networks,
    /// The plan that gateways let it have, where it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Whether it was brought along from elsewhere: then it is shown in its old
    /// text, and found by its digest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// The key whose place it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Id<Key>>,
    /// Where the feed stood when one of its resources was named, where that was
    /// after the key was made: another one of that name may have been meant.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub named: BTreeMap<ResourceIdentifier, Position>,
}

impl ApiKeyDocument {
    /// Where the feed stood when a resource was named, for a key that was made
    /// at a place.
    pub fn named_at(&self, resource: &ResourceIdentifier, made: Position) -> Position {
        self.named.get(resource).map_or(made, |own| made.max(*own))
    }
}

/// Through whom a key acts, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyOwner {
    /// Through which client.
    pub client: ClientId,
    /// For which person.
    pub person: Option<Id<Person>>,
    /// For which organization.
    pub organization: Option<OrganizationId>,
}

impl KeyOwner {
    /// The slot of whoever the key acts for: the person, else the organization,
    /// else the client.
    pub fn slot(&self) -> Slot {
        match (&self.person, &self.organization) {
            (Some(person), _) => person.slot(),
            (None, Some(organization)) => Slot::of_bytes(organization.as_str().as_bytes()),
            (None, None) => Slot::of_client(&self.client),
        }
    }
}

/// A key as it is stored, and what is known of whoever it acts for.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredApiKey {
    /// Its id.
    pub id: Id<Key>,
    /// Through whom and for whom it acts.
    pub owner: KeyOwner,
    /// What an administrator says of it.
    pub document: ApiKeyDocument,
    /// The keyed digest of its text.
    pub digest: Digest,
    /// What is made of it carries this name; a record of it kills all of that.
    pub mark: Id<Family>,
    /// Whether it may be used.
    pub enabled: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
    /// From when on it is not good any more.
    pub expires: Option<Timestamp>,
    /// When it was taken back.
    pub revoked: Option<Timestamp>,
    /// When it was used last, to a minute.
    pub last_used: Option<Timestamp>,
    /// The key that took its place.
    pub replaced_by: Option<Id<Key>>,
    /// Where the feed stood when it was made or enabled: what is taken back
    /// later kills it.
    pub position: Position,
    /// Whether its person may act, where it has one.
    pub person_enabled: bool,
    /// What its person is in its organization; `None` for nobody there.
    pub roles: Option<Vec<String>>,
}

impl StoredApiKey {
    /// Whether it is neither taken back nor past its end.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| expires > now)
    }
}

/// Finds a key by its id.
#[derive(Clone, Copy, Debug)]
pub struct FindApiKey {
    /// The key.
    pub id: Id<Key>,
}

/// Finds a key from elsewhere by the digests that it may be stored under.
#[derive(Clone, Debug)]
pub struct FindImportedApiKey {
    /// The keyed digests.
    pub digests: Vec<Digest>,
}

/// Whether there is any key from elsewhere at all.
#[derive(Clone, Copy, Debug)]
pub struct HasImportedApiKeys;

statements! {
    FIND = "SELECT k.id, k.client, k.person, k.organization, k.document, k.digest, k.mark,
            k.enabled, k.created, k.updated, k.expires, k.revoked, k.last_used, k.replaced_by,
            k.epoch, k.sequence, p.enabled, m.roles
        FROM api_key k LEFT JOIN person p ON p.id = k.person
            LEFT JOIN membership m ON m.organization = k.organization AND m.person = k.person
        WHERE k.slot = ?1 AND k.id = ?2";
    // The slot is not known yet: this table is small, replicated, and says it.
    BY_DIGEST = "SELECT id FROM api_key_digest WHERE digest = ?1";
    HAS_IMPORTED = "SELECT 1 FROM api_key_digest LIMIT 1";
}

/// Reads the columns of [`FIND`], in their order.
pub(crate) fn read(row: &Row) -> Result<StoredApiKey, Fault> {
    let person: Option<Id<Person>> = row.id_or_none(2)?;
    let roles = row.text_or_none(17)?.map(serde_json::from_str);
    Ok(StoredApiKey {
        id: row.id(0)?,
        owner: KeyOwner {
            client: row.parsed(1)?,
            person,
            organization: row.parsed_or_none(3)?,
        },
        document: row.json(4)?,
        digest: row.digest(5)?,
        mark: row.id(6)?,
        enabled: row.flag(7)?,
        created: row.time(8)?,
        updated: row.time(9)?,
        expires: row.time_or_none(10)?,
        revoked: row.time_or_none(11)?,
        last_used: row.time_or_none(12)?,
        replaced_by: row.id_or_none(13)?,
        position: row.position(14)?,
        person_enabled: person.is_none() || row.number_or_none(16)? == Some(1),
        roles: roles.transpose().map_err(|_| Fault::unreadable(17))?,
    })
}

pub(crate) async fn find(tx: &mut Tx<'_>, id: &Id<Key>) -> Result<Option<StoredApiKey>, Fault> {
    let row = tx.one(&FIND, binds![id.slot(), id]).await?;
    row.as_ref().map(read).transpose()
}

impl Act for FindApiKey {
    type Out = Option<StoredApiKey>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Out, Fault> {
        find(tx, &self.id).await
    }
}

impl Act for FindImportedApiKey {
    type Out = Option<StoredApiKey>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Out, Fault> {
        for digest in &self.digests {
            if let Some(row) = tx.one(&BY_DIGEST, binds![digest]).await? {
                return find(tx, &row.id(0)?).await;
            }
        }
        Ok(None)
    }
}

impl Act for HasImportedApiKeys {
    type Out = bool;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        Ok(tx.one(&HAS_IMPORTED, &[]).await?.is_some())
    }
}
