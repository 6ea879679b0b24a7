//! Status lists: which place of which list a token has, for as long as it
//! lives. Written only for APIs that ask for it; what a list says follows from
//! the revocations, so nothing here changes when something is taken back.
//!
//! A restore begins lists of its own: a backup knows neither which places were
//! given out after it was made, nor which of those tokens were taken back.
//!
//! Spec: draft-ietf-oauth-status-list-21 §4, §13.2

use std::ops::Range;

use symbolon_protocol::Timestamp;
use symbolon_token::status_list::STATUS_LIST_PLACES;
use symbolon_token::{Id, Token};

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::row::Row;
use crate::statement::statements;

/// How many places are reserved at once.
pub const STATUS_BLOCK: u32 = 256;
/// How many blocks a list has.
const BLOCKS: i64 = (STATUS_LIST_PLACES / STATUS_BLOCK) as i64;
/// How far apart the first lists of two epochs are at least: more than one epoch
/// fills.
const LISTS_OF_AN_EPOCH: i64 = 1024;

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

/// A block of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusBlock {
    /// The list.
    pub list: i64,
    /// Its first place.
    pub first: u32,
}

/// What is known of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusPlaces {
    /// The lists in which anything may have been given out in this epoch.
    pub lists: Range<i64>,
    /// The places that living tokens have, in order.
    pub entries: Vec<StatusEntry>,
}

statements! {
    RESERVE = "UPDATE status_head SET blocks = blocks + 1 WHERE one = 1 RETURNING blocks - 1";
    ENTER = "INSERT INTO status_entry (list, place, token, kid, authority, expires)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    LOAD = "SELECT h.blocks, f.epoch, e.place, e.token, e.kid, e.authority, e.expires
        FROM status_head h JOIN feed_head f ON f.one = 1
            LEFT JOIN status_entry e ON e.list = ?1 AND e.expires > ?2
        WHERE h.one = 1 ORDER BY e.place";
    BEGIN = "UPDATE status_head SET blocks = {greatest}(blocks, ?1) WHERE one = 1";
    FORGET = "DELETE FROM status_entry";
}

/// The first block of an epoch that a restore began.
const fn first_block(epoch: i64) -> i64 {
    epoch.saturating_mul(LISTS_OF_AN_EPOCH * BLOCKS)
}

/// The lists of an epoch, of which so many blocks were taken. Before the first
/// restore, and after one by a version that began none anew, they are all lists.
fn lists(epoch: i64, blocks: i64) -> Range<i64> {
    let first = first_block(epoch);
    let is_begun = epoch > 1 && blocks >= first;
    let begins = if is_begun { first / BLOCKS } else { 0 };
    begins..(blocks + BLOCKS - 1) / BLOCKS
}

/// Begins the lists of an epoch: those of before are not to be had any more, so
/// that nobody finds a token of theirs good.
pub(crate) async fn begin_epoch(tx: &mut Tx<'_>, epoch: i64) -> Result<(), Fault> {
    tx.run(&FORGET, &[]).await?;
    tx.run(&BEGIN, binds![first_block(epoch)]).await?;
    Ok(())
}

impl Act for ReserveStatusBlock {
    type Out = StatusBlock;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<StatusBlock, Fault> {
        let row = tx.one(&RESERVE, &[]).await?;
        let row = row.ok_or(Fault::broken("status lists have no head"))?;
        let block = row.number(0)?;
        let within = u32::try_from(block.rem_euclid(BLOCKS)).unwrap_or(0);
        Ok(StatusBlock {
            list: block.div_euclid(BLOCKS),
            first: within * STATUS_BLOCK,
        })
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
            lists: 0..0,
            entries: Vec::new(),
        };
        let binds = binds![self.list, self.now];
        tx.each(&LOAD, binds, |row| add(&mut found, &row)).await?;
        Ok(found)
    }
}

fn add(found: &mut StatusPlaces, row: &Row) -> Result<(), Fault> {
    found.lists = lists(row.number(1)?, row.number(0)?);
    if let Some(place) = row.number_or_none(2)? {
        found.entries.push(StatusEntry {
            place,
            token: row.id(3)?,
            kid: row.string(4)?,
            authority: row.bytes(5)?.to_vec(),
            expires: row.time(6)?,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_list_once_a_block_of_it_was_taken() {
        assert_eq!(lists(1, 0), 0..0);
        assert_eq!(lists(1, 1), 0..1);
        assert_eq!(lists(1, BLOCKS), 0..1);
        assert_eq!(lists(1, BLOCKS + 1), 0..2);
    }

    #[test]
    fn an_epoch_that_a_restore_began_has_none_of_the_lists_before() {
        let epoch = 1_767_225_600;
        let first = first_block(epoch);

        assert!(lists(epoch, first).is_empty());
        let own = lists(epoch, first + 1);
        assert_eq!(own.end - own.start, 1);
        assert!(own.start > lists(epoch - 1, first_block(epoch - 1) + 1).end);
        // A version that began none anew has restored this one.
        assert_eq!(lists(epoch, 3), 0..1);
    }
}
