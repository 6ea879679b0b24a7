//! Uses that are counted: so many, and no more, over all nodes.

use symbolon_protocol::Timestamp;

use crate::act::{Act, Tx};
use crate::attempt::{COUNT, FORGIVE};
use crate::bind::binds;
use crate::fault::Fault;
use crate::statement::statements;

/// Counts one use under each of several names, or under none of them.
#[derive(Clone, Debug)]
pub struct CountUses {
    /// What is counted.
    pub uses: Vec<Use>,
    /// The time.
    pub now: Timestamp,
}

/// A name and how often it may be used.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// A digest of what is counted.
    pub name: [u8; 32],
    /// How many uses are allowed.
    pub limit: u32,
    /// When it could not be used any more anyway.
    pub until: Timestamp,
}

/// What counting found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uses {
    /// There was a use left under each name.
    Counted,
    /// There was none under one of them, and none was taken from the others.
    Spent {
        /// Which, as the act lists them.
        which: usize,
    },
}

/// Finds how often something was used, and counts nothing.
#[derive(Clone, Copy, Debug)]
pub struct FindUses {
    /// The name under which it is counted.
    pub name: [u8; 32],
    /// The time.
    pub now: Timestamp,
}

statements! {
    FIND_USES = "SELECT tries FROM attempt WHERE name = ?1 AND ends > ?2";
}

impl Act for FindUses {
    type Out = u32;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u32, Fault> {
        let row = tx.one(&FIND_USES, binds![&self.name, self.now]).await?;
        let tries = row.map_or(Ok(0), |row| row.number(0))?;
        Ok(u32::try_from(tries).unwrap_or(u32::MAX))
    }
}

impl Act for CountUses {
    type Out = Uses;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Uses, Fault> {
        count(tx, &self.uses, self.now).await
    }
}

/// Counts one use under each name, or under none, within another act.
pub(crate) async fn count(tx: &mut Tx<'_>, uses: &[Use], now: Timestamp) -> Result<Uses, Fault> {
    for (which, own) in uses.iter().enumerate() {
        let binds = binds![&own.name, own.until, now, own.limit];
        if tx.one(&COUNT, binds).await?.is_some() {
            continue;
        }
        take_back(tx, &uses[..which]).await?;
        return Ok(Uses::Spent { which });
    }
    Ok(Uses::Counted)
}

/// Takes back what was just counted.
pub(crate) async fn take_back(tx: &mut Tx<'_>, uses: &[Use]) -> Result<(), Fault> {
    for own in uses {
        tx.run(&FORGIVE, binds![&own.name]).await?;
    }
    Ok(())
}
