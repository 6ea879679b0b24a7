//! Migrations, carried out: each is a transaction of its own, so that a process
//! that is killed leaves some done and the rest as it was.
//!
//! On PostgreSQL no lock is waited for longer than [`LOCK_MS`], because whoever
//! waits for a table stands in the way of all who come after. Where it is not
//! had in that time, it is asked for again a moment later.

use std::time::Duration;

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::migration::{APPLIED, ENTER, Migration, TABLE};
use crate::statement::statements;

use super::{Fill, Steps, level};

/// How long a lock is waited for, in milliseconds.
#[cfg(feature = "postgres")]
pub(crate) const LOCK_MS: u32 = 300;
/// How long after a lock that was not had it is asked for again.
const PAUSE: Duration = Duration::from_millis(100);
/// How often: a quarter of an hour, as long as a table is never free.
const TRIES: u32 = 2_250;
/// How many rows a chunk has.
const CHUNK: u32 = 1000;
/// How long others may work between two chunks.
const BREATH: Duration = Duration::from_millis(10);

statements! {
    FILLED = "SELECT name FROM schema_fill WHERE name = ?1";
    ENTER_FILL = "INSERT INTO schema_fill (name, after) VALUES (?1, ?2)
        ON CONFLICT (name) DO NOTHING";
}

/// Whether what is no longer needed goes, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    /// It stays: the version before goes on.
    Later,
    /// It goes: every node is of this version.
    Now,
}

/// How long it may still take until a lock is had.
pub(crate) struct Patience(u32);

impl Patience {
    pub(crate) const fn new() -> Self {
        Self(TRIES)
    }

    /// Waits a moment where a lock was not had; passes every other fault on.
    pub(crate) async fn wait(&mut self, fault: Fault) -> Result<(), Fault> {
        if !fault.is_lock_timeout() {
            return Err(fault);
        }
        self.pause(fault).await
    }

    /// Waits a moment, unless that was the last.
    pub(crate) async fn pause(&mut self, fault: Fault) -> Result<(), Fault> {
        self.0 -= 1;
        if self.0 == 0 {
            return Err(fault);
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}

/// The next migration of a list that did not run. As an act it is run as well,
/// which is how SQLite does it.
pub(crate) struct Next {
    pub(crate) of: &'static [Migration],
    pub(crate) contract: Contract,
}

impl Next {
    /// Finds it. On PostgreSQL its caller has locked the table of migrations.
    pub(crate) async fn find(&self, tx: &mut Tx<'_>) -> Result<Option<&'static Migration>, Fault> {
        let applied = tx.all(&APPLIED, &[], |row| row.number(0)).await?;
        let mut all = self.of.iter();
        Ok(all.find(|own| !applied.contains(&own.number)))
    }

    /// Enters it, in the transaction in which it was found.
    pub(crate) async fn enter(&self, tx: &mut Tx<'_>, step: &Migration) -> Result<(), Fault> {
        if self.contract == Contract::Now {
            level::raise(tx, step.number).await?;
        }
        tx.run(&ENTER, binds![step.number, step.name]).await?;
        Ok(())
    }
}

impl Act for Next {
    type Out = Option<Migration>;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Migration>, Fault> {
        let engine = tx.engine();
        tx.batch(&engine.render(TABLE)).await?;
        let Some(step) = self.find(tx).await? else {
            return Ok(None);
        };
        tx.batch(&engine.render(step.text)).await?;
        self.enter(tx, step).await?;
        Ok(Some(*step))
    }
}

/// One chunk of a filling; answers how many rows it changed.
pub(crate) struct Chunk(pub(crate) &'static Fill);

impl Act for Chunk {
    type Out = u64;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, Fault> {
        tx.run(self.0.chunk, binds![CHUNK]).await
    }
}

/// Whether a filling is entered as done.
pub(crate) struct IsFilled(pub(crate) &'static str);

impl Act for IsFilled {
    type Out = bool;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        Ok(tx.one(&FILLED, binds![self.0]).await?.is_some())
    }
}

/// Enters a filling as done.
struct EnterFill(&'static Fill);

impl Act for EnterFill {
    type Out = ();
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        tx.run(&ENTER_FILL, binds![self.0.name, self.0.after])
            .await?;
        Ok(())
    }
}

impl crate::store::Store {
    /// Fills what is left to be filled; answers the names and how many rows each
    /// changed.
    pub(crate) async fn fill(&self, steps: &Steps) -> Result<Vec<(&'static str, u64)>, Fault> {
        let mut done = Vec::new();
        for fill in steps.fill {
            if self.read(IsFilled(fill.name)).await? {
                continue;
            }
            let (mut rows, mut patience) = (0, Patience::new());
            loop {
                match self.act(Chunk(fill)).await {
                    Ok(0) => break,
                    Ok(changed) => rows += changed,
                    Err(fault) => patience.wait(fault).await?,
                }
                tokio::time::sleep(BREATH).await;
            }
            self.act(EnterFill(fill)).await?;
            done.push((fill.name, rows));
        }
        Ok(done)
    }
}
