//! Status lists: which place of which list a token has, for as long as it
//! lives. Written only for APIs that ask for it; what a list says follows from
//! the revocations, so nothing here changes when something is taken back.
//!
//! Spec: draft-ietf-oauth-status-list-21 §4, §13.2

use symbolon_protocol::Timestamp;
use symbolon_token::{Id, Token};

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::row::Row;
use crate::statement::statements;

/// Takes the next block of places: nobody else gets it.
#[derive(Clone, Copy, Debug)]
pub struct ReserveStatusBlock;

/// Says which token has a place.
#[derive(Clone, Debug)]
pub struct EnterStatus {
    /// The list.
    pub list: i64,
    /// The place.
    pub entry: StatusEntry,
}

/// A place that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusEntry {
    /// The place in the list, from zero.
    pub place: i64,
    /// The token.
    pub token: Id<Token>,
    /// The name of the key that signed it.
    pub kid: String,
    /// What it permits, as the caller writes it.
    pub authority: Vec<u8>,
    /// When it expires.
    pub expires: Timestamp,
}

/// Reads the places of a list whose tokens live.
#[derive(Clone, Copy, Debug)]
pub struct LoadStatusList {
    /// The list.
    pub list: i64,
    /// The time.
    pub now: Timestamp,
}

/// What is known of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusPlaces {
    /// How many blocks of any list were taken so far.
    pub blocks: i64,
    /// The places that living tokens have, in order.
    pub entries: Vec<StatusEntry>,
}

statements! {
    RESERVE = "UPDATE status_head SET blocks = blocks + 1 WHERE one = 1 RETURNING blocks - 1";
    ENTER = "INSERT INTO status_entry (list, place, token, kid, authority, expires)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    LOAD = "SELECT h.blocks, e.place, e.token, e.kid, e.authority, e.expires
        FROM status_head h LEFT JOIN status_entry e ON e.list = ?1 AND e.expires > ?2
        WHERE h.one = 1 ORDER BY e.place";
}

impl Act for ReserveStatusBlock {
    /// The number of the block, from zero.
    type Out = i64;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<i64, Fault> {
        let row = tx.one(&RESERVE, &[]).await?;
        row.ok_or(Fault::broken("status lists have no head"))?
            .number(0)
    }
}

impl Act for EnterStatus {
    type Out = ();
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let entry = &self.entry;
        let binds = binds![
            self.list,
            entry.place,
            &entry.token,
            &entry.kid,
            &entry.authority,
            entry.expires,
        ];
        tx.run(&ENTER, binds).await?;
        Ok(())
    }
}

impl Act for LoadStatusList {
    type Out = StatusPlaces;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<StatusPlaces, Fault> {
        let mut found = StatusPlaces {
            blocks: 0,
            entries: Vec::new(),
        };
        let binds = binds![self.list, self.now];
        tx.each(&LOAD, binds, |row| add(&mut found, &row)).await?;
        Ok(found)
    }
}

fn add(found: &mut StatusPlaces, row: &Row) -> Result<(), Fault> {
    found.blocks = row.number(0)?;
    if let Some(place) = row.number_or_none(1)? {
        found.entries.push(StatusEntry {
            place,
            token: row.id(2)?,
            kid: row.string(3)?,
            authority: row.bytes(4)?.to_vec(),
            expires: row.time(5)?,
        });
    }
    Ok(())
}
