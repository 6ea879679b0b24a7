//! What administrators do with API keys: make, change, replace, take back.
//!
//! Whatever makes a key permit less gives it another mark and records the old
//! one: tokens that were made of it, and answers that others keep, die within a
//! second, and the key goes on with what is left.

use symbolon_protocol::Timestamp;
use symbolon_token::{ApiKey as Key, Digest, Family, Id};

use super::{ApiKeyDocument, KeyOwner, StoredApiKey, find};
use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::fault::Fault;
use crate::feed;
use crate::revocation::{self, Target};
use crate::row::document;
use crate::statement::statements;

/// A key to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewApiKey {
    /// Its id, in the slot of its owner.
    pub id: Id<Key>,
    /// Through whom and for whom it acts.
    pub owner: KeyOwner,
    /// What it permits.
    pub document: ApiKeyDocument,
    /// The keyed digest of its text.
    pub digest: Digest,
    /// Its mark.
    pub mark: Id<Family>,
    /// Whether it may be used.
    pub enabled: bool,
    /// From when on it is not good any more.
    pub expires: Option<Timestamp>,
}

/// What making a key found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyMade {
    /// It is there now.
    Made,
    /// There is a key of this text already.
    Exists,
    /// There is no such client, or it is disabled.
    NoClient,
    /// There is no such person, or they are disabled.
    NoPerson,
    /// There is no such organization, or it is disabled.
    NoOrganization,
    /// The person is not a member of the organization.
    NoMember,
}

/// Makes keys: each is taken or not, as its own outcome says.
#[derive(Clone, Debug)]
pub struct MakeApiKeys {
    /// The keys, with what to write down of each.
    pub keys: Vec<(NewApiKey, AuditEvent)>,
    /// The time.
    pub now: Timestamp,
}

/// What changing a key found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyChanged {
    /// It is changed.
    Changed,
    /// There is no such key.
    Missing,
    /// It is no longer what the change was made from. Nothing was written.
    Otherwise,
    /// It was taken back, replaced or has ended. Nothing was written.
    Dead,
    /// A key to take its place could not be made. Nothing was written.
    NotMade(ApiKeyMade),
}

/// How a key is to be.
#[derive(Clone, Debug)]
pub struct ApiKeyChange {
    /// What the change was made from.
    pub was: StoredApiKey,
    /// What it permits.
    pub document: ApiKeyDocument,
    /// Whether it may be used.
    pub enabled: bool,
    /// From when on it is not good any more.
    pub expires: Option<Timestamp>,
    /// Its next mark, where it permits less than before.
    pub cut: Option<Id<Family>>,
}

/// Changes a key.
#[derive(Clone, Debug)]
pub struct UpdateApiKey {
    /// How it is to be.
    pub change: ApiKeyChange,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of it has expired.
    pub horizon: Timestamp,
}

/// Puts another key in the place of one, which stays good for a while.
#[derive(Clone, Debug)]
pub struct RotateApiKey {
    /// How the old one is to be.
    pub change: ApiKeyChange,
    /// The one that takes its place.
    pub next: NewApiKey,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of the old one has expired.
    pub horizon: Timestamp,
}

/// Takes a key back, and all that was made of it.
#[derive(Clone, Debug)]
pub struct RevokeApiKey {
    /// The key.
    pub id: Id<Key>,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of it has expired.
    pub horizon: Timestamp,
}

statements! {
    INSERT = "INSERT INTO api_key (slot, id, client, person, organization, document, digest,
            mark, enabled, created, updated, expires, epoch, sequence)
        SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, h.epoch, h.sequence
        FROM feed_head h WHERE h.one = 1";
    INDEX = "INSERT INTO api_key_digest (digest, slot, id) VALUES (?1, ?2, ?3)
        ON CONFLICT DO NOTHING";
    // Whoever ends what an owner has waits for these, or is waited for: no key
    // is made beside an end.
    CLIENT = "SELECT enabled FROM client WHERE id = ?1 {for_update}";
    PERSON = "SELECT enabled FROM person WHERE id = ?1 {for_update}";
    ORGANIZATION = "SELECT enabled FROM organization WHERE id = ?1 {for_update}";
    MEMBER = "SELECT 1 FROM membership WHERE organization = ?1 AND person = ?2 {for_update}";
    LOCK = "SELECT updated FROM api_key WHERE slot = ?1 AND id = ?2 {for_update}";
    UPDATE = "UPDATE api_key SET document = ?3, enabled = ?4, expires = ?5, mark = ?6,
            replaced_by = ?7, updated = ?8
        WHERE slot = ?1 AND id = ?2";
    // What was recorded before it is enabled is known to whoever enables it.
    REAFFIRM = "UPDATE api_key SET epoch = (SELECT epoch FROM feed_head WHERE one = 1),
            sequence = (SELECT sequence FROM feed_head WHERE one = 1)
        WHERE slot = ?1 AND id = ?2";
    REVOKE = "UPDATE api_key SET revoked = ?3, updated = ?3 WHERE slot = ?1 AND id = ?2";
}

async fn check_owner(tx: &mut Tx<'_>, owner: &KeyOwner) -> Result<Result<(), ApiKeyMade>, Fault> {
    let client = tx.one(&CLIENT, binds![owner.client.as_str()]).await?;
    if !client.map_or(Ok(false), |row| row.flag(0))? {
        return Ok(Err(ApiKeyMade::NoClient));
    }
    if let Some(person) = &owner.person {
        let found = tx.one(&PERSON, binds![person]).await?;
        if !found.map_or(Ok(false), |row| row.flag(0))? {
            return Ok(Err(ApiKeyMade::NoPerson));
        }
    }
    let Some(organization) = &owner.organization else {
        return Ok(Ok(()));
    };
    let organization = organization.as_str();
    let found = tx.one(&ORGANIZATION, binds![organization]).await?;
    if !found.map_or(Ok(false), |row| row.flag(0))? {
        return Ok(Err(ApiKeyMade::NoOrganization));
    }
    if let Some(person) = &owner.person
        && tx
            .one(&MEMBER, binds![organization, person])
            .await?
            .is_none()
    {
        return Ok(Err(ApiKeyMade::NoMember));
    }
    Ok(Ok(()))
}

async fn make(tx: &mut Tx<'_>, new: &NewApiKey, now: Timestamp) -> Result<ApiKeyMade, Fault> {
    if let Err(refused) = check_owner(tx, &new.owner).await? {
        return Ok(refused);
    }
    let slot = new.id.slot();
    if new.document.imported && tx.run(&INDEX, binds![&new.digest, slot, &new.id]).await? == 0 {
        return Ok(ApiKeyMade::Exists);
    }
    let document = document(&new.document)?;
    let organization = new.owner.organization.as_ref();
    let binds = binds![
        slot,
        &new.id,
        new.owner.client.as_str(),
        new.owner.person.as_ref(),
        organization.map_or("", |own| own.as_str()),
        &document,
        &new.digest,
        &new.mark,
        new.enabled,
        now,
        new.expires,
    ];
    tx.run(&INSERT, binds).await?;
    Ok(ApiKeyMade::Made)
}

impl Act for MakeApiKeys {
    type Out = Vec<ApiKeyMade>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Out, Fault> {
        let mut outcomes = Vec::with_capacity(self.keys.len());
        for (new, event) in &self.keys {
            let made = make(tx, new, self.now).await?;
            if made == ApiKeyMade::Made {
                audit::write(tx, event, self.now).await?;
            }
            outcomes.push(made);
        }
        // Nodes remember which texts are no keys.
        if self.keys.iter().any(|(new, _)| new.document.imported) {
            feed::bump_configuration(tx).await?;
        }
        Ok(outcomes)
    }
}

/// The key, where it is still what a change was made from.
async fn unchanged(
    tx: &mut Tx<'_>,
    was: &StoredApiKey,
    now: Timestamp,
) -> Result<Result<(), ApiKeyChanged>, Fault> {
    tx.one(&LOCK, binds![was.id.slot(), &was.id]).await?;
    let Some(found) = find(tx, &was.id).await? else {
        return Ok(Err(ApiKeyChanged::Missing));
    };
    if !found.is_live(now) {
        return Ok(Err(ApiKeyChanged::Dead));
    }
    let told = |own: &StoredApiKey| (own.document.clone(), own.enabled, own.expires, own.mark);
    if told(&found) != told(was) || found.replaced_by != was.replaced_by {
        return Ok(Err(ApiKeyChanged::Otherwise));
    }
    Ok(Ok(()))
}

impl ApiKeyChange {
    async fn write(
        &self,
        tx: &mut Tx<'_>,
        replaced_by: Option<&Id<Key>>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let (slot, id) = (self.was.id.slot(), &self.was.id);
        let text = document(&self.document)?;
        let mark = self.cut.as_ref().unwrap_or(&self.was.mark);
        let by = replaced_by.or(self.was.replaced_by.as_ref());
        let binds = binds![slot, id, &text, self.enabled, self.expires, mark, by, now];
        tx.run(&UPDATE, binds).await?;
        if self.enabled && !self.was.enabled {
            tx.run(&REAFFIRM, binds![slot, id]).await?;
        }
        Ok(())
    }

    /// The last statements of an act: what a node keeps of the key is old, and
    /// what was made of more than is left is dead.
    async fn tell(&self, tx: &mut Tx<'_>, now: Timestamp, horizon: Timestamp) -> Result<(), Fault> {
        feed::bump_people(tx).await?;
        if self.cut.is_some() {
            let record = (Target::Family(self.was.mark), horizon);
            revocation::record(tx, &[record], now).await?;
        }
        Ok(())
    }
}

impl Act for UpdateApiKey {
    type Out = ApiKeyChanged;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<ApiKeyChanged, Fault> {
        let change = &self.change;
        if let Err(refused) = unchanged(tx, &change.was, self.now).await? {
            return Ok(refused);
        }
        change.write(tx, None, self.now).await?;
        audit::write(tx, &self.audit, self.now).await?;
        change.tell(tx, self.now, self.horizon).await?;
        Ok(ApiKeyChanged::Changed)
    }
}

impl Act for RotateApiKey {
    type Out = ApiKeyChanged;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<ApiKeyChanged, Fault> {
        let change = &self.change;
        if let Err(refused) = unchanged(tx, &change.was, self.now).await? {
            return Ok(refused);
        }
        if change.was.replaced_by.is_some() {
            return Ok(ApiKeyChanged::Dead);
        }
        let made = make(tx, &self.next, self.now).await?;
        if made != ApiKeyMade::Made {
            return Ok(ApiKeyChanged::NotMade(made));
        }
        change.write(tx, Some(&self.next.id), self.now).await?;
        audit::write(tx, &self.audit, self.now).await?;
        change.tell(tx, self.now, self.horizon).await?;
        Ok(ApiKeyChanged::Changed)
    }
}

impl Act for RevokeApiKey {
    type Out = ApiKeyChanged;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<ApiKeyChanged, Fault> {
        let (slot, id) = (self.id.slot(), &self.id);
        tx.one(&LOCK, binds![slot, id]).await?;
        let Some(found) = find(tx, id).await? else {
            return Ok(ApiKeyChanged::Missing);
        };
        if !found.is_live(self.now) {
            return Ok(ApiKeyChanged::Dead);
        }
        tx.run(&REVOKE, binds![slot, id, self.now]).await?;
        audit::write(tx, &self.audit, self.now).await?;
        let record = (Target::Family(found.mark), self.horizon);
        revocation::record(tx, &[record], self.now).await?;
        Ok(ApiKeyChanged::Changed)
    }
}
