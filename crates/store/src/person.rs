//! People: who they are, what they sign in with, whether they may.
//!
//! Spec: OpenID Connect Core 1.0 §5.1

use symbolon_protocol::{Timestamp, planted};
use symbolon_token::Id;

use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::client::Updated;
use crate::dialect::Engine;
use crate::ending;
use crate::fault::Fault;
use crate::feed::{self, Position};
use crate::revocation::{self, Target};
use crate::row::{Row, document};
use crate::signal::{self, Signal};
use crate::statement::statements;

type PersonId = Id<symbolon_token::Person>;

/// Standard claims by name.
pub type Claims = serde_json::Map<String, serde_json::Value>;

/// A person as stored.
#[derive(Clone, PartialEq)]
pub struct Person {
    /// Their id: the public `sub`.
    pub id: PersonId,
    /// The name they chose.
    pub username: String,
    /// Standard claims: `name`, `email`, `email_verified`, `address` …
    pub document: Claims,
    /// The password's hash as a PHC string.
    pub password: Option<String>,
    /// Whether they may sign in.
    pub enabled: bool,
    /// When they were created.
    pub created: Timestamp,
    /// When they were changed last.
    pub updated: Timestamp,
}

/// Ids alone: claims are personal and the hash can be guessed against.
impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person")
            .field("id", &self.id)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

/// What writing a person found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonWritten {
    /// It was written.
    Written,
    /// Updating: there is no such person. Nothing was written.
    Missing,
    /// Updating: name or claims are no longer what the change was made from.
    /// Nothing was written.
    Changed,
    /// Somebody else signs in under one of the names. Nothing was written.
    NameTaken,
}

/// Creates a person. `created` and `updated` of the person are not read.
#[derive(Clone, Debug)]
pub struct CreatePerson {
    /// The person.
    pub person: Person,
    /// What they may sign in as: canonical, as [`FindPersonByName`] is asked.
    pub login_names: Vec<String>,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Replaces a person's user name, claims and login names.
#[derive(Clone, Debug)]
pub struct UpdatePerson {
    /// The person.
    pub id: PersonId,
    /// The name they chose.
    pub username: String,
    /// Standard claims.
    pub document: Claims,
    /// What they may sign in as.
    pub login_names: Vec<String>,
    /// The name and claims that the change was made from, where it was: if
    /// somebody else has changed them since, nothing is written.
    pub was: Option<(String, Claims)>,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Sets a person's password. Whoever was signed in is not any more, and
/// everything issued before dies.
#[derive(Clone)]
pub struct SetPassword {
    /// The person.
    pub id: PersonId,
    /// The password's hash as a PHC string; none forbids signing in by one.
    pub phc: Option<String>,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of the person has expired.
    pub horizon: Timestamp,
}

/// Replaces a password's hash by a better one of the same password.
#[derive(Clone)]
pub struct RehashPassword {
    /// The person.
    pub id: PersonId,
    /// The hash that was verified; another one stays.
    pub old: String,
    /// The better one.
    pub new: String,
    /// The time.
    pub now: Timestamp,
}

/// Enables or disables a person. Disabling ends everything of them.
#[derive(Clone, Debug)]
pub struct SetPersonEnabled {
    /// The person.
    pub id: PersonId,
    /// Whether they may sign in.
    pub enabled: bool,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of the person has expired.
    pub horizon: Timestamp,
}

/// Deletes a person, their names and memberships; everything of them dies.
#[derive(Clone, Debug)]
pub struct DeletePerson {
    /// The person.
    pub id: PersonId,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of the person has expired.
    pub horizon: Timestamp,
}

/// Takes back everything that was issued for a person so far, and signs them
/// out everywhere.
#[derive(Clone, Debug)]
pub struct RevokePerson {
    /// The person.
    pub id: PersonId,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token of the person has expired.
    pub horizon: Timestamp,
}

/// Finds a person.
#[derive(Clone, Debug)]
pub struct FindPerson {
    /// The person.
    pub id: PersonId,
}

/// Finds the person who signs in under a name.
#[derive(Clone, Debug)]
pub struct FindPersonByName {
    /// The name, canonical.
    pub name: String,
}

/// Lists people by id.
#[derive(Clone, Debug)]
pub struct ListPeople {
    /// The last one that was read.
    pub after: Option<PersonId>,
    /// At most how many.
    pub limit: u32,
}

statements! {
    CREATE = "INSERT INTO person (id, username, document, password, enabled, created, updated)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)";
    LOCK = "SELECT id FROM person WHERE id = ?1 {for_update}";
    CURRENT = "SELECT username, document FROM person WHERE id = ?1 {for_update}";
    UPDATE = "UPDATE person SET username = ?2, document = ?3, updated = ?4 WHERE id = ?1";
    SET_PASSWORD = "UPDATE person SET password = ?2, updated = ?3 WHERE id = ?1";
    REHASH = "UPDATE person SET password = ?3, updated = ?4 WHERE id = ?1 AND password = ?2";
    SET_ENABLED = "UPDATE person SET enabled = ?2, updated = ?3 WHERE id = ?1";
    TOUCH = "UPDATE person SET updated = ?2 WHERE id = ?1";
    DELETE = "DELETE FROM person WHERE id = ?1";
    DELETE_NAMES = "DELETE FROM login_name WHERE person = ?1";
    DELETE_MEMBERSHIPS = "DELETE FROM membership WHERE person = ?1";
    NAME_OWNER = "SELECT person FROM login_name WHERE name = ?1";
    ADD_NAME = "INSERT INTO login_name (name, person) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    FIND = "SELECT id, username, document, password, enabled, created, updated
        FROM person WHERE id = ?1";
    FIND_BY_NAME = "SELECT p.id, p.username, p.document, p.password, p.enabled, p.created,
            p.updated
        FROM login_name n JOIN person p ON p.id = n.person WHERE n.name = ?1";
    LIST = "SELECT id, username, document, password, enabled, created, updated
        FROM person WHERE id > ?1 ORDER BY id LIMIT ?2";
}

pub(crate) fn read(row: &Row) -> Result<Person, Fault> {
    Ok(Person {
        id: row.id(0)?,
        username: row.string(1)?,
        document: row.json(2)?,
        password: row.string_or_none(3)?,
        enabled: row.flag(4)?,
        created: row.time(5)?,
        updated: row.time(6)?,
    })
}

async fn is_name_taken(
    tx: &mut Tx<'_>,
    person: &PersonId,
    names: &[String],
) -> Result<bool, Fault> {
    for name in names {
        if let Some(row) = tx.one(&NAME_OWNER, binds![name]).await?
            && row.id::<symbolon_token::Person>(0)? != *person
        {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn write_names(tx: &mut Tx<'_>, person: &PersonId, names: &[String]) -> Result<(), Fault> {
    tx.run(&DELETE_NAMES, binds![person]).await?;
    let mut written = std::collections::BTreeSet::new();
    for name in names.iter().filter(|name| written.insert(name.as_str())) {
        if tx.run(&ADD_NAME, binds![name, person]).await? == 0 {
            // Somebody took it since it was looked up: look again.
            return Err(Fault::retry("a login name was taken meanwhile"));
        }
    }
    Ok(())
}

impl Act for CreatePerson {
    type Out = PersonWritten;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<PersonWritten, Fault> {
        let person = &self.person;
        if is_name_taken(tx, &person.id, &self.login_names).await? {
            return Ok(PersonWritten::NameTaken);
        }
        let claims = document(&person.document)?;
        let binds = binds![
            &person.id,
            &person.username,
            &claims,
            person.password.as_deref(),
            person.enabled,
            self.now,
        ];
        tx.run(&CREATE, binds).await?;
        write_names(tx, &person.id, &self.login_names).await?;
        audit::write(tx, &self.audit, self.now).await?;
        Ok(PersonWritten::Written)
    }
}

impl Act for UpdatePerson {
    type Out = PersonWritten;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<PersonWritten, Fault> {
        let Some(row) = tx.one(&CURRENT, binds![&self.id]).await? else {
            return Ok(PersonWritten::Missing);
        };
        let stored = (row.string(0)?, row.json::<Claims>(1)?);
        if self.was.as_ref().is_some_and(|was| *was != stored) {
            return Ok(PersonWritten::Changed);
        }
        if is_name_taken(tx, &self.id, &self.login_names).await? {
            return Ok(PersonWritten::NameTaken);
        }
        let claims = document(&self.document)?;
        let binds = binds![&self.id, &self.username, &claims, self.now];
        if tx.run(&UPDATE, binds).await? == 0 {
            return Ok(PersonWritten::Missing);
        }
        write_names(tx, &self.id, &self.login_names).await?;
        let changed = self.changed_claims(&stored);
        if !changed.is_empty() {
            let signal = Signal::Claims(changed);
            signal::tell(tx, &self.id, &signal, &self.audit, self.now).await?;
        }
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_people(tx).await?;
        Ok(PersonWritten::Written)
    }
}

impl UpdatePerson {
    /// The names of the claims that are others than before.
    fn changed_claims(&self, (username, claims): &(String, Claims)) -> Vec<String> {
        let names = claims.keys().chain(self.document.keys());
        let is_changed = |name: &&String| claims.get(*name) != self.document.get(*name);
        let mut changed: Vec<String> = names.filter(is_changed).cloned().collect();
        if *username != self.username && !self.document.contains_key("preferred_username") {
            changed.push("preferred_username".to_owned());
        }
        changed.sort();
        changed.dedup();
        changed
    }
}

/// Has whatever else is done to a person wait for this act's end. SQLite has one
/// writer, so that everybody waits there as it is.
pub(crate) async fn lock(tx: &mut Tx<'_>, person: &PersonId) -> Result<(), Fault> {
    if tx.engine() == Engine::Postgres {
        tx.one(&LOCK, binds![person]).await?;
    }
    Ok(())
}

/// The end of what a person has running, as an act's last statements.
pub(crate) struct Departure<'a> {
    pub(crate) id: PersonId,
    pub(crate) signal: Signal,
    /// Whether what they have agreed to ends with it.
    pub(crate) withdraws: bool,
    pub(crate) audit: &'a AuditEvent,
    pub(crate) now: Timestamp,
    pub(crate) horizon: Timestamp,
}

impl Departure<'_> {
    /// Answers where the record stands.
    pub(crate) async fn write(&self, tx: &mut Tx<'_>) -> Result<Position, Fault> {
        signal::tell(tx, &self.id, &self.signal, self.audit, self.now).await?;
        ending::presence_of_person(tx, &self.id, self.now).await?;
        if self.withdraws {
            // Families are found by their live grant, so they come before it.
            ending::grants_of_person(tx, &self.id, self.now).await?;
        }
        audit::write(tx, self.audit, self.now).await?;
        feed::bump_people(tx).await?;
        if planted(21) {
            return Ok(Position::default());
        }
        let record = (Target::Subject(self.id), self.horizon);
        let made = revocation::record(tx, &[record], self.now).await?;
        let made = made.first().map(|own| own.position);
        made.ok_or_else(|| Fault::broken("no record was made"))
    }
}

macro_rules! departure {
    ($act:expr, $signal:expr) => {
        Departure {
            id: $act.id,
            signal: $signal,
            withdraws: false,
            audit: &$act.audit,
            now: $act.now,
            horizon: $act.horizon,
        }
    };
}

impl Act for SetPassword {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        let binds = binds![&self.id, self.phc.as_deref(), self.now];
        if tx.run(&SET_PASSWORD, binds).await? == 0 {
            return Ok(Updated::Missing);
        }
        let change = match self.phc {
            Some(_) => "update",
            None => "revoke",
        };
        departure!(self, Signal::Password(change)).write(tx).await?;
        Ok(Updated::Updated)
    }
}

impl Act for RehashPassword {
    type Out = Updated;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        let binds = binds![&self.id, &self.old, &self.new, self.now];
        Ok(match tx.run(&REHASH, binds).await? {
            0 => Updated::Missing,
            _ => Updated::Updated,
        })
    }
}

impl Act for SetPersonEnabled {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        let binds = binds![&self.id, self.enabled, self.now];
        if tx.run(&SET_ENABLED, binds).await? == 0 {
            return Ok(Updated::Missing);
        }
        if self.enabled {
            signal::tell(tx, &self.id, &Signal::Enabled, &self.audit, self.now).await?;
            audit::write(tx, &self.audit, self.now).await?;
            feed::bump_people(tx).await?;
        } else {
            departure!(self, Signal::Disabled).write(tx).await?;
        }
        Ok(Updated::Updated)
    }
}

impl Act for DeletePerson {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        if tx.run(&DELETE, binds![&self.id]).await? == 0 {
            return Ok(Updated::Missing);
        }
        tx.run(&DELETE_NAMES, binds![&self.id]).await?;
        tx.run(&DELETE_MEMBERSHIPS, binds![&self.id]).await?;
        let departure = Departure {
            withdraws: true,
            ..departure!(self, Signal::Purged)
        };
        departure.write(tx).await?;
        Ok(Updated::Updated)
    }
}

impl Act for RevokePerson {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        if tx.run(&TOUCH, binds![&self.id, self.now]).await? == 0 {
            return Ok(Updated::Missing);
        }
        departure!(self, Signal::AllEnds).write(tx).await?;
        Ok(Updated::Updated)
    }
}

impl Act for FindPerson {
    type Out = Option<Person>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Person>, Fault> {
        let row = tx.one(&FIND, binds![&self.id]).await?;
        row.as_ref().map(read).transpose()
    }
}

impl Act for FindPersonByName {
    type Out = Option<Person>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Person>, Fault> {
        let row = tx.one(&FIND_BY_NAME, binds![&self.name]).await?;
        row.as_ref().map(read).transpose()
    }
}

impl Act for ListPeople {
    type Out = Vec<Person>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<Person>, Fault> {
        let after = self.after.as_ref().map_or(&[][..], |id| id.as_bytes());
        tx.all(&LIST, binds![after, self.limit], read).await
    }
}
