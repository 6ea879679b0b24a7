//! Working keys: random, sealed under the master key, with a life cycle.
//!
//! Whoever changes keys first locks the row that names the master key, so that
//! changes come one after the other and nothing is sealed under a master key
//! that was replaced meanwhile.
//!
//! Spec: RFC 7517 §4.5

pub(crate) mod change;
pub(crate) mod distrust;
pub(crate) mod rewrap;

use symbolon_protocol::Timestamp;
use symbolon_token::Digest;

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::row::Row;
use crate::statement::statements;

pub use change::{ChangeKeys, Changed, KeyChange};
pub use distrust::{DistrustKey, Distrusted};
pub use rewrap::{RewrapKeys, Rewrapped, Wrapped};
pub use symbolon_token::rotation::KeyState;

/// The name under which the store knows its master key, by fingerprint.
pub const MASTER_KEY: &str = "master-key";

/// A working key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkingKey {
    /// Its id: what it is for, a colon, and its name.
    pub id: String,
    /// What it is for.
    pub purpose: String,
    /// Which one of its purpose it is: two nodes cannot both make the same.
    pub number: i64,
    /// The algorithm, of a signing key.
    pub algorithm: Option<String>,
    /// Where in its life it is.
    pub state: KeyState,
    /// The key, sealed; empty once nothing can be made or opened with it.
    pub sealed: Vec<u8>,
    /// The public half, where there is one.
    pub public: Option<Vec<u8>>,
    /// When it was made.
    pub created: Timestamp,
    /// When it came into use; of a `next` key, when somebody asked for it.
    pub activated: Option<Timestamp>,
    /// When its state ends: it is published, kept or known no more.
    pub retires: Option<Timestamp>,
}

/// Reads every key.
#[derive(Clone, Copy, Debug)]
pub struct AllKeys;

/// Reads the latest end that any refresh family has.
#[derive(Clone, Copy, Debug)]
pub struct LongestFamily;

statements! {
    ALL = "SELECT id, purpose, number, algorithm, state, sealed, public_part, created,
            activated, retires
        FROM working_key ORDER BY purpose, number";
    INSERT = "INSERT INTO working_key (id, purpose, number, algorithm, state, sealed,
            public_part, created, activated, retires)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING";
    LOCK = "SELECT value FROM meta WHERE name = ?1 {for_update}";
    LONGEST_FAMILY = "SELECT MAX(absolute_ends) FROM family";
}

fn read(row: &Row) -> Result<WorkingKey, Fault> {
    Ok(WorkingKey {
        id: row.string(0)?,
        purpose: row.string(1)?,
        number: row.number(2)?,
        algorithm: row.string_or_none(3)?,
        state: KeyState::named(row.text(4)?).ok_or(Fault::unreadable(4))?,
        sealed: row.bytes(5)?.to_vec(),
        public: row.bytes_or_none(6)?.map(<[u8]>::to_vec),
        created: row.time(7)?,
        activated: row.time_or_none(8)?,
        retires: row.time_or_none(9)?,
    })
}

/// Makes every other change of keys wait; answers whether the master key is
/// the one that the caller sealed with.
async fn lock(tx: &mut Tx<'_>, master: &Digest) -> Result<bool, Fault> {
    let row = tx.one(&LOCK, binds![MASTER_KEY]).await?;
    let stored = row.map(|row| Ok::<_, Fault>(row.bytes(0)?.to_vec()));
    let stored = stored.transpose()?.and_then(|own| own.try_into().ok());
    Ok(stored.is_some_and(|own| Digest::from_bytes(own).matches(master)))
}

/// Writes a key unless one of its purpose and number, or of its id, exists.
pub(crate) async fn insert(tx: &mut Tx<'_>, key: &WorkingKey) -> Result<bool, Fault> {
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
    Ok(tx.run(&INSERT, binds).await? > 0)
}

impl Act for AllKeys {
    type Out = Vec<WorkingKey>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<WorkingKey>, Fault> {
        tx.all(&ALL, &[], read).await
    }
}

impl Act for LongestFamily {
    type Out = Option<Timestamp>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Timestamp>, Fault> {
        let row = tx.one(&LONGEST_FAMILY, &[]).await?;
        row.map_or(Ok(None), |row| row.time_or_none(0))
    }
}
