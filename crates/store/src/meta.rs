//! Facts about the installation that the first process to know them writes.

use crate::act::{Act, Settled, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::statement::statements;

/// Writes a value under a name unless there is one; answers the one there is.
#[derive(Clone, Debug)]
pub struct ClaimMeta {
    /// The name.
    pub name: &'static str,
    /// The value to write where there is none.
    pub value: Vec<u8>,
}

/// Writes a number under a name, unless there is a larger one: eight bytes, the
/// most significant first.
#[derive(Clone, Debug)]
pub struct RaiseMeta {
    /// The name.
    pub name: &'static str,
    /// The number.
    pub value: Vec<u8>,
}

/// Reads the value under a name.
#[derive(Clone, Debug)]
pub struct FindMeta {
    /// The name.
    pub name: &'static str,
}

statements! {
    CLAIM = "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
    RAISE = "INSERT INTO meta (name, value) VALUES (?1, ?2)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE meta.value < excluded.value";
    FIND = "SELECT value FROM meta WHERE name = ?1";
}

impl Act for ClaimMeta {
    type Out = Vec<u8>;

    /// A second time changes nothing.
    async fn settled(&self, _: &mut Tx<'_>) -> Result<Settled<Self::Out>, Fault> {
        Ok(Settled::Undone)
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<u8>, Fault> {
        tx.run(&CLAIM, binds![self.name, &self.value]).await?;
        let row = tx.one(&FIND, binds![self.name]).await?;
        Ok(row
            .ok_or_else(|| Fault::retry("a claim vanished"))?
            .bytes(0)?
            .to_vec())
    }
}

impl Act for RaiseMeta {
    type Out = ();
    const SINGLE: bool = true;

    /// A second time changes nothing.
    async fn settled(&self, _: &mut Tx<'_>) -> Result<Settled<Self::Out>, Fault> {
        Ok(Settled::Undone)
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        tx.run(&RAISE, binds![self.name, &self.value]).await?;
        Ok(())
    }
}

impl Act for FindMeta {
    type Out = Option<Vec<u8>>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Vec<u8>>, Fault> {
        let row = tx.one(&FIND, binds![self.name]).await?;
        row.map(|row| Ok(row.bytes(0)?.to_vec())).transpose()
    }
}
