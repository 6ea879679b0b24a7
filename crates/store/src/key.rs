//! Working keys: random, sealed under the master key, with a life cycle.
//!
//! Spec: RFC 7517 §4.5

use symbolon_protocol::Timestamp;

use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::fault::Fault;
use crate::feed;
use crate::row::Row;
use crate::statement::statements;

/// A working key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkingKey {
    /// Its id, as in a `kid`.
    pub id: String,
    /// What it is for.
    pub purpose: String,
    /// Which one of its purpose it is: two nodes cannot both make the same.
    pub number: i64,
    /// The algorithm, of a signing key.
    pub algorithm: Option<String>,
    /// Where in its life it is.
    pub state: KeyState,
    /// The key, sealed.
    pub sealed: Vec<u8>,
    /// The public half, where there is one.
    pub public: Option<Vec<u8>>,
    /// When it was made.
    pub created: Timestamp,
    /// When it came into use.
    pub activated: Option<Timestamp>,
    /// When nothing that it made can live any more.
    pub retires: Option<Timestamp>,
}

/// The life of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyState {
    /// Published, not used yet.
    Next,
    /// In use.
    Active,
    /// Used no more; what it made may still live.
    Retiring,
    /// Gone.
    Retired,
}

impl KeyState {
    /// The word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        }
    }

    fn read(word: &str) -> Option<Self> {
        [Self::Next, Self::Active, Self::Retiring, Self::Retired]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// Writes a key unless one of its purpose and number, or of its id, exists.
#[derive(Clone, Debug)]
pub struct CreateKeyIfAbsent {
    /// The key.
    pub key: WorkingKey,
    /// What to write down where it was created.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Moves a key along its life.
#[derive(Clone, Debug)]
pub struct SetKeyState {
    /// The key.
    pub id: String,
    /// Its new state.
    pub state: KeyState,
    /// When it came into use, where that changes.
    pub activated: Option<Timestamp>,
    /// When it can be forgotten, where that changes.
    pub retires: Option<Timestamp>,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Reads every key.
#[derive(Clone, Copy, Debug)]
pub struct AllKeys;

statements! {
    CREATE = "INSERT INTO working_key (id, purpose, number, algorithm, state, sealed,
            public_part, created, activated, retires)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING";
    FIND = "SELECT id, purpose, number, algorithm, state, sealed, public_part, created,
            activated, retires
        FROM working_key WHERE purpose = ?1 AND number = ?2";
    ALL = "SELECT id, purpose, number, algorithm, state, sealed, public_part, created,
            activated, retires
        FROM working_key ORDER BY purpose, number";
    SET_STATE = "UPDATE working_key SET state = ?2, activated = COALESCE(?3, activated),
        retires = COALESCE(?4, retires) WHERE id = ?1";
}

fn read(row: &Row) -> Result<WorkingKey, Fault> {
    Ok(WorkingKey {
        id: row.string(0)?,
        purpose: row.string(1)?,
        number: row.number(2)?,
        algorithm: row.string_or_none(3)?,
        state: KeyState::read(row.text(4)?).ok_or(Fault::unreadable(4))?,
        sealed: row.bytes(5)?.to_vec(),
        public: row.bytes_or_none(6)?.map(<[u8]>::to_vec),
        created: row.time(7)?,
        activated: row.time_or_none(8)?,
        retires: row.time_or_none(9)?,
    })
}

impl Act for CreateKeyIfAbsent {
    /// The key that there is now: this one, or the one that was first.
    type Out = WorkingKey;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<WorkingKey, Fault> {
        let key = &self.key;
        let binds = binds![
            &key.id,
            &key.purpose,
            key.number,
            key.algorithm.as_deref(),
            key.state.as_str(),
            &key.sealed,
            key.public.as_deref(),
            key.created,
            key.activated,
            key.retires,
        ];
        let made = tx.run(&CREATE, binds).await? > 0;
        let row = tx.one(&FIND, binds![&key.purpose, key.number]).await?;
        let Some(row) = row else {
            return Err(Fault::broken("another key has this id"));
        };
        if made {
            audit::write(tx, &self.audit, self.now).await?;
            feed::bump_configuration(tx).await?;
        }
        read(&row)
    }
}

impl Act for SetKeyState {
    /// Whether there is such a key.
    type Out = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        let state = self.state.as_str();
        let binds = binds![&self.id, state, self.activated, self.retires];
        if tx.run(&SET_STATE, binds).await? == 0 {
            return Ok(false);
        }
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        Ok(true)
    }
}

impl Act for AllKeys {
    type Out = Vec<WorkingKey>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<WorkingKey>, Fault> {
        tx.all(&ALL, &[], read).await
    }
}
